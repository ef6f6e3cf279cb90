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
#[path = "storage/many.rs"]
mod many;
#[path = "storage/slow.rs"]
mod slow;

use std::process::Stdio;

use super::beside::{Scene, compare};
use super::workbench::Workbench;
use longshore_testkit::identity::{Identity, Mood};
pub(super) use many::many;

/// How many messages the slow server has.
const SLOW_MESSAGES: usize = 10_000;

pub(super) fn measure(workbench: &Workbench) {
    match std::env::var_os("BENCH_STORAGE_PYTHON") {
        Some(python) => {
            let authority = azurite::secure().authority.as_ref().expect("it has a certificate");
            let identity = Identity::start(Mood::Tokens(3600));
            let script = "storage.py";
            let scene = Scene { workbench, python, script, identity, authority, queue };
            compare(&scene);
            let authority = &emulator::emulator().authority;
            clients::compare(&Scene { authority, queue: clients::queue, ..scene });
        }
        None => println!("Azurite and the Python SDK: not installed; `make bench ONLY=storage` does that"),
    }
    slow(workbench);
    nothing(workbench);
}

fn queue(scene: &Scene<'_>) -> String {
    let url = azurite::secure().url(&azurite::fresh());
    let mut create = scene.longshore(&["queue", "create", "--queue", &url]);
    assert!(create.stdout(Stdio::null()).status().expect("longshore runs").success());
    url
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
