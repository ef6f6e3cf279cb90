//! One build, with what it said.

use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::time::{Instant, timeout};

use crate::commands::build_command::{BuildCommand, how_it_ended};
use longshore_dev::Tail;

/// The longest line of what a build says, in bytes.
const MAX_LINE: u64 = 16 * 1024;
/// How long a build that has ended is read on. What it has left in the background may hold its
/// output for ever.
const READ_ON: Duration = Duration::from_secs(1);

/// How a build ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BuildResult {
    /// How it failed; `None` if it did not.
    pub(super) failure: Option<String>,
    /// The end of what it said.
    pub(super) output: String,
    /// How long it took.
    pub(super) took: Duration,
}

impl BuildResult {
    /// Builds. A build that is given up is killed, with all that it has started.
    pub(super) async fn of(command: &BuildCommand) -> Self {
        let began = Instant::now();
        let (failure, output) = match run(command).await {
            Ok(ended) => ended,
            Err(error) => (Some(format!("`sh` cannot be started: {error}")), String::new()),
        };
        Self { failure, output, took: began.elapsed() }
    }
}

/// How it failed, if it did, and what it said.
async fn run(command: &BuildCommand) -> std::io::Result<(Option<String>, String)> {
    let mut running = command.start(Stdio::piped(), Stdio::piped()).await?;
    let (stdout, stderr) = (running.shell.stdout.take(), running.shell.stderr.take());
    let said = Mutex::new(Tail::default());
    let mut reading = Box::pin(async { tokio::join!(read(stdout, &said), read(stderr, &said)) });
    let mut is_read = false;
    let status = loop {
        tokio::select! {
            ended = running.ended() => break ended?,
            _ = &mut reading, if !is_read => is_read = true,
        }
    };
    if !is_read {
        let _ = timeout(READ_ON, reading).await;
    }
    let failure = (!status.success()).then(|| format!("it {}", how_it_ended(status)));
    let output = said.lock().unwrap_or_else(PoisonError::into_inner).text();
    Ok((failure, output))
}

async fn read(stream: Option<impl AsyncRead + Unpin>, said: &Mutex<Tail>) {
    let Some(stream) = stream else { return };
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = Vec::new();
        let read = (&mut reader).take(MAX_LINE).read_until(b'\n', &mut line).await;
        if !matches!(read, Ok(1..)) {
            return;
        }
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        said.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use rustix::fs::Mode;

    use super::*;

    async fn built(directory: &Path, command: &str) -> BuildResult {
        let umask = Mode::from_raw_mode(0o027);
        BuildResult::of(&BuildCommand { command: command.into(), directory: directory.into(), umask }).await
    }

    #[tokio::test]
    async fn a_build_runs_in_its_directory_and_says_how_it_failed() {
        let directory = tempfile::tempdir().unwrap();
        let done = built(directory.path(), "echo out; echo err >&2; umask > made; cat").await;
        assert_eq!(done.failure, None);
        assert!(done.output.contains("out\n") && done.output.contains("err\n"), "{done:?}");
        assert_eq!(fs::read_to_string(directory.path().join("made")).unwrap(), "0027\n");
        let failed = built(directory.path(), "echo 'error: no such thing' >&2; exit 7").await;
        assert_eq!(failed.failure.as_deref(), Some("it ended with exit code 7"));
        assert_eq!(failed.output, "error: no such thing\n");
        assert!(built(&directory.path().join("none"), "true").await.failure.is_some());
    }
}
