//! From process start to the first message completed, and the most memory a drain takes.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::{Place, drain, percentile};

const STARTS: usize = 31;
const DRAINED: usize = 10_000;

/// What a process used.
#[derive(Clone, Copy, Default)]
pub(super) struct Usage {
    pub(super) cpu: Duration,
    pub(super) peak_mb: f64,
}

pub(super) fn measure(place: &Place) {
    let artifact = place.directory("compiled").join("order.aot");
    let mut compile = Command::new(&place.host);
    let compile = compile.arg("compile").arg(&place.component).arg("-o").arg(&artifact);
    assert!(compile.stdout(Stdio::null()).status().expect("longshore runs").success());
    let component = [OsStr::new("--component"), place.component.as_os_str()];
    let trusted = [&component[..], &[OsStr::new("--precompiled"), artifact.as_os_str()]].concat();
    let (mut cached, mut precompiled) = (Vec::new(), Vec::new());
    // In turns; the first ones fill the compile cache, and the system's.
    for turn in 0..=STARTS {
        cached.push(first_message(place, 2 * turn, &component));
        precompiled.push(first_message(place, 2 * turn + 1, &trusted));
    }
    println!("process start to first message completed, ms");
    for (name, times, limit) in
        [("compiled before, in the cache", cached, 25), ("--precompiled", precompiled, 10)]
    {
        let mut times = times[1..].to_vec();
        let [fastest, p50, p90] = [0, 50, 90].map(|p| percentile(&mut times, p) / 1000.0);
        println!("  {name:32} fastest {fastest:5.1}  p50 {p50:5.1}  p90 {p90:5.1}  (at most {limit})");
    }
    let peak = drain::peak_memory(place, DRAINED);
    println!("peak memory of a drain of {DRAINED} at concurrency 16:  {peak:.1} MB (at most 40)");
}

/// From process start until the line that says that the only message is completed has reached us.
pub(super) fn first_message(place: &Place, turn: usize, arguments: &[impl AsRef<OsStr>]) -> Duration {
    let queue = drain::one_message(place, turn);
    let started = Instant::now();
    let mut run = Command::new(&place.host)
        .args(["run", "--log-format", "json", "--max-messages", "1", "--queue", &queue])
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("longshore runs");
    let log = BufReader::new(run.stderr.take().expect("piped"));
    let mut lines = log.lines().map_while(Result::ok);
    let completed = lines.find(|line| line.contains("\"outcome\":\"completed\""));
    let took = started.elapsed();
    lines.for_each(drop);
    assert!(completed.is_some() && run.wait().expect("it ends").success());
    took
}

/// Waits for a process, watching what it uses, and returns what it wrote to standard output.
pub(super) fn wait(mut child: Child) -> (Vec<u8>, Usage) {
    let mut out = child.stdout.take().expect("piped");
    let reader = thread::spawn(move || {
        let mut output = Vec::new();
        out.read_to_end(&mut output).map(|_| output)
    });
    let mut usage = Usage::default();
    // The kernel keeps the peak, and drops it with the process: the last look before the end counts.
    while child.try_wait().expect("a child").is_none() {
        usage = observe(child.id()).unwrap_or(usage);
        thread::sleep(Duration::from_millis(2));
    }
    (reader.join().expect("no panic").expect("its output"), usage)
}

fn observe(pid: u32) -> Option<Usage> {
    /// Clock ticks a second of `/proc/PID/stat`: fixed in the kernel's interface (`USER_HZ`).
    const TICKS: f64 = 100.0;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = peak.trim().trim_end_matches(" kB").parse().ok()?;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<f64> =
        stat.rsplit(')').next()?.split_whitespace().map(|it| it.parse().unwrap_or(0.0)).collect();
    // utime and stime are fields 14 and 15; two stand before the closing parenthesis.
    Some(Usage { cpu: Duration::from_secs_f64((fields[11] + fields[12]) / TICKS), peak_mb: kib / 1024.0 })
}
