//! What a message costs, beside the floors below which it cannot go. Nothing here is a test: `make bench` prints
//! figures, and ratios of figures that were taken in the same run.

mod bare;
mod beside;
mod call;
mod drain;
mod floor;
mod languages;
mod servicebus;
mod settings;
mod start;
mod storage;

use std::path::PathBuf;
use std::time::Duration;

/// Measures something, and prints it.
type Part = fn(&Place);

fn main() {
    // `cargo bench` passes flags of its own; a word picks the parts whose names contain it.
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    let parts: [(&str, Part); 8] = [
        ("call", call::measure),
        ("settings", settings::measure),
        ("start", start::measure),
        ("languages", languages::measure),
        ("drain", drain::measure),
        ("depth", drain::measure_depth),
        ("storage", storage::measure),
        ("servicebus", servicebus::measure),
    ];
    let place = Place::new();
    println!("{}", place.machine());
    for (name, measure) in parts {
        if name.contains(&wanted) {
            println!("\n== {name}");
            measure(&place);
        }
    }
}

/// What every part needs: the component, the host, and a directory on a real disk.
struct Place {
    component: PathBuf,
    host: PathBuf,
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let root = longshore_testkit::root();
        let component = root.join("guest/target/wasm32-wasip2/release/order.wasm");
        assert!(component.exists(), "build the handler first: make guest");
        // Not the system's temporary directory: that may be in memory, where flushing is free.
        let target = root.join("target");
        let directory = tempfile::tempdir_in(target).expect("a directory for the queues");
        Self { component, host: env!("CARGO_BIN_EXE_longshore").into(), directory }
    }

    /// A fresh directory in it.
    fn directory(&self, name: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::create_dir(&path).expect("a new directory");
        path
    }

    fn machine(&self) -> String {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let (kernel, load) = (read("/proc/sys/kernel/osrelease"), read("/proc/loadavg"));
        let flushes = floor::flushes(&self.directory("flush"));
        format!("kernel {kernel}, {cores} cores, load {load}; fdatasync of 4 KiB: {flushes:.0} a second")
    }
}

/// The p-th percentile (0 to 100) in microseconds; sorts.
fn percentile(times: &mut [Duration], p: usize) -> f64 {
    times.sort_unstable();
    times[(times.len() - 1) * p / 100].as_secs_f64() * 1e6
}
