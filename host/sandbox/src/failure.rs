//! What is said of a guest that gave no answer.

use longshore_handler::{RetryReason, Verdict};
use wasmtime::component::ResourceTableError;
use wasmtime::{Error, FrameInfo, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use crate::host_trap::HostTrap;
use crate::state::GuestState;

/// How much of a guest's own words is kept, in bytes: they go into logs and poison envelopes.
const LONGEST_DETAIL: usize = 4 << 10;

/// How far the guest had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Its instance was being made.
    Start,
    /// `handle` was running, or its answer was being read.
    Call,
}

pub(crate) fn verdict(error: &Error, phase: Phase, state: &GuestState) -> Verdict {
    if let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() {
        let functions = functions(backtrace);
        state.log.debug(&functions);
    }
    if let Some(HostTrap { reason, detail }) = error.downcast_ref() {
        return Verdict::retry(*reason, detail.clone());
    }
    if let Some((reason, detail)) = limit(error, state) {
        return Verdict::retry(reason, detail);
    }
    if let Some(I32Exit(code)) = error.downcast_ref() {
        return Verdict::retry(RetryReason::Trap, format!("exit({code})"));
    }
    if let Some(trap) = error.downcast_ref::<Trap>() {
        return Verdict::retry(RetryReason::Trap, explain(*trap));
    }
    let cause = detail(error.root_cause().to_string());
    match phase {
        Phase::Start => Verdict::retry(RetryReason::ComponentUnavailable, format!("no instance: {cause}")),
        Phase::Call => Verdict::retry(RetryReason::Trap, cause),
    }
}

/// The limit that the guest ran into, and what it is.
fn limit(error: &Error, state: &GuestState) -> Option<(RetryReason, String)> {
    let limits = &state.policy.limits;
    match state.meter.refused() {
        Some(RetryReason::TableLimit) => {
            let elements = limits.table_elements;
            return Some((
                RetryReason::TableLimit,
                format!("asked for more than the {elements} table elements it may have"),
            ));
        }
        Some(reason) => {
            let mebibytes = limits.memory >> 20;
            return Some((reason, format!("asked for more than the {mebibytes} MiB it may have")));
        }
        None => {}
    }
    if matches!(error.downcast_ref(), Some(Trap::StackOverflow)) {
        let kibibytes = limits.stack >> 10;
        return Some((RetryReason::StackLimit, format!("calls too deep for a stack of {kibibytes} KiB")));
    }
    let cause = error.root_cause();
    // These two have no type that could be asked for. The tests of the hostile guests notice it if
    // the words change.
    let says = |words| cause.to_string().contains(words);
    if cause.is::<ResourceTableError>() && says("no free keys") || says("store handle limit exceeded") {
        let handles = limits.handles;
        return Some((
            RetryReason::HandleLimit,
            format!("held more than {handles} host resources at a time"),
        ));
    }
    if says("fuel allocated for hostcalls") {
        let kibibytes = limits.per_call >> 10;
        return Some((
            RetryReason::CallLimit,
            format!("handed more than {kibibytes} KiB to the host in one call"),
        ));
    }
    state.http.exceeded().map(|detail| (RetryReason::HttpLimit, detail))
}

/// The engine's words, without what says that they are about WebAssembly.
fn explain(trap: Trap) -> String {
    let words = trap.to_string();
    let words = words.trim_start_matches("wasm trap: ").trim_start_matches("wasm ");
    words.replace('`', "")
}

/// Cuts what a guest said to what is fit for a log.
pub(crate) fn detail(mut words: String) -> String {
    if words.len() > LONGEST_DETAIL {
        words.truncate(words.floor_char_boundary(LONGEST_DETAIL));
        words.push('…');
    }
    words
}

/// The names of the functions that were running, innermost first. Source positions and addresses
/// say nothing to the operator.
fn functions(backtrace: &WasmBacktrace) -> String {
    let name = |frame: &FrameInfo| match frame.func_name() {
        Some(name) => format!("{:#}", rustc_demangle::demangle(name)),
        None => format!("#{}", frame.func_index()),
    };
    backtrace.frames().iter().map(name).collect::<Vec<_>>().join(" < ")
}
