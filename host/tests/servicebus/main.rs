//! Service Bus queues, against a broker of the tests' own (`broker/`), which the official clients of two other languages
//! judge in the same run: where it is wrong, they say so.
//!
//! `host/tests/servicebus/install.sh` installs what these tests need.

#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    reason = "clippy.toml allows it in tests, and does not see that helpers are tests too; their items are their own"
)]

mod broker;
#[path = "../common/mod.rs"]
mod common;
mod connections;
mod faults;
mod host;
mod judges;
mod queue;
// It has promises that Service Bus does not make.
#[allow(dead_code)]
#[path = "../queue_suite/mod.rs"]
mod queue_suite;
