//! The whole loop, each outcome, and what becomes of poison messages, through the real binary.

use crate::storage::host::{BODY, Host};

#[test]
fn from_the_first_message_to_the_poison_queue_and_back() {
    let host = Host::here();
    send_and_drain(&host);
    redrive_and_purge(&host);
}

/// One message of each kind, sent and worked off.
pub fn send_and_drain(host: &Host) {
    host.send(&["ok", "two books", "reject", "retry-until:2", "retry", "trap"]);
    host.start(&["send", "--base64", &format!(r#"{{"order_id":"o","msg":"ok","note":"{BODY}"}}"#)])
        .succeeded();
    host.counts(7);
    assert_eq!(host.start(&["peek"]).succeeded().stdout.lines().count(), 7);
    let summary = host.run(&["--max-dequeue", "2"]).succeeded().json();
    let counts =
        ["received", "completed", "retried", "poisoned", "abandoned", "lease_lost"].map(|it| &summary[it]);
    assert_eq!(counts, [10, 4, 3, 3, 0, 0], "{summary}");
    assert_eq!(summary["poison_reasons"], serde_json::json!({ "rejected": 1, "attempts-exhausted": 2 }));
    host.counts(0);
}

/// What was poisoned by [`send_and_drain`]: listed, shown, sent again, deleted.
pub fn redrive_and_purge(host: &Host) {
    let listed = host.start(&["poison", "list", "--all", "--reason", "rejected"]).succeeded().json();
    assert_eq!((&listed["longshore"], &listed["dequeue_count"]), (&"poison/1".into(), &1.into()));
    assert!(listed["body"].as_str().unwrap().contains("reject"));
    let shown = host.start(&["poison", "show", listed["id"].as_str().unwrap()]).succeeded().json();
    assert_eq!(shown["body"], listed["body"]);
    let groups = host.start(&["poison", "list"]).succeeded().json_lines();
    let cause = |it: &serde_json::Value| it["cause"].as_str().unwrap().contains("the order asks for a trap");
    assert!(groups.iter().any(cause), "{groups:?}");
    let redriven = host.start(&["poison", "redrive", "--reason", "rejected"]).succeeded().json();
    assert_eq!(redriven["messages"], 1);
    host.counts(1);
    assert_eq!(host.start(&["poison", "purge", "--yes"]).succeeded().json()["messages"], 2);
}

#[test]
fn what_a_queue_does_not_take_stays_poison_and_the_rest_is_redriven() {
    let host = Host::here();
    host.send(&["reject", "reject"]);
    host.run(&[]).succeeded();
    // As somebody else may have put it there: what it was is no XML text.
    let envelope = host.start(&["poison", "list", "--all", "--limit", "1"]).succeeded().json();
    let mut damaged = envelope.as_object().unwrap().clone();
    damaged.extend([("body".into(), "WyJhAGIiXQ==".into()), ("encoding".into(), "base64".into())]);
    host.poison().start(&["send", &serde_json::to_string(&damaged).unwrap()]).succeeded();

    for (flags, left) in [(&["--dry-run"][..], 0), (&[], 2)] {
        let ended = host.start(&[&["poison", "redrive"][..], flags].concat());
        // What was chosen and stays is no success.
        let redriven = ended.ends_with(i32::from(flags.is_empty())).json();
        let skipped = serde_json::json!({ "not-text": 1 });
        assert_eq!((&redriven["messages"], &redriven["skipped"]), (&2.into(), &skipped), "{redriven}");
        host.counts(left);
    }
    host.poison().counts(1);
    let shown = host.start(&["poison", "list", "--all"]).succeeded().json();
    assert_eq!(shown["body"], "WyJhAGIiXQ==", "it can be looked at, and was released");
}
