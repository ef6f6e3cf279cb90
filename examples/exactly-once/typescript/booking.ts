// What a message says: a payment to book.

import { integer, object, string, type Infer } from 'longshore-guest/schema';

/** A payment. Other fields are ignored. A key of a table has no `/`, `\`, `#` or `?`. */
export const Payment = object({
  account: string({ pattern: /^[A-Za-z0-9_.-]+$/ }),
  amount_cents: integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
});
export type Payment = Infer<typeof Payment>;
