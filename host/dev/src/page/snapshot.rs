//! All that one rendering of the main page needs, read at one moment.

use std::sync::Arc;

use jiff::Timestamp;

use super::board::{Board, BoardNow};
use super::poison::PoisonSeen;
use super::work::WorkSeen;
use crate::execution::ExecutionRecord;
use crate::history::{Depth, Executed, PastMessage};

/// The time that the picture of the queue shows, in milliseconds.
const SHOWN_MS: i64 = 15 * 60 * 1000;
/// How many executions the main page shows.
pub(crate) const SHOWN_EXECUTIONS: u32 = 40;
/// How many messages the main page shows.
const SHOWN_MESSAGES: u32 = 12;

/// What is shown at one moment.
pub(crate) struct Snapshot {
    pub(crate) at_ms: i64,
    pub(crate) now: BoardNow,
    pub(crate) depths: Vec<Depth>,
    pub(crate) executions: Vec<ExecutionRecord>,
    pub(crate) executed: Executed,
    pub(crate) outcomes: Vec<(String, u64)>,
    pub(crate) messages: Vec<PastMessage>,
    pub(crate) poison: Arc<PoisonSeen>,
    pub(crate) trouble: Vec<String>,
    pub(crate) work: Vec<WorkSeen>,
}

impl Snapshot {
    /// Reads it.
    pub(crate) async fn take(board: &Arc<Board>) -> Self {
        let poison = board.look().await;
        let at_ms = Timestamp::now().as_millisecond();
        let read = board.clone();
        let read = tokio::task::spawn_blocking(move || {
            let history = &read.history;
            // What cannot be read is shown as empty; the job does not need it.
            Self {
                at_ms,
                now: read.now(),
                depths: history.depths(at_ms - SHOWN_MS).unwrap_or_default(),
                executions: history.newest(SHOWN_EXECUTIONS).unwrap_or_default(),
                executed: history.executed(at_ms).unwrap_or_default(),
                outcomes: history.outcomes().unwrap_or_default(),
                messages: history.messages(None, 0, SHOWN_MESSAGES).unwrap_or_default(),
                poison,
                trouble: read.actions.trouble(),
                work: read.work.seen(),
            }
        });
        match read.await {
            Ok(snapshot) => snapshot,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // The runtime is ending, and this task with it.
            Err(_) => std::future::pending().await,
        }
    }

    /// How many messages had this outcome at their last attempt.
    pub(crate) fn outcome(&self, name: &str) -> u64 {
        self.outcomes.iter().find(|(it, _)| it == name).map_or(0, |(_, count)| *count)
    }
}
