//! Storage queues, against a real server (Azurite) and a loopback identity endpoint: the promises of every queue, the
//! whole loop through the real binary, other people's clients, and faults between the worker and the service.
//!
//! Azurite knows no roles: what is said here of a 403 is how we react to it, not when Azure gives it.
//! `host/tests/storage/install.sh` installs what these tests need.

#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    reason = "clippy.toml allows it in tests, and does not see that helpers are tests too; their items are their own"
)]

mod account;
mod azurite;
mod check;
mod clients;
#[path = "../common/mod.rs"]
mod common;
mod damaged;
mod faults;
mod host;
mod logs;
mod program;
mod proxy;
#[path = "../queue_suite/mod.rs"]
mod queue_suite;
mod tls;
mod verify;

use std::sync::Arc;

use longshore::queue::Queue;
use longshore::worker::stop::Stopper;
use longshore::worker::{Config, Finished, Worker};

use crate::common::recorder::Recorder;

async fn work(
    config: Config,
    queue: &Arc<dyn Queue>,
    poison: &Arc<dyn Queue>,
    handler: &Arc<Recorder>,
) -> Finished {
    let _listening = logs::listen();
    let worker = Arc::new(Worker::new(config, queue.clone(), poison.clone(), handler.clone()));
    worker.run(Stopper::default().signal()).await
}
