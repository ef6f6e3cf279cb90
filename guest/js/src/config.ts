// Settings that the operator granted (`--config KEY=VALUE`). A component that uses these functions needs one.

import { get as find } from '#host/store';

import { Retry } from './failure.ts';

/** The setting of that name, if it was granted, or what else is named. */
export function get(key: string): string | undefined;
export function get(key: string, otherwise: string): string;
export function get(key: string, otherwise?: string): string | undefined {
  return find(key) ?? otherwise;
}

/** The setting of that name. Throws `Retry` if it was not granted, since no message is at fault. */
export function require(key: string): string {
  const value = find(key);
  if (value === undefined) throw new Retry(`the setting ${key} is missing: --config ${key}=… grants it`);
  return value;
}
