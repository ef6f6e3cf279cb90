//! Takes an order, and sends its invoice on.

use longshore_guest::{Failure, Message, config, info, outbox};
use serde::{Deserialize, Serialize};

/// What a message says. A body that does not fit is rejected, and the reason names the field.
#[derive(Deserialize)]
struct Order {
    order_id: String,
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    qty: u32,
    price_cents: u32,
}

#[derive(Serialize)]
struct Invoice {
    order_id: String,
    total_cents: u64,
    currency: String,
}

longshore_guest::export!(handle);

fn handle(order: Order, message: &Message) -> Result<(), Failure> {
    if order.items.is_empty() {
        // Another attempt may succeed. `Failure::reject` says that none ever will.
        return Err(Failure::retry("the order has no items yet"));
    }
    let total_cents = order.items.iter().map(|it| u64::from(it.qty) * u64::from(it.price_cents)).sum();
    let currency = config::require("currency")?;
    info!("order {} costs {total_cents}, attempt {}", order.order_id, message.dequeue_count);
    outbox::send_json("invoices", &Invoice { order_id: order.order_id, total_cents, currency })
}

#[cfg(test)]
mod tests {
    use longshore_guest::Failure;
    use longshore_guest::testing::Attempt;

    use super::handle;

    #[test]
    fn an_order_becomes_an_invoice() {
        let attempt = Attempt::new(include_str!("../samples/good.json")).setting("currency", "EUR");
        let outcome = attempt.handle(handle);
        assert_eq!(outcome.result, Ok(()));
        assert_eq!(outcome.sent[0].outbox, "invoices");
        assert_eq!(outcome.sent[0].text(), r#"{"order_id":"o-1","total_cents":300,"currency":"EUR"}"#);
    }

    #[test]
    fn a_body_that_does_not_fit_is_rejected() {
        let outcome = Attempt::new(include_str!("../samples/bad.json")).handle(handle);
        assert_eq!(outcome.result, Err(Failure::reject("items[0].qty: expected u32, got string")));
    }

    #[test]
    fn an_order_without_items_is_tried_again() {
        let outcome = Attempt::new(include_str!("../samples/retried.json")).handle(handle);
        assert_eq!(outcome.result, Err(Failure::retry("the order has no items yet")));
        assert!(outcome.sent.is_empty());
    }
}
