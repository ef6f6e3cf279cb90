//! Ten processes on one queue: each message is handled once, none is lost, and nobody takes the
//! locks of the others for an error.

use std::collections::BTreeMap;

use crate::directory::{Directory, ORDERS};
use crate::oracle::{Expected, Oracle, Sent, handled};
use crate::orders::order;
use longshore_testkit::wait::until;

const PROCESSES: usize = 10;
const MESSAGES: usize = 2_000;

/// What comes when the queue is empty, and the processes are about to end.
const LATE: usize = 200;

fn messages(from: usize, count: usize) -> Vec<Sent> {
    let body = |number: usize| order(&format!("o-{number}"), "ok").into_bytes();
    (from..from + count).map(|it| Sent { body: body(it), expected: Expected::Handled }).collect()
}

fn send(directory: &Directory, oracle: &mut Oracle, messages: Vec<Sent>) {
    let ids = directory.send(messages.iter().map(|it| &it.body));
    oracle.sent(ids.into_iter().zip(messages));
}

#[test]
fn ten_processes_on_one_queue_handle_each_message_once_and_what_comes_late_as_well() {
    let directory = Directory::new();
    let mut oracle = Oracle::watch(&directory, 5);
    send(&directory, &mut oracle, messages(0, MESSAGES));
    // On a busy machine a lease of two seconds may end before its message does.
    let flags = ["--visibility=60s", "--deadline=30s"];
    let processes: Vec<_> = (0..PROCESSES).map(|_| directory.worker(&flags).start()).collect();
    until("the end of all messages", || directory.rows(ORDERS).is_empty().then_some(()));
    // A drain looks a second time, at least a second later.
    send(&directory, &mut oracle, messages(MESSAGES, LATE));

    let mut lines = BTreeMap::new();
    let mut completed = 0;
    for process in processes {
        let ended = process.wait().succeeded();
        let summary = ended.json();
        assert_eq!(summary["completed"], summary["received"], "{summary}");
        completed += summary["completed"].as_u64().unwrap();
        for trouble in ["\"level\":\"ERROR\"", "receiving failed", "locked", "cannot take the call"] {
            assert!(!ended.stderr.contains(trouble), "{trouble}: {ended:?}");
        }
        handled(&ended.stderr, &mut lines);
    }
    let account = oracle.account(&directory.database(), &[], &lines);
    account.assert_nothing_lost();
    assert_eq!(account.handled_again, 0, "{account:?}");
    assert_eq!(completed, (MESSAGES + LATE) as u64);
}
