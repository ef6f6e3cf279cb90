// What becomes of an order: its invoice.

import { Reject } from 'longshore-guest';

/** What a line of the order costs. */
export interface Item {
  quantity: number;
  price_cents: number;
  cost_cents: number;
}

/** What the order costs. */
export interface Invoice {
  order_id: string;
  lines: Item[];
  total_cents: number;
}

/** A number that Rust would read as a `u32`. */
function isCount(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) < 2 ** 32;
}

/** The invoice of an order, as its blob holds it: `{"order_id", "lines": [{"quantity", "price_cents"}]}`. */
export function invoiceOf(text: string): Invoice {
  let order: { order_id?: unknown; lines?: unknown } | null;
  try {
    order = JSON.parse(text);
  } catch {
    throw new Reject('the blob holds no JSON');
  }
  if (typeof order?.order_id !== 'string') throw new Reject('order_id: expected a string');
  if (!Array.isArray(order.lines)) throw new Reject('lines: expected a list');
  const lines = order.lines.map((line): Item => {
    const { quantity, price_cents } = line ?? {};
    if (!isCount(quantity) || !isCount(price_cents)) throw new Reject('lines: expected whole numbers');
    return { quantity, price_cents, cost_cents: quantity * price_cents };
  });
  return { order_id: order.order_id, lines, total_cents: lines.reduce((sum, line) => sum + line.cost_cents, 0) };
}

/** Where the invoice of an order goes: `incoming/o-1.json` becomes `invoices/o-1.json`. */
export function invoiceName(blob: unknown): string {
  const name = typeof blob === 'string' ? /^incoming\/([A-Za-z0-9_.-]+)$/.exec(blob)?.[1] : undefined;
  if (name === undefined || /^\.+$/.test(name)) throw new Reject('blob: expected a plain name below incoming/');
  return `invoices/${name}`;
}
