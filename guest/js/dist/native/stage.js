// What stands for the host natively: one attempt's settings, its outbox and its log.
import { AsyncLocalStorage } from 'node:async_hooks';
/** The attempt that runs now. Tests may run beside each other. */
export const stage = new AsyncLocalStorage();
