//! What is to become of messages after an attempt.

use std::time::Duration;

use crate::breaker::{Hidden, Hiding};
use crate::circumstances::AttemptRecord;
use crate::lease::Lease;
use crate::poison::PoisonReason;
use longshore_queue::{Message, QueueError};

/// A message that fails with less than this to live is poisoned. A retry might find it expired,
/// and expiry is silent loss.
const MIN_LIFE_FOR_RETRY: Duration = Duration::from_secs(10 * 60);

/// What an attempt means: for its message, and for those that failed before.
#[derive(Debug)]
pub(crate) struct Judgement {
    pub(crate) fate: Fate,
    pub(crate) earlier: Earlier,
    /// The attempt, if the handler answered.
    pub(crate) attempt: Option<AttemptRecord>,
}

/// What is to become of a message.
#[derive(Debug)]
pub(crate) enum Fate {
    /// Delete it: its handler succeeded, and what that wants sent was sent.
    Complete,
    /// Hide it for a while, so that it is tried again.
    Retry {
        /// Why it failed, as one word.
        reason: &'static str,
        /// The cause, for people.
        detail: String,
        /// For how long it is hidden.
        hiding: Hiding,
    },
    /// Move it to the poison queue, with the cause for people.
    Poison(PoisonReason, String),
    /// Make it visible at once, for this reason: it was not handled, or not to the end.
    Release(&'static str),
    /// Leave it alone: it is no longer ours.
    Lost,
    /// Hide it for a while, and end the run: this will stop every other message as well.
    Fault(QueueError),
}

/// What is to become of the messages that failed before this attempt.
#[derive(Debug)]
pub(crate) enum Earlier {
    /// They stay as they are.
    Leave,
    /// The breaker has opened: hide them for longer.
    HideLonger(Vec<Hidden>),
    /// A handler has succeeded: make visible at once what the open breaker had hidden.
    Show(Vec<Hidden>),
}

impl From<Fate> for Judgement {
    fn from(fate: Fate) -> Self {
        Self { fate, earlier: Earlier::Leave, attempt: None }
    }
}

/// Why a message whose attempt failed gets no other one, if so.
pub(crate) fn last_attempt(message: &Message, lease: &Lease, max_dequeue: u32) -> Option<PoisonReason> {
    if message.dequeue_count >= max_dequeue {
        return Some(PoisonReason::AttemptsExhausted);
    }
    lease.time_to_live().is_some_and(|left| left < MIN_LIFE_FOR_RETRY).then_some(PoisonReason::Expiring)
}

/// The reason and the cause of a failure, as a poison envelope shows them.
pub(crate) fn explain(reason: &str, detail: &str) -> String {
    if detail.is_empty() { reason.to_owned() } else { format!("{reason}: {detail}") }
}
