//! The seam between the loop and whatever handles messages: what goes in ([`Invocation`]), what comes out ([`Answer`]),
//! and who turns the one into the other ([`Handler`]). Plain data: no WebAssembly, and no queue.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

/// Business logic, as the worker sees it: it is handed messages, and may fail in any way but one: it always answers or can be dropped.
#[async_trait::async_trait]
pub trait Handler: Send + Sync {
    /// Handles one message, within its deadline. Dropping the future interrupts the handler.
    async fn handle(&self, invocation: Invocation) -> Answer;

    /// Tries again to make the handler available, if it is not.
    async fn reload(&self);

    /// The digest of the component that handles messages now, as `sha256:…`.
    fn digest(&self) -> Option<String>;
}

/// One message, as a handler sees it.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// The message's id.
    pub id: String,
    /// The queue's name.
    pub queue: String,
    /// The body, decoded.
    pub body: Bytes,
    /// How often the message was received, this time included.
    pub dequeue_count: u32,
    /// When it was put into the queue.
    pub inserted: Timestamp,
    /// How long the handler has, from now.
    pub deadline: Duration,
    /// What the message carries beside its body.
    pub properties: Vec<(String, String)>,
}

/// What an invocation came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What became of the message.
    pub verdict: Verdict,
    /// What the handler put into the outbox, in its order; empty unless it completed.
    pub outbox: Vec<OutboxMessage>,
    /// What it used.
    pub usage: Usage,
}

/// An answer of something that uses nothing and sends nothing.
impl From<Verdict> for Answer {
    fn from(verdict: Verdict) -> Self {
        Self { verdict, outbox: Vec::new(), usage: Usage::default() }
    }
}

/// A message that a handler wants to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxMessage {
    /// Where to: the name of an output that the operator granted.
    pub output: String,
    /// Its body.
    pub body: Bytes,
    /// What it carries beside its body.
    pub properties: Vec<(String, String)>,
}

/// What became of one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The handler did its work.
    Completed,
    /// It did not, and another attempt may succeed.
    Retry {
        /// What stood in the way.
        reason: RetryReason,
        /// The cause, for people.
        detail: String,
        /// The delay that the handler asked for.
        after: Option<Duration>,
    },
    /// It says that no attempt will ever succeed: the message is at fault.
    Reject {
        /// The cause, for people.
        detail: String,
    },
}

impl Verdict {
    /// A failed attempt for which the handler named no delay.
    pub fn retry(reason: RetryReason, detail: impl Into<String>) -> Self {
        Self::Retry { reason, detail: detail.into(), after: None }
    }
}

/// Why an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryReason {
    /// The handler asked for a retry.
    Requested,
    /// It trapped: a panic, an abort, an exit, a stack overflow, …
    Trap,
    /// It ran out of time.
    Deadline,
    /// It asked for more memory than it may have.
    MemoryLimit,
    /// It asked for more table elements than it may have.
    TableLimit,
    /// Its calls were too deep for its stack.
    StackLimit,
    /// It handed more to the host in one call than it may.
    CallLimit,
    /// It held more host resources at a time than it may.
    HandleLimit,
    /// It failed after it had sent more HTTP requests, or more bytes in them, than it may.
    HttpLimit,
    /// It put more into the outbox than it may.
    OutboxLimit,
    /// It sent a message to an output that it was not granted.
    UnknownOutput,
    /// The queue of an output cannot take what was sent to it.
    OutputTooLarge,
    /// It was never called: the component is missing, damaged, or of another world.
    ComponentUnavailable,
}

impl RetryReason {
    /// The reason as one word, as logs and poison envelopes show it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "retry",
            Self::Trap => "trap",
            Self::Deadline => "deadline",
            Self::MemoryLimit => "memory-limit",
            Self::TableLimit => "table-limit",
            Self::StackLimit => "stack-limit",
            Self::CallLimit => "call-limit",
            Self::HandleLimit => "handle-limit",
            Self::HttpLimit => "http-limit",
            Self::OutboxLimit => "outbox-limit",
            Self::UnknownOutput => "unknown-output",
            Self::OutputTooLarge => "output-too-large",
            Self::ComponentUnavailable => "component-unavailable",
        }
    }
}

impl fmt::Display for RetryReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What one invocation used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// From the start of its instance to its answer, waiting included.
    pub time: Duration,
    /// The processor's time in the guest, and in the host's functions that it called.
    pub cpu: Duration,
    /// The most memory that it had, in bytes.
    pub peak_memory: usize,
}
