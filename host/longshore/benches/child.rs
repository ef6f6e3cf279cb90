//! A process that is measured: what it writes, and what it uses.

use std::fmt;
use std::io::Read;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

/// What a process used.
#[derive(Clone, Copy, Default)]
pub(super) struct Consumed {
    pub(super) cpu: Duration,
    pub(super) peak_mb: f64,
}

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
    let mut usage = Consumed::default();
    let ends = Instant::now() + limit;
    let before = reaped();
    // The kernel keeps the peak, and drops it with the process: the last look before the end
    // counts.
    while child.try_wait().expect("a child").is_none() {
        if Instant::now() >= ends {
            child.kill().expect("a child");
            child.wait().expect("a child");
            return Err(Hung(limit));
        }
        usage = observe(child.id()).unwrap_or(usage);
        thread::sleep(Duration::from_millis(2));
    }
    usage.cpu = reaped() - before;
    Ok((reader.join().expect("no panic").expect("its output"), usage))
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

/// What these fields of a process's `stat` add up to. They are counted from behind the name.
fn ticks(stat: &str, fields: [usize; 2]) -> Duration {
    /// Clock ticks a second of `/proc/PID/stat`: fixed in the kernel's interface (`USER_HZ`).
    const TICKS: f64 = 100.0;
    let behind = stat.rsplit(')').next().unwrap_or_default();
    let all: Vec<f64> = behind.split_whitespace().map(|it| it.parse().unwrap_or(0.0)).collect();
    Duration::from_secs_f64((all[fields[0]] + all[fields[1]]) / TICKS)
}

/// What a process has used so far; `None` if there is none.
pub(super) fn observe(pid: u32) -> Option<Consumed> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = peak.trim().trim_end_matches(" kB").parse().ok()?;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // utime and stime are fields 14 and 15; two stand before the closing parenthesis.
    Some(Consumed { cpu: ticks(&stat, [11, 12]), peak_mb: kib / 1024.0 })
}
