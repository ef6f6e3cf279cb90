import { stage } from './stage.ts';

export function get(key: string): string | undefined {
  const config = stage.getStore()?.config ?? {};
  return Object.hasOwn(config, key) ? config[key] : undefined;
}
