//! What a failpoint does: it ends this very process, as a crash or a power cut would.

use rustix::process::{Signal, getpid, kill_process};

/// Kills the current process with `SIGKILL`: nothing is flushed, nothing is dropped, nobody is told.
pub fn kill_here() -> ! {
    let _ = kill_process(getpid(), Signal::KILL);
    // The signal may be delivered a moment after the call returns, and nothing may be done in that moment.
    std::process::abort()
}
