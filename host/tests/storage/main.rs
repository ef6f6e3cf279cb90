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
mod identity;
mod logs;
mod program;
mod proxy;
#[path = "../queue_suite/mod.rs"]
mod queue_suite;
mod tls;
mod verify;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use longshore::queue::Queue;
use longshore::sandbox::{Answer, Invocation, RetryReason, Verdict};
use longshore::worker::stop::Stopper;
use longshore::worker::{Config, Finished, Handler, Worker};

/// A handler that does what bodies say, and remembers which it was given: `reject`, `once` (fails at first) or anything.
#[derive(Default)]
struct Recorder {
    seen: Mutex<Vec<(String, String, u32)>>,
    work: std::time::Duration,
}

impl Recorder {
    /// How often each body was handled.
    fn handled(&self) -> HashMap<String, u32> {
        let mut handled = HashMap::new();
        for (_, body, _) in self.seen.lock().unwrap().iter() {
            *handled.entry(body.clone()).or_default() += 1;
        }
        handled
    }
}

#[async_trait::async_trait]
impl Handler for Recorder {
    async fn handle(&self, invocation: Invocation) -> Answer {
        let body = String::from_utf8(invocation.body.to_vec()).unwrap();
        tokio::time::sleep(self.work).await;
        self.seen.lock().unwrap().push((invocation.id, body.clone(), invocation.dequeue_count));
        if body.contains("reject") {
            return Verdict::Reject { detail: "as asked".into() }.into();
        }
        if body.contains("once") && invocation.dequeue_count == 1 {
            let reason = RetryReason::Requested;
            return Verdict::Retry { reason, detail: "as asked".into(), after: None }.into();
        }
        Verdict::Completed.into()
    }

    async fn reload(&self) {}

    fn digest(&self) -> Option<String> {
        None
    }
}

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
