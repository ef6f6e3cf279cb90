// A test kit: one attempt at one message, natively, with settings, and with an outbox that can be looked into.
//
//     const outcome = await invoke(handler, { order_id: 'o-1', qty: 2 }, { config: { currency: 'EUR' } });
//     assert.equal(outcome.name, 'completed');
//     assert.deepEqual(outcome.sent[0].json(), { order_id: 'o-1', currency: 'EUR' });
//
// What the kit does not do: the deadline, the limits, and refusing what nobody granted. `longshore invoke` does all of that, with the
// real component.

import { encode } from './body.ts';
import { asText, Reject, Retry, words } from './failure.ts';
import type { Handler } from './handler.ts';
import type { Message } from './message.ts';
import { stage, type Line, type Sent as Kept, type Stage } from './native/stage.ts';

export type { Line };

/** A message for another queue. */
export interface Sent {
  readonly outbox: string;
  readonly body: Uint8Array;
  readonly properties: Readonly<Record<string, string>>;
  /** The body as text. */
  text(): string;
  /** The body as JSON. */
  json<T = unknown>(): T;
}

/** What became of an attempt. */
export interface Outcome {
  /** What the host makes of it, as `longshore invoke` says it. */
  readonly name: 'completed' | 'retry' | 'rejected';
  /** Why a message was not handled: what goes into the log and, in the end, into the poison queue. */
  readonly reason: string;
  /** Of a retry: the delay that was asked for. */
  readonly delayMs: number | undefined;
  /** What the host would send now. A handler that fails sends nothing. */
  readonly sent: readonly Sent[];
  /** The state of the message's session now. A handler that fails leaves it as it was. */
  readonly sessionState: Uint8Array | undefined;
  /** What was logged with `log`. `console` is not among it. */
  readonly log: readonly Line[];
  /** The error that ended the attempt. */
  readonly error: unknown;
}

/** What an attempt is given: settings that are granted, a session, and fields of the message that replace the defaults. */
export interface Given extends Partial<Message> {
  readonly config?: Readonly<Record<string, string>>;
  /** Puts the message into a session. Without this it belongs to none. */
  readonly sessionId?: string;
  /** The state of that session: bytes and text as they are, and everything else as JSON. */
  readonly sessionState?: unknown;
}

/** A message with this body, received for the first time. Bytes and text are the body as they are; everything else is written as JSON. */
export function message(body: unknown, fields: Partial<Message> = {}): Message {
  return {
    id: 'test-message',
    queue: 'orders',
    body: encode('the body', body),
    dequeueCount: 1,
    inserted: new Date('2026-01-01T00:00:00Z'),
    deadlineMs: 30_000,
    properties: new Map(),
    ...fields,
  };
}

/**
 * Hands one message to a handler, as the host would. Throws a `TypeError` for what is no handler, and for a body that cannot be
 * written.
 */
export async function invoke(handler: Handler<never> | Handler, body: unknown, given: Given = {}): Promise<Outcome> {
  if (typeof handler?.attempt !== 'function') throw new TypeError('this is no handler: make it one with `handler(…)`');
  const { config = {}, sessionId, sessionState: before, ...fields } = given;
  const sessionState = before === undefined ? undefined : encode('the state of the session', before);
  const whole = inSession(message(body, fields), sessionId);
  const session = sessionId === undefined ? undefined : { state: sessionState };
  const attempt: Stage = { config, sent: [], log: [], session };
  const ended = { reason: '', delayMs: undefined, sent: [], sessionState, log: attempt.log, error: undefined };
  try {
    await stage.run(attempt, () => handler.attempt(whole));
  } catch (error) {
    if (error instanceof Reject) return { ...ended, name: 'rejected', reason: asText(error.message), error };
    if (error instanceof Retry) return { ...ended, name: 'retry', reason: asText(error.message), delayMs: error.delayMs, error };
    return { ...ended, name: 'retry', reason: words(error), error };
  }
  return { ...ended, name: 'completed', sent: attempt.sent.map(shown), sessionState: session?.state };
}

function inSession(whole: Message, id: string | undefined): Message {
  return id === undefined ? whole : { ...whole, properties: new Map([['session-id', id], ...whole.properties]) };
}

function shown({ outbox, body, properties }: Kept): Sent {
  const text = () => new TextDecoder().decode(body);
  return { outbox, body, properties: Object.fromEntries(properties), text, json: <T>() => JSON.parse(text()) as T };
}
