//! Where everything is that the parts need, and how they sum up.

use std::path::PathBuf;
use std::time::Duration;

use longshore_testkit::needs;

use super::floor;

/// What every part needs: the component, the host, and a directory on a real disk.
pub(super) struct Workbench {
    pub(super) component: PathBuf,
    pub(super) host: PathBuf,
    pub(super) directory: tempfile::TempDir,
}

impl Workbench {
    pub(super) fn new() -> Self {
        let root = longshore_testkit::root();
        let component = root.join("guest/target/wasm32-wasip2/release/order.wasm");
        let component = needs::file(component, needs::GUESTS);
        // Not the system's temporary directory: that may be in memory, where flushing is free.
        let target = root.join("target");
        let directory = tempfile::tempdir_in(target).expect("a directory for the queues");
        Self { component, host: host(), directory }
    }

    /// A fresh directory in it.
    pub(super) fn directory(&self, name: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::create_dir(&path).expect("a new directory");
        path
    }

    pub(super) fn machine(&self) -> String {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let (kernel, load) = (read("/proc/sys/kernel/osrelease"), read("/proc/loadavg"));
        let flushes = floor::flushes(&self.directory("flush"));
        format!("kernel {kernel}, {cores} cores, load {load}; fdatasync of 4 KiB: {flushes:.0} a second")
    }
}

/// The program that is measured: another one than was built with the benchmark, where one is named.
pub(super) fn host() -> PathBuf {
    std::env::var_os("BENCH_HOST").unwrap_or_else(|| env!("CARGO_BIN_EXE_longshore").into()).into()
}

/// The p-th percentile (0 to 100) in microseconds; sorts.
pub(super) fn percentile(times: &mut [Duration], p: usize) -> f64 {
    times.sort_unstable();
    times[(times.len() - 1) * p / 100].as_secs_f64() * 1e6
}
