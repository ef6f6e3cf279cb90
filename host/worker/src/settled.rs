//! How one message ended, and what that means for the run.

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use crate::rate::SlotTime;
use crate::report::Outcome;
use longshore_queue::QueueError;

/// How one message ended, and what that means for the run.
#[derive(Debug)]
pub(crate) struct Settled {
    pub(crate) outcome: Outcome,
    /// Which messages were hidden, and until when.
    pub(crate) due: Vec<Due>,
    /// What will stop every other message as well.
    pub(crate) fault: Option<QueueError>,
    /// How long it had its slot, if it got one.
    pub(crate) slot: Option<SlotTime>,
    /// That slot, which the next message gets once this is dropped. The loop does that, which wakes
    /// the next message without waking a thread for it.
    pub(crate) taken: Option<OwnedSemaphorePermit>,
}

/// When a message that this run made invisible becomes visible again.
#[derive(Debug)]
pub(crate) struct Due {
    pub(crate) id: String,
    pub(crate) at: Instant,
}

impl From<Outcome> for Settled {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, due: Vec::new(), fault: None, slot: None, taken: None }
    }
}
