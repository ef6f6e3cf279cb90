//! What `longshore check` tells a caller who may do everything.

use std::time::Duration;

use crate::storage::check::{ALL, found};
use crate::storage::host::Host;
use longshore_testkit::guest;

#[test]
fn what_may_be_done_is_told_and_no_message_is_touched() {
    let host = Host::here();
    host.send(&["ok"]);
    let ran = host.start(&["check"]);
    assert_eq!(ran.code(), 3, "the poison queue is missing: {ran:?}");
    assert_eq!(ALL.map(|it| found(&ran, it)), ["yes", "allowed", "allowed", "allowed", "no", "unknown"]);

    let poison = host.poison();
    poison.start(&["queue", "create"]).succeeded();
    let component = guest::order();
    let ran = host.start(&["check", "--probe-send", "--component", component.to_str().unwrap()]).succeeded();
    assert_eq!(ALL.map(|it| found(&ran, it)), ["yes", "allowed", "allowed", "allowed", "yes", "allowed"]);
    assert_eq!(found(&ran, "component loads"), "yes");
    let peeked = host.start(&["peek"]).succeeded().json();
    assert_eq!(peeked["dequeue_count"], 0);
    // It is hidden for one second, and expires after two. No event tells: an expired message may
    // still be counted.
    std::thread::sleep(Duration::from_millis(3500));
    assert_eq!(poison.start(&["peek"]).succeeded().stdout, "", "what was sent to try is gone");
}
