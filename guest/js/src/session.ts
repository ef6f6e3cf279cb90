// The state of a session: some bytes that stay from one of its messages to the next.
//
// Queues and subscriptions of Service Bus may require sessions. The messages of one come one after the other and in order, and its
// id is `message.properties.get('session-id')`.
//
// A state is set if and only if the handler succeeds: after its messages were sent, and before its own message is deleted. More than
// 250 KiB end the attempt.

import { getState, setState as put } from '#host/session';

import { encode } from './body.ts';
import { Retry } from './failure.ts';

/** The message belongs to no session, since its queue has none. Not caught, it is a retry. */
export class NoSession extends Retry {}

/** The state of the message's session; `undefined` if nobody has set one. Throws `NoSession`. */
export function state(): Uint8Array | undefined {
  return ofSession(getState);
}

/** The same from JSON, or what else is named if nobody has set one. Throws `Retry` for what is no JSON: no message is at fault. */
export function stateJson<T = unknown>(): T | undefined;
export function stateJson<T = unknown>(otherwise: T): T;
export function stateJson<T>(otherwise?: T): T | undefined {
  const kept = state();
  if (kept === undefined) return otherwise;
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(kept)) as T;
  } catch {
    // Its words may quote the state.
    throw new Retry('the state of the session is not what was expected');
  }
}

/**
 * Sets the state of the message's session: bytes and text as they are, and everything else as JSON. Throws `NoSession`, and a
 * `TypeError` for what JSON does not hold.
 */
export function setState(state: unknown): void {
  const encoded = encode('the state of the session', state);
  ofSession(() => put(encoded));
}

/** From now on there is no state any more. Throws `NoSession`. */
export function clearState(): void {
  ofSession(() => put(undefined));
}

/** The host throws what it says as the payload of an error. */
function ofSession<T>(act: () => T): T {
  try {
    return act();
  } catch (error) {
    const { payload } = error as { payload?: { val?: unknown } };
    if (typeof payload?.val === 'string') throw new NoSession(payload.val);
    throw error;
  }
}
