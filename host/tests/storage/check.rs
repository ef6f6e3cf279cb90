//! `longshore check`: what the identity may do, learnt without touching a message.

use std::sync::Arc;

use crate::azurite::plain;
use crate::common::guest;
use crate::host::{Host, Ran};
use crate::proxy::{Decide, Fate, Proxy};

/// What was found, by check.
fn found(ran: &Ran, check: &str) -> String {
    let lines = ran.stdout.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let mut lines = lines.filter(|line| line["check"] == check);
    lines.next().unwrap_or_else(|| panic!("{check}: {ran:?}"))["result"].as_str().unwrap().to_owned()
}

const ALL: [&str; 6] = ["queue exists", "receive", "renew", "count", "poison queue exists", "send poison"];

#[test]
fn what_may_be_done_is_told_and_no_message_is_touched() {
    let host = Host::signed();
    host.send(&["ok"]);
    let ran = host.start(&["check"]);
    assert_eq!(ran.code, 3, "the poison queue is missing: {ran:?}");
    assert_eq!(ALL.map(|it| found(&ran, it)), ["yes", "allowed", "allowed", "allowed", "no", "unknown"]);

    let poison = Host::at(plain().signed(&format!("{}-poison", host.name())));
    poison.start(&["queue", "create"]).ok();
    let component = guest::order();
    let ran = host.start(&["check", "--probe-send", "--component", component.to_str().unwrap()]).ok();
    assert_eq!(ALL.map(|it| found(&ran, it)), ["yes", "allowed", "allowed", "allowed", "yes", "allowed"]);
    assert_eq!(found(&ran, "component loads"), "yes");
    let peeked = host.start(&["peek"]).ok().json();
    assert_eq!(peeked["dequeue_count"], 0);
    std::thread::sleep(std::time::Duration::from_millis(2500));
    assert_eq!(poison.start(&["peek"]).ok().stdout, "", "what was sent to try is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_denied_is_told_with_the_permission_that_is_missing() {
    let direct = Host::signed();
    let forbidden = Fate::Answer("403 Forbidden", "x-ms-error-code: AuthorizationPermissionMismatch\r\n");
    let decide: Decide = Arc::new(move |method, _| match method {
        "PUT" | "GET" => forbidden.clone(),
        _ => Fate::Pass,
    });
    let proxy = Proxy::start(plain().port, decide).await;
    let faulty = Host::at(proxy.url(&direct.url));
    let ran = tokio::task::spawn_blocking(move || faulty.start(&["check"])).await.unwrap();
    assert_eq!(
        ALL[..4].iter().map(|it| found(&ran, it)).collect::<Vec<_>>(),
        ["yes", "allowed", "denied", "denied"]
    );
    assert!(ran.stdout.contains("u (update)") && ran.stdout.contains("r (read)"), "{ran:?}");
}
