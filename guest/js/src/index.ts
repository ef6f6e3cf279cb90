// Write message handlers for `longshore`: see the README.

export * as config from './config.ts';
export { Reject, Retry } from './failure.ts';
export { bytes, handler, type Handle, type Handler, type Parser, type StandardSchema } from './handler.ts';
export * as log from './log.ts';
export type { Message } from './message.ts';
export * as outbox from './outbox.ts';
export * as session from './session.ts';
