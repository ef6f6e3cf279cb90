//! The loop and its policies, under paused time, against a queue whose every answer can be delayed,
//! lost or wrong. "Rule N" is a rule of `docs/internals/rules.md`.

#![allow(unreachable_pub, reason = "the modules of a test are its own")]
#![allow(clippy::unwrap_used, reason = "what helps a test fails it by panicking")]

mod breaker;
mod drain;
mod faults;
mod handler;
mod lease;
mod log;
mod model;
mod outage;
mod outbox;
mod receiving;
mod session_state;
mod settle;
mod stop;
mod summary;
mod terms;
mod unavailable;
mod weather;

use std::sync::Arc;

use handler::TestHandler;
use longshore_worker::stop::{StopSignal, Stopper};
use longshore_worker::{Config, Finished, Worker};
use model::MemoryQueue;

/// A worker on a queue and a poison queue of its own.
struct Set {
    queue: Arc<MemoryQueue>,
    poison: Arc<MemoryQueue>,
    handler: Arc<TestHandler>,
    worker: Arc<Worker>,
    stopper: Stopper,
}

impl Set {
    fn new(config: Config, queue: Arc<MemoryQueue>, handler: Arc<TestHandler>) -> Self {
        Self::on(config, queue, MemoryQueue::new("orders-poison"), handler)
    }

    fn on(
        config: Config,
        queue: Arc<MemoryQueue>,
        poison: Arc<MemoryQueue>,
        handler: Arc<TestHandler>,
    ) -> Self {
        let config = Config { seed: Some(config.seed.unwrap_or(1)), ..config };
        let worker = Arc::new(Worker::new(config, queue.clone(), poison.clone(), handler.clone()));
        Self { queue, poison, handler, worker, stopper: Stopper::default() }
    }

    fn signal(&self) -> StopSignal {
        self.stopper.signal()
    }

    async fn run(&self) -> Finished {
        let finished = self.worker.run(self.signal()).await;
        let summary = &finished.summary;
        let ended =
            summary.completed + summary.retried + summary.poisoned + summary.abandoned + summary.lease_lost;
        assert_eq!(summary.received, ended, "each message received ends in one outcome: {summary:?}");
        finished
    }
}
