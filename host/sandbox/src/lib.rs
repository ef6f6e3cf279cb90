//! One message handed to one component: what goes in ([`Invocation`](longshore_handler::Invocation)) and what comes out ([`Verdict`](longshore_handler::Verdict)).
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

use std::path::PathBuf;

pub use self::describe::{Description, Import, describe, digest};
pub use self::engine::{Sandbox, SandboxError};
pub use self::grants::{Grant, Grants};
pub use self::http::{Cidr, CidrError, Target, TargetError};
pub use self::invoke::Step;
pub use self::limits::Limits;
pub use self::load::{Component, Cpu, LoadError, compile, own_target};
pub use self::precompiled::{MachineCode, Unusable, unpack};

/// The Rust side of `wit/handler.wit`. The body and all texts are borrowed: they go from the host's memory into the
/// guest's in one copy.
#[allow(missing_docs, unreachable_pub, clippy::all)]
mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "longshore:handler/guest",
        exports: { default: async },
        ownership: Borrowing { duplicate_if_necessary: true },
    });
}

/// The Rust side of what wasmCloud asks of message handlers.
#[allow(missing_docs, unreachable_pub, clippy::all)]
mod wasmcloud {
    wasmtime::component::bindgen!({
        path: "../../wit/wasmcloud",
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
