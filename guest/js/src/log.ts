// The host's log: each line appears there under the id of the message that is handled. `console` arrives there as well.

import { log } from '#host/logging';

import { asText } from './failure.ts';

type Level = Parameters<typeof log>[0];

/** How much of a text the host is handed in one call, in units of UTF-16. It takes 1 MiB, and writes several lines of it. */
const LONGEST_PIECE = 1 << 16;

/** Hands the host a text. What is no text becomes one, and no half of a character is cut off. */
export function say(level: Level, context: unknown, text: unknown): void {
  const whole = asText(text);
  for (let start = 0; start === 0 || start < whole.length; ) {
    let end = start + LONGEST_PIECE;
    if ((whole.codePointAt(end - 1) ?? 0) > 0xffff) end -= 1;
    log(level, asText(context), whole.slice(start, end));
    start = end;
  }
}

/** Logs at level *trace*. */
export const trace = (text: string, context = ''): void => say('trace', context, text);
/** Logs at level *debug*. */
export const debug = (text: string, context = ''): void => say('debug', context, text);
/** Logs at level *info*. */
export const info = (text: string, context = ''): void => say('info', context, text);
/** Logs at level *warn*. */
export const warn = (text: string, context = ''): void => say('warn', context, text);
/** Logs at level *error*. */
export const error = (text: string, context = ''): void => say('error', context, text);
