import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';

import { bytes, config, handler, log, outbox, Reject, Retry, session } from '../dist/index.js';
import { array, boolean, integer, nullable, number, object, oneOf, optional, record, string, unknown } from '../dist/schema.js';
import { failure } from '../dist/azure.js';
import { stage } from '../dist/native/stage.js';
import { telling } from '../dist/uncaught.js';
import { invoke, message } from '../dist/testing.js';

const Order = object({
  order_id: string({ minLength: 1 }),
  items: optional(array(object({ qty: integer({ min: 1 }), price: optional(number(), 0) })), []),
  tags: optional(record(integer())),
  speed: optional(oneOf('fast', 'slow')),
  paid: optional(boolean()),
  note: optional(nullable(string())),
  extra: unknown(),
});

let seen;
const orders = handler(Order, async (order, message) => {
  seen = order;
  outbox.send('invoices', { order_id: order.order_id }, { id: message.id });
  log.info(`order ${order.order_id}`);
  if (order.note === 'retry') throw new Retry('later', { delayMs: 1500 });
  if (order.note === 'reject') throw new Reject('never');
  if (order.note === 'bug') priceOf({});
  if (order.note === 'thrown') throw 'a text';
  if (order.note === 'setting') outbox.send('invoices', config.require('currency'));
});

function priceOf(order) {
  return order.price.cents;
}

test('a body becomes its type', async () => {
  const body = '{"order_id": "o-1", "items": [{"qty": 2}], "tags": {"a": 1}, "speed": "fast", "paid": true, "extra": [1], "more": 1}';
  assert.equal((await invoke(orders, body)).name, 'completed');
  const items = [{ qty: 2, price: 0 }];
  assert.deepEqual(seen, { order_id: 'o-1', items, tags: { a: 1 }, speed: 'fast', paid: true, extra: [1] });
});

for (const [body, reason] of [
  ['', 'body: empty'],
  ['secret', 'body: not JSON'],
  [new Uint8Array([0xff]), 'body: not UTF-8'],
  ['"secret"', 'body: expected object, got string'],
  ['[]', 'body: expected object, got array'],
  ['{}', 'order_id: missing field'],
  ['{"order_id": 7}', 'order_id: expected string, got number'],
  ['{"order_id": null}', 'order_id: expected string, got null'],
  ['{"order_id": ""}', 'order_id: must not be empty'],
  ['{"order_id": "a", "items": {}}', 'items: expected array, got object'],
  ['{"order_id": "a", "items": [{"qty": 1}, {"qty": "secret"}]}', 'items[1].qty: expected integer, got string'],
  ['{"order_id": "a", "items": [{"qty": 1.5}]}', 'items[0].qty: expected integer, got another number'],
  ['{"order_id": "a", "items": [{"qty": 0}]}', 'items[0].qty: must be 1 or more'],
  ['{"order_id": "a", "items": [{}]}', 'items[0].qty: missing field'],
  ['{"order_id": "a", "tags": {"b": "secret"}}', 'tags.b: expected integer, got string'],
  ['{"order_id": "a", "speed": "secret"}', 'speed: expected one of fast, slow, got another string'],
  ['{"order_id": "a", "paid": 1}', 'paid: expected boolean, got number'],
]) {
  test(`a reason names the field and the cause, and holds no value: ${body}`, async () => {
    const outcome = await invoke(orders, body);
    assert.deepEqual([outcome.name, outcome.reason], ['rejected', reason]);
  });
}

test('a path is cut when a key is long', async () => {
  const { reason } = await invoke(orders, { order_id: 'a', tags: { ['k'.repeat(10_000)]: 'x' } });
  assert.ok(reason.endsWith('k…: expected integer, got string') && reason.length < 300, reason);
});

