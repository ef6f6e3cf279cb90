//! A drain as operators know it: what always fails is settled, a log that nobody reads holds
//! nothing up, and a container is never killed for what the host admitted.

use std::time::Duration;

use crate::directory::{Directory, ORDERS, POISON};
use crate::orders::order;
use crate::process::{cache, longshore};
use longshore_testkit::guest;
use longshore_testkit::wait::{slack, until};

#[test]
#[ignore = "the retries take most of a minute: `make test-services` runs it"]
fn of_500_messages_the_25_that_always_fail_are_poisoned_and_the_run_ends_with_0() {
    let directory = Directory::new();
    let fails = |number: usize| number % 20 == 7;
    directory.send((0..500).map(|n| order(&format!("o-{n}"), if fails(n) { "retry" } else { "ok" })));
    // The default flags.
    let mut program = longshore(["run", "--output=json", "--queue", &directory.url(ORDERS), "--component"]);
    let ended = program.arg(guest::order()).arg("--cache-dir").arg(cache()).run().succeeded();
    let summary = ended.json();
    println!("500 messages, 25 of which always fail: exit 0 after {:?}, {summary}", ended.took);
    assert_eq!((&summary["completed"], &summary["poisoned"]), (&475.into(), &25.into()));
    assert_eq!((directory.rows(ORDERS).len(), directory.rows(POISON).len()), (0, 25));
    assert!(ended.took < slack(Duration::from_secs(180)), "{:?}", ended.took);
}

#[test]
fn a_log_that_nobody_reads_holds_nothing_up() {
    let directory = Directory::new();
    // A line of the handler and one of the host for each: a pipe holds 64 KiB.
    directory.send((0..600).map(|n| order(&format!("o-{n}"), "ok")));
    let mut program = directory.worker(&["--forever"]);
    let worker = program.unread_log().start();
    until("the end of all messages", || directory.rows(ORDERS).is_empty().then_some(()));
    worker.terminate();
    let ended = worker.wait().succeeded();
    assert_eq!(ended.json()["completed"], 600);
}

#[test]
fn a_run_that_receives_nothing_says_what_is_not_visible() {
    let directory = Directory::new();
    longshore(["send", "--delay=1h", "--queue", &directory.url(ORDERS), "{}"]).run().succeeded();
    let mut program = longshore(["run", "--queue", &directory.url(ORDERS), "--component"]);
    let table = program.arg(guest::order()).arg("--cache-dir").arg(cache()).run().succeeded();
    let json = directory.worker(&[]).run().succeeded();
    let said = "nothing was received, and about 1 messages are in the queue and not visible";
    table.says(&[said]);
    json.says(&[said]);
    directory.send([order("o-1", "ok")]);
    let some = directory.worker(&[]).run().succeeded();
    some.says(&["\"not_visible\":1", "about 1 messages are in the queue and not visible"]);
    assert!(!some.stderr.contains("nothing was received"), "{some:?}");
}

#[test]
fn a_drained_queue_that_is_empty_is_said_nothing_of() {
    let directory = Directory::new();
    directory.send([order("o-1", "ok")]);
    let ended = directory.worker(&[]).run().succeeded();
    assert!(!ended.stderr.contains("not visible"), "{ended:?}");
}
