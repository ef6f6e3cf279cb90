//! What an entity promises that requires sessions, beside what every entity does.

use std::io::Write;

use serde_json::json;

use super::{LOCK_S, clean, counts, empty, named, requires_sessions};
use crate::servicebus::broker::calm;
use crate::servicebus::host::Host;
use crate::servicebus::sessions::handled;
use longshore_testkit::wait::until;

/// An empty entity that requires sessions; `None` where the caller's does not. Who runs the tests
/// is told, whatever becomes of them.
fn entity() -> Option<Host> {
    let Some(url) = named() else { return Some(Host::of_sessions(calm(), LOCK_S)) };
    let host = empty(url);
    if requires_sessions(url) {
        return Some(host);
    }
    // What `eprintln!` writes is shown only of tests that fail.
    let told = std::io::stderr().write_all(b"left out: the entity does not require sessions\n");
    told.expect("standard error");
    None
}

#[test]
fn each_session_is_worked_off_in_order_whatever_becomes_of_its_messages() {
    let Some(host) = entity() else { return };
    host.send_into("red", &["ok", "retry-until:2", "ok", "reject", "ok"]);
    host.send_into("blue", &["ok", "trap", "retry-until:3", "ok"]);
    let ended = host.run(&["--max-dequeue", "3", "--sessions", "2"]).run().succeeded();
    let ran = ended.json();
    assert_eq!(counts(&ran), [14, 7, 5, 2, 0, 0], "{ran}");
    let handled = handled(&ended.stderr);
    assert_eq!(handled["red"], ["0", "1", "2", "4"], "{handled:?}");
    assert_eq!(handled["blue"], ["0", "2", "3"], "{handled:?}");
    clean(&host);
}

#[test]
fn a_handler_that_kills_its_host_is_poisoned_and_its_session_goes_on() {
    let Some(host) = entity() else { return };
    host.send_into("red", &["ok", "ok"]);
    for killed in 1..=3 {
        // The service may keep the session locked for a while.
        until(format!("kill {killed}"), || {
            let mut run = host.run(&["--max-dequeue", "3", "--hold", "0"]);
            run.env("FAILPOINTS", "before-handler=return").run().was_killed().then_some(())
        });
    }
    let ended = host.run(&["--max-dequeue", "3"]).run().succeeded();
    let ran = ended.json();
    assert_eq!((&ran["completed"], &ran["poisoned"]), (&json!(1), &json!(1)), "{ran}");
    assert_eq!(ran["poison_reasons"], json!({ "attempts-exhausted": 1 }));
    assert_eq!(handled(&ended.stderr)["red"], ["1"], "the one behind it goes on");
    clean(&host);
}
