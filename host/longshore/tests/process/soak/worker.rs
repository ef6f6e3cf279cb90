//! The processes of a run, and what the kernel knows of them.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::{Child, ExitStatus, Stdio};

use rustix::fs::{FallocateFlags, fallocate};
use rustix::process::{Pid, Signal, kill_process};

use super::messages::Pace;
use longshore_testkit::sample;
use longshore_testkit::wait::until;

/// How much of a log is read at once, in bytes.
const PIECE: usize = 1 << 20;
/// What is kept of our environment.
const KEPT: [&str; 2] = ["PATH", "TMPDIR"];

/// How processes of a run are started.
pub(super) struct Starter {
    pub(super) program: PathBuf,
    /// Where the queue is, logs and what was compiled.
    pub(super) directory: PathBuf,
    pub(super) queue: String,
    pub(super) component: PathBuf,
    pub(super) pace: Pace,
    pub(super) concurrency: u64,
}

impl Starter {
    /// The program with these words, and next to nothing in its environment.
    pub(super) fn verb(&self, words: &[&str]) -> std::process::Command {
        let mut command = std::process::Command::new(&self.program);
        let kept = KEPT.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
        command.env_clear().envs(kept).env("HOME", &self.directory).args(words).arg("--output=json");
        command
    }

    /// Has the component compiled, so that workers start at once.
    pub(super) fn warm(&self) {
        let mut invoke = self.verb(&["invoke", &sample::order("warm", "ok")]);
        let ran = self.with_component(&mut invoke).output().unwrap();
        assert!(ran.status.success(), "{ran:?}");
    }

    fn with_component<'c>(&self, command: &'c mut std::process::Command) -> &'c mut std::process::Command {
        let cache = self.directory.join("compiled");
        command.arg("--component").arg(&self.component).arg("--cache-dir").arg(cache)
    }

    /// Starts a worker, whose log has this name.
    pub(super) fn worker(&self, name: &str) -> Worker {
        let mut command = self.verb(&[
            "run",
            "--forever",
            "--breaker=0",
            "--retry-base=20ms",
            "--retry-cap=200ms",
            &format!("--queue={}", self.queue),
            &format!("--visibility={}", self.pace.visibility),
            &format!("--deadline={}", self.pace.deadline),
            &format!("--concurrency={}", self.concurrency),
        ]);
        let path = self.directory.join(format!("{name}.log"));
        let log = File::create(&path).unwrap();
        let child = self
            .with_component(&mut command)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let log = File::options().read(true).write(true).open(path).unwrap();
        Worker { child, log, read: 0, rest: Vec::new() }
    }
}

/// A running worker, which is killed when this value is dropped.
pub(super) struct Worker {
    child: Child,
    log: File,
    /// How much of the log was read.
    read: u64,
    /// The beginning of a line whose end is not there yet.
    rest: Vec<u8>,
}

impl Worker {
    /// Reads the whole lines that are new in the log. Their room is given back to the disk: a log
    /// of an hour has gigabytes.
    pub(super) fn read_log(&mut self, mut line: impl FnMut(&str)) {
        let mut piece = vec![0; PIECE];
        loop {
            let length = self.log.read_at(&mut piece, self.read).unwrap();
            if length == 0 {
                return;
            }
            self.rest.extend_from_slice(&piece[..length]);
            let whole = self.rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            let lines = String::from_utf8_lossy(&self.rest[..whole]).into_owned();
            lines.lines().for_each(&mut line);
            self.rest.drain(..whole);
            let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            // A file system without holes keeps what was read.
            let _ = fallocate(&self.log, flags, self.read, length as u64);
            self.read += length as u64;
        }
    }

    /// Whether it has said something yet.
    pub(super) fn has_begun(&self) -> bool {
        self.read > 0
    }

    /// How it ended, if it did.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Sends SIGTERM.
    pub(super) fn terminate(&self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
    }

    /// Sends SIGKILL, and reads what is left of the log.
    pub(super) fn kill(mut self, line: impl FnMut(&str)) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.read_log(line);
    }

    /// Sends SIGTERM, after which it ends with 0, and reads what is left of the log.
    pub(super) fn stop(mut self, line: impl FnMut(&str)) {
        self.terminate();
        let status = until("the end of a worker that was told to stop", || self.ended());
        self.read_log(line);
        assert!(status.success(), "it ended with {status} after SIGTERM");
    }

    /// What it has at the moment. It has to run.
    pub(super) fn sample(&mut self) -> Sample {
        assert_eq!(self.ended(), None, "it ended by itself");
        Sample::of(self.child.id())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Both fail if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a process has.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sample {
    /// Its resident memory, in bytes.
    pub(super) memory: u64,
    pub(super) descriptors: u64,
    pub(super) threads: u64,
}

impl Sample {
    /// What a process has that runs (proc_pid_status(5), proc_pid_fd(5)).
    pub(super) fn of(pid: u32) -> Self {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("0");
            line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
        };
        let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
        Self { memory: number("VmRSS:") * 1024, descriptors: descriptors as u64, threads: number("Threads:") }
    }
}
