//! What the host asks of a queue, in the words of Azure Storage Queue.
//!
//! One trait, [`Queue`], and the few types that cross it. A queue knows nothing of the worker that
//! empties it: it leases, counts, updates and deletes. All times to live and visibility timeouts are
//! durations, measured by the service's own clock, so that a host whose clock is wrong still keeps its leases.

pub mod limits;
pub mod url;

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

pub use self::url::QueueUrl;

/// The most messages that one receive may ask for
/// ([Get Messages](https://learn.microsoft.com/rest/api/storageservices/get-messages), `numofmessages`).
pub const MAX_RECEIVE: u32 = 32;

/// The longest visibility timeout and the longest delay that the protocol takes: seven days
/// ([Update Message](https://learn.microsoft.com/rest/api/storageservices/update-message), `visibilitytimeout`).
pub const MAX_VISIBILITY: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The largest body that the protocol takes, in bytes (64 KiB).
pub const MAX_BODY: usize = 64 * 1024;

/// The property of a dead-lettered message that says why, as Service Bus calls it
/// ([Dead-letter queues](https://learn.microsoft.com/azure/service-bus-messaging/service-bus-dead-letter-queues)).
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
    /// How often it was received, this time included: 1 at the first receipt, on every kind of queue. 0 when peeked at and never received.
    pub dequeue_count: u32,
    /// When it was put into the queue, by the service's clock.
    pub inserted: Timestamp,
    /// How long it has until the service drops it, by the service's clock; `None` if it never expires.
    pub time_to_live: Option<Duration>,
    /// What it carries beside its body; empty on queues that have no properties.
    pub properties: Properties,
}

/// A message that was received, with the right to update and delete it until its visibility timeout ends.
#[derive(Clone, Debug)]
pub struct Received {
    /// The message.
    pub message: Message,
    /// The newest pop receipt.
    pub receipt: Receipt,
    /// Why the body could not be read, in words; it then holds what could be. Nobody can handle such a message, and
    /// it must not keep others from being received.
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
    /// How long it stays invisible, at most [`MAX_VISIBILITY`].
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

/// A queue of messages with leases, as Azure Storage Queue defines them.
///
/// Every call ends: an implementation puts a time limit on whatever it waits for. No call is repeated inside:
/// whether and when to try again is the caller's decision, since a repeated receive can lease a batch that nobody handles.
#[async_trait::async_trait]
pub trait Queue: fmt::Debug + Send + Sync {
    /// Where the queue is. Its `Display` form holds no secret.
    fn url(&self) -> &QueueUrl;

    /// Does ahead of time what the first call would otherwise wait for: opens what has to be opened. Fails silently, since
    /// the first call says what is wrong.
    async fn prepare(&self) {}

    /// Creates the queue; `false` when it was there.
    async fn create(&self) -> Result<bool>;

    /// Leases up to `max` messages (at most [`MAX_RECEIVE`]) for `visibility`, each with its dequeue count raised by one.
    ///
    /// An empty answer says that nothing was visible, and not that the queue is empty.
    async fn receive(&self, max: u32, visibility: Duration) -> Result<Vec<Received>>;

    /// Puts a message into the queue and returns its id.
    async fn send(&self, message: Outgoing) -> Result<String>;

    /// *Update Message*: from now on the message is invisible for `visibility` (zero: visible at once), and the returned receipt is the only valid one.
    async fn update(&self, id: &str, receipt: &Receipt, visibility: Duration) -> Result<Receipt>;

    /// Deletes a leased message.
    async fn delete(&self, id: &str, receipt: &Receipt) -> Result<()>;

    /// Shows up to `max` visible messages without leasing or counting. A Storage queue shows no more than
    /// [`MAX_RECEIVE`] ([Peek Messages](https://learn.microsoft.com/rest/api/storageservices/peek-messages)).
    async fn peek(&self, max: u32) -> Result<Vec<Message>>;

    /// How many messages the queue holds, invisible ones included, as KEDA counts them.
    async fn approximate_count(&self) -> Result<u64>;

    /// Deletes all messages.
    async fn clear(&self) -> Result<()>;

    /// Whether the queue takes a body of this size.
    fn fits(&self, body: &[u8]) -> bool;

    /// The longest lease that the queue gives, as far as is known after a receive; longer visibility timeouts are then
    /// not what a lease lasts. It may change with each receive.
    fn longest_lease(&self) -> Duration {
        MAX_VISIBILITY
    }

    /// Whether a message that was hidden with [`Queue::update`] becomes visible early when this process ends.
    fn hides_only_while_running(&self) -> bool {
        false
    }

    /// Whether [`Queue::dead_letter`] can move a message to `poison` in one transaction.
    fn moves_to(&self, poison: &QueueUrl) -> bool {
        let _ = poison;
        false
    }

    /// Moves a leased message to a poison queue: both or neither. Called only when [`Queue::moves_to`] says so.
    async fn dead_letter(&self, id: &str, receipt: &Receipt, letter: DeadLetter<'_>) -> Result<()> {
        let _ = (id, receipt, letter);
        Err(QueueError::Fault {
            cause: format!("{} cannot move a message in one step", self.url()),
            mend: "send a copy, then delete".into(),
        })
    }
}

/// What a queue answers.
pub type Result<T, E = QueueError> = std::result::Result<T, E>;

/// Why a queue did not do what it was asked. The variants are what a caller decides by.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// No message of that id, or its receipt is no longer valid (Storage: 404 `MessageNotFound`; Service Bus: 410, lock lost).
    #[error("no such message, or no longer ours")]
    MessageNotFound,
    /// The receipt is stale: the message was received or updated since (400 `PopReceiptMismatch`).
    #[error("the pop receipt is stale")]
    ReceiptMismatch,
    /// The body is larger than the service takes (413 `RequestBodyTooLarge`); sizes in bytes.
    #[error("the body has {size} bytes and the queue takes {limit}")]
    TooLarge {
        /// What was to be sent.
        size: usize,
        /// What the queue takes.
        limit: usize,
    },
    /// There is no such queue (404 `QueueNotFound`).
    #[error("there is no queue {queue}; create it with `longshore queue create --queue {queue}`")]
    QueueNotFound {
        /// Its URL, without secrets.
        queue: String,
    },
    /// We are not allowed to (401, 403).
    #[error("not allowed to {operation}: {cause}; {mend}")]
    Denied {
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
    #[error("the queue cannot take the call now: {cause}")]
    Busy {
        /// What the service said, or what stood in the way.
        cause: String,
        /// How long it asked us to wait, if it did.
        retry_after: Option<Duration>,
    },
    /// No answer, or one that could not be read: it may or may not have been done.
    #[error("no clear answer: {cause}")]
    Unclear {
        /// What happened instead.
        cause: String,
    },
}

impl QueueError {
    /// The lease is lost: somebody else has, or had, the message.
    pub fn is_stale(&self) -> bool {
        matches!(self, Self::MessageNotFound | Self::ReceiptMismatch)
    }

    /// Trying again may help: the service was busy, or its answer was lost.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Busy { .. } | Self::Unclear { .. })
    }
}
