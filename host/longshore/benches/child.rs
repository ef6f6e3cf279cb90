//! A process that is measured: what it writes, and what it uses.

use std::fmt;
use std::io::Read;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

/// What a process used.
#[derive(Clone, Copy, Default)]
pub(super) struct Consumed {
    pub(super) cpu: Duration,
    pub(super) peak_mb: f64,
}

/// How often its memory is looked at. A look takes time of the processors that it shares.
const LOOK: Duration = Duration::from_millis(5);
/// How long a process may take that is measured.
pub(super) const LIMIT: Duration = Duration::from_secs(60);

/// Waits for a process, watching what it uses, and returns what it wrote to standard output.
///
/// # Panics
/// If it does not end within [`LIMIT`].
pub(super) fn wait(child: Child) -> (Vec<u8>, Consumed) {
    let pid = child.id();
    wait_within(child, LIMIT).unwrap_or_else(|hung| panic!("process {pid} {hung}"))
}

/// A process that did not end within this time, and was killed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hung(pub(super) Duration);

impl fmt::Display for Hung {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "did not end within {} s", self.0.as_secs())
    }
}

/// The same as [`wait`]. A process that takes longer than `limit` is killed.
pub(super) fn wait_within(mut child: Child, limit: Duration) -> Result<(Vec<u8>, Consumed), Hung> {
    let mut out = child.stdout.take().expect("piped");
    let reader = thread::spawn(move || {
        let mut output = Vec::new();
        out.read_to_end(&mut output).map(|_| output)
    });
    let mut peak_mb = 0.0;
    let ends = Instant::now() + limit;
    while !has_ended(&child) {
        if Instant::now() >= ends {
            child.kill().expect("a child");
            child.wait().expect("a child");
            return Err(Hung(limit));
        }
        // It grows only, and is dropped with the memory: the last look before the end counts.
        peak_mb = peak(child.id()).unwrap_or(peak_mb);
        thread::sleep(LOOK);
    }
    let before = reaped();
    child.wait().expect("a child");
    let cpu = reaped() - before;
    Ok((reader.join().expect("no panic").expect("its output"), Consumed { cpu, peak_mb }))
}

/// Whether a child has ended. It is not waited for.
fn has_ended(child: &Child) -> bool {
    let ended = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    waitid(WaitId::Pid(Pid::from_child(child)), ended).expect("a child").is_some()
}

/// What a process has used so far; `None` if there is none.
pub(super) fn observe(pid: u32) -> Option<Consumed> {
    Some(Consumed { cpu: cpu(pid)?, peak_mb: peak(pid)? })
}

/// The most memory that a process has had so far, in MB.
fn peak(pid: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = peak.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kib / 1024.0)
}

/// The processor's time of all children of this process that have ended and been waited for.
///
/// The kernel adds them up in nanoseconds, and rounds the sum. That of one process is rounded down
/// twice, which would be a tenth of what a short one takes.
fn reaped() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("this process");
    // cutime and cstime are fields 16 and 17.
    ticks(&stat, [13, 14])
}

/// The processor's time that a process has used so far.
fn cpu(pid: u32) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // utime and stime are fields 14 and 15.
    Some(ticks(&stat, [11, 12]))
}

/// What these fields of a process's `stat` add up to, counted from behind its name, before which
/// two stand.
fn ticks(stat: &str, fields: [usize; 2]) -> Duration {
    /// Clock ticks a second of `/proc/PID/stat`: fixed in the kernel's interface (`USER_HZ`).
    const TICKS: f64 = 100.0;
    let behind = stat.rsplit(')').next().unwrap_or_default();
    let all: Vec<f64> = behind.split_whitespace().map(|it| it.parse().unwrap_or(0.0)).collect();
    Duration::from_secs_f64((all[fields[0]] + all[fields[1]]) / TICKS)
}
