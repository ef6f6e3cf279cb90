//! One attempt at a message, as an execution logs it.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Deserialize;

/// The longest detail that is kept of an attempt, in characters.
const MAX_DETAIL: usize = 1_000;
/// The longest id that is taken for one, in bytes.
const MAX_ID: usize = 512;

/// One attempt at a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageAttempt {
    /// The message's id.
    pub message: String,
    /// The execution.
    pub execution: String,
    /// When it ended, in milliseconds since 1970-01-01 UTC.
    pub at_ms: i64,
    /// How often the message had been received.
    pub dequeue_count: u32,
    /// `completed`, `retried`, `poisoned`, `abandoned` or `lease-lost`.
    pub outcome: String,
    /// Why, in a word; empty where all is well.
    pub reason: String,
    /// The cause, for people.
    pub detail: String,
    /// From its start to its end, in milliseconds.
    pub took_ms: u64,
    /// The trace that it belongs to, where the log names one.
    pub trace: Option<String>,
}

/// The line that the host logs for each attempt.
#[derive(Deserialize)]
struct LoggedAttempt<'a> {
    timestamp: Timestamp,
    #[serde(borrow)]
    target: Cow<'a, str>,
    #[serde(borrow)]
    message_id: Cow<'a, str>,
    #[serde(borrow)]
    outcome: Cow<'a, str>,
    dequeue_count: u32,
    #[serde(default, borrow)]
    reason: Cow<'a, str>,
    #[serde(default, borrow)]
    detail: Cow<'a, str>,
    #[serde(default)]
    ms: u64,
    #[serde(default, borrow)]
    trace_id: Option<Cow<'a, str>>,
}

impl MessageAttempt {
    /// The attempt that a line of an execution's log tells of, if it does.
    #[must_use]
    pub fn of_line(line: &str, execution: &str) -> Option<Self> {
        if !line.contains("\"outcome\":") {
            return None;
        }
        let line: LoggedAttempt<'_> = serde_json::from_str(line).ok()?;
        // What a handler logs has a target of its own.
        if !line.target.starts_with("longshore_worker") || line.message_id.len() > MAX_ID {
            return None;
        }
        Some(Self {
            message: line.message_id.into_owned(),
            execution: execution.to_owned(),
            at_ms: line.timestamp.as_millisecond(),
            dequeue_count: line.dequeue_count,
            outcome: line.outcome.into_owned(),
            reason: line.reason.into_owned(),
            detail: line.detail.chars().take(MAX_DETAIL).collect(),
            took_ms: line.ms,
            trace: line.trace_id.map(Cow::into_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_worker_is_an_attempt_and_what_a_handler_writes_is_none() {
        let line = |target: &str| {
            format!(
                r#"{{"timestamp":"2026-11-26T12:00:00.250Z","level":"WARN","message_id":"o-1","dequeue_count":2,"outcome":"poisoned","reason":"rejected","detail":"no \"stock\"","ms":7,"target":"{target}"}}"#
            )
        };
        let attempt = MessageAttempt::of_line(&line("longshore_worker::report"), "orders-1").unwrap();
        assert_eq!(
            (&*attempt.message, &*attempt.execution, attempt.dequeue_count, &*attempt.outcome),
            ("o-1", "orders-1", 2, "poisoned")
        );
        assert_eq!((&*attempt.detail, attempt.took_ms, attempt.at_ms % 1000), ("no \"stock\"", 7, 250));
        assert_eq!(MessageAttempt::of_line(&line("guest"), "orders-1"), None);
        assert_eq!(MessageAttempt::of_line("\"outcome\": no JSON", "orders-1"), None);
    }
}
