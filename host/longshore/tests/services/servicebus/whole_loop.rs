//! The whole loop through the real binary, and other people's clients at both ends.

use std::process::Command;
use std::time::{Duration, Instant};

use longshore_testkit::wait::{slack, until};
use longshore_testkit::{guest, needs, sample};
use serde_json::{Value, json};

use crate::servicebus::broker::{Broker, calm, installed};
use crate::servicebus::host::Host;

/// How often the end-to-end test runs; `make servicebus-100` asks for 100.
fn rounds() -> u32 {
    std::env::var("LONGSHORE_ROUNDS").ok().and_then(|it| it.parse().ok()).unwrap_or(3)
}

#[test]
fn from_sending_to_the_dead_letter_queue_and_back_again_and_again() {
    for round in 0..rounds() {
        let host = Host::new(calm(), 30);
        host.send(&["ok", "two books", "reject", "retry-until:2", "retry", "trap"]);
        assert_eq!(host.count(), 6);
        let mut run = host.run(&["--max-dequeue", "2"]);
        run.env("CONTAINER_APP_JOB_EXECUTION_NAME", "orders-x7k2p");
        let ran = run.run().succeeded().json();
        let counts =
            ["received", "completed", "retried", "poisoned", "abandoned", "lease_lost"].map(|it| &ran[it]);
        assert_eq!(counts, [9, 3, 3, 3, 0, 0], "round {round}: {ran}");
        assert_eq!(ran["poison_reasons"], json!({ "rejected": 1, "attempts-exhausted": 2 }));

        let listed = host.json(&["poison", "list", "--all", "--reason", "rejected"]);
        assert!(listed["body"].as_str().unwrap().contains("reject"), "{listed}");
        let shown = host.json(&["poison", "show", listed["id"].as_str().unwrap()]);
        assert_eq!(shown["body"], listed["body"]);
        failed_with_its_cause(&host);
        assert_eq!(host.json(&["poison", "redrive", "--reason", "rejected"])["messages"], 1);
        let peeked = host.json(&["peek"]);
        assert_eq!((&peeked["id"], peeked.get("properties")), (&listed["id"], None), "as it was");
        assert_eq!(host.json(&["poison", "purge", "--yes"])["messages"], 2);
        assert_eq!(host.count(), 1);
    }
}

/// A dead letter says what a handler said of its end, what it logged last, and when.
fn failed_with_its_cause(host: &Host) {
    let exhausted = ["poison", "list", "--all", "--reason", "attempts-exhausted"];
    let listed = host.program(&exhausted).run().succeeded().json_lines();
    let words = "the order asks for a trap";
    let trapped = listed.iter().find(|it| it["detail"].as_str().unwrap().ends_with(words));
    let trapped = trapped.unwrap_or_else(|| panic!("{listed:?}"));
    assert!(trapped["detail"].as_str().unwrap().starts_with("trap: panicked at order/src/lib.rs:"));
    let log = trapped["log"].as_array().unwrap();
    assert!(log.iter().any(|line| line == words), "{trapped}");
    assert!(trapped["attempt"]["started"].is_string() && trapped["execution"] == "orders-x7k2p", "{trapped}");
}

#[test]
fn a_check_says_what_is_there_and_what_may_be_done_without_touching_a_message() {
    let there = Host::new(calm(), 30);
    there.send(&["ok"]);
    let missing = Host { url: there.url.replace(&there.name, "missing"), ..Host::new(calm(), 30) };
    let denied = Host { url: there.url.replace("c2VjcmV0", "b3RoZXIt"), ..Host::new(calm(), 30) };
    let rows = ["queue exists", "receive", "renew", "count", "poison queue exists"];
    for (host, code, expected) in [
        (&there, 0, ["yes", "allowed", "allowed", "allowed", "yes"]),
        (&missing, 3, ["no", "unknown", "unknown", "unknown", "no"]),
        (&denied, 3, ["unknown", "denied", "denied", "denied", "unknown"]),
    ] {
        let component = guest::order();
        let checked = host.program(&["check", "--component", component.to_str().unwrap()]).run();
        let checked = checked.ends_with(code);
        let findings = checked.json_lines();
        let result = |name| findings.iter().find(|it| it["check"] == name).map(|it| it["result"].clone());
        assert_eq!(rows.map(result), expected.map(|it| Some(it.into())), "{checked:?}");
        assert_eq!(result("component loads"), Some("yes".into()));
        assert_eq!(result("maxDeliveryCount"), Some("unknown".into()), "nobody was asked for the job");
        assert_eq!(result("send poison"), None, "nothing is sent to a dead-letter queue");
    }
    assert_eq!(there.json(&["peek"])["dequeue_count"], 0);
}

