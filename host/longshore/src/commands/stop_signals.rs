//! The signals that ask a verb to stop.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit::{Clause, Failure};

/// SIGTERM, as the platform sends it, Ctrl-C, and SIGHUP, as a terminal sends it that is closed.
/// Once they are listened for, none ends the process by itself.
#[derive(Debug)]
pub(super) struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
    /// `None` where it is ignored, as `nohup` has it, or where that cannot be seen.
    hangup: Option<Signal>,
}

impl StopSignals {
    /// Listens from now on.
    pub(super) fn listen() -> Result<Self, Failure> {
        let hangup = hears_hangup().then(|| signal(SignalKind::hangup())).transpose();
        Ok(Self {
            hangup: hangup.during(|| "cannot listen for SIGHUP")?,
            terminate: signal(SignalKind::terminate()).during(|| "cannot listen for SIGTERM")?,
            interrupt: signal(SignalKind::interrupt()).during(|| "cannot listen for Ctrl-C")?,
        })
    }

    /// Waits for the next one, and returns its name. A wait that is given up loses none.
    pub(super) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "Ctrl-C",
            () = received(&mut self.hangup) => "SIGHUP",
        }
    }
}

/// Sends SIGTERM to this very process when standard input ends: whoever has made the pipe is gone,
/// and each verb stops as it does after that signal.
pub(super) async fn terminate_with_input() {
    // What is written there says nothing. An input that cannot be read has no other end.
    let _ = tokio::io::copy(&mut tokio::io::stdin(), &mut tokio::io::sink()).await;
    tracing::info!("stopping: standard input has ended");
    // A process may always send itself a signal.
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM);
}

/// Waits for a signal; for ever, where it is not listened for.
async fn received(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

/// Whether SIGHUP ends this process (`SigIgn`, proc_pid_status(5)). To listen for it would undo
/// `nohup`.
fn hears_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // SIGHUP is 1, and has the lowest bit.
    ignored.is_some_and(|mask| mask & 1 == 0)
}
