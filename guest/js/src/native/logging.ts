import { stage, type Line } from './stage.ts';

export function log(level: Line['level'], context: string, text: string): void {
  stage.getStore()?.log.push({ level, text, context });
}
