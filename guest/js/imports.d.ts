// What the host offers where it is granted: the interfaces of `wit/`, as a component in JavaScript imports them.

declare module 'wasi:logging/logging@0.1.0-draft' {
  /** Logs one line under the message's id. `context` groups lines of one origin. */
  export function log(level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'critical', context: string, line: string): void;
}

declare module 'wasi:config/store@0.2.0-rc.1' {
  /** The setting of that name, if it was granted (`--config KEY=VALUE`). */
  export function get(key: string): string | undefined;
  /** All settings that were granted, as names and values. */
  export function getAll(): [string, string][];
}

declare module 'longshore:handler/session@0.1.0' {
  /**
   * The state of the message's session; none if nobody has set one. Throws an error where the message belongs to no session: its
   * `payload` is `{ tag: 'no-session', val: string }`.
   */
  export function getState(): Uint8Array | undefined;
  /** Sets the state of the message's session, or clears it. It is set if and only if the handler succeeds. */
  export function setState(state: Uint8Array | undefined): void;
}

declare module 'longshore:handler/outbox@0.1.0' {
  /**
   * Puts a message into the outbox (`--outbox NAME=QUEUE-URL`). It is sent if and only if the handler succeeds, before its own
   * message is deleted.
   */
  export function send(output: string, body: Uint8Array, properties: [string, string][]): void;
}
