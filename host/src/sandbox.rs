//! One message handed to one component: what goes in ([`Invocation`]) and what comes out ([`Verdict`]).
//!
//! A [`Sandbox`] is an engine with its limits, a [`Component`] a handler that it has compiled and linked. Each
//! invocation gets a fresh instance that can take down neither the host nor a neighbour: time, memory, tables, stack,
//! handles, log volume and the size of an answer are capped. What it may reach is what [`Grants`] says. The contract is `wit/handler.wit`.

mod contract;
mod describe;
mod engine;
mod failure;
mod grants;
mod http;
mod imports;
mod invoke;
mod limits;
mod load;
mod logging;
mod outbox;
mod output;
mod precompiled;
mod settings;
mod usage;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

pub use self::describe::{Description, Import, describe, digest};
pub use self::engine::{Sandbox, SandboxError};
pub use self::grants::{Grant, Grants};
pub use self::http::{Cidr, CidrError, Target, TargetError};
pub use self::invoke::Step;
pub use self::limits::Limits;
pub use self::load::{Component, Cpu, LoadError, compile, own_target};
pub use self::precompiled::{MachineCode, Unusable, unpack};
pub use self::usage::Usage;

/// The Rust side of `wit/handler.wit`. The body and all texts are borrowed: they go from the host's memory into the
/// guest's in one copy.
#[allow(missing_docs, unreachable_pub, clippy::all)]
mod bindings {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "longshore:handler/guest",
        exports: { default: async },
        ownership: Borrowing { duplicate_if_necessary: true },
    });
}

/// The Rust side of what wasmCloud asks of message handlers.
#[allow(missing_docs, unreachable_pub, clippy::all)]
mod wasmcloud {
    wasmtime::component::bindgen!({
        path: "../wit/wasmcloud",
        world: "wasmcloud:messaging/message-handler",
        exports: { default: async },
        ownership: Borrowing { duplicate_if_necessary: true },
    });
}

/// What a sandbox allows.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How many invocations may run at a time.
    pub concurrency: usize,
    /// What each may use.
    pub limits: Limits,
    /// What the component may reach.
    pub grants: Grants,
    /// How many messages one instance may handle, if it handles all of them well. 1: each message gets a fresh one.
    pub reuse: u32,
    /// The component, compiled ahead of time: a file that is trusted with what the host executes. Used if it was made
    /// from the very component and fits the engine; otherwise the component is compiled, with a warning.
    pub precompiled: Option<PathBuf>,
    /// Where compiled components are kept between runs; `None`: `longshore` under the platform's cache directory.
    /// Whoever can write there decides what the host executes.
    pub cache: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        let (limits, grants) = (Limits::default(), Grants::default());
        Self { concurrency: 16, limits, grants, reuse: 1, precompiled: None, cache: None }
    }
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
    /// Where to: one of [`Grants::outputs`].
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
