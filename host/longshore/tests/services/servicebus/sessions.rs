//! Queues and subscriptions that require sessions: each session in order, several at once.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use longshore_testkit::program::Process;
use longshore_testkit::wait::{slack, until};
use serde_json::{Value, json};

use crate::servicebus::broker::{Broker, calm};
use crate::servicebus::host::Host;

/// The orders that handlers have said to have handled, in their order, by session.
pub fn handled(log: &str) -> HashMap<String, Vec<String>> {
    let mut handled = HashMap::<String, Vec<String>>::new();
    for line in log.lines() {
        let Some((_, order)) = line.split_once("handled order ") else { continue };
        let order: String = order.chars().take_while(|it| it.is_alphanumeric() || *it == '-').collect();
        let (session, number) = order.split_once('-').unwrap();
        handled.entry(session.into()).or_default().push(number.into());
    }
    handled
}

fn counts(ran: &Value) -> [Value; 6] {
    ["received", "completed", "retried", "poisoned", "abandoned", "lease_lost"].map(|it| ran[it].clone())
}

fn wait_for_a_message(running: &mut Process, broker: &Broker, host: &Host, locked: u64) {
    until("locked messages", || (broker.locked(&host.name) == locked).then_some(()));
    running.ended();
}

#[test]
fn each_session_is_worked_off_in_order_whatever_becomes_of_its_messages() {
    let topic = calm().session_topic(30, 1000, &["billing"]);
    let subscription = Host::of_subscription(calm(), &topic, "billing");
    let of_topic = subscription.beside(&topic);
    let queue = Host::of_sessions(calm(), 30);
    for (host, to) in [(&queue, &queue), (&subscription, &of_topic)] {
        to.send_into("red", &["ok", "retry-until:2", "ok", "reject", "ok"]);
        to.send_into("blue", &["ok", "trap", "retry-until:3", "ok"]);
        let ended = host.run(&["--max-dequeue", "3", "--session-idle", "500ms"]).run().succeeded();
        let ran = ended.json();
        assert_eq!(counts(&ran), [14, 7, 5, 2, 0, 0].map(Value::from), "{ran}");
        assert_eq!(ran["poison_reasons"], json!({ "rejected": 1, "attempts-exhausted": 1 }));
        let handled = handled(&ended.stderr);
        assert_eq!(handled["red"], ["0", "1", "2", "4"], "{handled:?}");
        assert_eq!(handled["blue"], ["0", "2", "3"], "{handled:?}");
        assert_eq!(host.count(), 0);
        for (session, told) in calm().sessions(&host.name).as_object().unwrap() {
            assert_eq!(told, &json!({ "held": false, "state": null, "deliveries": [] }), "{session}");
        }
    }
}

#[test]
fn several_sessions_are_worked_off_at_once_and_one_message_of_each_at_a_time() {
    let host = Host::of_sessions(calm(), 30);
    host.send_into("first", &["ok"]);
    for session in ["red", "blue", "green", "gold"] {
        host.send_into(session, &["sleep:1000", "sleep:1000"]);
    }
    let mut running = host.run(&["--sessions", "3"]).start();
    let (mut most, mut ended) = (0, None);
    until("the end of the run", || {
        most = most.max(calm().locked(&host.name));
        ended = running.ended();
        ended.is_some().then_some(())
    });
    let ended = ended.unwrap().succeeded();
    assert_eq!(ended.json()["completed"], 9);
    assert_eq!(most, 3, "as many as --sessions, and one message of each");
}

#[test]
fn a_retry_holds_its_session_and_the_others_go_on() {
    let host = Host::of_sessions(calm(), 5);
    host.send_into("red", &["retry-after:4000", "ok"]);
    host.send_into("blue", &["ok", "ok", "ok"]);
    let component = longshore_testkit::guest::order();
    let mut run = host.program(&["run", "--component", component.to_str().unwrap(), "--sessions", "1"]);
    run.args(["--max-dequeue", "2", "--max-retry-delay", "10s", "--breaker", "0"]);
    let ended = run.run().succeeded();
    let log = &ended.stderr;
    let at = |words: &str| log.find(words).unwrap_or_else(|| panic!("{words}: {log}"));
    assert!(at("handled order blue-2") < at("handled order red-1"), "{log}");
    assert!(at("\"outcome\":\"poisoned\"") < at("handled order red-1"), "{log}");
    assert_eq!(counts(&ended.json()), [6, 4, 1, 1, 0, 0].map(Value::from));
}

