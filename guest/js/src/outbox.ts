// Messages for other queues: sent if and only if the handler succeeds, before its own message is deleted.
//
// The operator names the queues (`--outbox NAME=QUEUE-URL`). A component that uses this function needs one. A name that was not
// granted, and more than may be sent for one message, end the attempt: there is no error to handle.

import { send as put } from '#host/outbox';

/**
 * Puts a message into the outbox: bytes and text as they are, and everything else as JSON. Queues that have no properties
 * drop them.
 */
export function send(outbox: string, body: unknown, properties: Readonly<Record<string, string>> = {}): void {
  if (body instanceof Uint8Array) return put(outbox, body, Object.entries(properties));
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  if (text === undefined) throw new TypeError(`a message for ${outbox} cannot be written as JSON: it is ${typeof body}`);
  put(outbox, new TextEncoder().encode(text), Object.entries(properties));
}
