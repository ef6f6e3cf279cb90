//! Why a queue did not do what it was asked.

use std::time::Duration;

/// Why a queue did not do what it was asked. The variants are what a caller decides by.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// No message of that id, or its receipt is no longer valid (Storage: 404 `MessageNotFound`;
    /// Service Bus: 410, lock lost).
    #[error("no such message, or no longer ours")]
    MessageNotFound,
    /// The receipt is stale: the message was received or updated since (400 `PopReceiptMismatch`).
    #[error("the pop receipt is stale")]
    ReceiptMismatch,
    /// The body is larger than the service takes (413 `RequestBodyTooLarge`); sizes in bytes.
    #[error("{}", too_large(queue, *size, *limit))]
    TooLarge {
        /// The URL of the queue, without secrets.
        queue: String,
        /// What was to be sent, where the queue did not measure it otherwise than we do.
        size: Option<usize>,
        /// What the queue takes.
        limit: usize,
    },
    /// There is no such queue (404 `QueueNotFound`).
    #[error("{}", not_found(queue))]
    QueueNotFound {
        /// Its URL, without secrets.
        queue: String,
    },
    /// We are not allowed to (401, 403).
    #[error("{queue}: not allowed to {operation}: {cause}; {mend}")]
    Denied {
        /// The URL of the queue, without secrets.
        queue: String,
        /// What was asked, as a verb (`receive`, `update`, …).
        operation: &'static str,
        /// What the service said.
        cause: String,
        /// What to do about it.
        mend: String,
    },
    /// Something that no retry will mend: a configuration or host fault.
    #[error("{cause}; {mend}")]
    Fault {
        /// What is wrong.
        cause: String,
        /// What to do about it.
        mend: String,
    },
    /// The service refused for now (busy, throttled), or was not reached: nothing was done.
    #[error("{queue} cannot take the call now: {cause}")]
    Busy {
        /// The URL of the queue, without secrets.
        queue: String,
        /// What the service said, or what stood in the way.
        cause: String,
        /// How long it asked us to wait, if it did.
        retry_after: Option<Duration>,
    },
    /// No answer, or one that could not be read: it may or may not have been done.
    #[error("no clear answer from {queue}: {cause}")]
    Unclear {
        /// The URL of the queue, without secrets.
        queue: String,
        /// What happened instead.
        cause: String,
    },
}

fn not_found(queue: &str) -> String {
    if !queue.starts_with("sb:") {
        return format!("there is no queue {queue}; create it with `longshore queue create --queue {queue}`");
    }
    // The service says the same of a topic that is read.
    format!(
        "there is no queue or subscription {queue}; make a queue with `az servicebus queue create …`, \
         or if it is a topic, name one of its subscriptions: `sb://NAMESPACE/TOPIC/Subscriptions/NAME`"
    )
}

fn too_large(queue: &str, size: Option<usize>, limit: usize) -> String {
    match size {
        Some(size) => format!("the body has {size} bytes and {queue} takes {limit}"),
        None => format!("the body is too large for {queue}, which takes {limit} bytes"),
    }
}

impl QueueError {
    /// The service refused for now, or was not reached, and did not say for how long.
    pub fn busy(queue: impl ToString, cause: impl Into<String>) -> Self {
        Self::Busy { queue: queue.to_string(), cause: cause.into(), retry_after: None }
    }

    /// No answer, or one that could not be read.
    pub fn unclear(queue: impl ToString, cause: impl ToString) -> Self {
        Self::Unclear { queue: queue.to_string(), cause: cause.to_string() }
    }

    /// The lease is lost: somebody else has, or had, the message.
    pub fn is_stale(&self) -> bool {
        matches!(self, Self::MessageNotFound | Self::ReceiptMismatch)
    }

    /// The message may be to blame, and the queue may take another one. All other errors that do
    /// not pass stop every message.
    pub fn may_be_about_the_message(&self) -> bool {
        // A service that does not like a message answers with a 400, which is a fault like others.
        matches!(self, Self::TooLarge { .. } | Self::Fault { .. })
    }

    /// Trying again may help: the service was busy, or its answer was lost.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Busy { .. } | Self::Unclear { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_said_with_the_command_that_makes_it() {
        let of = |queue: &str| QueueError::QueueNotFound { queue: queue.into() }.to_string();
        assert!(
            of("file:./queues/orders").ends_with("`longshore queue create --queue file:./queues/orders`")
        );
        let missing = of("sb://acme.servicebus.windows.net/orders");
        assert!(missing.contains("Subscriptions/NAME") && missing.contains("az servicebus queue create"));
        assert!(!missing.contains("longshore queue create"), "{missing}");
    }

    #[test]
    fn an_error_that_may_pass_is_told_from_a_lost_lease_and_names_its_queue() {
        let queue = || "file:./queues/orders".to_owned();
        let denied = QueueError::Denied {
            queue: queue(),
            operation: "receive",
            cause: "HTTP 403".into(),
            mend: "ask".into(),
        };
        for (error, stale, transient, names) in [
            (QueueError::MessageNotFound, true, false, false),
            (QueueError::ReceiptMismatch, true, false, false),
            (QueueError::busy(queue(), "HTTP 503"), false, true, true),
            (QueueError::unclear(queue(), "cut"), false, true, true),
            (QueueError::TooLarge { queue: queue(), size: Some(2), limit: 1 }, false, false, true),
            (QueueError::TooLarge { queue: queue(), size: None, limit: 1 }, false, false, true),
            (QueueError::QueueNotFound { queue: queue() }, false, false, true),
            (denied, false, false, true),
        ] {
            assert_eq!((error.is_stale(), error.is_transient()), (stale, transient), "{error:?}");
            assert_eq!(error.to_string().contains(&queue()), names, "{error}");
        }
    }
}
