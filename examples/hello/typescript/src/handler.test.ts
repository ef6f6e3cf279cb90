import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { invoke } from 'longshore-guest/testing';

import handler from './handler.ts';

const sample = (name: string): string => readFileSync(`samples/${name}`, 'utf8');

test('an order becomes an invoice', async () => {
  const outcome = await invoke(handler, sample('good.json'), { config: { currency: 'EUR' } });
  assert.equal(outcome.name, 'completed', outcome.reason);
  assert.equal(outcome.sent[0].outbox, 'invoices');
  assert.deepEqual(outcome.sent[0].json(), { order_id: 'o-1', total_cents: 300, currency: 'EUR' });
});

test('a body that does not fit is rejected', async () => {
  const { name, reason } = await invoke(handler, sample('bad.json'));
  assert.deepEqual([name, reason], ['rejected', 'items[0].qty: expected integer, got string']);
});

test('an order without items is tried again', async () => {
  const { name, reason, sent } = await invoke(handler, sample('retried.json'));
  assert.deepEqual([name, reason, sent], ['retry', 'the order has no items yet', []]);
});
