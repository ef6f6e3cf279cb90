import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Reject } from 'longshore-guest';

import cases from '../cases.json';
import { invoiceName, invoiceOf } from './invoice.ts';

function isRejection(error: unknown): boolean {
  return error instanceof Reject && !error.message.includes('secret');
}

for (const { name, order, invoice } of cases) {
  test(name, () => {
    if (invoice === undefined) assert.throws(() => invoiceOf(order), isRejection);
    else assert.deepEqual(invoiceOf(order), invoice);
  });
}

test('only plain names below incoming/ are taken', () => {
  assert.equal(invoiceName('incoming/o-1.json'), 'invoices/o-1.json');
  for (const blob of ['', 'o-1.json', 'incoming/', 'incoming/..', 'incoming/../x', 'incoming/a/b', 'incoming/a%2f', 'invoices/o', null, 7]) {
    assert.throws(() => invoiceName(blob), isRejection, String(blob));
  }
});
