"""Takes an order, and sends its invoice on."""

import logging
from dataclasses import dataclass

from longshore_guest import Message, Retry, config, handler, outbox


@dataclass
class Item:
    qty: int
    price_cents: int


@dataclass
class Order:
    """What a message says. A body that does not fit is rejected, and the reason names the field."""

    order_id: str
    items: list[Item]


@dataclass
class Invoice:
    order_id: str
    total_cents: int
    currency: str


@handler
def handle(order: Order, message: Message) -> None:
    if not order.items:
        # Another attempt may succeed. `Reject` says that none ever will.
        raise Retry("the order has no items yet")
    total_cents = sum(it.qty * it.price_cents for it in order.items)
    logging.info("order %s costs %d, attempt %d", order.order_id, total_cents, message.dequeue_count)
    outbox.send("invoices", Invoice(order.order_id, total_cents, config.require("currency")))
