//! What the service says, in our words
//! ([AMQP error codes](https://learn.microsoft.com/azure/service-bus-messaging/service-bus-amqp-troubleshoot)).

use fe2o3_amqp::link::{LinkStateError, ReceiverAttachError, RecvError, SendError, SenderAttachError};
use fe2o3_amqp::types::definitions::{AmqpError, Error, ErrorCondition};

use super::super::{QueueError, QueueUrl};

/// An error of the service: its condition as a word, and its description.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) condition: String,
    pub(super) description: String,
}

impl From<&Error> for Refusal {
    fn from(error: &Error) -> Self {
        let condition = match &error.condition {
            ErrorCondition::AmqpError(AmqpError::NotFound) => "amqp:not-found".to_owned(),
            ErrorCondition::AmqpError(AmqpError::UnauthorizedAccess) => "amqp:unauthorized-access".to_owned(),
            ErrorCondition::AmqpError(AmqpError::NotAllowed) => "amqp:not-allowed".to_owned(),
            ErrorCondition::AmqpError(AmqpError::ResourceLimitExceeded) => {
                "amqp:resource-limit-exceeded".to_owned()
            }
            ErrorCondition::Custom(symbol) => symbol.as_str().to_owned(),
            other => format!("{other:?}"),
        };
        Self { condition, description: error.description.clone().unwrap_or_default() }
    }
}

impl Refusal {
    /// Why `operation` was not done.
    pub(super) fn explain(self, url: &QueueUrl, operation: &'static str) -> QueueError {
        let Self { condition, description } = self;
        let cause = if description.is_empty() { condition.clone() } else { description };
        match condition.as_str() {
            "com.microsoft:message-lock-lost" | "com.microsoft:message-not-found" => {
                QueueError::MessageNotFound
            }
            "amqp:not-found" | "com.microsoft:entity-not-found" => {
                QueueError::QueueNotFound { queue: url.to_string() }
            }
            "amqp:unauthorized-access" | "com.microsoft:auth-failed" => {
                let role = if operation == "send" { "Sender" } else { "Receiver" };
                let mend = format!("give the identity the role Azure Service Bus Data {role} on the queue");
                QueueError::Denied { operation, cause, mend }
            }
            "amqp:not-allowed" if cause.contains("session") => QueueError::Fault {
                cause: format!("{url} requires sessions"),
                mend: "longshore unloads queues without sessions: make one".into(),
            },
            "com.microsoft:argument-error" | "com.microsoft:entity-disabled" | "amqp:not-allowed" => {
                QueueError::Fault {
                    cause: format!("{url}: {cause}"),
                    mend: "look at the queue's settings".into(),
                }
            }
            // Busy, moving, or out of quota: all of it passes, and nothing was done.
            _ => QueueError::Busy { cause, retry_after: None },
        }
    }
}

pub(super) fn receiving(error: ReceiverAttachError, url: &QueueUrl) -> QueueError {
    match error {
        ReceiverAttachError::RemoteClosedWithError(error) => Refusal::from(&error).explain(url, "receive"),
        error => unclear(error),
    }
}

pub(super) fn sending(error: SenderAttachError, url: &QueueUrl, operation: &'static str) -> QueueError {
    match error {
        SenderAttachError::RemoteClosedWithError(error) => Refusal::from(&error).explain(url, operation),
        error => unclear(error),
    }
}

/// What a receive on a link came to when there is no other one.
pub(super) fn received(error: RecvError, url: &QueueUrl, operation: &'static str) -> QueueError {
    match error {
        RecvError::LinkStateError(error) => ended(&error, url, operation),
        error => unclear(error),
    }
}

/// The same for sending.
pub(super) fn sent(error: SendError, url: &QueueUrl, operation: &'static str) -> QueueError {
    match error {
        SendError::LinkStateError(error) => ended(&error, url, operation),
        error => unclear(error),
    }
}

/// A link has ended. The service is taken at its word only where no other try would mend it: else what was under way may
/// have been done.
fn ended(error: &LinkStateError, url: &QueueUrl, operation: &'static str) -> QueueError {
    if let LinkStateError::RemoteClosedWithError(refusal) | LinkStateError::RemoteDetachedWithError(refusal) =
        error
        && let known @ (QueueError::QueueNotFound { .. }
        | QueueError::Denied { .. }
        | QueueError::Fault { .. }) = Refusal::from(refusal).explain(url, operation)
    {
        return known;
    }
    unclear(error)
}

/// Something broke on the way: the connection is given up.
pub(super) fn unclear(error: impl std::fmt::Display) -> QueueError {
    QueueError::Unclear { cause: error.to_string() }
}
