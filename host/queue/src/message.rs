//! What crosses the trait: messages as a queue holds them, and as they are sent.

use std::collections::HashSet;
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

/// The longest reason or description that a service keeps of a dead letter, in bytes ([Dead-letter
/// queues](https://learn.microsoft.com/azure/service-bus-messaging/service-bus-dead-letter-queues)).
pub const MAX_DEAD_LETTER_TEXT: usize = 4096;

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
    /// The message as its first sender sent it, from [`Queue::whole`](crate::Queue::whole). It
    /// takes the place of the body, the id, the time to live and the properties; queues of another
    /// kind ignore it.
    pub whole: Option<Whole>,
}

/// A message as its sender sent it, in the encoding of its kind of queue: every section, property
/// and type.
///
/// Opaque. A queue of the same kind takes it, and no other does.
#[derive(Clone, PartialEq, Eq)]
pub struct Whole(pub Bytes);

impl fmt::Debug for Whole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Whole({} bytes)", self.0.len())
    }
}

/// A message that is looked at, with what is known of it beside what a handler gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Specimen {
    /// The message; its body is empty where it cannot be read.
    pub message: Message,
    /// What tells it from all others in its queue. Ids do not: senders use them again.
    pub key: String,
    /// Why the body could not be read, in words.
    pub damaged: Option<String>,
    /// The message as its sender sent it, on queues that tell.
    pub whole: Option<Whole>,
}

impl From<Message> for Specimen {
    fn from(message: Message) -> Self {
        Self { key: message.id.clone(), message, damaged: None, whole: None }
    }
}

/// What is in a queue at a moment, told from what comes later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Horizon {
    /// These messages, by [`Specimen::key`].
    Keys(HashSet<String>),
    /// What was put in by then, by the service's clock. What is put in from now on, is put in
    /// later.
    Until(Timestamp),
}

impl Horizon {
    /// Whether a message was there. One that cannot be read has no key that is known: only what is
    /// there is asked about.
    pub fn holds(&self, key: &str, inserted: Timestamp, damaged: bool) -> bool {
        match self {
            Self::Keys(keys) => damaged || keys.contains(key),
            Self::Until(moment) => inserted <= *moment,
        }
    }
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
    /// The cause, for people. Where the message keeps its own body, this has what an envelope would
    /// have beside it. Of both texts [`MAX_DEAD_LETTER_TEXT`] bytes are kept.
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
