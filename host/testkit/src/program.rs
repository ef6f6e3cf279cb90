//! The program `longshore` as tests run it: with an environment that holds nothing of ours, its
//! output kept, and ended at the latest with the test that started it.

use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io::PipeReader;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::wait;

/// What is kept of our environment: where programs and temporary files lie, and where coverage is
/// written.
const KEPT: [&str; 3] = ["PATH", "TMPDIR", "LLVM_PROFILE_FILE"];
/// What a developer's shell may have set that changes what the program does.
const OURS: [&str; 2] = ["FAILPOINTS", "RUST_BACKTRACE"];
/// Nothing listens on this port: a call that goes through such a proxy fails.
const DEAD_PROXY: &str = "http://127.0.0.1:9";
/// How much of the log is shown of a program that does not end.
const SHOWN: usize = 2000;

/// One command line of the program, in the manner of [`Command`].
#[derive(Debug)]
pub struct Program {
    command: Command,
    input: Vec<u8>,
    has_unread_log: bool,
    has_unread_output: bool,
}

impl Program {
    /// The program, with this directory as its home and next to nothing else in its environment.
    pub fn new(binary: impl AsRef<OsStr>, home: &Path) -> Self {
        let mut program = Self::running(binary);
        let kept = KEPT.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
        program.command.env_clear().envs(kept).env("HOME", home);
        program
    }

    /// The program with our own environment, in which somebody is logged in; without what would
    /// change what it does.
    pub fn as_us(binary: impl AsRef<OsStr>) -> Self {
        let mut program = Self::running(binary);
        let ours = |name: &str| name.starts_with("LONGSHORE_") || OURS.contains(&name);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(ours)) {
            program.command.env_remove(name);
        }
        program
    }

    fn running(binary: impl AsRef<OsStr>) -> Self {
        Self {
            command: Command::new(binary),
            input: Vec::new(),
            has_unread_log: false,
            has_unread_output: false,
        }
    }

    /// Makes every call through a proxy fail.
    pub fn behind_a_dead_proxy(&mut self) -> &mut Self {
        self.envs([("HTTP_PROXY", DEAD_PROXY), ("HTTPS_PROXY", DEAD_PROXY)])
    }

    /// Adds an argument.
    pub fn arg(&mut self, argument: impl AsRef<OsStr>) -> &mut Self {
        self.command.arg(argument);
        self
    }

    /// Adds arguments.
    pub fn args<A: AsRef<OsStr>>(&mut self, arguments: impl IntoIterator<Item = A>) -> &mut Self {
        self.command.args(arguments);
        self
    }

    /// Sets a variable.
    pub fn env(&mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> &mut Self {
        self.command.env(name, value);
        self
    }

    /// Sets variables.
    pub fn envs<N: AsRef<OsStr>, V: AsRef<OsStr>>(
        &mut self,
        variables: impl IntoIterator<Item = (N, V)>,
    ) -> &mut Self {
        self.command.envs(variables);
        self
    }

    /// Sets its working directory.
    pub fn current_dir(&mut self, directory: impl AsRef<Path>) -> &mut Self {
        self.command.current_dir(directory);
        self
    }

    /// What it finds in its standard input, which is empty otherwise.
    pub fn input(&mut self, input: &[u8]) -> &mut Self {
        self.input = input.to_owned();
        self
    }

    /// Gives it a pipe as its standard error that nobody reads.
    pub fn unread_log(&mut self) -> &mut Self {
        self.has_unread_log = true;
        self
    }

    /// The same for its standard output.
    pub fn unread_output(&mut self) -> &mut Self {
        self.has_unread_output = true;
        self
    }

    /// Runs it to its end.
    #[track_caller]
    pub fn run(&mut self) -> Ended {
        self.start().wait()
    }

    /// Starts it.
    #[track_caller]
    pub fn start(&mut self) -> Process {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str| directory.path().join(name);
        let (stdin, stdout, stderr) = (file("stdin"), file("stdout"), file("stderr"));
        std::fs::write(&stdin, &self.input).unwrap();
        // Files: a pipe that nobody reads would hold the program up.
        self.command
            .stdin(File::open(stdin).unwrap())
            .stdout(File::create(&stdout).unwrap())
            .stderr(File::create(&stderr).unwrap());
        let mut unread = Vec::new();
        if self.has_unread_log {
            let (reader, writer) = std::io::pipe().unwrap();
            self.command.stderr(writer);
            unread.push(reader);
        }
        if self.has_unread_output {
            let (reader, writer) = std::io::pipe().unwrap();
            self.command.stdout(writer);
            unread.push(reader);
        }
        let started = Instant::now();
        let child = self.command.spawn().unwrap_or_else(|error| panic!("{error}: {:?}", self.command));
        let arguments = format!("{:?}", self.command.get_args().collect::<Vec<_>>());
        let name = Path::new(self.command.get_program()).file_name().unwrap_or_default();
        // The kernel keeps so much of it (proc_pid_comm(5)).
        let name = name.to_string_lossy().chars().take(15).collect();
        Process { child, started, name, arguments, stdout, stderr, _unread: unread, _directory: directory }
    }
}

