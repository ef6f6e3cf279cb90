//! What the scheduler tells while it goes on.

use serde::Serialize;

use crate::execution::ExecutionRecord;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum DevEvent {
    /// KEDA looked at the queue.
    Polled {
        /// What it counted.
        messages: u64,
        /// Executions that had not ended.
        running: u64,
        /// Those of them that had not started.
        pending: u64,
        /// Executions that it created.
        started: u64,
        /// The sum in words.
        sum: String,
    },
    /// The queue could not be counted, so that nothing was started.
    NotCounted {
        /// Why.
        cause: String,
    },
    /// A container runs.
    Started {
        /// The name of its execution.
        execution: String,
        /// How often it was started before.
        restarts: u32,
    },
    /// An execution reached its time limit, and got SIGTERM.
    TimedOut {
        /// Its name.
        execution: String,
    },
    /// A container failed, and is started again.
    Restarting {
        /// The name of its execution.
        execution: String,
        /// How the container ended.
        exit_code: Option<i32>,
        /// The cause, in words.
        cause: Option<String>,
    },
    /// An execution ended.
    Ended(Box<ExecutionRecord>),
}
