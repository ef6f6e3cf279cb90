// Takes an order, and sends its invoice on.

import { config, handler, log, outbox, Retry } from 'longshore-guest';
import { array, integer, object, string } from 'longshore-guest/schema';

/** What a message says. A body that does not fit is rejected, and the reason names the field. */
const Order = object({
  order_id: string(),
  items: array(object({ qty: integer({ min: 0 }), price_cents: integer({ min: 0 }) })),
});

function totalOf(order) {
  return order.items.reduce((sum, it) => sum + it.qty * it.price_cents, 0);
}

export default handler(Order, (order, message) => {
  // Another attempt may succeed. `Reject` says that none ever will.
  if (order.items.length === 0) throw new Retry('the order has no items yet');
  const total_cents = totalOf(order);
  log.info(`order ${order.order_id} costs ${total_cents}, attempt ${message.dequeueCount}`);
  outbox.send('invoices', { order_id: order.order_id, total_cents, currency: config.require('currency') });
});
