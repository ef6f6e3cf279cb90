//! One suite for the poison verbs over all three kinds of queue, through the real binary. What a
//! queue holds is told by somebody else: SQLite, and the official clients of Storage and of Service
//! Bus.

mod choose;
mod port;

use std::time::{Duration, Instant};

use serde_json::json;

use self::choose::*;
use self::port::{Judge, Port, file, numbers, service_bus, sorted, storage};
use longshore_testkit::wait::slack;

fn all_that_was_there_comes_back_once_and_the_count_adds_up(port: &Port) {
    let words = [&["reject"; 37][..], &["retry"; 3]].concat();
    let bodies = port.poison(&port.orders, &words, &[]);
    let by_reason = port.json(&["poison", "redrive", "--dry-run", "--reason", "attempts-exhausted"]);
    let foreseen = port.json(&["poison", "redrive", "--dry-run"]);
    let listed = port.verb(&["poison", "list", "--all"]).succeeded().json_lines().len() as u64;
    // A Storage queue shows 32, and says so.
    let [seen, would_be] = numbers(&foreseen, ["seen", "messages"]);
    assert_eq!((seen, would_be), (listed, listed), "{foreseen}");
    if listed < 40 {
        assert_eq!((listed, &foreseen["approximate_count"]), (32, &json!(40)), "{foreseen}");
    } else {
        assert_eq!((listed, &by_reason["messages"], &by_reason["not_chosen"]), (40, &json!(3), &json!(37)));
    }

    let some = port.json(&["poison", "redrive", "--reason", "attempts-exhausted"]);
    assert_eq!(numbers(&some, ["seen", "messages", "not_chosen", "hidden"]), [40, 3, 37, 0], "{some}");
    // What was not chosen is visible again at once.
    let rest = port.json(&["poison", "redrive"]);
    assert_eq!(numbers(&rest, ["seen", "messages", "not_chosen", "hidden"]), [37, 37, 0, 0], "{rest}");
    assert_eq!(port.json(&["poison", "redrive"])["seen"], 0);
    assert_eq!(port.bodies(), sorted(bodies));
}

fn a_purge_deletes_what_is_chosen_and_nothing_else(port: &Port) {
    port.poison(&port.orders, &["reject", "retry", "reject"], &[]);
    assert_eq!(port.json(&["poison", "purge", "--dry-run"])["messages"], 3);
    let purged = port.json(&["poison", "purge", "--reason", "rejected"]);
    assert_eq!(numbers(&purged, ["seen", "messages", "not_chosen"]), [3, 2, 1], "{purged}");
    let left = port.json(&["poison", "list", "--all"]);
    assert_eq!(left["reason"], "attempts-exhausted");
    let limited = port.json(&["poison", "purge", "--limit", "5", "--yes"]);
    assert_eq!(numbers(&limited, ["seen", "messages"]), [1, 1]);
    assert_eq!(port.bodies(), Vec::<String>::new());
}

fn where_nothing_was_poisoned_yet_there_is_nothing(port: &Port) {
    for verb in [&["list"][..], &["redrive"], &["redrive", "--dry-run"], &["purge", "--yes"]] {
        let ended = port.verb(&[&["poison"], verb].concat()).succeeded();
        assert!(ended.stdout.is_empty() || ended.json()["messages"] == 0, "{verb:?}: {ended:?}");
    }
    let missing = port.orders.replacen("orders", "missing", 1);
    if missing != port.orders {
        port.on(&missing, &["poison", "list", "--all"]).run().ends_with(3).says(&["there is no queue"]);
    }
}

fn a_reason_that_nobody_gives_is_refused_with_those_that_exist(port: &Port) {
    port.poison(&port.orders, &["reject"], &[]);
    for verb in ["list", "redrive", "purge"] {
        let refused = port.verb(&["poison", verb, "--reason", "nonsense"]).ends_with(2);
        refused.says(&["`nonsense`", "`rejected` (1)", "attempts-exhausted"]);
    }
    assert_eq!(port.json(&["poison", "purge", "--reason", "expiring"])["messages"], 0);
}

fn a_body_that_looks_like_an_envelope_is_the_message_and_never_believed(port: &Port) {
    for format in ["raw", "envelope"] {
        let forged = json!({
            "longshore": "poison/1", "reason": "expiring", "detail": "", "id": "forged", "queue": port.payments,
            "dequeue_count": 1, "inserted": "2020-01-01T00:00:00Z", "poisoned": "2020-01-01T00:00:00Z",
            "encoding": "text", "body": "{\"order_id\":\"forged\",\"msg\":\"ok\"}",
        });
        port.verb(&["send", &forged.to_string()]).succeeded();
        let ran =
            port.worker(&port.orders, &["--linger", "0", "--poison-format", format]).run().succeeded().json();
        assert_eq!(ran["poisoned"], 1, "{ran}");
        let listed = port.json(&["poison", "list", "--all"]);
        assert!(listed["reason"] != "expiring" && listed["id"] != "forged", "{listed}");
        assert_eq!(port.json(&["poison", "redrive"])["messages"], 1);
        assert_eq!(port.bodies(), [forged.to_string()], "{format}");
        port.worker(&port.orders, &["--linger", "0"]).run().succeeded();
        assert_eq!(port.json(&["poison", "purge", "--yes"])["messages"], 1);
    }
}

