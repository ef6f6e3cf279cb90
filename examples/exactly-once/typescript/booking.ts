// What a message says: a payment to book.

import { reject } from 'longshore-guest';

/** A payment. Other fields are ignored. */
export interface Payment {
  account: string;
  amount_cents: number;
}

/** Reads a body. */
export function paymentOf(body: Uint8Array): Payment {
  let value: { account?: unknown; amount_cents?: unknown } | null;
  try {
    value = JSON.parse(new TextDecoder().decode(body));
  } catch {
    throw reject('the body is no JSON');
  }
  const { account, amount_cents } = value ?? {};
  // A key of a table has no `/`, `\`, `#` or `?`.
  if (typeof account !== 'string' || !/^[A-Za-z0-9_.-]+$/.test(account)) {
    throw reject('account: expected letters, digits, `-`, `_` or `.`');
  }
  if (typeof amount_cents !== 'number' || amount_cents !== (amount_cents | 0)) {
    throw reject('amount_cents: expected a whole number of 32 bits');
  }
  return { account, amount_cents };
}