#[test]
fn a_handler_that_outlasts_four_locks_of_its_session_is_handled_once() {
    let host = Host::of_sessions(calm(), 2);
    host.send_into("red", &["sleep:9000", "ok"]);
    let ran = host.run(&[]).run().succeeded().json();
    assert_eq!(counts(&ran), [2, 2, 0, 0, 0, 0].map(Value::from), "{ran}");
}

#[test]
fn a_receive_that_waits_longer_than_a_lock_lasts_loses_no_message() {
    let host = Host::of_sessions(calm(), 2);
    // While the second is handled a receive waits for the third.
    host.send_into("red", &["ok", "sleep:4000", "ok", "sleep:4000", "ok"]);
    let started = Instant::now();
    let ran = host.run(&[]).run().succeeded().json();
    assert_eq!(counts(&ran), [5, 5, 0, 0, 0, 0].map(Value::from), "{ran}");
    assert!(started.elapsed() < slack(Duration::from_secs(20)), "{:?}", started.elapsed());
}

#[test]
fn a_session_that_is_lost_interrupts_its_handler_and_nothing_is_settled() {
    let broker = Broker::start(&[]);
    let host = Host::of_sessions(&broker, 3);
    host.send_into("red", &["sleep:12000", "ok"]);
    let mut running = host.run(&["--max-messages", "1", "--deadline", "1m"]).start();
    wait_for_a_message(&mut running, &broker, &host, 1);
    broker.order(&json!([{ "at": "renew-session-lock", "do": "busy", "times": 1000 }]));
    let started = Instant::now();
    let ran = running.wait().succeeded().json();
    assert!(started.elapsed() < slack(Duration::from_secs(7)), "{:?}", started.elapsed());
    assert_eq!(counts(&ran), [1, 0, 0, 0, 0, 1].map(Value::from), "{ran}");
    let faults = broker.order(&json!([]));
    assert!(faults.as_object().unwrap().keys().all(|it| it == "renew-session-lock busy"), "{faults}");
    let again = host.run(&["--deadline", "1m"]).run().succeeded().json();
    assert_eq!((&again["received"], &again["completed"]), (&2.into(), &2.into()), "{again}");
}

#[test]
fn a_signal_leaves_every_session_to_others_at_once() {
    let host = Host::of_sessions(calm(), 60);
    host.send_into("first", &["ok"]);
    for session in ["red", "blue"] {
        host.send_into(session, &["sleep:600000", "ok"]);
    }
    let mut child = host.run(&["--grace", "1s", "--deadline", "10m"]).start();
    child.wait_for_line("\"outcome\":\"completed\"");
    until("two locked messages", || (calm().locked(&host.name) == 2).then_some(()));
    std::thread::sleep(Duration::from_millis(500));
    let signalled = Instant::now();
    child.terminate();
    let ran = child.wait().succeeded().json();
    assert!(signalled.elapsed() < slack(Duration::from_secs(8)), "{:?}", signalled.elapsed());
    assert_eq!(counts(&ran), [3, 1, 0, 0, 2, 0].map(Value::from), "{ran}");
    for session in ["red", "blue"] {
        let told = calm().sessions(&host.name)[session].clone();
        assert_eq!(told, json!({ "held": false, "state": null, "deliveries": [1, 0] }), "{session}");
    }
}

#[test]
fn a_handler_that_kills_its_host_is_poisoned_although_the_service_counts_no_delivery() {
    let host = Host::of_sessions(calm(), 30);
    host.send_into("red", &["ok", "ok"]);
    for killed in 1..=3 {
        let mut run = host.run(&["--max-dequeue", "3"]);
        assert!(run.env("FAILPOINTS", "before-handler=return").run().was_killed(), "{killed}");
        until("a free session", || (calm().sessions(&host.name)["red"]["held"] == false).then_some(()));
        assert_eq!(
            calm().sessions(&host.name)["red"]["deliveries"],
            json!([0, 0]),
            "the service counts none"
        );
    }
    let ended = host.run(&["--max-dequeue", "3"]).run().succeeded();
    let ran = ended.json();
    assert_eq!(counts(&ran), [2, 1, 0, 1, 0, 0].map(Value::from), "{ran}");
    assert_eq!(ran["poison_reasons"], json!({ "attempts-exhausted": 1 }));
    assert_eq!(handled(&ended.stderr)["red"], ["1"], "the one behind it goes on");
    assert_eq!(calm().sessions(&host.name)["red"]["state"], Value::Null, "nothing is left of the counting");
}

