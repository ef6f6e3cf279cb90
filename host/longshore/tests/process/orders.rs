//! Orders for the example handler.

use crate::oracle::{Expected, Sent};

pub(crate) use longshore_testkit::sample::order;

/// The n-th message of a mix: most are handled, and some fail in each way.
pub(crate) fn mixed(number: usize) -> Sent {
    let order = |msg: &str| order(&format!("o-{number}"), msg).into_bytes();
    let (body, expected) = match number % 16 {
        3 => (order("reject"), Expected::Poison("rejected")),
        5 => (order("retry"), Expected::Poison("attempts-exhausted")),
        7 => (order("trap"), Expected::Poison("attempts-exhausted")),
        9 => (format!("{{\"order_id\": \"o-{number}\"").into_bytes(), Expected::Poison("rejected")),
        1 | 11 => (order("retry-until:2"), Expected::Handled),
        2 | 13 => (order("sleep:5"), Expected::Handled),
        4 => (order("sleep:50"), Expected::Handled),
        _ => (order("ok"), Expected::Handled),
    };
    Sent { body, expected }
}
