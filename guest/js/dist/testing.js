// A test kit: one attempt at one message, natively, with settings, and with an outbox that can be looked into.
//
//     const outcome = await invoke(handler, { order_id: 'o-1', qty: 2 }, { config: { currency: 'EUR' } });
//     assert.equal(outcome.name, 'completed');
//     assert.deepEqual(outcome.sent[0].json(), { order_id: 'o-1', currency: 'EUR' });
//
// What the kit does not do: the deadline, the limits, and refusing what nobody granted. `longshore invoke` does all of that, with the
// real component.
import { Reject, Retry, words } from './failure.js';
import { stage } from './native/stage.js';
/** A message with this body, received for the first time. Bytes and text are the body as they are; everything else is written as JSON. */
export function message(body, fields = {}) {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    return {
        id: 'test-message',
        queue: 'orders',
        body: body instanceof Uint8Array ? body : new TextEncoder().encode(text),
        dequeueCount: 1,
        inserted: new Date('2026-01-01T00:00:00Z'),
        deadlineMs: 30_000,
        properties: new Map(),
        ...fields,
    };
}
/** Hands one message to a handler, as the host would. */
export async function invoke(handler, body, given = {}) {
    const { config = {}, ...fields } = given;
    const attempt = { config, sent: [], log: [] };
    const ended = { reason: '', delayMs: undefined, sent: [], log: attempt.log, error: undefined };
    try {
        await stage.run(attempt, () => handler.attempt(message(body, fields)));
    }
    catch (error) {
        if (error instanceof Reject)
            return { ...ended, name: 'rejected', reason: error.message, error };
        if (error instanceof Retry)
            return { ...ended, name: 'retry', reason: error.message, delayMs: error.delayMs, error };
        return { ...ended, name: 'retry', reason: words(error), error };
    }
    return { ...ended, name: 'completed', sent: attempt.sent.map(shown) };
}
function shown({ outbox, body, properties }) {
    const text = () => new TextDecoder().decode(body);
    return { outbox, body, properties: Object.fromEntries(properties), text, json: () => JSON.parse(text()) };
}
