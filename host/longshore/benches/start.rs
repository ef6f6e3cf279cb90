//! From process start to the first message completed, and the most memory a drain takes.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::drain;
use super::workbench::{Workbench, percentile};

const STARTS: usize = 31;
const DRAINED: usize = 10_000;

pub(super) fn measure(workbench: &Workbench) {
    let artifact = workbench.directory("compiled").join("order.aot");
    let mut compile = Command::new(&workbench.host);
    let compile = compile.arg("compile").arg(&workbench.component).arg("-o").arg(&artifact);
    assert!(compile.stdout(Stdio::null()).status().expect("longshore runs").success());
    let component = [OsStr::new("--component"), workbench.component.as_os_str()];
    let trusted = [&component[..], &[OsStr::new("--precompiled"), artifact.as_os_str()]].concat();
    let (mut cached, mut precompiled) = (Vec::new(), Vec::new());
    // In turns; the first ones fill the compile cache, and the system's.
    for turn in 0..=STARTS {
        cached.push(first_message(workbench, 2 * turn, &component));
        precompiled.push(first_message(workbench, 2 * turn + 1, &trusted));
    }
    println!("process start to first message completed, ms");
    for (name, times, limit) in
        [("compiled before, in the cache", cached, 25), ("--precompiled", precompiled, 9)]
    {
        let mut times = times[1..].to_vec();
        let [fastest, p50, p90] = [0, 50, 90].map(|p| percentile(&mut times, p) / 1000.0);
        println!("  {name:32} fastest {fastest:5.1}  p50 {p50:5.1}  p90 {p90:5.1}  (at most {limit})");
    }
    let peak = drain::peak_memory(workbench, DRAINED);
    println!("peak memory of a drain of {DRAINED} at concurrency 16:  {peak:.1} MB (at most 40)");
}

/// From process start until the line that says that the only message is completed has reached us.
pub(super) fn first_message(workbench: &Workbench, turn: usize, arguments: &[impl AsRef<OsStr>]) -> Duration {
    let queue = drain::one_message(workbench, turn);
    let started = Instant::now();
    let mut run = Command::new(&workbench.host)
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