/// The running program, which is killed when this value is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    started: Instant,
    name: String,
    arguments: String,
    stdout: PathBuf,
    stderr: PathBuf,
    _unread: Vec<PipeReader>,
    _directory: TempDir,
}

impl Process {
    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<Ended> {
        let status = self.child.try_wait().unwrap()?;
        Some(self.left(status))
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(mut self) -> Ended {
        let (arguments, stderr) = (self.arguments.clone(), self.stderr.clone());
        let what = fmt::from_fn(|f| {
            let log = text(&stderr);
            let tail = log.char_indices().rev().nth(SHOWN).map_or(&*log, |(at, _)| &log[at..]);
            write!(f, "longshore {arguments} does not end; its log ends with {tail}")
        });
        wait::until(what, || self.ended())
    }

    /// The most memory that it had so far, in bytes, while it runs (`VmHWM`, proc_pid_status(5)).
    pub fn peak_memory(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        // For a moment after its start it still has the memory of who started it, and that name.
        status.lines().next().filter(|line| line.strip_prefix("Name:\t") == Some(&self.name))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has written to standard output so far.
    pub fn stdout(&self) -> String {
        String::from_utf8(std::fs::read(&self.stdout).unwrap()).unwrap()
    }

    /// What it has written to standard error so far.
    pub fn stderr(&self) -> String {
        text(&self.stderr)
    }

    /// Waits until a text stands in its standard error.
    #[track_caller]
    pub fn wait_for_line(&mut self, words: &str) {
        let arguments = self.arguments.clone();
        wait::until(format_args!("`{words}` in the log of longshore {arguments}"), || {
            let over = self.child.try_wait().unwrap();
            // What it wrote before its end is there.
            let there = self.stderr().contains(words);
            assert!(there || over.is_none(), "it ended before `{words}`: {}", self.stderr());
            there.then_some(())
        });
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
    }

    /// Sends SIGHUP, as a terminal does that is closed.
    pub fn hang_up(&self) {
        kill_process(Pid::from_child(&self.child), Signal::HUP).unwrap();
    }

    /// Sends SIGKILL, and waits for the end.
    pub fn kill(mut self) -> Ended {
        self.child.kill().unwrap();
        let status = self.child.wait().unwrap();
        self.left(status)
    }

    fn left(&self, status: ExitStatus) -> Ended {
        let took = self.started.elapsed();
        Ended { status, stdout: self.stdout(), stderr: self.stderr(), took }
    }
}

fn text(file: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(file).unwrap()).into_owned()
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
pub struct Ended {
    /// Its exit code, or the signal that ended it.
    pub status: ExitStatus,
    /// All that it wrote to standard output.
    pub stdout: String,
    /// All that it wrote to standard error.
    pub stderr: String,
    /// From its start until its end was seen.
    pub took: Duration,
}

impl Ended {
    /// The exit code, of a process that was not killed.
    #[track_caller]
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| panic!("killed by a signal: {self:?}"))
    }

