//! Named points at which a test kills the process, as a crash or a power cut would.
//!
//! Points are switched on by the variable `FAILPOINTS` (crate `fail`), and exist only with the
//! feature `failpoints`: without it every function here does nothing.

/// Reads `FAILPOINTS`. What it set is forgotten when the returned value is dropped.
#[cfg(feature = "failpoints")]
#[must_use]
pub fn setup() -> fail::FailScenario<'static> {
    fail::FailScenario::setup()
}

/// Kills the current process with `SIGKILL` if the point of this name is on: nothing is flushed or
/// dropped.
#[inline]
pub fn kill_at(point: &'static str) {
    let _ = point;
    fail::fail_point!(point, |_| kill_here());
}

/// Whether the point of this name is on: for a planted mistake that a test has to notice.
#[inline]
pub fn is_on(point: &'static str) -> bool {
    let _ = point;
    fail::fail_point!(point, |_| true);
    false
}

#[cfg(feature = "failpoints")]
fn kill_here() {
    use rustix::process::{Signal, getpid, kill_process};
    let _ = kill_process(getpid(), Signal::KILL);
    // The signal may be delivered a moment after the call returns, and nothing may be done in that
    // moment.
    std::process::abort()
}
