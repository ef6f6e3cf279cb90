// The example handler in JavaScript: what becomes of an order is what its text says. See the README.

import { getState, setState } from 'longshore:handler/session@0.1.0';
import { log } from 'wasi:logging/logging@0.1.0-draft';

/** Another attempt may succeed. */
const retry = (reason, afterMs) => ({ tag: 'retry', val: { reason, afterMs } });

/** No attempt ever will. */
const reject = (reason) => ({ tag: 'reject', val: reason });

/**
 * Reads an order event, `{"order_id": "o-1", "msg": "ok"}`; other fields are ignored. What does not fit is rejected by
 * the field's name and its kind: reasons are logged, values are not.
 */
function parse(body) {
  let text, value;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body);
  } catch {
    throw reject('body: not UTF-8');
  }
  try {
    value = JSON.parse(text);
  } catch {
    throw reject('body: not JSON');
  }
  if (kind(value) !== 'map') throw reject(`body: expected struct OrderEvent, got ${kind(value)}`);
  for (const field of ['order_id', 'msg']) {
    if (!Object.hasOwn(value, field)) throw reject(`${field}: missing field`);
    if (typeof value[field] !== 'string') throw reject(`${field}: expected a string, got ${kind(value[field])}`);
  }
  if (value.order_id === '') throw reject('order_id: must not be empty');
  return value;
}

function kind(value) {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'sequence';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'floating point';
  return typeof value === 'object' ? 'map' : typeof value;
}

function number(argument) {
  const text = argument.trim();
  if (!/^\+?[0-9]+$/.test(text) || BigInt(text.replace('+', '')) >= 1n << 64n) {
    throw reject('msg: expected a whole number after the colon');
  }
  return BigInt(text.replace('+', ''));
}

/** Reads or sets the state of the order's session. */
function ofSession(act) {
  try {
    return act();
  } catch (error) {
    throw retry(error.payload?.val ?? String(error));
  }
}

const encoder = new TextEncoder();

/** What the host calls, once for each message. It answers when the promise is settled. */
export const handler = {
  async handle(message) {
    const order = parse(message.body);
    const colon = order.msg.indexOf(':');
    const wish = colon < 0 ? order.msg : order.msg.slice(0, colon);
    const argument = colon < 0 ? '' : order.msg.slice(colon + 1);
    switch (wish) {
      case 'retry':
        throw retry('the order asks for a retry');
      case 'retry-after':
        throw retry('the order asks for a retry', number(argument));
      case 'retry-until':
        if (BigInt(message.dequeueCount) < number(argument)) throw retry('the order asks for more attempts');
        break;
      case 'reject':
        throw reject('the order asks for a rejection');
      case 'trap':
        throw new Error('the order asks for a trap');
      case 'sleep': {
        const milliseconds = Number(number(argument));
        await new Promise((wake) => setTimeout(wake, milliseconds));
        break;
      }
      case 'spin':
        for (;;);
      case 'append':
      case 'append-late':
      case 'append-then-retry': {
        if (wish === 'append-late') await new Promise((wake) => setTimeout(wake, 3000));
        const [before, added] = [ofSession(getState) ?? new Uint8Array(), encoder.encode(argument)];
        const state = new Uint8Array(before.length + added.length);
        state.set(before);
        state.set(added, before.length);
        ofSession(() => setState(state));
        if (wish === 'append-then-retry' && message.dequeueCount === 1) throw retry('the order asks for a retry');
        break;
      }
      case 'forget':
        ofSession(() => setState(undefined));
        break;
      case 'fill':
        ofSession(() => setState(new Uint8Array(Number(number(argument))).fill(120)));
        break;
      case 'expect': {
        const state = ofSession(getState);
        if (state === undefined || new TextDecoder().decode(state) !== argument) throw reject('msg: the state of the session is another');
        break;
      }
      case 'alloc':
        for (const kept = []; ; ) kept.push(new Uint8Array(1 << 20).fill(1));
    }
    log('info', '', `handled order ${order.order_id}`);
  },
};
