// What handlers in TypeScript and JavaScript share: the types of the contract, and outcomes.

/** A message, as it came from its queue. `wit/handler.wit` says what each field is. */
export interface Message {
  /** The id that the queue gave it: the same at each delivery of one message. */
  readonly id: string;
  /** The queue's name. */
  readonly queue: string;
  /** The bytes that the sender meant. */
  readonly body: Uint8Array;
  /** How often the message was received, this time included. */
  readonly dequeueCount: number;
  /** When it was put into the queue, in milliseconds since 1970. */
  readonly inserted: bigint;
  /** How long the handler has, in milliseconds from the start of the call. */
  readonly deadline: bigint;
  /** What it carries beside its body, as names and values. */
  readonly properties: [string, string][];
}

/** What a module exports as `handler`. */
export interface Handler {
  handle(message: Message): Promise<void> | void;
}

/** Why a message was not handled. An error of any other kind is a trap, which is a retry. */
export type Failure =
  | { readonly tag: 'retry'; readonly val: { readonly reason: string; readonly afterMs?: bigint } }
  | { readonly tag: 'reject'; readonly val: string };

/**
 * Throw it when another attempt may succeed; the host chooses the delay, unless it is named, in milliseconds.
 * The reason is logged: no secret, nothing of the body.
 */
export function retry(reason: string, afterMs?: bigint): Failure {
  return { tag: 'retry', val: { reason, afterMs } };
}

/** Throw it when no attempt will ever succeed. The reason is logged: no secret, nothing of the body. */
export function reject(reason: string): Failure {
  return { tag: 'reject', val: reason };
}

/** Whether it was made by `retry` or `reject`. */
export function isFailure(error: unknown): error is Failure {
  const tag = (error as Partial<Failure> | undefined)?.tag;
  return tag === 'retry' || tag === 'reject';
}
