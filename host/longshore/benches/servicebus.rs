//! A Service Bus queue, on the broker of the tests: beside a Python worker that takes one message
//! at a time, and beside the official clients at their best.

#[allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "the tests' own, of which a part is used here"
)]
#[path = "../tests/services/servicebus/amqp.rs"]
mod amqp;
#[allow(
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "the tests' own, of which a part is used here"
)]
#[path = "../tests/services/servicebus/broker.rs"]
mod broker;
#[path = "servicebus/clients.rs"]
mod clients;
#[path = "servicebus/distance.rs"]
mod distance;
#[path = "servicebus/entity.rs"]
mod entity;
#[path = "servicebus/many.rs"]
mod many;

use self::clients::Clients;
use super::beside::{Scene, compare};
use super::workbench::Workbench;
use longshore_testkit::identity::{Identity, Mood};
pub(super) use many::many;

pub(super) fn measure(workbench: &Workbench) {
    let Some(python) = std::env::var_os("BENCH_SERVICEBUS_PYTHON") else {
        return println!(
            "the broker and the Python SDK: not installed; `make bench ONLY=servicebus` does that"
        );
    };
    let (_, authority) = broker::secure().tls.as_ref().expect("it has a certificate");
    let identity = Identity::start(Mood::Tokens(3600));
    let rows = std::env::var("BENCH_ROWS").unwrap_or_default();
    Clients::new(workbench, &python).compare(&rows);
    if !rows.is_empty() {
        return;
    }
    println!();
    compare(&Scene { workbench, python, script: "servicebus.py", identity, authority, queue });
}

fn queue(_: &Scene<'_>) -> String {
    let broker = broker::secure();
    let (port, _) = broker.tls.as_ref().expect("it has a certificate");
    format!("sb://127.0.0.1:{port}/{}", entity::queue(broker))
}
