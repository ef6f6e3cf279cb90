//! The seam between the loop and the business logic that handles messages.
//!
//! An [`Invocation`] goes in, an [`Answer`] comes out, and a [`Handler`] turns the one into the
//! other. All of it is plain data: no WebAssembly, and no queue.

pub mod trace_context;

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

use self::trace_context::TraceContext;

/// Business logic, as the worker sees it. It may fail in many ways, but it must answer in the end,
/// and it must be possible to interrupt it at any time.
#[async_trait::async_trait]
pub trait Handler: Send + Sync {
    /// Handles one message, within its deadline. Dropping the future interrupts the handler.
    async fn handle(&self, invocation: Invocation) -> Answer;

    /// Why there is no handler to call, if there is none. Answers at once, from what is known.
    fn unavailable(&self) -> Option<Unavailable> {
        None
    }

    /// Makes the handler available, if it is not and can be.
    ///
    /// # Errors
    /// Why there is still none.
    async fn reload(&self) -> Result<(), Unavailable>;

    /// Waits until the handler is another than before. Waits for ever where that cannot happen.
    async fn replaced(&self) {
        std::future::pending().await
    }

    /// The digest of the component that handles messages now, as `sha256:…`.
    fn digest(&self) -> Option<String>;
}

/// There is no handler to call. That is no message's fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unavailable {
    /// What stands in the way, and the mend, for people.
    pub cause: String,
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cause)
    }
}

impl std::error::Error for Unavailable {}

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
    /// What the message carries beside its body. Where its sender named a trace, `traceparent` and
    /// `tracestate` are those of `trace`.
    pub properties: Vec<(String, String)>,
    /// What the handler's calls continue: the span of this attempt where there is one, else the
    /// sender's.
    pub trace: Option<TraceContext>,
    /// The state of the session that the message belongs to, on queues that have sessions.
    pub session: SessionState,
}

/// The state of a message's session, as a handler finds it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SessionState {
    /// The message belongs to no session.
    #[default]
    NoSession,
    /// Nobody has set one.
    Empty,
    /// These bytes, as whoever has set them wrote them.
    Set(Bytes),
}

/// What a handler makes of the state of its message's session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SessionChange {
    /// It stays as it is.
    #[default]
    Unchanged,
    /// There is none any more.
    Cleared,
    /// It is these bytes from now on.
    Set(Bytes),
}

impl SessionState {
    /// The bytes, if there are any; the outer one is `None` where there is no session.
    #[must_use]
    pub fn bytes(&self) -> Option<Option<&Bytes>> {
        match self {
            Self::NoSession => None,
            Self::Empty => Some(None),
            Self::Set(bytes) => Some(Some(bytes)),
        }
    }
}

/// What an invocation came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What became of the message.
    pub verdict: Verdict,
    /// What the handler put into the outbox, in its order; empty unless it completed.
    pub outbox: Vec<OutboxMessage>,
    /// What it made of the state of its session; unchanged unless it completed.
    pub session: SessionChange,
    /// What it used.
    pub usage: Usage,
    /// The last lines that it logged, in their order.
    pub log: Vec<String>,
}

/// An answer of something that uses nothing, sends nothing and keeps nothing.
impl From<Verdict> for Answer {
    fn from(verdict: Verdict) -> Self {
        Self {
            verdict,
            outbox: Vec::new(),
            session: SessionChange::Unchanged,
            usage: Usage::default(),
            log: Vec::new(),
        }
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
    /// The handler failed, and another attempt may succeed.
    Retry {
        /// What stood in the way.
        reason: RetryReason,
        /// The cause, for people.
        detail: String,
        /// The delay that the handler asked for.
        after: Option<Duration>,
    },
    /// The handler says that no attempt will ever succeed: the message is at fault.
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
    /// It sent more HTTP requests than it may, or more bytes in them, and then failed.
    HttpLimit,
    /// It put more into the outbox than it may.
    OutboxLimit,
    /// It sent a message to an output that it was not granted.
    UnknownOutput,
    /// The queue of an output cannot take what was sent to it.
    OutputTooLarge,
    /// The queue of an output refused what was sent to it.
    OutputRefused,
    /// It made more of the state of its session than it may.
    SessionStateLimit,
    /// The queue refused the state that it made of its session.
    SessionStateRefused,
    /// It was never called: the component is missing, damaged, or of another world.
    ComponentUnavailable,
    /// It was to call a service with the host's identity, and the host had no token.
    IdentityUnavailable,
}

impl RetryReason {
    /// Whether the host lacks what each message needs, so that the message is not at fault.
    pub fn is_the_hosts_own(self) -> bool {
        matches!(self, Self::ComponentUnavailable | Self::IdentityUnavailable)
    }

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
            Self::OutputRefused => "output-refused",
            Self::SessionStateLimit => "session-state-limit",
            Self::SessionStateRefused => "session-state-refused",
            Self::ComponentUnavailable => "component-unavailable",
            Self::IdentityUnavailable => "identity-unavailable",
        }
    }
}

