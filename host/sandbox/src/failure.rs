//! What is said of a guest that gave no answer.

use std::fmt::{self, Write};

use longshore_handler::{RetryReason, Verdict};
use wasmtime::component::ResourceTableError;
use wasmtime::{Error, FrameInfo, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use crate::guest_log::Said;
use crate::host_trap::HostTrap;
use crate::limits::Limits;
use crate::shorten::shorten;
use crate::state::GuestState;

/// How much of a guest's own words is kept, in bytes: they go into logs and poison envelopes.
const LONGEST_DETAIL: usize = 4 << 10;

/// How much of a function's name is shown, in bytes, before and after it is demangled.
const LONGEST_NAME: usize = 256;

/// How far the guest had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Its instance was being made.
    Start,
    /// `handle` was running, or its answer was being read.
    Call,
}

pub(crate) fn verdict(error: &Error, phase: Phase, state: &GuestState) -> Verdict {
    // Names are the component's own words: they are read only where they are shown.
    if tracing::enabled!(target: "guest", tracing::Level::DEBUG)
        && let Some(backtrace) = error.downcast_ref::<WasmBacktrace>()
    {
        state.log.debug(&functions(backtrace));
    }
    if let Some(HostTrap { reason, detail }) = error.downcast_ref() {
        return Verdict::retry(*reason, detail.clone());
    }
    if let Some((reason, detail)) = limit(error, state) {
        return Verdict::retry(reason, detail);
    }
    if let Some(I32Exit(code)) = error.downcast_ref() {
        return Verdict::retry(RetryReason::Trap, in_its_words(format!("exit({code})"), state));
    }
    if let Some(trap) = error.downcast_ref::<Trap>() {
        return Verdict::retry(
            RetryReason::Trap,
            match trap {
                // This is how every language ends that has something to say of it.
                Trap::UnreachableCodeReached => in_its_words(explain(*trap), state),
                _ => explain(*trap),
            },
        );
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
        Some(reason) => return Some((reason, too_much_memory(limits))),
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
    if says("requested len") && says("exceeds limit") {
        let kibibytes = limits.per_call >> 10;
        return Some((
            RetryReason::CallLimit,
            format!("asked for more than {kibibytes} KiB of random bytes in one call"),
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

/// What is said of a guest that was refused memory.
pub(crate) fn too_much_memory(limits: &Limits) -> String {
    let mebibytes = limits.memory >> 20;
    format!("asked for more than the {mebibytes} MiB it may have")
}

/// Why a guest ended, in its own words where it said some.
fn in_its_words(end: String, state: &GuestState) -> String {
    match state.log.last_words() {
        Some(Said::OfTheEnd(words)) if end.starts_with("exit(") => detail(format!("{end}: {words}")),
        Some(Said::OfTheEnd(words)) => detail(words),
        Some(Said::Before(line)) => detail(format!("{end}; it wrote last: {line}")),
        None => end,
    }
}

/// The engine's words, without what says that they are about WebAssembly.
fn explain(trap: Trap) -> String {
    let words = trap.to_string();
    let words = words.trim_start_matches("wasm trap: ").trim_start_matches("wasm ");
    words.replace('`', "")
}

/// Cuts what a guest said to what is fit for a log.
pub(crate) fn detail(words: String) -> String {
    shorten(words, LONGEST_DETAIL)
}

/// The names of the functions that were running, innermost first. Source positions and addresses
/// say nothing to the operator.
fn functions(backtrace: &WasmBacktrace) -> String {
    let name = |frame: &FrameInfo| match frame.func_name() {
        Some(name) => demangled(name),
        None => format!("#{}", frame.func_index()),
    };
    backtrace.frames().iter().map(name).collect::<Vec<_>>().join(" < ")
}

/// A function's name as its author wrote it, cut. A short symbol can stand for a name of a
/// megabyte, so the writing ends where the cut is.
fn demangled(name: &str) -> String {
    struct Cut(String);
    impl Write for Cut {
        fn write_str(&mut self, part: &str) -> fmt::Result {
            let room = LONGEST_NAME - self.0.len();
            self.0.push_str(&part[..part.floor_char_boundary(room)]);
            if part.len() > room { Err(fmt::Error) } else { Ok(()) }
        }
    }
    let name = &name[..name.floor_char_boundary(LONGEST_NAME)];
    let mut shown = Cut(String::new());
    match write!(shown, "{:#}", rustc_demangle::demangle(name)) {
        Ok(()) => shown.0,
        Err(fmt::Error) => shown.0 + "…",
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use longshore_handler::{RetryReason, Verdict};
    use wasmtime::{Error, ResourceLimiter, Trap};
    use wasmtime_wasi::I32Exit;

    use super::{Phase, demangled, detail, verdict};
    use crate::grants::Grants;
    use crate::host_trap::HostTrap;
    use crate::limits::Limits;
    use crate::policy::Policy;
    use crate::state::GuestState;

    fn state() -> GuestState {
        let (limits, grants) = (Limits::default(), Grants::default());
        let policy = Arc::new(Policy::new(limits, grants, 1));
        GuestState::new(&policy, "failure".to_owned())
    }

    #[test]
    fn an_error_of_the_engine_is_a_reason_and_a_cause() {
        let host_trap = HostTrap { reason: RetryReason::OutboxLimit, detail: "full".to_owned() };
        for (error, reason, cause) in [
            (Error::new(host_trap), RetryReason::OutboxLimit, "full"),
            (Error::new(I32Exit(3)), RetryReason::Trap, "exit(3)"),
            (Error::new(Trap::UnreachableCodeReached), RetryReason::Trap, "unreachable instruction executed"),
            (
                Error::new(Trap::StackOverflow),
                RetryReason::StackLimit,
                "calls too deep for a stack of 512 KiB",
            ),
            (
                Error::msg("too much fuel allocated for hostcalls"),
                RetryReason::CallLimit,
                "handed more than 1024 KiB to the host in one call",
            ),
            (
                Error::msg("store handle limit exceeded"),
                RetryReason::HandleLimit,
                "held more than 1000 host resources at a time",
            ),
            (
                Error::msg("requested len 67108864 exceeds limit 1048576"),
                RetryReason::CallLimit,
                "asked for more than 1024 KiB of random bytes in one call",
            ),
            (Error::msg("no free keys").context("outer"), RetryReason::Trap, "no free keys"),
        ] {
            let expected = Verdict::retry(reason, cause);
            assert_eq!(verdict(&error, Phase::Call, &state()), expected);
        }
    }

    #[test]
    fn a_guest_that_says_why_it_ends_is_quoted_and_what_a_limit_ended_is_not() {
        use wasmtime_wasi::cli::StdoutStream as _;

        let said = |lines: &'static str, error: Error| {
            let state = state();
            let mut stderr =
                crate::guest_log::Printer::new(&state.log, crate::guest_log::StdStream::Stderr).p2_stream();
            stderr.write(lines.into()).unwrap();
            let Verdict::Retry { detail, .. } = verdict(&error, Phase::Call, &state) else { panic!() };
            detail
        };
        let panic = "thread 'main' panicked at src/lib.rs:3:5:\nas the message wishes";
        let words = "panicked at src/lib.rs:3:5: as the message wishes";
        assert_eq!(said(panic, Error::new(Trap::UnreachableCodeReached)), words);
        assert_eq!(said(panic, Error::new(I32Exit(1))), format!("exit(1): {words}"));
        assert_eq!(
            said("abort: too few\n", Error::new(Trap::UnreachableCodeReached)),
            "unreachable instruction executed; it wrote last: abort: too few"
        );
        assert_eq!(said(panic, Error::new(Trap::MemoryOutOfBounds)), "out of bounds memory access");
    }

    #[test]
    fn an_instance_that_cannot_be_made_is_no_trap() {
        let error = Error::msg("the pool is empty");
        let expected = Verdict::retry(RetryReason::ComponentUnavailable, "no instance: the pool is empty");
        assert_eq!(verdict(&error, Phase::Start, &state()), expected);
    }

    #[test]
    fn a_guest_that_was_refused_memory_or_tables_ran_into_that_limit() {
        let error = Error::new(Trap::UnreachableCodeReached);
        let mut state = state();
        state.meter.memory_growing(0, 1 << 30, None).unwrap();
        let expected =
            Verdict::retry(RetryReason::MemoryLimit, "asked for more than the 128 MiB it may have");
        assert_eq!(verdict(&error, Phase::Call, &state), expected);
        state.meter.table_growing(0, 1 << 20, None).unwrap();
        let words = "asked for more than the 20000 table elements it may have";
        assert_eq!(verdict(&error, Phase::Call, &state), Verdict::retry(RetryReason::TableLimit, words));
    }

    #[test]
    fn a_function_s_name_is_demangled_and_cut_and_takes_no_time() {
        assert_eq!(
            demangled("_ZN4core9panicking9panic_fmt17h0123456789abcdefE"),
            "core::panicking::panic_fmt"
        );
        assert_eq!(demangled(&"x".repeat(10_000)).len(), 256);
        // Each tuple names the one before it four times: 4 to the power of 11 names in all
        // (https://doc.rust-lang.org/rustc/symbol-mangling/v0.html, "Backref").
        let digit = |value: usize| {
            char::from(b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"[value])
        };
        let mut bomb = "_RIC1a".to_owned();
        let mut last = bomb.len();
        bomb.push_str("TuuE");
        for _ in 0..11 {
            let back = last - "_R".len() - 1;
            let back = if back < 62 {
                digit(back).to_string()
            } else {
                format!("{}{}", digit(back / 62), digit(back % 62))
            };
            last = bomb.len();
            bomb.push_str(&format!("T{}E", format!("B{back}_").repeat(4)));
        }
        bomb.push('E');
        assert!(format!("{:#}", rustc_demangle::demangle(&bomb)).len() > 500_000);
        let started = std::time::Instant::now();
        let shown = demangled(&bomb);
        assert!(shown.len() <= 256 + "…".len(), "{shown}");
        assert!(started.elapsed() < std::time::Duration::from_millis(20), "{:?}", started.elapsed());
    }

    #[test]
    fn what_a_guest_says_is_cut_between_characters_and_marked() {
        let whole = "x".repeat(4096);
        assert_eq!(detail(whole.clone()), whole);
        assert_eq!(detail("x".repeat(4097)), format!("{whole}…"));
        assert_eq!(detail(format!("{}é", "x".repeat(4095))), format!("{}…", "x".repeat(4095)));
    }
}
