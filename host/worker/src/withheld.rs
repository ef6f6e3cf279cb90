//! Whether a run waits for what others hold, where messages come in order.
//!
//! KEDA counts messages, and not what they belong to. An execution that finds every session taken
//! would be started again at every poll, as long as others work on them. One that stays counts as
//! running, so that none is started in its place; and it takes over what a crash of the others
//! leaves.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::stop::{StopSignal, Urgency};
use longshore_queue::Queue;

/// The pause between two looks at what others hold.
const PAUSE: Duration = Duration::from_secs(10);
/// How long one look may take.
const LOOK: Duration = Duration::from_secs(20);

/// What was found to be held by others.
#[derive(Debug, Default)]
pub(crate) struct Withheld {
    /// Since when, without a break.
    since: Option<Instant>,
}

impl Withheld {
    /// When the queue is to be looked at again, since others hold what is there; `None` if there is
    /// nothing to wait for, or the time for that is up.
    pub(crate) async fn look(
        &mut self,
        queue: &dyn Queue,
        hold: Option<Duration>,
        stop: &mut StopSignal,
    ) -> Option<Instant> {
        if !queue.is_in_order() || hold == Some(Duration::ZERO) {
            return None;
        }
        let asking = timeout(LOOK, queue.groups());
        let groups = tokio::select! {
            biased;
            // The loop sees it as well.
            () = stop.wait(Urgency::Drain) => return Some(Instant::now()),
            answer = asking => answer,
        };
        let groups = match groups {
            // The run has nothing in hand, and found none that is free.
            Ok(Ok(groups)) => groups.unwrap_or_default(),
            Ok(Err(error)) => {
                tracing::debug!(%error, "it is not known whether others hold sessions");
                0
            }
            Err(_) => 0,
        };
        if groups == 0 {
            self.since = None;
            return None;
        }
        let now = Instant::now();
        if self.since.is_none() {
            tracing::warn!(
                sessions = groups,
                "no session is free: all that have messages are held by other runs, or stand still (`longshore queue sessions` lists them). This run waits, until its time budget is over or as long as --hold says, so that KEDA starts none in its place; as many executions as there are sessions, divided by --sessions, are enough (maxExecutions)"
            );
        }
        let since = *self.since.get_or_insert(now);
        if hold.is_some_and(|hold| now >= since + hold) {
            return None;
        }
        Some(now + PAUSE)
    }
}