#[test]
fn what_other_clients_send_is_handled_and_what_is_dead_they_read_with_its_reason() {
    let client = |name: &str| {
        let mut python = Command::new(installed(".venv/bin/python"));
        python.arg(installed("python/client.py"));
        let mut javascript = needs::program("node", needs::SERVICES);
        javascript.arg(installed("node/client.js"));
        if name == "Python" { python } else { javascript }
    };
    for name in ["Python", "JavaScript"] {
        let host = Host::new(calm(), 30);
        let order = |msg: &str| sample::order("o-<&>é😀", msg);
        let sent = client(name)
            .args(["send", &host.connection, &host.name, &order("ok"), &order("reject")])
            .output();
        assert!(sent.as_ref().is_ok_and(|it| it.status.success()), "{name}: {sent:?}");
        let peeked = host.json(&["peek", "--limit", "1"]);
        let properties = json!([["content-type", "application/json"], ["tenant", "blue"], ["number", "7"]]);
        assert_eq!(peeked["properties"], properties, "{name}");
        let ran = host.run(&[]).run().succeeded().json();
        assert_eq!((&ran["completed"], &ran["poisoned"]), (&1.into(), &1.into()), "{name}: {ran}");
        let dead = client(name).args(["dead", &host.connection, &host.name]).output().unwrap();
        let dead: Value = serde_json::from_slice(&dead.stdout).unwrap_or_else(|_| panic!("{name}: {dead:?}"));
        assert_eq!((&dead[0], &dead[1]), (&order("reject").into(), &"rejected".into()), "{name}");
        let detail = dead[2].as_str().unwrap();
        assert!(detail.starts_with("the order asks for a rejection\n{\"attempt\":"), "{name}: {dead}");
    }
}

#[test]
fn a_handler_that_outlasts_four_locks_is_handled_once() {
    let host = Host::new(calm(), 2);
    host.send(&["sleep:9000"]);
    let ran = host.run(&[]).run().succeeded().json();
    assert_eq!((&ran["received"], &ran["completed"]), (&1.into(), &1.into()), "{ran}");
}

#[test]
fn a_lock_that_is_lost_interrupts_the_handler_and_nothing_is_settled() {
    let broker = Broker::start(&[]);
    let host = Host::new(&broker, 3);
    host.send(&["sleep:8000"]);
    let running = host.run(&["--max-messages", "1"]).start();
    // Were it busy before, nothing would be received for a while.
    until("a locked message", || (broker.locked(&host.name) == 1).then_some(()));
    broker.order(&json!([{ "at": "renew-lock", "do": "busy", "times": 1000 }]));
    let started = Instant::now();
    let ran = running.wait().succeeded().json();
    assert!(started.elapsed() < slack(Duration::from_secs(7)), "{:?}", started.elapsed());
    let counts = ["received", "completed", "retried", "poisoned", "lease_lost"].map(|it| &ran[it]);
    assert_eq!(counts, [1, 0, 0, 0, 1], "{ran}");
    let settled = broker.order(&json!([]));
    assert!(settled.as_object().is_some_and(|it| it.keys().eq(["renew-lock busy"])), "{settled}");
    let again = host.run(&[]).run().succeeded().json();
    assert_eq!((&again["received"], &again["completed"]), (&1.into(), &1.into()), "{again}");
}

#[test]
fn a_signal_ends_a_run_and_what_was_in_hand_is_visible_at_once() {
    let host = Host::new(calm(), 60);
    // A run begins with one message, and has the next ones when that is done.
    host.send(&["ok", "sleep:600000", "sleep:600000"]);
    let mut child = host.run(&["--grace", "1s", "--deadline", "10m"]).start();
    child.wait_for_line("\"outcome\":\"completed\"");
    until("two locked messages", || (calm().locked(&host.name) == 2).then_some(()));
    // They may still be on their way.
    std::thread::sleep(Duration::from_millis(500));
    let signalled = Instant::now();
    child.terminate();
    let ran = child.wait().succeeded().json();
    assert!(signalled.elapsed() < slack(Duration::from_secs(8)), "{:?}", signalled.elapsed());
    let counts = ["received", "completed", "abandoned"].map(|it| &ran[it]);
    assert_eq!(counts, [3, 1, 2], "{ran}");
    let peeked = host.json(&["peek", "--limit", "1"]);
    assert_eq!(peeked["dequeue_count"], 1, "abandoned, and not left to the lock of a minute");
}

#[test]
fn two_replicas_share_a_queue_and_one_that_is_killed_loses_nothing() {
    let host = Host::new(calm(), 5);
    host.send(&["sleep:300"; 24]);
    let killed = host.run(&["--concurrency", "2"]).start();
    let survivor = host.run(&["--concurrency", "2", "--forever", "--max-messages", "40"]).start();
    until("the first messages of both", || {
        let both = [&killed, &survivor].iter().all(|it| it.stderr().contains("\"outcome\":\"completed\""));
        both.then_some(())
    });
    assert!(killed.kill().was_killed());
    until("an empty queue", || (host.count() == 0).then_some(()));
    survivor.terminate();
    let ran = survivor.wait().succeeded().json();
    assert!(ran["completed"].as_u64().is_some_and(|it| it >= 8), "{ran}");
    assert_eq!(host.json(&["poison", "list", "--all"]), Value::Null);
}
