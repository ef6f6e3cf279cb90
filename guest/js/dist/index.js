// Write message handlers for `longshore`: see the README.
export * as config from './config.js';
export { Reject, Retry } from './failure.js';
export { bytes, handler } from './handler.js';
export * as log from './log.js';
export * as outbox from './outbox.js';
