//! What is said of a guest that gave no answer.

use tracing::debug;
use wasmtime::{Error, FrameInfo, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use super::invoke::State;
use super::{RetryReason, Verdict};

/// How much of a guest's own words is kept, in bytes: they go into logs and poison envelopes.
const LONGEST_DETAIL: usize = 4 << 10;

/// How far the guest had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Its instance was being made.
    Start,
    /// `handle` was running, or its answer was being read.
    Call,
}

pub(super) fn verdict(error: &Error, phase: Phase, state: &State, memory: usize) -> Verdict {
    if let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() {
        let functions = functions(backtrace);
        debug!(target: "guest", message_id = state.output.message_id(), functions, "where the handler stopped");
    }
    if state.limits.refused() {
        return Verdict::retry(
            RetryReason::MemoryLimit,
            format!("asked for more than the {} MiB it may have", memory >> 20),
        );
    }
    if let Some(I32Exit(code)) = error.downcast_ref() {
        return Verdict::retry(RetryReason::Trap, format!("exit({code})"));
    }
    if let Some(trap) = error.downcast_ref::<Trap>() {
        return Verdict::retry(RetryReason::Trap, trap.to_string());
    }
    let cause = detail(error.root_cause().to_string());
    match phase {
        Phase::Start => Verdict::retry(RetryReason::ComponentUnavailable, format!("no instance: {cause}")),
        Phase::Call => Verdict::retry(RetryReason::Trap, cause),
    }
}

/// Cuts what a guest said to what is fit for a log.
pub(super) fn detail(mut words: String) -> String {
    if words.len() > LONGEST_DETAIL {
        words.truncate(words.floor_char_boundary(LONGEST_DETAIL));
        words.push('…');
    }
    words
}

/// Innermost first. Names only: source positions and addresses say nothing to whoever runs a handler.
fn functions(backtrace: &WasmBacktrace) -> String {
    let name = |frame: &FrameInfo| match frame.func_name() {
        Some(name) => format!("{:#}", rustc_demangle::demangle(name)),
        None => format!("#{}", frame.func_index()),
    };
    backtrace.frames().iter().map(name).collect::<Vec<_>>().join(" < ")
}
