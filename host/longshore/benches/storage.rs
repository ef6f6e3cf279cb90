//! A Storage queue: beside workers in Python, Node and .NET, on one Azurite; and against a server
//! that answers each call after 10 ms.

#[allow(
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "the tests' own, of which a part is used here"
)]
#[path = "../tests/services/storage/azurite.rs"]
mod azurite;
#[path = "storage/clients.rs"]
mod clients;
#[path = "storage/distance.rs"]
mod distance;
#[path = "storage/emulator.rs"]
mod emulator;
#[path = "storage/slow.rs"]
mod slow;

use std::ffi::OsString;
use std::process::Stdio;

use self::emulator::Emulator;
use super::beside::{Scene, compare};
use super::workbench::Workbench;
use longshore_testkit::identity::{Identity, Mood};

/// How many messages the slow server has.
const SLOW_MESSAGES: usize = 10_000;

/// Beside a worker in Python that takes one message at a time.
pub(super) fn measure(workbench: &Workbench) {
    let Some(python) = python() else { return };
    let emulator = Emulator::start();
    compare(&scene(workbench, python, &emulator));
}

/// Beside the official clients at their best.
pub(super) fn measure_clients(workbench: &Workbench) {
    if let Some(python) = python() {
        clients::compare(workbench, &python);
    }
}

/// Against a server that takes its time, and what an execution costs that finds nothing.
pub(super) fn measure_slow(workbench: &Workbench) {
    slow(workbench);
    nothing(workbench);
}

/// Python with the official clients.
fn python() -> Option<OsString> {
    let python = std::env::var_os("BENCH_STORAGE_PYTHON");
    if python.is_none() {
        println!("Azurite and the Python SDK: not installed; `make bench ONLY=storage` does that");
    }
    python
}

/// All that workers need on this emulator, each with a queue of its own.
fn scene<'a>(workbench: &'a Workbench, python: OsString, emulator: &'a Emulator) -> Scene<'a> {
    let queue = Box::new(|scene: &Scene<'_>| {
        let url = emulator.url(emulator.port, &azurite::fresh());
        let mut create = scene.longshore(&["queue", "create", "--queue", &url]);
        assert!(create.stdout(Stdio::null()).status().expect("longshore runs").success());
        url
    });
    let (identity, authority) = (Identity::start(Mood::Tokens(3600)), &*emulator.authority);
    Scene { workbench, python, script: "storage.py", identity, authority, queue }
}

/// The loop over a network, on which each call takes its time.
fn slow(workbench: &Workbench) {
    let server = slow::SlowServer::start(SLOW_MESSAGES, super::drain::BODY);
    let messages = SLOW_MESSAGES.to_string();
    let flags = ["--concurrency", "32", "--max-messages", &messages];
    let log = workbench.directory.path().join("slow.log");
    let (summary, usage) = super::drain::run(workbench, &server.url(), &log, &flags, SLOW_MESSAGES);
    assert_eq!(server.deleted(), SLOW_MESSAGES, "{summary}");
    let seconds = summary["duration_ms"].as_f64().expect("a duration") / 1000.0;
    println!(
        "{SLOW_MESSAGES} messages, each call answered after {} ms, at concurrency 32: {:.0} a second (at least 1,000), {:.0} µs CPU each, {} receives (at most {})",
        slow::DELAY.as_millis(),
        SLOW_MESSAGES as f64 / seconds,
        usage.cpu.as_secs_f64() * 1e6 / SLOW_MESSAGES as f64,
        server.receives(),
        SLOW_MESSAGES * 115 / 100 / 32
    );
}

/// What an execution costs that finds nothing.
fn nothing(workbench: &Workbench) {
    let server = slow::SlowServer::start(0, super::drain::BODY);
    let log = workbench.directory.path().join("nothing.log");
    let (summary, _) = super::drain::run(workbench, &server.url(), &log, &[], 0);
    println!(
        "an execution that finds nothing: {} requests (at most 2), {} ms (at most 1,100)",
        server.calls(),
        summary["duration_ms"]
    );
}