test('a schema of another library, and a function, read a body as well', async () => {
  const issues = [{ message: 'Expected a number', path: ['items', 0, { key: 'qty' }] }];
  const standard = { '~standard': { validate: (value) => (value === 1 ? { value: 'one' } : { issues }) } };
  const echo = (body) => outbox.send('echo', body);
  assert.equal((await invoke(handler(standard, echo), 1)).sent[0].text(), 'one');
  assert.equal((await invoke(handler(standard, echo), 2)).reason, 'items[0].qty: Expected a number');
  assert.equal((await invoke(handler((value) => value + 1, echo), 2)).sent[0].json(), 3);
});

test('bytes are taken as they are', async () => {
  const copy = handler(bytes, (body) => outbox.send('copies', body));
  assert.deepEqual((await invoke(copy, new Uint8Array([0xff]))).sent[0].body, new Uint8Array([0xff]));
});

test('whatever is thrown or said has an outcome, and is told as text', async () => {
  const unshowable = { toString() { throw new Error('no words'); } };
  const odd = (words) => Object.defineProperties(new Error('x'), { stack: { value: 7 }, message: { value: words } });
  const thrown = [null, undefined, Symbol('s'), Object.create(null), unshowable, odd(unshowable), Object.assign(new Reject('x'), { message: null }), new Retry(7)];
  const outcomes = [];
  for (const it of thrown) {
    const one = handler(bytes, () => {
      log.info(it);
      throw it;
    });
    const { name, reason, log: lines } = await invoke(one, 'x');
    assert.ok(lines.every((line) => typeof line.text === 'string'), String(reason));
    outcomes.push(`${name}: ${reason}`);
  }
  assert.deepEqual(outcomes, [
    'retry: thrown: null',
    'retry: thrown: undefined',
    'retry: thrown: Symbol(s)',
    'retry: thrown: what cannot be shown as text',
    'retry: thrown: what cannot be shown as text',
    'retry: Error: its words cannot be read',
    'rejected: null',
    'retry: 7',
  ]);
});

test('a long line of the log is handed over in pieces that the host takes, each of whole characters', async () => {
  const long = `x${'\u{1f600}'.repeat(400_000)}`;
  const { log: lines } = await invoke(handler(bytes, () => log.info(long)), 'x');
  assert.equal(lines.map((line) => line.text).join(''), long);
  assert.ok(lines.length > 1 && lines.every((line) => new TextEncoder().encode(line.text).length < 1 << 20 && line.text.isWellFormed()));
});

test('what is thrown is the outcome, and one that fails sends nothing', async () => {
  const retry = await invoke(orders, { order_id: 'a', note: 'retry' });
  assert.deepEqual([retry.name, retry.reason, retry.delayMs, retry.sent], ['retry', 'later', 1500, []]);
  const reject = await invoke(orders, { order_id: 'a', note: 'reject' });
  assert.deepEqual([reject.name, reject.reason, reject.sent], ['rejected', 'never', []]);
});

test('any other error is a retry that names its type, its words and its place', async () => {
  const { name, reason } = await invoke(orders, { order_id: 'a', note: 'bug' });
  assert.equal(name, 'retry');
  assert.match(reason, /^TypeError: .*cents.* at .*test\/handler\.test\.js:\d+ in priceOf$/);
  assert.equal((await invoke(orders, { order_id: 'a', note: 'thrown' })).reason, 'thrown: a text');
});

test('the host is handed the failures of the contract', async () => {
  const raw = (note) => ({
    id: 'm-1', queue: 'orders', body: new TextEncoder().encode(JSON.stringify({ order_id: 'a', note })),
    dequeueCount: 1, inserted: 0n, deadline: 30_000n, properties: [],
  });
  await assert.rejects(orders.handle(raw('retry')), (it) => it.tag === 'retry' && it.val.reason === 'later' && it.val.afterMs === 1500n);
  await assert.rejects(orders.handle(raw('reject')), { tag: 'reject', val: 'never' });
  await assert.rejects(orders.handle(raw('bug')), (it) => it.tag === 'retry' && it.val.reason.startsWith('TypeError: '));
  await orders.handle(raw('good'));
});