#[test]
fn a_crash_is_counted_together_with_the_failures_that_the_service_counts() {
    let host = Host::of_sessions(calm(), 30);
    host.send_into("red", &["retry-until:4"]);
    let killed = host.run(&[]).env("FAILPOINTS", "before-handler=return").run();
    assert!(killed.was_killed());
    let ran = host.run(&["--max-dequeue", "4"]).run().succeeded().json();
    assert_eq!(counts(&ran), [3, 1, 2, 0, 0, 0].map(Value::from), "{ran}");
}

#[test]
fn a_crash_is_counted_although_the_next_run_leaves_before_a_message_comes() {
    let host = Host::of_sessions(calm(), 30);
    host.send_into("red", &["ok"]);
    for killed in 1..=3 {
        let mut run = host.run(&["--max-dequeue", "3", "--session-idle", "1ms"]);
        // Some of them leave the session before its message comes, and kill nobody.
        until("a kill", || {
            let ended = run.env("FAILPOINTS", "before-handler=return").run();
            ended.was_killed().then_some(())
        });
        until("a free session", || (calm().sessions(&host.name)["red"]["held"] == false).then_some(()));
        assert_eq!(calm().sessions(&host.name)["red"]["deliveries"], json!([0]), "{killed}");
    }
    let ran = host.run(&["--max-dequeue", "3"]).run().succeeded().json();
    assert_eq!(counts(&ran), [1, 0, 0, 1, 0, 0].map(Value::from), "{ran}");
}

#[test]
fn a_suspect_that_is_gone_leaves_nothing_in_the_state_of_its_session() {
    let broker = Broker::start(&[]);
    let host = Host::of_sessions(&broker, 30);
    host.send_into("red", &["ok"]);
    assert!(host.run(&[]).env("FAILPOINTS", "before-handler=return").run().was_killed());
    until("a free session", || (broker.sessions(&host.name)["red"]["held"] == false).then_some(()));
    broker.order(&json!([{ "at": "settle", "do": "cut-after", "times": 1 }]));
    host.run(&["--max-messages", "1"]).run();
    host.send_into("red", &["ok"]);
    host.run(&[]).run().succeeded();
    assert_eq!(broker.sessions(&host.name)["red"]["state"], Value::Null);
}

#[test]
fn more_sessions_than_places_are_all_worked_off_however_long_one_is_waited_for() {
    let host = Host::of_sessions(calm(), 30);
    for session in ["red", "blue", "green"] {
        host.send_into(session, &["ok", "ok"]);
    }
    let args = ["--sessions", "1", "--session-idle", "1m", "--hold", "0"];
    let ended = host.run(&args).run().succeeded();
    assert_eq!(ended.json()["completed"], 6, "{ended:?}");
    assert!(!ended.stderr.contains("no session is free"), "{ended:?}");
    assert!(ended.took < slack(Duration::from_secs(30)), "{:?}", ended.took);
}

#[test]
fn a_message_without_a_session_is_refused_with_the_mend() {
    let host = Host::of_sessions(calm(), 30);
    let ended = host.program(&["send", "ok"]).run().ends_with(3);
    ended.says(&["requires sessions, and the message has none", "--property session-id=NAME"]);
}

/// A run that has received the first message of its sessions on the calm broker, and no other.
pub(super) fn with_a_message_in_hand(host: &Host) -> Process {
    let running = host.run(&["--deadline", "1m"]).start();
    until("a locked message", || (calm().locked(&host.name) == 1).then_some(()));
    running
}

