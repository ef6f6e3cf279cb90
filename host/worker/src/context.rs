//! What the loop of a run shares with the tasks that handle its messages.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::sync::{Notify, Semaphore, watch};

use crate::breaker::Breaker;
use crate::config::Config;
use crate::lease::{LeaseMode, Terms, may_not_renew};
use crate::lock::lock;
use crate::outbox::Outboxes;
use crate::telemetry::Telemetry;
use crate::totals::Totals;
use longshore_handler::Handler;
use longshore_queue::{Queue, QueueError};

/// What a worker was given: its settings, its queues and its handler.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) config: Config,
    pub(crate) queue: Arc<dyn Queue>,
    /// Where messages go that cannot be handled.
    pub(crate) poison: Arc<dyn Queue>,
    /// Where messages go that handlers send.
    pub(crate) outboxes: Arc<Outboxes>,
    pub(crate) handler: Arc<dyn Handler>,
    pub(crate) totals: Arc<Totals>,
    /// Who hears of the run, if anybody does.
    pub(crate) telemetry: Option<Arc<dyn Telemetry>>,
}

/// What the loop of a run shares with the tasks that handle its messages.
pub(crate) struct RunContext {
    pub(crate) parts: Parts,
    /// On which terms the run leases messages, unless they are fixed meanwhile.
    terms: Terms,
    is_fixed: AtomicBool,
    /// One permit for each message that may be handled and settled at once.
    pub(crate) slots: Arc<Semaphore>,
    /// How many messages in hand were received before.
    received_before: AtomicUsize,
    /// How many messages have a handler that runs, or that may still be started.
    handling: AtomicUsize,
    handled: Notify,
    breaker: Mutex<Breaker>,
    rng: Mutex<StdRng>,
    ending: watch::Sender<Ending>,
    warned_of_long_delays: AtomicBool,
}

/// How far the end of a run has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Ending {
    /// It goes on.
    No,
    /// No handler is started any more.
    StartsNone,
    /// Those that run are interrupted.
    Interrupts,
}

/// Counts a message among those in hand that were received before, as long as it is there.
pub(crate) struct ReceivedBefore(Arc<RunContext>);

impl Drop for ReceivedBefore {
    fn drop(&mut self) {
        self.0.received_before.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Counts a message whose handler runs, or may still be started.
pub(crate) struct Handling(Arc<RunContext>);

impl Drop for Handling {
    fn drop(&mut self) {
        if self.0.handling.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.handled.notify_waiters();
        }
    }
}

impl RunContext {
    /// The context of a run that starts now.
    pub(crate) fn new(parts: Parts, terms: Terms) -> Self {
        let rng = parts.config.seed.map_or_else(|| StdRng::from_rng(&mut rand::rng()), StdRng::seed_from_u64);
        Self {
            slots: Arc::new(Semaphore::new(parts.config.concurrency)),
            received_before: AtomicUsize::new(0),
            handling: AtomicUsize::new(0),
            handled: Notify::new(),
            breaker: Mutex::new(Breaker::new(parts.config.breaker)),
            rng: Mutex::new(rng),
            ending: watch::Sender::new(Ending::No),
            warned_of_long_delays: AtomicBool::new(false),
            parts,
            terms,
            is_fixed: AtomicBool::new(false),
        }
    }

    /// On which terms the next receive leases messages.
    pub(crate) fn terms(&self) -> Terms {
        if self.is_fixed.load(Ordering::Relaxed) {
            Terms::fixed(self.parts.config.deadline)
        } else {
            self.terms
        }
    }

    /// Asks the queue whether leases can be updated, and takes it at its word.
    pub(crate) async fn ask_for_terms(&self) {
        if may_not_renew(&*self.parts.queue).await {
            self.is_fixed.store(true, Ordering::Relaxed);
        }
    }

    /// Takes the queue at its word that leases cannot be updated, where the run was to find that
    /// out by itself. Returns whether it was.
    pub(crate) fn may_not_update(&self, error: &QueueError) -> bool {
        if self.parts.config.lease != LeaseMode::Auto || !matches!(error, QueueError::Denied { .. }) {
            return false;
        }
        if !self.is_fixed.swap(true, Ordering::Relaxed) {
            tracing::warn!(%error, "leases are fixed from now on: they are not renewed, and their end is the retry");
        }
        true
    }

    /// The run's circuit breaker.
    pub(crate) fn breaker(&self) -> MutexGuard<'_, Breaker> {
        lock(&self.breaker)
    }

    /// The source of the run's jitter.
    pub(crate) fn rng(&self) -> MutexGuard<'_, StdRng> {
        lock(&self.rng)
    }

    /// How many messages are handled or settled now.
    pub(crate) fn taken_slots(&self) -> usize {
        self.parts.config.concurrency.saturating_sub(self.slots.available_permits())
    }

    /// How many messages in hand were received before.
    pub(crate) fn received_before(&self) -> usize {
        self.received_before.load(Ordering::Relaxed)
    }

    /// Counts a message in hand, if it was received before, until what is returned is dropped.
    pub(crate) fn in_hand(self: &Arc<Self>, dequeue_count: u32) -> Option<ReceivedBefore> {
        (dequeue_count > 1).then(|| {
            self.received_before.fetch_add(1, Ordering::Relaxed);
            ReceivedBefore(Arc::clone(self))
        })
    }

    /// Counts a message as one whose handler may run, until what is returned is dropped.
    pub(crate) fn handling(self: &Arc<Self>) -> Handling {
        self.handling.fetch_add(1, Ordering::Relaxed);
        Handling(Arc::clone(self))
    }

    /// Waits until no handler runs, or may still be started.
    pub(crate) async fn handlers_ended(&self) {
        loop {
            let handled = self.handled.notified();
            if self.handling.load(Ordering::Acquire) == 0 {
                return;
            }
            handled.await;
        }
    }

    /// From now on no handler is started.
    pub(crate) fn start_none(&self) {
        self.ending.send_modify(|ending| *ending = (*ending).max(Ending::StartsNone));
    }

    /// Interrupts every handler that runs.
    pub(crate) fn interrupt(&self) {
        self.ending.send_replace(Ending::Interrupts);
    }

    /// Waits until no handler is to be started any more.
    pub(crate) async fn starts_none(&self) {
        self.reaches(Ending::StartsNone).await;
    }

    /// Waits until handlers are to be interrupted.
    pub(crate) async fn interrupted(&self) {
        self.reaches(Ending::Interrupts).await;
    }

    async fn reaches(&self, end: Ending) {
        // The sender lives as long as this context, so the wait ends by such a step alone.
        let _ = self.ending.subscribe().wait_for(|ending| *ending >= end).await;
    }

    /// Notes that the run warns of long retry delays. Returns whether this is the first time.
    pub(crate) fn first_warning_of_long_delays(&self) -> bool {
        !self.warned_of_long_delays.swap(true, Ordering::Relaxed)
    }
}