impl fmt::Display for RetryReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How much of a name that a handler made up is shown, in bytes.
const LONGEST_OUTBOX_NAME: usize = 100;

/// What is said of a message for an outbox that is not granted, where these are.
pub fn ungranted_outbox<'a>(name: &str, granted: impl Iterator<Item = &'a String>) -> String {
    let shown = &name[..name.floor_char_boundary(LONGEST_OUTBOX_NAME)];
    let more = if shown.len() < name.len() { "…" } else { "" };
    let granted: Vec<_> = granted.map(String::as_str).collect();
    let instead =
        if granted.is_empty() { "nor is another".to_owned() } else { format!("only {}", granted.join(", ")) };
    format!("the outbox {shown:?}{more} is not granted, {instead}; grant it with `--outbox NAME=QUEUE-URL`")
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

#[cfg(test)]
mod tests {
    use super::{Answer, OutboxMessage, RetryReason, SessionChange, Usage, Verdict, ungranted_outbox};

    #[test]
    fn an_outbox_that_is_not_granted_is_named_with_the_flag_that_grants_it() {
        let granted = ["invoices".to_owned(), "receipts".to_owned()];
        assert_eq!(
            ungranted_outbox("x\n", granted.iter()),
            "the outbox \"x\\n\" is not granted, only invoices, receipts; grant it with `--outbox NAME=QUEUE-URL`"
        );
        let long = ungranted_outbox(&"ö".repeat(1000), [].iter());
        assert!(long.len() < 300 && long.ends_with("grant it with `--outbox NAME=QUEUE-URL`"), "{long}");
        assert!(long.contains("\"… is not granted, nor is another;"), "{long}");
    }

    #[test]
    fn logs_and_envelopes_show_each_reason_as_one_word() {
        use RetryReason::{
            CallLimit, ComponentUnavailable, Deadline, HandleLimit, HttpLimit, IdentityUnavailable,
            MemoryLimit, OutboxLimit, OutputRefused, OutputTooLarge, Requested, SessionStateLimit,
            SessionStateRefused, StackLimit, TableLimit, Trap, UnknownOutput,
        };
        for (reason, word) in [
            (Requested, "retry"),
            (Trap, "trap"),
            (Deadline, "deadline"),
            (MemoryLimit, "memory-limit"),
            (TableLimit, "table-limit"),
            (StackLimit, "stack-limit"),
            (CallLimit, "call-limit"),
            (HandleLimit, "handle-limit"),
            (HttpLimit, "http-limit"),
            (OutboxLimit, "outbox-limit"),
            (UnknownOutput, "unknown-output"),
            (OutputTooLarge, "output-too-large"),
            (OutputRefused, "output-refused"),
            (SessionStateLimit, "session-state-limit"),
            (SessionStateRefused, "session-state-refused"),
            (ComponentUnavailable, "component-unavailable"),
            (IdentityUnavailable, "identity-unavailable"),
        ] {
            assert_eq!(reason.is_the_hosts_own(), word.ends_with("-unavailable"));
            assert_eq!((reason.as_str(), reason.to_string().as_str()), (word, word));
        }
    }

    #[test]
    fn an_answer_from_a_verdict_alone_sends_nothing_and_used_and_logged_nothing() {
        let verdict = Verdict::retry(RetryReason::Trap, "unreachable");
        let Verdict::Retry { reason, ref detail, after } = verdict else { panic!("{verdict:?}") };
        assert_eq!((reason, detail.as_str(), after), (RetryReason::Trap, "unreachable", None));
        let answer = Answer::from(verdict.clone());
        let outbox: Vec<OutboxMessage> = Vec::new();
        let session = SessionChange::Unchanged;
        assert_eq!(answer, Answer { verdict, outbox, session, usage: Usage::default(), log: Vec::new() });
    }
}
