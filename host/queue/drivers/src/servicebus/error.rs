//! What the service says, in our words ([AMQP error
//! codes](https://learn.microsoft.com/azure/service-bus-messaging/service-bus-amqp-troubleshoot)).

use std::time::Duration;

use fe2o3_amqp::link::{LinkStateError, ReceiverAttachError, RecvError, SendError, SenderAttachError};
use fe2o3_amqp::types::definitions::{Error, ErrorCondition};
use fe2o3_amqp::types::primitives::Symbol;

use longshore_queue::{QueueError, QueueUrl};

/// For how long a namespace that is throttled is left alone.
pub(super) const SERVER_BUSY: Duration = Duration::from_secs(10);

/// What is said of a queue that was asked for a session, and has none.
pub(super) const WITHOUT_SESSIONS: &str = " does not require sessions";

/// An error of the service: its condition as a word, and its description.
#[derive(Debug)]
pub(super) struct AmqpRefusal {
    pub(super) condition: String,
    pub(super) description: String,
}

impl From<&Error> for AmqpRefusal {
    fn from(error: &Error) -> Self {
        let condition = match &error.condition {
            ErrorCondition::AmqpError(error) => Symbol::from(error),
            ErrorCondition::ConnectionError(error) => Symbol::from(error),
            ErrorCondition::SessionError(error) => Symbol::from(error),
            ErrorCondition::LinkError(error) => Symbol::from(error),
            ErrorCondition::Custom(symbol) => symbol.clone(),
        };
        Self { condition: condition.into_inner(), description: error.description.clone().unwrap_or_default() }
    }
}

impl AmqpRefusal {
    /// An answer's refusal. Some have a status only, which then says what the condition would
    /// ([status
    /// codes](https://learn.microsoft.com/azure/service-bus-messaging/service-bus-amqp-request-response)).
    pub(super) fn answered(status: i32, condition: String, description: String) -> Self {
        let implied = match status {
            _ if !condition.is_empty() => &condition,
            400 => "com.microsoft:argument-error",
            401 => "amqp:unauthorized-access",
            403 => "amqp:resource-limit-exceeded",
            404 => "amqp:not-found",
            408 => "com.microsoft:timeout",
            410 => "com.microsoft:message-lock-lost",
            500 => "amqp:internal-error",
            _ => "com.microsoft:server-busy",
        };
        let description = if description.is_empty() { format!("status {status}") } else { description };
        Self { condition: implied.to_owned(), description }
    }

    /// Why `operation` was not done.
    pub(super) fn explain(self, url: &QueueUrl, operation: &'static str) -> QueueError {
        let Self { condition, description } = self;
        let cause = if description.is_empty() { condition.clone() } else { description };
        match condition.as_str() {
            "com.microsoft:message-lock-lost"
            | "com.microsoft:message-not-found"
            | "com.microsoft:session-lock-lost" => QueueError::MessageNotFound,
            "amqp:not-found" | "com.microsoft:entity-not-found" => {
                QueueError::QueueNotFound { queue: url.to_string() }
            }
            "amqp:unauthorized-access" | "com.microsoft:auth-failed" => {
                let (role, entity) = match url.subscription() {
                    _ if operation == "send" => ("Sender", "queue or topic"),
                    Some(_) => ("Receiver", "subscription"),
                    None => ("Receiver", "queue"),
                };
                let mend = if cause.contains("InvalidSignature") {
                    "compare the name and the value of the key in the connection string with those that the namespace has".into()
                } else {
                    format!("give the identity the role Azure Service Bus Data {role} on the {entity}")
                };
                QueueError::Denied { queue: url.to_string(), operation, cause, mend }
            }
            // "A sessionful message receiver cannot be created on an entity that does not require
            // sessions."
            "amqp:not-allowed" if cause.contains("does not require sessions") => QueueError::Fault {
                cause: format!("{url}{WITHOUT_SESSIONS}"),
                mend: "leave --sessions, --session-idle and --on-poison out, or name one that requires them"
                    .into(),
            },
            // "Cannot open a Topic client for entity type Subscriber."
            "amqp:not-allowed" if cause.contains("Topic client") => QueueError::Fault {
                cause: format!("{url} is a topic, which only its subscriptions are received from"),
                mend: format!("name one of them: `{url}/Subscriptions/NAME`"),
            },
            // "peek-message is not allowed on a topic."
            "amqp:not-allowed" if cause.contains("not allowed on a topic") => QueueError::Fault {
                cause: format!("{url} is a topic, and its messages lie in its subscriptions"),
                mend: format!("name one of them: `{url}/Subscriptions/NAME`"),
            },
            // "The SessionId was not set on a message, and it cannot be sent to the entity."
            "amqp:not-allowed" if cause.contains("SessionId was not set") => QueueError::Fault {
                cause: format!("{url} requires sessions, and the message has none"),
                mend: "name the session that it belongs to: `--property session-id=NAME`".into(),
            },
            "amqp:link:message-size-exceeded" => too_large(url, None),
            "com.microsoft:argument-error"
            | "com.microsoft:argument-out-of-range"
            | "com.microsoft:entity-disabled"
            | "amqp:decode-error"
            | "amqp:invalid-field"
            | "amqp:not-allowed"
            | "amqp:not-implemented"
            | "amqp:precondition-failed" => QueueError::Fault {
                cause: format!("{url}: {cause}"),
                mend: "look at the queue's settings".into(),
            },
            // The service gave up on it, and may have done it before.
            "com.microsoft:timeout" | "com.microsoft:operation-cancelled" | "amqp:internal-error" => {
                unclear(url, cause)
            }
            // As long as the official clients wait, whoever of them asks
            // (https://learn.microsoft.com/azure/service-bus-messaging/service-bus-throttling).
            "com.microsoft:server-busy" => {
                QueueError::Busy { queue: url.to_string(), cause, retry_after: Some(SERVER_BUSY) }
            }
            // Moving, or out of quota: all of it passes, and nothing was done.
            _ => QueueError::busy(url, cause),
        }
    }
}

