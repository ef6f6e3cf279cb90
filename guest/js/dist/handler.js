// A handler: a parser of the body, and a function.
import { log } from '#host/logging';
import { Reject, Retry, trace, words } from './failure.js';
import { fromRaw } from './message.js';
import { at, read } from './schema.js';
/** A body as bytes, for `handler(bytes, …)`: it is not read as JSON. */
export const bytes = Symbol('bytes');
export function handler(parser, handle) {
    const attempt = async (message) => {
        const body = parser === bytes ? message.body : await parse(parser, json(message.body));
        await handle(body, message);
    };
    return {
        attempt,
        async handle(raw) {
            try {
                await attempt(fromRaw(raw));
            }
            catch (error) {
                throw failure(error);
            }
        },
    };
}
/** What an error is to the host. */
function failure(error) {
    if (error instanceof Reject)
        return { tag: 'reject', val: error.message };
    if (error instanceof Retry)
        return { tag: 'retry', val: { reason: error.message, afterMs: milliseconds(error.delayMs) } };
    const reason = words(error);
    for (const line of [reason, ...trace(error)])
        log('error', '', line);
    return { tag: 'retry', val: { reason, afterMs: undefined } };
}
function milliseconds(delayMs) {
    return delayMs === undefined || Number.isNaN(delayMs) ? undefined : BigInt(Math.round(Math.min(Math.max(delayMs, 0), Number.MAX_SAFE_INTEGER)));
}
function json(body) {
    let text;
    try {
        text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body);
    }
    catch {
        throw new Reject('body: not UTF-8');
    }
    if (text.trim() === '')
        throw new Reject('body: empty');
    try {
        return JSON.parse(text);
    }
    catch {
        // Its error quotes the text.
        throw new Reject('body: not JSON');
    }
}
async function parse(parser, value) {
    if ('~standard' in parser) {
        const result = await parser['~standard'].validate(value);
        if (result.issues === undefined)
            return result.value;
        const [issue] = result.issues;
        const path = (issue?.path ?? []).map((it) => (typeof it === 'object' ? it.key : it));
        const joined = path.map((it) => (typeof it === 'number' ? `[${it}]` : `.${String(it)}`)).join('');
        throw new Reject(at(joined, issue?.message ?? 'does not fit'));
    }
    return typeof parser === 'function' ? parser(value) : read(parser, value);
}
