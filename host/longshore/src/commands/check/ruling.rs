//! What one rule says of a job's set-up.

use std::time::Duration;

use super::finding::Known;
use crate::cli::RunArgs;
pub(super) use longshore_queue::limits::whole_seconds as seconds;
use longshore_worker::lease::{FIXED_ROOM, LeaseMode};

/// What came of one question, and why.
pub(super) struct Ruling(pub(super) Known, pub(super) String);

impl Ruling {
    pub(super) fn ok() -> Self {
        Self(Known::Ok, String::new())
    }

    pub(super) fn wrong(why: impl Into<String>) -> Self {
        Self(Known::Wrong, why.into())
    }

    pub(super) fn unknown(why: impl Into<String>) -> Self {
        Self(Known::Unknown, why.into())
    }
}

/// Answers a question by the job's flags.
pub(super) type Judge<'a> = &'a dyn Fn(&RunArgs) -> Ruling;

/// How long a message that failed may stay hidden, unless its handler says so.
pub(super) fn retry_delay(run: &RunArgs) -> Duration {
    match run.lease {
        // The end of the lease is the retry.
        LeaseMode::Fixed => run.deadline + FIXED_ROOM,
        _ => run.retry_cap,
    }
}
