// Messages for other queues: sent if and only if the handler succeeds, before its own message is deleted.
//
// The operator names the queues (`--outbox NAME=QUEUE-URL`). A component that uses this function needs one. A name that was not
// granted, and more than may be sent for one message, end the attempt: there is no error to handle.

import { send as put } from '#host/outbox';

import { encode } from './body.ts';

/**
 * Puts a message into the outbox: bytes and text as they are, and everything else as JSON. Throws a `TypeError` for what JSON
 * does not hold, such as `NaN`. Queues that have no properties drop them.
 */
export function send(outbox: string, body: unknown, properties: Readonly<Record<string, string>> = {}): void {
  put(outbox, encode(`a message for ${outbox}`, body), Object.entries(properties));
}
