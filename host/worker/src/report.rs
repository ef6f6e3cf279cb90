//! What the worker says about each message, and about the run.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use longshore_queue::Message;
use serde::Serialize;

use crate::percentiles::Percentiles;
use crate::poison::PoisonReason;

/// What a run did, in messages. Each one received ends in exactly one of the five outcomes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Leased by a receive.
    pub received: u64,
    /// Handled and deleted.
    pub completed: u64,
    /// Failed, and left for another attempt.
    pub retried: u64,
    /// Moved to the poison queue.
    pub poisoned: u64,
    /// Interrupted by the end of the run, or not settled: they come back.
    pub abandoned: u64,
    /// Taken from us, or not settled in time: they come back, or another worker handles them.
    pub lease_lost: u64,
    /// From the start of the run to its end.
    pub duration_ms: u64,
    /// How many were poisoned, by reason.
    pub poison_reasons: BTreeMap<&'static str, u64>,
    /// From a handler's start to its answer, in microseconds; interrupted ones gave none.
    pub handler_us: Percentiles,
    /// The processor's time that a handler took, in microseconds.
    pub cpu_us: Percentiles,
    /// The most memory that a handler had, in bytes.
    pub peak_memory_bytes: Percentiles,
}

/// How one message ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Handled and deleted.
    Completed,
    /// To be handled again: why, and the cause for people.
    Retried(&'static str, String),
    /// Moved to the poison queue, with the cause for people.
    Poisoned(PoisonReason, String),
    /// Left for another attempt, since this one was interrupted or could not be settled.
    Abandoned(&'static str),
    /// No longer ours.
    LeaseLost,
}

impl Outcome {
    /// The outcome as one word, its reason as one word, and the cause for people. The last two may
    /// be empty.
    pub fn words(&self) -> (&'static str, &str, &str) {
        match self {
            Self::Completed => ("completed", "", ""),
            Self::Retried(reason, detail) => ("retried", reason, detail),
            Self::Poisoned(reason, detail) => ("poisoned", reason.as_str(), detail),
            Self::Abandoned(reason) => ("abandoned", reason, ""),
            Self::LeaseLost => ("lease-lost", "", ""),
        }
    }

    /// The one line that the log has for each message.
    pub(crate) fn log(&self, message: &Message, took: Duration) {
        let Message { id: message_id, dequeue_count, .. } = message;
        let (outcome, reason, detail) = self.words();
        let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let age_ms = age_ms(message.inserted, took);
        match self {
            Self::Completed => tracing::info!(message_id, dequeue_count, outcome, ms, age_ms),
            Self::Retried(..) => {
                tracing::info!(message_id, dequeue_count, outcome, reason, detail, ms, age_ms)
            }
            // Somebody has to look after it.
            Self::Poisoned(..) => {
                tracing::warn!(message_id, dequeue_count, outcome, reason, detail, ms, age_ms)
            }
            Self::Abandoned(_) | Self::LeaseLost => {
                tracing::warn!(message_id, dequeue_count, outcome, reason, ms, age_ms)
            }
        }
    }
}

/// How long a message had been in its queue when an attempt began that took so long, in
/// milliseconds. It is 0 where the service's clock is ahead of ours.
fn age_ms(inserted: Timestamp, took: Duration) -> u64 {
    let age = Timestamp::now().duration_since(inserted);
    age.checked_sub(SignedDuration::try_from(took).unwrap_or(SignedDuration::MAX))
        .and_then(|age| u64::try_from(age.as_millis()).ok())
        .unwrap_or(0)
}

impl Summary {
    pub(crate) fn count(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Completed => self.completed += 1,
            Outcome::Retried(..) => self.retried += 1,
            Outcome::Poisoned(reason, _) => {
                self.poisoned += 1;
                *self.poison_reasons.entry(reason.as_str()).or_default() += 1;
            }
            Outcome::Abandoned(_) => self.abandoned += 1,
            Outcome::LeaseLost => self.lease_lost += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::{SignedDuration, Timestamp};

    use super::age_ms;

    #[test]
    fn a_message_is_as_old_as_it_was_when_its_attempt_began() {
        let inserted = Timestamp::now() - SignedDuration::from_secs(90);
        let age = age_ms(inserted, Duration::from_secs(30));
        assert!((60_000..70_000).contains(&age), "{age}");
        // A clock that is behind the service's, and an attempt that lasts as long as can be said.
        assert_eq!(age_ms(Timestamp::now() + SignedDuration::from_secs(60), Duration::ZERO), 0);
        assert_eq!(age_ms(inserted, Duration::MAX), 0);
    }
}
