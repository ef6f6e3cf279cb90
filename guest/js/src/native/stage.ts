// What stands for the host natively: one attempt's settings, its session, its outbox and its log.

import { AsyncLocalStorage } from 'node:async_hooks';

/** A message for another queue. */
export interface Sent {
  readonly outbox: string;
  readonly body: Uint8Array;
  readonly properties: readonly (readonly [string, string])[];
}

/** A line of the log. */
export interface Line {
  readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'critical';
  readonly text: string;
  /** What groups lines of one origin; empty unless it was named. */
  readonly context: string;
}

/** The state of the message's session. */
export interface SessionStage {
  state: Uint8Array | undefined;
}

/** What one attempt is given, and what it leaves. */
export interface Stage {
  readonly config: Readonly<Record<string, string>>;
  readonly sent: Sent[];
  readonly log: Line[];
  readonly session: SessionStage | undefined;
}

/** The attempt that runs now. Tests may run beside each other. */
export const stage = new AsyncLocalStorage<Stage>();