/// There is no such queue, and longshore makes none: how it is made.
pub(super) fn made_elsewhere(url: &QueueUrl) -> QueueError {
    QueueError::Fault {
        cause: format!("there is no queue {url}"),
        mend: match url.subscription() {
            Some((topic, name)) => format!(
                "make it with `az servicebus topic subscription create --topic-name {topic} --name {name} --max-delivery-count 10 --lock-duration PT1M …`"
            ),
            None => format!(
                "make it with `az servicebus queue create --name {} --max-delivery-count 10 --lock-duration PT1M …`",
                url.name()
            ),
        },
    }
}

/// What is sent is larger than the queue takes: its size with all that it carries, and the link's
/// limit, where they are known.
pub(super) fn too_large(url: &QueueUrl, measured: Option<(u64, u64)>) -> QueueError {
    let usual = url.kind().max_body;
    let known = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    let (size, limit) = measured.map_or((None, usual), |(size, limit)| (Some(known(size)), known(limit)));
    QueueError::TooLarge { queue: url.to_string(), size, limit }
}

/// Whether a link was refused since messages are only received by session.
pub(super) fn sessions_are_required(refused: &ReceiverAttachError) -> bool {
    // "It is not possible for an entity that requires sessions to create a non-sessionful message
    // receiver."
    let ReceiverAttachError::RemoteClosedWithError(error) = refused else { return false };
    let AmqpRefusal { condition, description } = AmqpRefusal::from(error);
    condition == "amqp:not-allowed" && description.contains("requires sessions")
}

pub(super) fn receiving(error: ReceiverAttachError, url: &QueueUrl) -> QueueError {
    match error {
        ReceiverAttachError::RemoteClosedWithError(error) => {
            AmqpRefusal::from(&error).explain(url, "receive")
        }
        error => unclear(url, error),
    }
}

pub(super) fn sending(error: SenderAttachError, url: &QueueUrl, operation: &'static str) -> QueueError {
    match error {
        SenderAttachError::RemoteClosedWithError(error) => AmqpRefusal::from(&error).explain(url, operation),
        error => unclear(url, error),
    }
}

/// What a receive on a link came to when there is no other one.
pub(super) fn received(error: RecvError, url: &QueueUrl, operation: &'static str) -> QueueError {
    match error {
        RecvError::LinkStateError(error) => ended(&error, url, operation),
        error => unclear(url, error),
    }
}

/// The same for sending.
pub(super) fn sent(error: SendError, url: &QueueUrl, operation: &'static str) -> QueueError {
    match error {
        SendError::LinkStateError(error) => ended(&error, url, operation),
        SendError::MessageSizeExceeded(it) => too_large(url, Some((it.size, it.max_size))),
        error => unclear(url, error),
    }
}

/// A link has ended. The service is taken at its word only where no other try would mend it: else
/// what was under way may have been done.
fn ended(error: &LinkStateError, url: &QueueUrl, operation: &'static str) -> QueueError {
    if let LinkStateError::RemoteClosedWithError(refusal) | LinkStateError::RemoteDetachedWithError(refusal) =
        error
        && let known @ (QueueError::QueueNotFound { .. }
        | QueueError::Denied { .. }
        | QueueError::Fault { .. }) = AmqpRefusal::from(refusal).explain(url, operation)
    {
        return known;
    }
    unclear(url, error)
}

/// Something broke on the way: the connection is given up.
pub(super) fn unclear(url: &QueueUrl, error: impl std::fmt::Display) -> QueueError {
    QueueError::unclear(url, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_service_says_is_known_by_its_condition_and_without_one_by_its_status() {
        let url: QueueUrl = "sb://ns.servicebus.windows.net/orders".parse().unwrap();
        for (status, condition, expected) in [
            (0, "com.microsoft:message-lock-lost", "MessageNotFound"),
            (410, "", "MessageNotFound"),
            (404, "", "QueueNotFound"),
            (401, "", "Denied"),
            // A quota, and no permission.
            (403, "", "Busy"),
            (403, "amqp:unauthorized-access", "Denied"),
            (503, "", "Busy"),
            (0, "com.microsoft:server-busy", "Busy"),
            (0, "amqp:link:detach-forced", "Busy"),
            (0, "com.microsoft:timeout", "Unclear"),
            (408, "", "Unclear"),
            (500, "", "Unclear"),
            (0, "amqp:link:message-size-exceeded", "TooLarge"),
            (400, "", "Fault"),
            (0, "com.microsoft:entity-disabled", "Fault"),
            (0, "amqp:not-allowed", "Fault"),
        ] {
            let error =
                AmqpRefusal::answered(status, condition.into(), "because".into()).explain(&url, "receive");
            let kind = format!("{error:?}");
            assert!(kind.starts_with(expected), "{status} {condition}: {kind}");
        }
    }
}
