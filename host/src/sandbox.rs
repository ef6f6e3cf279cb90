//! One message handed to one component: what goes in ([`Invocation`]) and what comes out ([`Verdict`]).
//!
//! A [`Sandbox`] is an engine with its limits, a [`Component`] a handler that it has compiled and linked. Each
//! invocation gets a fresh instance that can take down neither the host nor a neighbour: time, memory, tables, stack,
//! handles, log volume and the size of an answer are capped. The contract is `wit/handler.wit`.

mod describe;
mod engine;
mod failure;
mod imports;
mod invoke;
mod limits;
mod load;
mod logging;
mod output;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

pub use self::describe::{Description, Import, describe, digest};
pub use self::engine::{Sandbox, SandboxError};
pub use self::load::{Component, LoadError};

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

/// What a sandbox allows.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How many invocations may run at a time.
    pub concurrency: usize,
    /// What one guest may hold in all its memories together, in bytes.
    pub memory: usize,
    /// What one guest may log for one message, in bytes over standard output, standard error and `wasi:logging`.
    pub log: usize,
    /// Where compiled components are kept between runs; `None`: `longshore` under the platform's cache directory.
    /// Whoever can write there decides what the host executes.
    pub cache: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { concurrency: 16, memory: 128 << 20, log: 64 << 10, cache: None }
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

/// What became of one invocation.
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
            Self::ComponentUnavailable => "component-unavailable",
        }
    }
}

impl fmt::Display for RetryReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
