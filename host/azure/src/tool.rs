//! Runs the tools of a developer, `az` and `azd`: one at a time, and none outlives its use.

use std::ffi::OsStr;
use std::io;
use std::process::{Output, Stdio};
use std::sync::{Mutex, PoisonError};

use azure_identity::Executor;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::Command;

/// Held while a tool runs: two of them would wait for each other's files, and each takes seconds.
static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
/// The tool that runs, as the leader of a process group of its own. `az` is a shell script that
/// starts Python: to end one process would leave the other.
static RUNNING: Mutex<Option<Pid>> = Mutex::new(None);

/// Runs a tool to its end, or ends it when its caller stops waiting.
#[derive(Debug)]
pub(crate) struct ToolRunner;

#[async_trait::async_trait]
impl Executor for ToolRunner {
    async fn run(&self, program: &OsStr, args: &[&OsStr]) -> io::Result<Output> {
        let _one = ONE_AT_A_TIME.lock().await;
        let child = Command::new(program)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let leader = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) = leader;
        let _ended_when_dropped = EndTool;
        let output = child.wait_with_output().await;
        // Its number may be another's from now on.
        RUNNING.lock().unwrap_or_else(PoisonError::into_inner).take();
        output
    }
}

struct EndTool;

impl Drop for EndTool {
    fn drop(&mut self) {
        end_tools();
    }
}

/// Ends the tool that still runs, if one does. The program calls it before it ends.
pub fn end_tools() {
    if let Some(leader) = RUNNING.lock().unwrap_or_else(PoisonError::into_inner).take() {
        // It may have ended already.
        let _ = kill_process_group(leader, Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    /// Runs a script that notes its beginning and its end in a file.
    async fn note(file: &std::path::Path, seconds: &str) -> io::Result<Output> {
        let script =
            format!("echo begins >> {0}; (sleep {seconds}; echo ends >> {0}) & wait", file.display());
        ToolRunner.run(OsStr::new("/bin/sh"), &[OsStr::new("-c"), OsStr::new(&script)]).await
    }

    #[tokio::test]
    async fn one_tool_runs_at_a_time_and_one_that_is_not_waited_for_ends_with_its_children() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("notes");
        let (first, second) = tokio::join!(note(&file, "0.1"), note(&file, "0.1"));
        assert!(first.unwrap().status.success() && second.unwrap().status.success());
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "begins\nends\nbegins\nends\n");

        let started = Instant::now();
        let given_up = tokio::time::timeout(Duration::from_millis(300), note(&file, "1")).await;
        assert!(given_up.is_err());
        tokio::time::sleep(Duration::from_millis(1200)).await;
        let noted = std::fs::read_to_string(&file).unwrap();
        assert!(noted.ends_with("begins\n"), "it went on: {noted} {:?}", started.elapsed());
    }
}
