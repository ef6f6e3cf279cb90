// A message, as it came from its queue.

/** A message, as the contract has it. */
export interface RawMessage {
  readonly id: string;
  readonly queue: string;
  readonly body: Uint8Array;
  readonly dequeueCount: number;
  readonly inserted: bigint;
  readonly deadline: bigint;
  readonly properties: readonly (readonly [string, string])[];
}

/** A message, as it came from its queue. `wit/handler/handler.wit` in this package says what each field is. */
export interface Message {
  /** The id that the queue gave it: the same at each delivery of one message. */
  readonly id: string;
  /** The queue's name. */
  readonly queue: string;
  /** The bytes that the sender meant. */
  readonly body: Uint8Array;
  /** How often the message was received, this time included. */
  readonly dequeueCount: number;
  /** When it was put into the queue, by the queue's clock. */
  readonly inserted: Date;
  /** How long the handler has, in milliseconds from the start of the call. */
  readonly deadlineMs: number;
  /** What it carries beside its body; empty on queues that have no properties. */
  readonly properties: ReadonlyMap<string, string>;
}

export function fromRaw(raw: RawMessage): Message {
  return {
    id: raw.id,
    queue: raw.queue,
    body: raw.body,
    dequeueCount: raw.dequeueCount,
    inserted: new Date(Number(raw.inserted)),
    deadlineMs: Number(raw.deadline),
    properties: new Map(raw.properties),
  };
}
