//! `[build] command` of the project file as processes, which never outlive this one.
//!
//! They are one process group. Another shell waits for the end of a pipe whose other end this
//! process holds. When this one is gone, however it went, the kernel closes the pipe, and that
//! shell kills the group.

use std::future::Future;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::fs::Mode;
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::sleep;

use crate::cli::Project;

/// How long a build may go on after SIGTERM.
const STOP_LIMIT: Duration = Duration::from_secs(5);
/// How often it is seen whether a group has ended.
const LOOK_PAUSE: Duration = Duration::from_millis(20);
/// Begins once somebody watches: a build whose starter is gone by then does not.
const BUILD: &str = r#"read -r _ && umask "$2" && exec sh -c "$1" </dev/null"#;
/// Reads until the end of the pipe, since nobody writes to it.
const WATCH: &str = r#"read -r _; kill -s KILL -- "-$1""#;

/// How a component is built.
#[derive(Clone, Debug)]
pub(super) struct BuildCommand {
    /// What `sh -c` is given.
    pub(super) command: String,
    /// Where it runs.
    pub(super) directory: PathBuf,
    /// What it makes is the user's, like the output of any other command.
    pub(super) umask: Mode,
}

impl BuildCommand {
    /// What the project file says of it, if it does. It runs in the folder of that file.
    pub(super) fn of(project: &Project, umask: Mode) -> Option<Self> {
        let (command, _) = project.build.command.as_ref()?;
        let directory = project.file.as_deref().map(Path::new).and_then(Path::parent);
        let directory = directory.filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Some(Self { command: command.clone(), directory: directory.to_owned(), umask })
    }

    /// Starts it. Its standard input is empty.
    ///
    /// # Errors
    /// There is no `sh`, no folder, or no process to be had.
    pub(super) async fn start(&self, stdout: Stdio, stderr: Stdio) -> std::io::Result<RunningBuild> {
        let umask = format!("{:04o}", self.umask.bits() & 0o777);
        let mut shell = Command::new("sh")
            .args(["-c", BUILD, "sh", &self.command, &umask])
            .current_dir(&self.directory)
            .stdin(Stdio::piped())
            .stdout(stdout)
            .stderr(stderr)
            .process_group(0)
            .spawn()?;
        let group = shell.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let group = group.ok_or_else(|| std::io::Error::other("the shell has no process id"))?;
        let begin = shell.stdin.take();
        // In a group of its own, it hears no Ctrl-C.
        let mut watcher = Command::new("sh")
            .args(["-c", WATCH, "sh", &group.as_raw_nonzero().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let pipe = watcher.stdin.take();
        let running = RunningBuild { shell, group, _watcher: watcher, _pipe: pipe };
        if let Some(mut begin) = begin {
            begin.write_all(b"\n").await?;
        }
        Ok(running)
    }
}

/// A build that runs. When this value is dropped, what is left of its group is killed.
#[derive(Debug)]
pub(super) struct RunningBuild {
    pub(super) shell: Child,
    group: Pid,
    // They are dropped in this order: a watcher that lives sees the pipe's end.
    _watcher: Child,
    _pipe: Option<ChildStdin>,
}

impl RunningBuild {
    /// Waits for its end. A wait that is given up loses nothing.
    pub(super) async fn ended(&mut self) -> std::io::Result<ExitStatus> {
        self.shell.wait().await
    }

    /// Sends SIGTERM to its group, and SIGKILL to what is left of it after some seconds, or
    /// `sooner`.
    pub(super) async fn stop(mut self, sooner: impl Future<Output = ()>) {
        // What has ended already needs no signal.
        let _ = kill_process_group(self.group, Signal::TERM);
        let group = self.group;
        let ended = async {
            let _ = self.shell.wait().await;
            while test_kill_process_group(group).is_ok() {
                sleep(LOOK_PAUSE).await;
            }
        };
        tokio::select! {
            () = ended => {}
            () = sooner => {}
            () = sleep(STOP_LIMIT) => {}
        }
    }
}

impl Drop for RunningBuild {
    fn drop(&mut self) {
        // Nobody is left in it after most builds.
        let _ = kill_process_group(self.group, Signal::KILL);
    }
}

/// How a build ended, after its subject.
pub(super) fn how_it_ended(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "failed".into(),
    }
}
