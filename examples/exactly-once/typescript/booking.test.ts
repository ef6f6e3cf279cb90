import assert from 'node:assert/strict';
import { test } from 'node:test';

import { isFailure } from 'longshore-guest';

import cases from '../cases.json';
import { paymentOf } from './booking.ts';

function isRejection(error: unknown): boolean {
  return isFailure(error) && error.tag === 'reject' && !error.val.includes('secret');
}

for (const { name, body, booking } of cases) {
  test(name, () => {
    const bytes = new TextEncoder().encode(body);
    if (booking === undefined) assert.throws(() => paymentOf(bytes), isRejection);
    else assert.deepEqual(paymentOf(bytes), booking);
  });
}
