//! What hears of a run, message by message, to make traces and metrics of it.
//!
//! The worker names no exporter: it says what happened, and whoever is told makes of it what it
//! likes. Without anybody to tell, no span is begun and nothing is measured.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use crate::hold::HoldCause;
use crate::report::Outcome;
use longshore_handler::Usage;
use longshore_handler::trace_context::TraceContext;
use longshore_queue::{Message, QueueUrl, Received};

/// Hears what a run does. Every call returns at once, and none fails.
pub trait Telemetry: fmt::Debug + Send + Sync {
    /// A receive that was sent so long ago has brought these messages.
    fn received(&self, messages: &[Received], took: Duration);

    /// An attempt at a message begins at this time. Its sender has named this trace, if any.
    fn attempt(
        &self,
        message: &Message,
        sender: Option<&TraceContext>,
        at: Timestamp,
    ) -> Box<dyn AttemptSpan>;

    /// The run is on hold for this cause, or no longer.
    fn on_hold(&self, cause: Option<HoldCause>);
}

/// One attempt at a message, from its handler's start to its settlement.
pub trait AttemptSpan: fmt::Debug + Send {
    /// What the handler, and what it sends, are to continue; `None` where that is the sender's.
    fn context(&self) -> Option<TraceContext>;

    /// The handler has answered at this time.
    fn answered(&mut self, usage: Usage, at: Timestamp);

    /// A message for another queue is made, to be sent before this one is settled.
    fn sending(&mut self, to: &QueueUrl) -> Box<dyn SendSpan>;

    /// The message is about to be settled.
    fn settling(&mut self);

    /// The message has ended so.
    fn ended(self: Box<Self>, outcome: &Outcome);
}

/// One message on its way to another queue. It was not sent if this is dropped before it has ended.
pub trait SendSpan: fmt::Debug + Send + Sync {
    /// What the message carries; `None` where that is what its attempt continues.
    fn context(&self) -> Option<TraceContext>;

    /// It was sent.
    fn sent(self: Box<Self>);
}
