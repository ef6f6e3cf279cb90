//! The signals that ask a verb to stop.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit::{Clause, Failure};

/// SIGTERM, as the platform sends it, and Ctrl-C. Once they are listened for, neither ends the
/// process by itself.
#[derive(Debug)]
pub(super) struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// Listens from now on.
    pub(super) fn listen() -> Result<Self, Failure> {
        Ok(Self {
            terminate: signal(SignalKind::terminate()).during(|| "cannot listen for SIGTERM")?,
            interrupt: signal(SignalKind::interrupt()).during(|| "cannot listen for Ctrl-C")?,
        })
    }

    /// Waits for the next one, and returns its name. A wait that is given up loses none.
    pub(super) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "Ctrl-C",
        }
    }
}
