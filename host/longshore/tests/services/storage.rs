//! Storage queues, against a real server (Azurite) and a loopback identity endpoint: the promises
//! of every queue, the whole loop through the real binary, other people's clients, and faults
//! between the worker and the service.
//!
//! Azurite knows no roles: what is said here of a 403 is how we react to it, not when Azure gives
//! it. `make services-installed` installs what these tests need.

mod account;
pub mod azurite;
mod check;
mod clients;
mod damaged;
mod faults;
mod host;
pub mod logs;
mod program;
mod proxy;
mod queues;
mod reach;
pub mod storage_account;
mod tls;
mod verify;

use std::sync::Arc;

use longshore_queue::Queue;
use longshore_worker::stop::Stopper;
use longshore_worker::{Config, Finished, Worker};

use longshore_testkit::recorder::Recorder;

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
