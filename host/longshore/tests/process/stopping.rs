//! SIGTERM: what can be finished within the grace is, what cannot is visible at once, and the exit
//! code is zero.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rand::RngExt;
use serde_json::Value;

use crate::directory::{Directory, ORDERS, POISON, now_ms};
use crate::oracle::{Oracle, handled};
use crate::orders::{mixed, order};
use crate::process::{Ended, Process};
use longshore_testkit::wait::{slack, until};

/// How much longer than its grace a process may take, on a machine at rest.
const SLACK: Duration = Duration::from_secs(2);

fn number(summary: &Value, name: &str) -> u64 {
    summary[name].as_u64().unwrap_or_else(|| panic!("{name} in {summary}"))
}

/// Each message received ended in exactly one way.
fn assert_adds_up(ended: &Ended) {
    let summary = ended.json();
    let ways = ["completed", "retried", "poisoned", "abandoned", "lease_lost"];
    let sum: u64 = ways.iter().map(|way| number(&summary, way)).sum();
    assert_eq!(number(&summary, "received"), sum, "{ended:?}");
}

/// Sends one order that shows that the handler works, and these; waits until a worker has leased
/// all of the latter.
fn start_with(directory: &Directory, flags: &[&str], orders: &[String]) -> Process {
    directory.send([&order("o-first", "ok")]);
    directory.send(orders);
    let worker = directory.worker(flags).start();
    until("the leases", || {
        let rows = directory.rows(ORDERS);
        (rows.len() == orders.len() && rows.iter().all(|row| row.visible_at > now_ms())).then_some(())
    });
    worker
}

#[test]
fn what_ends_within_the_grace_is_completed_and_the_rest_is_visible_at_once() {
    let directory = Directory::new();
    let quick = (0..4).map(|n| order(&format!("o-quick-{n}"), "sleep:500"));
    let slow = (0..4).map(|n| order(&format!("o-slow-{n}"), "sleep:600000"));
    let orders: Vec<_> = quick.chain(slow).collect();
    let grace = Duration::from_secs(2);
    let flags = ["--forever", "--deadline=10m", "--visibility=30s", "--grace=2s"];
    let worker = start_with(&directory, &flags, &orders);

    let asked = Instant::now();
    worker.terminate();
    let ended = worker.wait().succeeded();
    assert!(asked.elapsed() < grace + slack(SLACK), "it took {:?}", asked.elapsed());
    let left = directory.rows(ORDERS);
    assert!(left.iter().all(|row| row.visible_at <= now_ms() && row.dequeue_count == 1), "{left:?}");
    assert!(left.iter().all(|row| String::from_utf8_lossy(&row.body).contains("o-slow")), "{left:?}");
    let mut summary = ended.json();
    for measured in ["duration_ms", "handler_us", "cpu_us", "peak_memory_bytes"] {
        summary.as_object_mut().unwrap().remove(measured).unwrap();
    }
    let expected = serde_json::json!({
        "ended": "stopped", "received": 9, "completed": 5, "retried": 0, "poisoned": 0, "abandoned": 4, "lease_lost": 0,
        "poison_reasons": {},
    });
    assert_eq!(summary, expected);
}

#[test]
fn a_second_signal_ends_the_grace() {
    let directory = Directory::new();
    let flags = ["--forever", "--deadline=10m", "--visibility=30s", "--grace=60s"];
    let mut worker = start_with(&directory, &flags, &[order("o-1", "sleep:600000")]);
    worker.terminate();
    worker.wait_for_line("stopping");
    assert!(directory.rows(ORDERS)[0].visible_at > now_ms(), "the first signal leaves the handler alone");
    let asked = Instant::now();
    worker.terminate();
    assert_eq!(worker.wait().succeeded().json()["abandoned"], 1);
    assert!(asked.elapsed() < slack(SLACK), "it took {:?}", asked.elapsed());
    assert!(directory.rows(ORDERS)[0].visible_at <= now_ms());
}

#[test]
fn stopping_at_random_moments_loses_nothing_and_leaves_nothing_leased() {
    const TIMES: usize = 20;
    let directory = Directory::new();
    let max_dequeue = 12;
    let mut oracle = Oracle::watch(&directory, max_dequeue);
    let messages: Vec<_> = (0..1200).map(mixed).collect();
    let ids = directory.send(messages.iter().map(|message| &message.body));
    oracle.sent(ids.into_iter().zip(messages));
    let mut rng = rand::rng();
    let mut lines = BTreeMap::new();
    let max_dequeue = format!("--max-dequeue={max_dequeue}");
    for _ in 0..TIMES {
        // The grace is shorter than some of the handlers are.
        let flags = ["--forever", "--visibility=20s", "--grace=20ms", &max_dequeue];
        let mut worker = directory.worker(&flags).start();
        worker.wait_for_line("\"started\"");
        std::thread::sleep(Duration::from_millis(rng.random_range(0..300)));
        worker.terminate();
        let ended = worker.wait().succeeded();
        assert_adds_up(&ended);
        // Retries may be hidden, for no longer than the cap of 200 ms.
        let now = now_ms() + 200;
        let leased: Vec<_> = directory.rows(ORDERS).into_iter().filter(|row| row.visible_at > now).collect();
        assert!(leased.is_empty(), "still leased after {ended:?}: {leased:?}");
        handled(&ended.stderr, &mut lines);
    }
    let last = directory.worker(&[&max_dequeue]).run().succeeded();
    assert_adds_up(&last);
    handled(&last.stderr, &mut lines);
    oracle.account(&directory.database(), &directory.rows(POISON), &lines).assert_nothing_lost();
}
