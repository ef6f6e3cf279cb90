//! What becomes of an order: its invoice.

use longshore_guest::{Failure, OrFail};
use serde::{Deserialize, Serialize};

/// An order, as its blob holds it. Other fields are ignored.
#[derive(Debug, Deserialize)]
struct Order {
    order_id: String,
    lines: Vec<Line>,
}

#[derive(Debug, Deserialize)]
struct Line {
    quantity: u32,
    price_cents: u32,
}

/// What the order costs.
#[derive(Debug, Serialize)]
pub(crate) struct Invoice {
    order_id: String,
    lines: Vec<Item>,
    total_cents: u64,
}

#[derive(Debug, Serialize)]
struct Item {
    quantity: u32,
    price_cents: u32,
    cost_cents: u64,
}

impl From<Line> for Item {
    fn from(Line { quantity, price_cents }: Line) -> Self {
        Self { quantity, price_cents, cost_cents: u64::from(quantity) * u64::from(price_cents) }
    }
}

/// The invoice of an order.
pub(crate) fn of(order: &[u8]) -> Result<Invoice, Failure> {
    // An error of serde quotes what it found, and reasons are logged.
    let order: Order = serde_json::from_slice(order).or_reject("the blob holds no order")?;
    let lines: Vec<Item> = order.lines.into_iter().map(Item::from).collect();
    let total_cents = lines.iter().map(|line| line.cost_cents).sum();
    Ok(Invoice { order_id: order.order_id, lines, total_cents })
}

/// Where the invoice of an order goes: `incoming/o-1.json` becomes `invoices/o-1.json`.
pub(crate) fn name(blob: &str) -> Result<String, Failure> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    match blob.strip_prefix("incoming/") {
        Some(name) if name.bytes().all(plain) && !name.trim_matches('.').is_empty() => {
            Ok(format!("invoices/{name}"))
        }
        _ => Err(Failure::reject("blob: expected a plain name below incoming/")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_order_of_the_table_becomes_its_invoice_or_is_rejected() {
        let cases: Vec<serde_json::Value> = serde_json::from_str(include_str!("../../cases.json")).unwrap();
        for case in &cases {
            let order = case["order"].as_str().unwrap();
            match (of(order.as_bytes()), case.get("invoice")) {
                (Ok(invoice), Some(expected)) => {
                    assert_eq!(serde_json::to_value(&invoice).unwrap(), *expected, "{}", case["name"]);
                }
                (Err(Failure::Reject(reason)), None) => {
                    assert!(!reason.contains("secret"), "{}: {reason}", case["name"]);
                }
                (other, _) => panic!("{}: {other:?}", case["name"]),
            }
        }
    }

    #[test]
    fn only_plain_names_below_incoming_are_taken() {
        assert_eq!(name("incoming/o-1.json"), Ok("invoices/o-1.json".into()));
        for blob in [
            "",
            "o-1.json",
            "incoming/",
            "incoming/..",
            "incoming/../x",
            "incoming/a/b",
            "incoming/a%2f",
            "invoices/o",
        ] {
            assert!(name(blob).is_err(), "{blob}");
        }
    }
}
