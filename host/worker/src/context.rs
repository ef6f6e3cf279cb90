//! What the loop of a run shares with the tasks that handle its messages.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::sync::watch;

use crate::breaker::Breaker;
use crate::config::Config;
use crate::lease::Terms;
use crate::lock::lock;
use crate::outputs::Outputs;
use crate::totals::Totals;
use longshore_handler::Handler;
use longshore_queue::Queue;

/// What a worker was given: its settings, its queues and its handler.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) config: Config,
    pub(crate) queue: Arc<dyn Queue>,
    /// Where messages go that cannot be handled.
    pub(crate) poison: Arc<dyn Queue>,
    /// Where messages go that handlers send.
    pub(crate) outputs: Arc<Outputs>,
    pub(crate) handler: Arc<dyn Handler>,
    pub(crate) totals: Arc<Totals>,
}

/// What the loop of a run shares with the tasks that handle its messages.
pub(crate) struct RunContext {
    pub(crate) parts: Parts,
    /// On which terms the run leases messages.
    pub(crate) terms: Terms,
    breaker: Mutex<Breaker>,
    rng: Mutex<StdRng>,
    interrupt: watch::Sender<bool>,
    warned_of_long_delays: AtomicBool,
}

impl RunContext {
    /// The context of a run that starts now.
    pub(crate) fn new(parts: Parts, terms: Terms) -> Self {
        let rng = parts.config.seed.map_or_else(|| StdRng::from_rng(&mut rand::rng()), StdRng::seed_from_u64);
        Self {
            breaker: Mutex::new(Breaker::new(parts.config.breaker)),
            rng: Mutex::new(rng),
            interrupt: watch::Sender::new(false),
            warned_of_long_delays: AtomicBool::new(false),
            parts,
            terms,
        }
    }

    /// The run's circuit breaker.
    pub(crate) fn breaker(&self) -> MutexGuard<'_, Breaker> {
        lock(&self.breaker)
    }

    /// The source of the run's jitter.
    pub(crate) fn rng(&self) -> MutexGuard<'_, StdRng> {
        lock(&self.rng)
    }

    /// Interrupts every handler that runs.
    pub(crate) fn interrupt(&self) {
        self.interrupt.send_replace(true);
    }

    /// Waits until handlers are to be interrupted.
    pub(crate) async fn interrupted(&self) {
        // The sender lives as long as this context, so the wait ends by an interrupt alone.
        let _ = self.interrupt.subscribe().wait_for(|interrupted| *interrupted).await;
    }

    /// Notes that the run warns of long retry delays. Returns whether this is the first time.
    pub(crate) fn first_warning_of_long_delays(&self) -> bool {
        !self.warned_of_long_delays.swap(true, Ordering::Relaxed)
    }
}