test('a setting is one that was granted, and attempts beside each other have their own', async () => {
  const body = { order_id: 'a', note: 'setting' };
  const [granted, missing] = await Promise.all([invoke(orders, body, { config: { currency: 'EUR' } }), invoke(orders, body)]);
  assert.deepEqual(granted.sent.map((it) => it.text()), ['{"order_id":"a"}', 'EUR']);
  assert.deepEqual(granted.sent[0].properties, { id: 'test-message' });
  assert.deepEqual(granted.log, [{ level: 'info', text: 'order a', context: '' }]);
  assert.deepEqual([missing.name, missing.reason], ['retry', 'the setting currency is missing: --config currency=… grants it']);
});

test('a setting that was not granted has the value that was named', async () => {
  const echo = handler(unknown(), () => outbox.send('echo', [config.get('currency') ?? null, config.get('currency', 'USD')]));
  assert.deepEqual((await invoke(echo, {})).sent[0].json(), [null, 'USD']);
  assert.deepEqual((await invoke(echo, {}, { config: { currency: '' } })).sent[0].json(), ['', '']);
});

test('bytes of any kind are sent as they are', async () => {
  const words = new Uint16Array([1, 2, 3]);
  for (const [body, expected] of [
    [new Uint8Array([1, 2]).buffer, [1, 2]],
    [words.subarray(1), [2, 0, 3, 0]],
    [new DataView(new Uint8Array([7, 8]).buffer, 1), [8]],
  ]) {
    const copy = handler(bytes, () => outbox.send('copies', body));
    assert.deepEqual([...(await invoke(copy, '')).sent[0].body], expected);
    assert.deepEqual([...message(body).body], expected);
  }
});

for (const [name, body, what] of [
  ['NaN', { price: NaN }, 'NaN is in it'],
  ['an infinite number', [-Infinity], '-Infinity is in it'],
  ['bytes in an object', { raw: Buffer.from('x') }, 'bytes is in it'],
  ['a map', { tags: new Map() }, 'a map is in it'],
  ['nothing', undefined, 'undefined is in it'],
]) {
  test(`what JSON does not hold is refused and not written as something else: ${name}`, async () => {
    const send = handler(bytes, () => outbox.send('copies', body));
    assert.match((await invoke(send, '')).reason, new RegExp(`^TypeError: a message for copies cannot be written as JSON: ${what} at `));
    await assert.rejects(invoke(send, body), { name: 'TypeError', message: `the body cannot be written as JSON: ${what}` });
  });
}

test('what is no handler is the test\'s own mistake', async () => {
  for (const it of [() => {}, undefined, {}]) {
    await assert.rejects(invoke(it, '{}'), { name: 'TypeError', message: 'this is no handler: make it one with `handler(…)`' });
  }
});

test('a pattern with the flag g is matched from the beginning each time', async () => {
  const names = handler(array(string({ pattern: /^[a-z]+$/g })), () => {});
  assert.equal((await invoke(names, ['ada', 'bob', 'eve'])).name, 'completed');
});

test('of the cause of a failure its type and its places are logged, and not its words', async () => {
  const cause = new RangeError('secret');
  cause.cause = cause;
  const fails = handler(bytes, () => { throw failure('booking', cause); });
  const attempt = { config: {}, sent: [], log: [] };
  const raw = { id: 'm-1', queue: 'orders', body: new Uint8Array(), dequeueCount: 1, inserted: 0n, deadline: 30_000n, properties: [] };
  await assert.rejects(stage.run(attempt, () => fails.handle(raw)), (it) => it.val.reason === 'booking: RangeError');
  assert.deepEqual(attempt.log[0], { level: 'debug', text: 'caused by RangeError', context: '' });
  assert.match(attempt.log[1].text, /^    at .*handler\.test\.js:\d+/);
  assert.ok(attempt.log.length === 50 && !JSON.stringify(attempt.log).includes('secret'));
});

