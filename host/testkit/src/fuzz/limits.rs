//! What one input may take, and who watches that.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};

/// How much more memory than at the start the process may have, in bytes. An input has 64 KiB.
const MAX_MEMORY: u64 = 256 << 20;
/// How long one input may keep a processor busy. Nothing here is optimised.
pub(super) const MAX_CPU: Duration = Duration::from_secs(2);
/// How long one input may take in all. It is far more, since others may need the processors.
const MAX_TIME: Duration = Duration::from_secs(120);
/// How often it is looked whether an input takes too long.
const LOOK: Duration = Duration::from_secs(1);
/// The file with the input that is being read.
const INPUT: &str = "input";
/// How many bytes stand before an input, and say how long it is.
const LENGTH: usize = size_of::<u64>();

/// Watches each input from another thread, and keeps it in a file, so that it is known whatever
/// becomes of this process.
pub(super) struct Watch {
    input: File,
    started: Instant,
    /// When the present input was begun, in milliseconds since `started`; [`IDLE`] in between.
    since: Arc<AtomicU64>,
    /// The slowest so far, and how many bytes it had.
    pub(super) slowest: (Duration, usize),
}

const IDLE: u64 = u64::MAX;

impl Watch {
    /// Starts to watch.
    pub(super) fn start(scratch: &Path) -> Self {
        let (started, since) = (Instant::now(), Arc::new(AtomicU64::new(IDLE)));
        let seen = since.clone();
        std::thread::spawn(move || {
            loop {
                std::thread::sleep(LOOK);
                let since = seen.load(Ordering::Relaxed);
                if since != IDLE && started.elapsed() > Duration::from_millis(since) + MAX_TIME {
                    eprintln!("it was not read within {MAX_TIME:?}");
                    std::process::exit(1);
                }
            }
        });
        let input = File::create(scratch.join(INPUT)).unwrap();
        Self { input, started, since, slowest: (Duration::ZERO, 0) }
    }

    /// Reads an input within the limits.
    pub(super) fn over<T>(&mut self, bytes: &[u8], read: impl FnOnce(&[u8]) -> T) -> T {
        let noted = [&(bytes.len() as u64).to_le_bytes()[..], bytes].concat();
        self.input.write_all_at(&noted, 0).unwrap();
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap();
        self.since.store(now, Ordering::Relaxed);
        let before = cpu();
        let done = read(bytes);
        let took = cpu().saturating_sub(before);
        self.since.store(IDLE, Ordering::Relaxed);
        assert!(took <= MAX_CPU, "it took {took:?} of a processor, and {MAX_CPU:?} are allowed");
        if took > self.slowest.0 {
            self.slowest = (took, bytes.len());
        }
        done
    }

    /// The input that was read last by a process with this directory.
    pub(super) fn last(scratch: &Path) -> Vec<u8> {
        let noted = std::fs::read(scratch.join(INPUT)).unwrap_or_default();
        let Some((length, bytes)) = noted.split_first_chunk::<LENGTH>() else { return Vec::new() };
        let length = usize::try_from(u64::from_le_bytes(*length)).unwrap();
        bytes[..length.min(bytes.len())].to_vec()
    }
}

/// The processor's time that this thread has used so far.
pub(super) fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap(), u32::try_from(time.tv_nsec).unwrap())
}

/// Lets this process have little more memory than it has: what asks for more is aborted.
pub(super) fn limit_memory() {
    let limit = status("VmSize:") + MAX_MEMORY;
    setrlimit(Resource::As, Rlimit { current: Some(limit), maximum: Some(limit) }).unwrap();
}

/// The most memory that this process had so far, in bytes.
pub(super) fn peak_memory() -> u64 {
    status("VmHWM:")
}

/// A number of this process, in bytes (proc_pid_status(5)).
fn status(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}