    /// Whether SIGKILL ended it.
    pub fn was_killed(&self) -> bool {
        self.status.signal() == Some(Signal::KILL.as_raw())
    }

    /// Asserts that it ended with this exit code.
    #[track_caller]
    pub fn ends_with(self, code: i32) -> Self {
        assert_eq!(self.code(), code, "{self:?}");
        self
    }

    /// Asserts that it did what it was asked, and did not panic.
    #[track_caller]
    pub fn succeeded(self) -> Self {
        self.ends_with(0).never_panicked()
    }

    /// Asserts that nothing in the host panicked. A handler that does is quoted in a JSON line of
    /// the log, where a line of its own begins with a brace.
    #[track_caller]
    pub fn never_panicked(self) -> Self {
        let panic = self.stderr.lines().find(|line| !line.starts_with('{') && line.contains("panicked at"));
        assert_eq!(panic, None, "{self:?}");
        self
    }

    /// Asserts that all of these words are in its standard error.
    #[track_caller]
    pub fn says(&self, words: &[&str]) -> &Self {
        for word in words {
            assert!(self.stderr.contains(word), "`{word}` is not in {}", self.stderr);
        }
        self
    }

    /// The one JSON value of standard output.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The JSON values of standard output, one a line.
    #[track_caller]
    pub fn json_lines(&self) -> Vec<Value> {
        let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}: {self:?}"));
        self.stdout.lines().map(parse).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Program {
        let mut program = Program::new("sh", Path::new("/nowhere"));
        program.args(["-c", script]);
        program
    }

    #[test]
    fn the_environment_is_clean_and_what_is_set_is_there() {
        let ended = shell("env").env("LONGSHORE_QUEUE", "file:./q/orders").run().succeeded();
        let names = ended.stdout.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name);
        // A shell sets some of its own.
        let theirs = ["PWD", "OLDPWD", "SHLVL", "_"];
        let all = [&KEPT[..], &theirs, &["HOME", "LONGSHORE_QUEUE"]].concat();
        assert_eq!(names.filter(|name| !all.contains(name)).collect::<Vec<_>>(), Vec::<&str>::new());
        assert!(
            ended.stdout.contains("LONGSHORE_QUEUE=file:./q/orders")
                && ended.stdout.contains("HOME=/nowhere")
        );
    }

    #[test]
    fn input_output_and_exit_code_are_kept() {
        let ended = shell("cat; echo said >&2; exit 3").input(b"{\"a\":1}").run().ends_with(3);
        assert_eq!(ended.json(), serde_json::json!({ "a": 1 }));
        ended.says(&["said"]);
    }

    #[test]
    fn a_process_that_is_dropped_is_ended() {
        let mut process = shell("echo ready >&2; exec sleep 600").start();
        process.wait_for_line("ready");
        let pid = Pid::from_child(&process.child);
        drop(process);
        assert!(rustix::process::test_kill_process(pid).is_err());
    }

    #[test]
    #[should_panic(expected = "it ended before `never`: but this")]
    fn a_line_that_cannot_come_any_more_is_not_awaited() {
        shell("echo but this >&2").start().wait_for_line("never");
    }

    #[test]
    #[should_panic(expected = "panicked at")]
    fn a_panic_of_the_host_is_no_success() {
        shell("echo thread main panicked at src/main.rs >&2").run().succeeded();
    }

    #[test]
    fn the_memory_of_a_process_is_known_while_it_runs() {
        let process = shell("while :; do sleep 1; done").start();
        // Right after its start it may have none.
        let peak = wait::until("memory", || process.peak_memory().filter(|bytes| *bytes > 64 * 1024));
        assert!(peak < 64 << 20, "{peak}");
    }

    #[test]
    fn a_process_that_is_killed_says_so() {
        assert!(shell("exec sleep 600").start().kill().was_killed());
    }
}
