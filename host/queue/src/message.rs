//! What crosses the trait: messages as a queue holds them, and as they are sent.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

use crate::url::QueueUrl;

/// The property of a dead-lettered message that says why, as Service Bus calls it ([Dead-letter
/// queues](https://learn.microsoft.com/azure/service-bus-messaging/service-bus-dead-letter-queues)).
pub const REASON_PROPERTY: &str = "DeadLetterReason";

/// The property of a dead-lettered message that holds the cause, for people.
pub const DETAIL_PROPERTY: &str = "DeadLetterErrorDescription";

/// The property that says what a message's body is, as a media type.
pub const CONTENT_TYPE: &str = "content-type";

/// What a message carries beside its body, as name and value.
pub type Properties = Vec<(String, String)>;

/// A message as the queue holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The identifier that the queue gave it, or its sender.
    pub id: String,
    /// The body as it lies in the queue, before any decoding.
    pub body: Bytes,
    /// How often it was received, this time included: 1 at the first receipt, on every kind of
    /// queue. 0 when peeked at and never received.
    pub dequeue_count: u32,
    /// When it was put into the queue, by the service's clock.
    pub inserted: Timestamp,
    /// How long it has until the service drops it, by the service's clock; `None` if it never
    /// expires.
    pub time_to_live: Option<Duration>,
    /// What it carries beside its body; empty on queues that have no properties.
    pub properties: Properties,
}

/// A message that was received, with the right to update and delete it until its visibility timeout
/// ends.
#[derive(Clone, Debug)]
pub struct Received {
    /// The message.
    pub message: Message,
    /// The newest pop receipt.
    pub receipt: Receipt,
    /// Why the body could not be read, in words; it then holds what could be. No handler can read
    /// such a message, and it must not keep others from being received.
    pub damaged: Option<String>,
}

/// A pop receipt: it proves that a message is leased to us, and changes at each receive and update.
///
/// Opaque, and a secret of sorts (it can delete the message), hence never shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Receipt(pub String);

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Receipt(…)")
    }
}

/// A message to be sent.
#[derive(Clone, Debug, Default)]
pub struct Outgoing {
    /// The body, as it shall lie in the queue.
    pub body: Bytes,
    /// The message's id, on queues that let the sender choose; others ignore it and give their own.
    pub id: Option<String>,
    /// How long it stays invisible, at most [`MAX_VISIBILITY`](crate::limits::MAX_VISIBILITY).
    pub delay: Duration,
    /// When it expires, counted from now; `None`: never.
    pub time_to_live: Option<Duration>,
    /// What it carries beside its body; dropped by queues that have no properties.
    pub properties: Properties,
}

/// A message to be moved to a poison queue in one step with its deletion.
#[derive(Clone, Debug)]
pub struct DeadLetter<'a> {
    /// The poison queue.
    pub to: &'a QueueUrl,
    /// What is put there: the envelope, or the body as it was.
    pub body: Bytes,
    /// Why, as one word (`rejected`, `attempts-exhausted`, …).
    pub reason: &'a str,
    /// The cause, for people.
    pub detail: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_is_never_shown() {
        assert_eq!(format!("{:?}", Receipt("secret".into())), "Receipt(…)");
    }
}
