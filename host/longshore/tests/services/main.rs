//! The real binary and its queues, against services: Azurite, a Service Bus broker, a registry,
//! Azure Resource Manager, and the official clients of other languages.

#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    reason = "clippy.toml allows it in tests, and does not see that helpers are tests too; their items are their own"
)]

mod arm;
mod dashboard;
mod examples;
mod hostile;
mod hostile_registry;
mod poison;
mod registry;
mod servicebus;
mod storage;
