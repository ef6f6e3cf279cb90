//! One run of the binary, which ends at the latest with the test that started it.

use std::fmt::Debug;
use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use longshore_testkit::guest;

/// How long a process may take that ends by itself. Far longer than any does, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(90);

/// The binary, with these arguments, and nothing of our environment that would change what it does.
pub(crate) fn longshore<A: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_longshore"));
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("LONGSHORE_")) {
            command.env_remove(name);
        }
    }
    command.env_remove("FAILPOINTS").env_remove("RUST_BACKTRACE").args(arguments).stdin(Stdio::null());
    command
}

/// Runs a command to its end.
pub(crate) fn run(command: &mut Command) -> Ended {
    let directory = tempfile::tempdir().unwrap();
    Process::start(command, &directory.path().join("run")).wait()
}

/// Runs `longshore` with these arguments to its end; with `stdin`, if it is not empty, as its standard input.
pub(crate) fn longshore_with_input(arguments: &[&str], stdin: &[u8]) -> Ended {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("stdin");
    std::fs::write(&path, stdin).unwrap();
    let mut command = longshore(arguments);
    command.stdin(File::open(path).unwrap());
    Process::start(&mut command, &directory.path().join("run")).wait()
}

/// A cache directory that outlives the tests, in which the order component was compiled: what follows starts warm.
pub(crate) fn cache() -> &'static Path {
    static CACHE: OnceLock<PathBuf> = OnceLock::new();
    CACHE.get_or_init(|| warm(&guest::order()))
}

/// The same with another component; to compile one of a scripting language takes half a minute, once.
pub(crate) fn warm(component: &Path) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled");
    let mut command = longshore(["invoke", r#"{"order_id":"warm","msg":"ok"}"#, "--component"]);
    run(command.arg(component).arg("--cache-dir").arg(&directory)).succeeded();
    directory
}

/// A running process, whose output goes to files.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Process {
    /// Starts a command. Its output goes to `output` with `.out` and `.err` behind it.
    pub(crate) fn start(command: &mut Command, output: &Path) -> Self {
        let (stdout, stderr) = (output.with_extension("out"), output.with_extension("err"));
        command.stdout(File::create(&stdout).unwrap()).stderr(File::create(&stderr).unwrap());
        Self { child: command.spawn().unwrap(), stdout, stderr }
    }

    /// How it ended, if it did.
    pub(crate) fn ended(&mut self) -> Option<Ended> {
        let status = self.child.try_wait().unwrap()?;
        Some(Ended { status, stdout: self.stdout(), stderr: self.stderr() })
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> Ended {
        wait_for("the process to end", PATIENCE, || self.ended())
    }

    /// What it has written to standard output so far.
    pub(crate) fn stdout(&self) -> String {
        String::from_utf8(std::fs::read(&self.stdout).unwrap()).unwrap()
    }

    /// What it has written to standard error so far.
    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.stderr).unwrap()).into_owned()
    }

    /// Waits until a text stands in its standard error.
    pub(crate) fn wait_for_line(&mut self, text: &str) {
        wait_for(text, PATIENCE, || {
            assert_eq!(self.child.try_wait().unwrap(), None, "it ended before {text}: {}", self.stderr());
            self.stderr().contains(text).then_some(())
        });
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
    }

    /// Sends SIGKILL, and waits for the end.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a process left.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// The exit code, of a process that was not killed.
    pub(crate) fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| panic!("killed by a signal: {self:?}"))
    }

    /// Whether SIGKILL ended it.
    pub(crate) fn was_killed(&self) -> bool {
        self.status.signal() == Some(Signal::KILL.as_raw())
    }

    /// Asserts that it did what it was asked, and did not panic.
    pub(crate) fn succeeded(self) -> Self {
        assert_eq!(self.code(), 0, "{self:?}");
        self.never_panicked()
    }

    /// Asserts that nothing in the host panicked. A handler that does is quoted in a JSON line of the log, where a line of its own begins with a brace.
    pub(crate) fn never_panicked(self) -> Self {
        let panic = self.stderr.lines().find(|line| !line.starts_with('{') && line.contains("panicked at"));
        assert_eq!(panic, None, "{self:?}");
        self
    }

    /// The one JSON object of standard output.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The JSON objects of standard output, one a line.
    pub(crate) fn json_lines(&self) -> Vec<Value> {
        let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}: {self:?}"));
        self.stdout.lines().map(parse).collect()
    }
}

/// Asks again and again until there is an answer.
pub(crate) fn wait_for<T>(what: impl Debug, limit: Duration, mut answer: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(answer) = answer() {
            return answer;
        }
        assert!(started.elapsed() < limit, "waited {limit:?} for {what:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