/** What a handler logs in the component, where it throws. */
async function logged(fails) {
  const attempt = { config: {}, sent: [], log: [] };
  const raw = { id: 'm-1', queue: 'orders', body: new Uint8Array(), dequeueCount: 1, inserted: 0n, deadline: 30_000n, properties: [] };
  await assert.rejects(stage.run(attempt, () => handler(bytes, fails).handle(raw)), (it) => it.tag === 'retry');
  return attempt.log;
}

test('an error that nobody caught is logged with what it was thrown for, and not with the words of that', async () => {
  const lines = await logged(() => {
    throw new Error('cannot price', { cause: new RangeError('secret') });
  });
  assert.match(lines[0].text, /^Error: cannot price at /);
  const at = lines.findIndex((it) => it.text === 'caused by RangeError');
  assert.equal(lines[at]?.level, 'error');
  assert.match(lines[at + 1].text, /^    at .*handler\.test\.js:\d+/);
  assert.ok(!JSON.stringify(lines).includes('secret'));
});

test('a function that calls itself without end is one line of the log', async () => {
  const deep = (n) => deep(n + 1) + 1;
  const lines = await logged(() => void deep(0));
  const repeated = lines.slice(1).map((it) => it.text).filter((it) => it.includes('in deep'));
  assert.equal(repeated.length, 1, JSON.stringify(lines));
  assert.match(repeated[0], /handler\.test\.js:\d+ in deep, \d+ times$/);
});

test('a project whose folder has this package\'s name keeps the places of its errors', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'longshore-'));
  try {
    const source = join(folder, 'my-longshore-guest/guest/js/src/handler.mjs');
    await mkdir(join(source, '..'), { recursive: true });
    const from = new URL('../dist/index.js', import.meta.url);
    await writeFile(source, `import { bytes, handler } from '${from}';\nexport default handler(bytes, function fail() { null.price; });\n`);
    const { reason } = await invoke((await import(pathToFileURL(source))).default, '');
    assert.match(reason, /handler\.mjs:2 in fail$/);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('a handler without this package says an error with its place on standard error, and still throws it', async (t) => {
  const said = t.mock.method(console, 'error', () => {});
  const own = {
    handle() {
      throw new RangeError('no stock');
    },
  };
  await assert.rejects(telling(own).handle({}), RangeError);
  assert.match(said.mock.calls[0].arguments[0], /^RangeError: no stock at .*handler\.test\.js:\d+ in (Object\.)?handle$/);
  said.mock.resetCalls();
  const rejection = { tag: 'reject', val: 'no order' };
  await assert.rejects(telling({ handle: () => Promise.reject(rejection) }).handle({}), (it) => it === rejection);
  assert.equal(said.mock.callCount(), 0);
});

test('a state of a session is found, and is kept when the handler succeeds', async () => {
  const count = handler(integer(), (number, { properties }) => {
    session.setState(session.stateJson(0) + number);
    if (properties.get('session-id') !== 'red') throw new Retry('not red');
  });
  const text = async (body, given) => new TextDecoder().decode((await invoke(count, body, given)).sessionState);
  assert.equal(await text('7', { sessionId: 'red' }), '7');
  assert.equal(await text('7', { sessionId: 'red', sessionState: 35 }), '42');
  assert.equal(await text('7', { sessionId: 'blue', sessionState: '35' }), '35');
  const given = { sessionId: 'red', sessionState: new Uint8Array([0xff]) };
  assert.equal((await invoke(count, '7', given)).reason, 'the state of the session is not what was expected');
  const none = await invoke(count, '7');
  assert.equal(none.name, 'retry');
  assert.match(none.reason, /^the message belongs to no session/);
  assert.ok(none.error instanceof session.NoSession);
  const clear = handler(bytes, () => session.clearState());
  assert.equal((await invoke(clear, '', { sessionId: '', sessionState: 'x' })).sessionState, undefined);
});
