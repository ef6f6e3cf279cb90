//! A Storage queue: beside workers in Python, Node and .NET, on one Azurite; and against a server
//! that answers each call after 5, 10 or 30 ms.

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

use std::time::Duration;

use super::beside::{Scene, compare};
use super::workbench::Workbench;
use longshore_testkit::identity::{Identity, Mood};
pub(super) use many::many;

/// How many messages the slow server has, times the milliseconds that each of its answers takes.
const SLOW_MESSAGE_MS: usize = 100_000;

/// Beside a worker in Python that takes one message at a time.
pub(super) fn measure(workbench: &Workbench) {
    if let Some(scene) = scene(workbench) {
        compare(&scene);
    }
}

/// Beside the official clients at their best.
pub(super) fn measure_clients(workbench: &Workbench) {
    if let Some(scene) = scene(workbench) {
        clients::compare(scene);
    }
}

/// Against a server that takes its time, and what an execution costs that finds nothing.
pub(super) fn measure_slow(workbench: &Workbench) {
    for (delay_ms, concurrency, at_least) in [
        (5, 32, None),
        (5, 64, None),
        (10, 32, Some(1000.0)),
        (10, 64, Some(2000.0)),
        (30, 32, None),
        (30, 64, None),
    ] {
        slow(workbench, delay_ms, concurrency, at_least);
    }
    nothing(workbench);
}

/// All that the workers need; `None` where the official clients are not installed.
fn scene(workbench: &Workbench) -> Option<Scene<'_>> {
    let Some(python) = std::env::var_os("BENCH_STORAGE_PYTHON") else {
        println!("Azurite and the Python SDK: not installed; `make bench ONLY=storage` does that");
        return None;
    };
    let (identity, authority) = (Identity::start(Mood::Tokens(3600)), &*emulator::emulator().authority);
    Some(Scene { workbench, python, script: "storage.py", identity, authority, queue: clients::queue })
}

/// The loop over a network, on which each call takes its time.
fn slow(workbench: &Workbench, delay_ms: usize, concurrency: usize, at_least: Option<f64>) {
    let messages = SLOW_MESSAGE_MS / delay_ms;
    let delay = Duration::from_millis(delay_ms as u64);
    let server = slow::SlowServer::start(messages, super::drain::BODY, delay);
    let (of_messages, at_once) = (messages.to_string(), concurrency.to_string());
    let flags = ["--concurrency", &at_once, "--max-messages", &of_messages];
    let log = workbench.directory.path().join("slow.log");
    let (summary, usage) = super::drain::run(workbench, &server.url(), &log, &flags, messages);
    assert_eq!(server.deleted(), messages, "{summary}");
    let seconds = summary["duration_ms"].as_f64().expect("a duration") / 1000.0;
    println!(
        "{messages:6} messages, each call answered after {delay_ms:2} ms, at concurrency {concurrency}: {:5.0} a second{}, by arithmetic {:5.0}; {:.0} µs CPU each, {} receives (at most {})",
        messages as f64 / seconds,
        at_least.map_or_else(String::new, |it| format!(" (at least {it})")),
        // Of a message that takes a slot for its delete and its share of a receive: a whole one, as
        // long as no message is received ahead.
        concurrency as f64 / (2.0 * delay.as_secs_f64()),
        usage.cpu.as_secs_f64() * 1e6 / messages as f64,
        server.receives(),
        messages * 115 / 100 / 32
    );
}

/// What an execution costs that finds nothing.
fn nothing(workbench: &Workbench) {
    let server = slow::SlowServer::start(0, super::drain::BODY, Duration::from_millis(10));
    let log = workbench.directory.path().join("nothing.log");
    let (summary, _) = super::drain::run(workbench, &server.url(), &log, &[], 0);
    println!(
        "an execution that finds nothing: {} requests (at most 2), {} ms (at most 1,100)",
        server.calls(),
        summary["duration_ms"]
    );
}