fn what_is_poisoned_again_meanwhile_is_left(port: &Port) {
    port.poison(&port.orders, &["reject"; 12], &[]);
    let worker = port.worker(&port.orders, &["--forever"]).start();
    let started = Instant::now();
    let report = port.json(&["poison", "redrive", "--rate", "6"]);
    assert!(started.elapsed() < slack(Duration::from_secs(30)), "{:?}", started.elapsed());
    assert_eq!(numbers(&report, ["seen", "messages", "hidden"]), [12, 12, 0], "each once: {report}");
    worker.terminate();
    worker.wait().succeeded();
}

fn messages_of_another_queue_stay_unless_they_are_asked_for(port: &Port) {
    port.on(&port.shared, &["queue", "create"]).run().succeeded();
    let shared = ["--poison-queue", &port.shared];
    let orders = port.poison(&port.orders, &["reject", "reject"], &shared);
    port.poison(&port.payments, &["reject"], &shared);
    let redrive = |flags: &[&str]| port.verb(&[&["poison", "redrive"], &shared[..], flags].concat());
    let foreseen = redrive(&["--dry-run"]).succeeded().json();
    let ended = redrive(&[]).ends_with(1);
    let report = ended.json();
    for it in [&foreseen, &report] {
        assert_eq!(
            (numbers(it, ["seen", "messages"]), &it["skipped"]),
            ([3, 2], &json!({ "other-queue": 1 })),
            "{it}"
        );
    }
    ended.says(&["--any-queue"]);
    assert_eq!(port.bodies(), sorted(orders));
    assert_eq!(redrive(&["--any-queue"]).succeeded().json()["messages"], 1);
}

fn the_queue_itself_is_no_poison_queue(port: &Port) {
    let (place, name) = port.orders.split('?').next().unwrap().rsplit_once('/').unwrap();
    let query = port.orders.split_once('?').map_or(String::new(), |(_, query)| format!("?{query}"));
    let mut spellings = vec![port.orders.clone()];
    match &port.judge {
        Judge::Sqlite(_) => spellings.push(format!("{place}/./x/../{name}")),
        Judge::Python(..) if port.orders.starts_with("http") => {
            spellings.push(format!("{}/{name}/{query}", place.replace("127.0.0.1", "localhost")));
        }
        Judge::Python(..) => {
            spellings.push(port.orders.to_uppercase().replacen("ENDPOINT=SB", "Endpoint=sb", 1))
        }
    }
    for spelling in spellings {
        let named = ["--poison-queue", &spelling];
        let refused = port.worker(&port.orders, &named).run().ends_with(2);
        refused.says(&["is the queue itself"]);
        port.verb(&[&["poison", "redrive"], &named[..]].concat()).ends_with(2);
    }
}

macro_rules! over_every_kind {
    ($($promise:ident),* $(,)?) => {
        over_every_kind!(@ file: $($promise),*);
        over_every_kind!(@ storage: $($promise),*);
        over_every_kind!(@ service_bus: $($promise),*);
    };
    (@ $kind:ident: $($promise:ident),*) => {
        mod $kind {
            $(#[test]
            fn $promise() {
                super::$promise(&super::$kind());
            })*
        }
    };
}

over_every_kind!(
    all_that_was_there_comes_back_once_and_the_count_adds_up,
    a_purge_deletes_what_is_chosen_and_nothing_else,
    where_nothing_was_poisoned_yet_there_is_nothing,
    a_reason_that_nobody_gives_is_refused_with_those_that_exist,
    a_body_that_looks_like_an_envelope_is_the_message_and_never_believed,
    what_is_poisoned_again_meanwhile_is_left,
    messages_of_another_queue_stay_unless_they_are_asked_for,
    the_queue_itself_is_no_poison_queue,
    each_filter_chooses_what_it_names,
    a_component_chooses_what_it_failed_on,
    a_dry_run_lists_what_it_would_take_and_takes_nothing,
    no_filter_believes_what_a_sender_wrote,
    a_redrive_that_chooses_and_is_killed_loses_nothing_and_takes_nothing_else,
    a_replay_hands_the_message_to_a_component_here_and_leaves_the_queue_as_it_is,
    what_a_replayed_handler_sends_is_shown_and_not_sent,
);
