//! A replica as a process of `longshore run`.
//!
//! The process holds the reading end of a pipe as its standard input, and this one the other end.
//! When this one is gone, however it went, the kernel closes the pipe, and the replica stops as
//! after SIGTERM: `longshore dev` leaves no orphan.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, PoisonError};

use async_trait::async_trait;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::task::JoinHandle;

use crate::cause::Causes;
use crate::launcher::{Launcher, QueueLength, ReplicaEnd, RunningReplica};
use crate::live::{ReplicaWatch, SharedTail};
use crate::names::ReplicaNames;
use longshore_queue::Queue;
use longshore_worker::scale::{Counting, PEEKED_AT_MOST};

/// The longest line of a log that is read as one, in bytes. The host's own have 16 KiB at most.
const MAX_LINE: u64 = 64 * 1024;
/// How much of what a replica prints is kept, in bytes.
const MAX_PRINTED: u64 = 256 * 1024;

/// Starts replicas as processes of one program.
#[derive(Clone, Debug)]
pub struct ReplicaLauncher {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Variables beside those of this process.
    pub variables: Vec<(String, String)>,
    /// Who reads its log while it runs.
    pub watch: ReplicaWatch,
    /// Variables that change while this process runs: each replica gets what they are at its start.
    pub at_start: Option<VariablesAtStart>,
}

/// Variables of a replica that starts now.
#[derive(Clone)]
pub struct VariablesAtStart(pub Arc<dyn Fn() -> Vec<(String, String)> + Send + Sync>);

impl std::fmt::Debug for VariablesAtStart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("VariablesAtStart(…)")
    }
}

#[async_trait]
impl Launcher for ReplicaLauncher {
    async fn launch(&self, names: &ReplicaNames) -> Result<Box<dyn RunningReplica>, String> {
        let at_start = self.at_start.as_ref().map(|it| (it.0)()).unwrap_or_default();
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .envs(at_start)
            .envs(names.variables())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C on the terminal is for this process, which tells its replicas once.
            .process_group(0)
            .kill_on_drop(true);
        let mut child = command
            .spawn()
            .map_err(|error| format!("the program {} cannot be started: {error}", self.program.display()))?;
        // A wait would close it.
        let input = child.stdin.take();
        let printed = child.stdout.take().map(|it| tokio::spawn(last_object(it)));
        let (watch, execution) = (self.watch.clone(), names.execution.clone());
        let tail = watch.begin(&execution);
        let logged = child.stderr.take().map({
            let (watch, execution, tail) = (watch.clone(), execution.clone(), tail.clone());
            move |it| tokio::spawn(log_of(it, tail, watch, execution))
        });
        let end = ReplicaEnd::default();
        Ok(Box::new(RunProcess { child, _input: input, printed, logged, tail, watch, execution, end }))
    }
}

struct RunProcess {
    child: Child,
    /// Our end of its standard input.
    _input: Option<ChildStdin>,
    printed: Option<JoinHandle<Option<Value>>>,
    logged: Option<JoinHandle<Causes>>,
    tail: SharedTail,
    watch: ReplicaWatch,
    execution: String,
    /// What is known of its end.
    end: ReplicaEnd,
}

impl RunProcess {
    fn signal(&self, signal: Signal) {
        // Without an id it has ended, and was waited for.
        let pid = self.child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        if let Some(pid) = pid {
            let _ = kill_process(pid, signal);
        }
    }
}

#[async_trait]
impl RunningReplica for RunProcess {
    async fn ended(&mut self) -> ReplicaEnd {
        // What is known is kept at once, since this wait may be given up and begun again.
        match self.child.wait().await {
            Ok(status) => (self.end.exit_code, self.end.signal) = (status.code(), status.signal()),
            Err(error) => self.end.cause = Some(format!("the process cannot be waited for: {error}")),
        }
        if let Some(printed) = &mut self.printed {
            self.end.summary = printed.await.ok().flatten();
            self.printed = None;
        }
        if let Some(logged) = &mut self.logged {
            if let Ok(causes) = logged.await {
                self.end.log = self.tail.lock().unwrap_or_else(PoisonError::into_inner).text();
                self.end.failures = causes.counted();
                self.end.cause = self.end.cause.take().or(causes.last_words);
            }
            self.logged = None;
        }
        std::mem::take(&mut self.end)
    }

    fn terminate(&mut self) {
        self.signal(Signal::TERM);
    }

    fn kill(&mut self) {
        self.signal(Signal::KILL);
    }
}

impl Drop for RunProcess {
    fn drop(&mut self) {
        self.watch.end(&self.execution);
    }
}

/// The last line of what is printed, if it is a JSON object.
async fn last_object(printed: impl AsyncRead + Unpin) -> Option<Value> {
    let (mut reader, mut last) = (BufReader::new(printed), None);
    while let Some(line) = next_line(&mut reader, MAX_PRINTED).await {
        last = serde_json::from_str(&line).ok().filter(Value::is_object).or(last);
    }
    last
}

async fn log_of(
    log: impl AsyncRead + Unpin,
    tail: SharedTail,
    watch: ReplicaWatch,
    execution: String,
) -> Causes {
    let (mut reader, mut causes) = (BufReader::new(log), Causes::default());
    while let Some(line) = next_line(&mut reader, MAX_LINE).await {
        causes.read(&line);
        watch.line(&execution, &line).await;
        tail.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }
    causes
}

/// The next line, or as much of it as is read at once; `None` at the end.
async fn next_line(reader: &mut (impl AsyncBufReadExt + Unpin), at_most: u64) -> Option<String> {
    let mut line = Vec::new();
    let read = reader.take(at_most).read_until(b'\n', &mut line).await;
    if !matches!(read, Ok(1..)) {
        return None;
    }
    Some(String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned())
}

/// A queue, as KEDA counts it.
#[derive(Clone, Debug)]
pub struct WaitingMessages(pub Arc<dyn Queue>);

#[async_trait]
impl QueueLength for WaitingMessages {
    async fn messages(&self, counting: Counting) -> Result<u64, String> {
        let peeked = match counting {
            Counting::All => PEEKED_AT_MOST,
            Counting::VisibleOnly => {
                let at_most = u32::try_from(PEEKED_AT_MOST).unwrap_or(u32::MAX);
                self.0.peek(at_most).await.map_err(|error| error.to_string())?.len() as u64
            }
        };
        let all = self.0.approximate_count().await.map_err(|error| error.to_string())?;
        Ok(counting.messages(peeked, all))
    }
}