#[test]
fn a_run_that_finds_every_session_taken_says_so_and_takes_over_what_is_left() {
    let host = Host::of_sessions(calm(), 5);
    host.send_into("red", &["sleep:9000", "ok"]);
    let first = with_a_message_in_hand(&host);
    let mut second = host.run(&["--deadline", "1m"]).start();
    second.wait_for_line("no session is free");
    assert!(first.kill().was_killed());
    let ended = second.wait().succeeded();
    let ran = ended.json();
    assert_eq!((&ran["ended"], &ran["completed"]), (&json!("drained"), &json!(2)), "{ran}");
    assert_eq!(ended.stderr.matches("no session is free").count(), 1, "once");
}

#[test]
fn a_run_that_is_not_to_hold_ends_although_others_have_sessions() {
    let host = Host::of_sessions(calm(), 5);
    host.send_into("red", &["sleep:15000"]);
    let first = with_a_message_in_hand(&host);
    let ended = host.run(&["--hold", "0"]).run().succeeded();
    assert_eq!((&ended.json()["ended"], &ended.json()["received"]), (&json!("drained"), &json!(0)));
    assert_eq!(first.wait().succeeded().json()["completed"], 1);
}

#[test]
fn after_a_poisoned_message_a_session_stands_still_until_a_run_goes_on_with_it() {
    let host = Host::of_sessions(calm(), 30);
    host.send_into("red", &["ok", "reject", "ok", "ok"]);
    host.send_into("blue", &["ok", "ok"]);
    for (run, completed, poisoned, warned) in [("first", 3, 1, 1), ("second", 0, 0, 0)] {
        let ended = host.run(&["--on-poison", "stop", "--hold", "0"]).run().succeeded();
        let ran = ended.json();
        assert_eq!(
            (&ran["completed"], &ran["poisoned"]),
            (&json!(completed), &json!(poisoned)),
            "{run}: {ran}"
        );
        let said = ended.stderr.matches("was poisoned, and the rest of it stays").count();
        assert_eq!(said, warned, "{run}: {}", ended.stderr);
        assert_eq!(host.count(), 2, "{run}");
    }
    let ended = host.run(&["--on-poison", "continue"]).run().succeeded();
    assert_eq!(handled(&ended.stderr)["red"], ["2", "3"]);
    assert_eq!(host.count(), 0);
    assert_eq!(calm().sessions(&host.name)["red"]["state"], Value::Null);
}

#[test]
fn the_breaker_counts_sessions_and_not_the_messages_behind_each_other() {
    let broker = calm();
    for (sessions, code) in [(1, 0), (6, 4)] {
        let host = Host::of_sessions(broker, 30);
        for session in 0..sessions {
            host.send_into(&format!("s{session}"), &["trap"; 6]);
        }
        let component = longshore_testkit::guest::order();
        let mut run = host.program(&["run", "--component", component.to_str().unwrap()]);
        run.args(["--retry-base", "100ms", "--retry-cap", "100ms", "--max-dequeue", "1", "--hold", "0"]);
        run.run().ends_with(code);
    }
}

#[test]
fn sessions_of_what_has_none_are_refused_with_the_mend() {
    let plain = Host::new(calm(), 30);
    plain
        .run(&["--sessions", "2"])
        .run()
        .ends_with(3)
        .says(&["does not require sessions", "leave --sessions"]);
    let storage = "https://acme.queue.core.windows.net/orders";
    let mut run = plain.run(&["--sessions", "2", "--queue", storage]);
    run.run().ends_with(2).says(&["--sessions is for queues and subscriptions of Service Bus"]);
}

#[test]
fn two_replicas_share_the_sessions_and_one_that_is_killed_loses_nothing() {
    let host = Host::of_sessions(calm(), 5);
    for session in 0..6 {
        host.send_into(&format!("s{session}"), &["sleep:300"; 4]);
    }
    let killed = host.run(&["--sessions", "2"]).start();
    let survivor = host.run(&["--sessions", "2"]).start();
    until("the first messages of both", || {
        let both = [&killed, &survivor].iter().all(|it| it.stderr().contains("\"outcome\":\"completed\""));
        both.then_some(())
    });
    assert!(killed.kill().was_killed());
    let ended = survivor.wait().succeeded();
    assert_eq!(host.count(), 0);
    assert_eq!(host.json(&["poison", "list"]), Value::Null);
    for (session, numbers) in handled(&ended.stderr) {
        assert!(numbers.is_sorted(), "{session}: {numbers:?}");
    }
}
