//! What `redrive`, `purge` and `replay` choose: that, and nothing else.

use longshore_testkit::guest;
use serde_json::{Value, json};

use super::port::{Port, numbers, sorted};

/// A digest that no component has.
const FORGED: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn would_take<'a>(report: &'a Value, field: &str) -> Vec<&'a str> {
    report["would_take"].as_array().unwrap().iter().map(|it| it[field].as_str().unwrap()).collect()
}

fn dry_run(port: &Port, flags: &[&str]) -> Value {
    port.json(&[&["poison", "redrive", "--dry-run"], flags].concat())
}

pub fn each_filter_chooses_what_it_names(port: &Port) {
    let bodies = port.poison(&port.orders, &["reject", "retry", "reject", "retry"], &[]);
    for (flags, chosen) in [
        (&["--detail", "rejection$"][..], 2),
        (&["--detail", "asks for a re(jection|try)"], 4),
        (&["--detail", "(?i)REJECTION"], 2),
        (&["--detail", "REJECTION"], 0),
        (&["--detail", "^rejection"], 0),
        (&["--newer-than", "1h"], 4),
        (&["--older-than", "1h"], 0),
        (&["--older-than", "0", "--newer-than", "1day"], 4),
        (&["--reason", "rejected", "--detail", "try"], 0),
        (&["--reason", "rejected", "--detail", "rejection", "--newer-than", "1h"], 2),
    ] {
        let report = dry_run(port, flags);
        assert_eq!(
            (&report["messages"], would_take(&report, "id").len() as u64),
            (&json!(chosen), chosen),
            "{flags:?}: {report}"
        );
        assert_eq!(report["not_chosen"], 4 - chosen, "{flags:?}: {report}");
    }
    for (flags, words) in [
        (&["--detail", "("][..], "unclosed group"),
        (&["--older-than", "2h", "--newer-than", "1h"], "--newer-than the longer time"),
        (&["--component", "order.wasm"], "is no digest"),
        (&["--component", "sha256:"], "is no digest"),
    ] {
        for verb in ["redrive", "purge", "list"] {
            port.verb(&[&["poison", verb], flags].concat()).ends_with(2).says(&[words]);
        }
    }

    let taken = port.json(&["poison", "redrive", "--detail", "rejection$", "--newer-than", "1h"]);
    assert_eq!(numbers(&taken, ["seen", "messages", "not_chosen"]), [4, 2, 2], "{taken}");
    let rejected = bodies.iter().filter(|it| it.contains("reject")).cloned().collect();
    assert_eq!(port.bodies(), sorted(rejected));
    let purged = port.json(&["poison", "purge", "--detail", "a retry$"]);
    assert_eq!(numbers(&purged, ["seen", "messages"]), [2, 2], "{purged}");
}

pub fn a_component_chooses_what_it_failed_on(port: &Port) {
    port.poison(&port.orders, &["reject", "retry"], &[]);
    let listed = port.verb(&["poison", "list", "--all"]).succeeded().json_lines();
    let Some(digest) = listed[0]["component"].as_str() else {
        // What a service moves by itself keeps a reason and its cause, and nothing of ours.
        let refused = port.verb(&["poison", "redrive", "--component", FORGED]).ends_with(2);
        refused.says(&["which component it failed on", "--reason"]);
        return;
    };
    for beginning in
        [digest, &digest[..15], &digest["sha256:".len()..20], &digest.to_uppercase()["SHA256:".len()..]]
    {
        let report = dry_run(port, &["--component", beginning]);
        assert_eq!(report["messages"], 2, "{beginning}: {report}");
    }
    let refused = port.verb(&["poison", "redrive", "--component", FORGED]).ends_with(2);
    refused.says(&["there are", digest, "(2)"]);
}

pub fn a_dry_run_lists_what_it_would_take_and_takes_nothing(port: &Port) {
    port.poison(&port.orders, &["reject", "retry"], &[]);
    let before = port.verb(&["poison", "list", "--all"]).succeeded().stdout;
    for verb in ["redrive", "purge"] {
        let report = port.json(&["poison", verb, "--dry-run", "--reason", "rejected"]);
        assert_eq!(would_take(&report, "detail"), ["the order asks for a rejection"], "{report}");
        assert_eq!(would_take(&report, "reason"), ["rejected"]);
        assert_eq!((&report["would_stay"], &report["dry_run"]), (&json!([]), &json!(true)));
        assert!(report["would_take"][0].get("body").is_none(), "{report}");
        let table =
            port.on(&port.orders, &["poison", verb, "--dry-run", "--output", "table"]).run().succeeded();
        for words in ["rejection", "attempts-exhausted", "would be", "looked at"] {
            assert!(table.stdout.contains(words), "{words}: {}", table.stdout);
        }
        assert!(!table.stdout.contains("stays"), "{}", table.stdout);
    }
    assert_eq!(port.verb(&["poison", "list", "--all"]).succeeded().stdout, before);
    assert_eq!(port.bodies(), Vec::<String>::new());
}

