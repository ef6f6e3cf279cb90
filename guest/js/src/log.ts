// The host's log: each line appears there under the id of the message that is handled. `console` arrives there as well.

import { log } from '#host/logging';

/** Logs at level *trace*. */
export const trace = (text: string, context = ''): void => log('trace', context, text);
/** Logs at level *debug*. */
export const debug = (text: string, context = ''): void => log('debug', context, text);
/** Logs at level *info*. */
export const info = (text: string, context = ''): void => log('info', context, text);
/** Logs at level *warn*. */
export const warn = (text: string, context = ''): void => log('warn', context, text);
/** Logs at level *error*. */
export const error = (text: string, context = ''): void => log('error', context, text);
