import assert from 'node:assert/strict';
import { test } from 'node:test';

import { handler } from 'longshore-guest';
import { invoke } from 'longshore-guest/testing';

import cases from '../cases.json';
import { Payment } from './booking.ts';

for (const { name, body, booking } of cases) {
  test(name, async () => {
    let booked: Payment | undefined;
    const { reason } = await invoke(handler(Payment, (payment) => void (booked = payment)), body);
    assert.deepEqual(booked, booking);
    assert.equal(reason === '', booking !== undefined);
    assert.ok(!reason.includes('secret'), reason);
  });
}
