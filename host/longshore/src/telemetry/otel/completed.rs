//! What is measured of messages that were completed: nearly all of them.
//!
//! Each thread keeps its own for a while, and then records them at one go. Instruments are shared
//! by all threads, and to record each value when it comes up costs a message several times as much.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{BoundCounter, BoundHistogram, Counter, Histogram};

use super::places::Places;

/// How many messages a thread keeps before they are recorded.
const MAX_KEPT: usize = 128;

/// What was measured of one message.
#[derive(Clone, Copy, Debug)]
pub(super) struct CompletedMessage {
    /// How old it was when its handler started.
    pub(super) age: Duration,
    /// How long its handler ran, if it ran.
    pub(super) ran: Option<Duration>,
    /// How long its settlement took.
    pub(super) settled: Duration,
}

/// Records what was measured of messages. The instruments are bound to their attributes once, when
/// they first have something to record: what is bound is exported.
#[derive(Debug)]
pub(super) struct CompletedMessages {
    kept: Places<Mutex<Vec<CompletedMessage>>>,
    bound: OnceLock<BoundInstruments>,
    instruments: CompletedInstruments,
}

/// The instruments, each with its attributes for a message that was completed.
#[derive(Debug)]
pub(super) struct CompletedInstruments {
    pub(super) age: (Histogram<f64>, Vec<KeyValue>),
    pub(super) ran: (Histogram<f64>, Vec<KeyValue>),
    pub(super) settled: (Histogram<f64>, Vec<KeyValue>),
    pub(super) messages: (Counter<u64>, Vec<KeyValue>),
}

#[derive(Debug)]
struct BoundInstruments {
    age: BoundHistogram<f64>,
    ran: BoundHistogram<f64>,
    settled: BoundHistogram<f64>,
    messages: BoundCounter<u64>,
}

impl CompletedMessages {
    pub(super) fn new(instruments: CompletedInstruments) -> Self {
        Self { kept: Places::new(Mutex::default), bound: OnceLock::new(), instruments }
    }

    /// A message was completed.
    pub(super) fn add(&self, message: CompletedMessage) {
        let mut kept = locked(self.kept.here());
        kept.push(message);
        if kept.len() >= MAX_KEPT {
            let full = std::mem::replace(&mut *kept, Vec::with_capacity(MAX_KEPT));
            drop(kept);
            self.record(&full);
        }
    }

    /// Records what is kept.
    pub(super) fn record_kept(&self) {
        for kept in self.kept.iter() {
            let kept = std::mem::take(&mut *locked(kept));
            self.record(&kept);
        }
    }

    fn record(&self, messages: &[CompletedMessage]) {
        if messages.is_empty() {
            return;
        }
        let BoundInstruments { age, ran, settled, messages: completed } = self.bound.get_or_init(|| {
            let CompletedInstruments { age, ran, settled, messages } = &self.instruments;
            BoundInstruments {
                age: age.0.bind(&age.1),
                ran: ran.0.bind(&ran.1),
                settled: settled.0.bind(&settled.1),
                messages: messages.0.bind(&messages.1),
            }
        });
        messages.iter().for_each(|it| age.record(it.age.as_secs_f64()));
        messages.iter().filter_map(|it| it.ran).for_each(|it| ran.record(it.as_secs_f64()));
        messages.iter().for_each(|it| settled.record(it.settled.as_secs_f64()));
        completed.add(messages.len() as u64);
    }
}

fn locked(kept: &Mutex<Vec<CompletedMessage>>) -> MutexGuard<'_, Vec<CompletedMessage>> {
    // What it guards is valid after every statement.
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}
