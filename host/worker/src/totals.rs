//! What a run counts: how messages ended, and what their handlers used.

use std::sync::Mutex;
use std::time::Duration;

use crate::hold::OnHold;
use crate::lock::lock;
use crate::percentiles::Histogram;
use crate::report::{Outcome, Summary};
use longshore_handler::Usage;

/// What was counted so far. All messages of a run share it.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    summary: Mutex<Summary>,
    used: Mutex<Used>,
    hold: Mutex<Option<OnHold>>,
}

/// What handlers used.
#[derive(Debug, Default)]
struct Used {
    time_us: Histogram,
    cpu_us: Histogram,
    memory_bytes: Histogram,
}

impl Totals {
    /// Counts messages that a receive leased.
    pub(crate) fn received(&self, messages: usize) {
        lock(&self.summary).received += messages as u64;
    }

    /// Counts how a message ended.
    pub(crate) fn ended(&self, outcome: &Outcome) {
        lock(&self.summary).count(outcome);
    }

    /// Counts what one handler used, and logs it at debug level.
    pub(crate) fn used(&self, message_id: &str, usage: Usage, outbox: usize) {
        let handler_us = u64::try_from(usage.time.as_micros()).unwrap_or(u64::MAX);
        let cpu_us = u64::try_from(usage.cpu.as_micros()).unwrap_or(u64::MAX);
        let peak_memory_bytes = usage.peak_memory as u64;
        tracing::debug!(message_id, handler_us, cpu_us, peak_memory_bytes, outbox, "used");
        let mut used = lock(&self.used);
        used.time_us.record(handler_us);
        used.cpu_us.record(cpu_us);
        used.memory_bytes.record(peak_memory_bytes);
    }

    /// Notes whether the run is on hold.
    pub(crate) fn on_hold(&self, on_hold: Option<OnHold>) {
        *lock(&self.hold) = on_hold;
    }

    /// What the run waits for, while it is on hold.
    pub(crate) fn hold(&self) -> Option<OnHold> {
        *lock(&self.hold)
    }

    /// How messages ended so far. Durations and percentiles come with [`Totals::report`] only.
    pub(crate) fn so_far(&self) -> Summary {
        lock(&self.summary).clone()
    }

    /// The summary of a run that took `duration`.
    pub(crate) fn report(&self, duration: Duration) -> Summary {
        let used = lock(&self.used);
        Summary {
            duration_ms: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
            handler_us: used.time_us.percentiles(),
            cpu_us: used.cpu_us.percentiles(),
            peak_memory_bytes: used.memory_bytes.percentiles(),
            ..self.so_far()
        }
    }
}
