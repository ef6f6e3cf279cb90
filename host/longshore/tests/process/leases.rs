//! A lease is renewed for as long as its handler runs, and a handler without a lease is stopped.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::directory::{Directory, ORDERS, now_ms};
use crate::oracle::{Oracle, deletions, handled};
use crate::orders::order;
use crate::process::{Ended, Process};
use longshore_testkit::wait::{slack, until};

/// A worker that has leased the only message.
fn start(directory: &Directory, msg: &str, flags: &[&str]) -> (Process, String) {
    let id = directory.send([order("o-1", msg)]).remove(0);
    let worker = directory.worker(flags).start();
    until("the lease", || {
        (directory.rows(ORDERS)[0].visible_at > now_ms() && directory.rows(ORDERS)[0].dequeue_count == 1)
            .then_some(())
    });
    (worker, id)
}

fn times_handled(ended: &Ended, id: &str) -> usize {
    let mut lines = BTreeMap::new();
    handled(&ended.stderr, &mut lines);
    lines.get(id).copied().unwrap_or_default()
}

/// Takes the lease away, as another worker would that finds the message visible.
fn steal(directory: &Directory) {
    let sql = "UPDATE message SET receipt = random(), dequeue_count = dequeue_count + 1, visible_at = ?";
    assert_eq!(directory.database().execute(sql, [now_ms() + 60_000]).unwrap(), 1);
}

#[test]
#[ignore = "takes 8 s: make test-services"]
fn a_handler_that_runs_four_times_its_visibility_completes_once_and_nobody_else_gets_its_message() {
    let directory = Directory::new();
    Oracle::watch(&directory, 5);
    // Its lease lasts for two seconds: a machine that is busy may renew a shorter one too late.
    let (worker, id) = start(&directory, "sleep:8000", &["--visibility=2s", "--deadline=10m"]);
    let mut other = directory.worker(&["--forever"]).start();
    other.wait_for_line("\"started\"");

    let ended = worker.wait().succeeded();
    assert_eq!((&ended.json()["completed"], &ended.json()["received"]), (&1.into(), &1.into()), "{ended:?}");
    other.terminate();
    assert_eq!(other.wait().succeeded().json()["received"], 0);
    assert_eq!(deletions(&directory.database()), [(id.clone(), ORDERS.to_owned())]);
    assert_eq!(times_handled(&ended, &id), 1);
}

#[test]
fn a_lease_that_is_stolen_interrupts_the_handler_and_nothing_is_deleted() {
    let directory = Directory::new();
    Oracle::watch(&directory, 5);
    let (worker, id) = start(&directory, "sleep:60000", &["--visibility=2s", "--deadline=10m"]);
    let stolen = Instant::now();
    steal(&directory);
    let ended = worker.wait().succeeded();
    assert_eq!(
        (&ended.json()["lease_lost"], &ended.json()["completed"]),
        (&1.into(), &0.into()),
        "{ended:?}"
    );
    // It is noticed with the renewal at half of the lease; then two receives a second apart find
    // nothing.
    let limit = slack(Duration::from_secs(10));
    assert!(stolen.elapsed() < limit, "it ran for {:?}", stolen.elapsed());
    assert_eq!(deletions(&directory.database()), []);
    assert_eq!((directory.rows(ORDERS)[0].dequeue_count, times_handled(&ended, &id)), (2, 0));
}

#[test]
fn a_lease_that_was_stolen_before_settlement_deletes_nothing() {
    let directory = Directory::new();
    Oracle::watch(&directory, 5);
    let (worker, id) = start(&directory, "sleep:2000", &["--visibility=30s", "--deadline=10s"]);
    steal(&directory);
    let ended = worker.wait().succeeded();
    assert_eq!(
        (&ended.json()["lease_lost"], &ended.json()["completed"]),
        (&1.into(), &0.into()),
        "{ended:?}"
    );
    assert_eq!(deletions(&directory.database()), []);
    assert_eq!((directory.rows(ORDERS)[0].dequeue_count, times_handled(&ended, &id)), (2, 1));
}