/// A body that its sender wrote as an envelope, so that a filter would choose it.
pub fn no_filter_believes_what_a_sender_wrote(port: &Port) {
    for format in ["raw", "envelope"] {
        let forged = json!({
            "longshore": "poison/1", "reason": "expiring", "detail": "forged", "id": "forged", "queue": port.orders,
            "dequeue_count": 1, "inserted": "2020-01-01T00:00:00Z", "poisoned": "2020-01-01T00:00:00Z",
            "component": FORGED, "encoding": "text", "body": "{}",
        });
        port.verb(&["send", &forged.to_string()]).succeeded();
        let flags = ["--linger", "0", "--poison-format", format];
        port.worker(&port.orders, &flags).run().succeeded();
        for flags in [&["--detail", "forged"][..], &["--reason", "expiring"], &["--older-than", "1day"]] {
            let report = dry_run(port, flags);
            assert_eq!((&report["seen"], &report["messages"]), (&json!(1), &json!(0)), "{flags:?}: {report}");
        }
        port.verb(&["poison", "purge", "--component", FORGED]).ends_with(2);
        port.verb(&["poison", "replay", "forged", "--component", "none.wasm"])
            .ends_with(1)
            .says(&["no message forged"]);
        assert_eq!(port.json(&["poison", "purge", "--yes"])["messages"], 1);
    }
}

/// The copy of a chosen message is in the queue, and the message is still in the poison queue.
pub fn a_redrive_that_chooses_and_is_killed_loses_nothing_and_takes_nothing_else(port: &Port) {
    let bodies = port.poison(&port.orders, &["retry", "reject", "retry", "reject", "reject"], &[]);
    let chosen: Vec<_> = bodies.iter().filter(|it| it.contains("reject")).cloned().collect();
    let redrive = ["poison", "redrive", "--detail", "rejection", "--rate", "100"];
    let killed = port.on(&port.orders, &redrive).env("FAILPOINTS", "between-redrive-and-delete=return").run();
    assert!(killed.was_killed(), "{killed:?}");
    assert_eq!(port.bodies().len(), 1, "it was killed after the first copy");

    // What it had leased is awaited.
    let report = port.json(&redrive);
    assert_eq!(numbers(&report, ["messages", "not_chosen", "hidden"]), [3, 2, 0], "{report}");
    let mut back = port.bodies();
    assert_eq!(back.len(), 4, "one came twice, with the same id: {back:?}");
    back.dedup();
    assert_eq!(back, sorted(chosen));
    let left = port.verb(&["poison", "list", "--all"]).succeeded().json_lines();
    let reasons: Vec<_> = left.iter().map(|it| &it["reason"]).collect();
    assert_eq!(reasons, ["attempts-exhausted"; 2]);
}

pub fn a_replay_hands_the_message_to_a_component_here_and_leaves_the_queue_as_it_is(port: &Port) {
    port.poison(&port.orders, &["retry-until:3"], &[]);
    let before = port.verb(&["poison", "list", "--all"]).succeeded();
    let id = before.json()["id"].as_str().unwrap().to_owned();
    let component = guest::order();
    let replay = |flags: &[&str]| {
        let common = ["poison", "replay", &id[..id.len() - 1], "--component", component.to_str().unwrap()];
        port.verb(&[&common[..], flags].concat())
    };
    let failed = replay(&[]).ends_with(1).json();
    assert_eq!((&failed["outcome"], &failed["reason"]), (&json!("retry"), &json!("retry")), "{failed}");
    assert_eq!(failed["detail"], "the order asks for more attempts", "{failed}");
    let message = &failed["message"];
    assert_eq!((&message["id"], &message["reason"]), (&json!(id), &json!("attempts-exhausted")), "{failed}");
    assert!(failed["component"].as_str().is_some_and(|it| it.starts_with("sha256:")), "{failed}");
    let mended = replay(&["--dequeue-count", "3"]).succeeded();
    assert_eq!(mended.json()["outcome"], "completed", "{mended:?}");
    mended.says(&["handled order o-0", &id]);
    let people = replay(&["--output", "table"]).ends_with(1);
    for words in ["was poisoned  attempts-exhausted", "outcome", "asks for more attempts"] {
        assert!(people.stdout.contains(words), "{words}: {}", people.stdout);
    }
    assert_eq!(
        port.verb(&["poison", "list", "--all"]).succeeded().stdout,
        before.stdout,
        "not leased, not counted"
    );
    assert_eq!(port.json(&["poison", "redrive"])["messages"], 1);
}

pub fn what_a_replayed_handler_sends_is_shown_and_not_sent(port: &Port) {
    port.on(&port.shared, &["queue", "create"]).run();
    port.verb(&["send", "outputs:2"]).succeeded();
    port.worker(&port.orders, &["--linger", "0"]).run().succeeded();
    let id = port.json(&["poison", "list", "--all"])["id"].as_str().unwrap().to_owned();
    let (component, outbox) = (guest::rogue(), format!("invoices={}", port.shared));
    let flags =
        ["--config", "greeting=hello", "--outbox", &outbox, "--component", component.to_str().unwrap()];
    let replayed = port.json(&[&["poison", "replay", &id], &flags[..]].concat());
    let sent: Vec<_> = replayed["outbox"].as_array().unwrap().iter().map(|it| &it["body"]).collect();
    assert_eq!(
        (&replayed["outcome"], sent),
        (&json!("completed"), vec![&json!("0"), &json!("1")]),
        "{replayed}"
    );
    assert_ne!(replayed["component"], replayed["message"]["component"]);
    let stats = port.on(&port.shared, &["queue", "stats"]).run().succeeded().json();
    assert_eq!(stats["approximate_count"], 0, "nothing was sent");
}
