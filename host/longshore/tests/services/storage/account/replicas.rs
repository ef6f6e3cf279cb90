//! Two replicas of the worker on one queue, one of which is killed.

use std::collections::HashSet;

use serde_json::Value;

use crate::storage::host::Host;
use longshore_testkit::guest;
use longshore_testkit::program::Process;
use longshore_testkit::wait::until;

const MESSAGES: usize = 60;

fn replica(host: &Host) -> Process {
    let component = guest::order();
    let args = ["run", "--forever", "--visibility", "6s", "--concurrency", "4", "--component"];
    host.program(&[&args[..], &[component.to_str().unwrap()]].concat()).start()
}

/// The ids of the messages that a log calls completed.
fn completed(log: &str) -> HashSet<String> {
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let done = lines.filter(|line| line["outcome"] == "completed");
    done.map(|line| line["message_id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_a_killed_replica_held_is_handled_by_the_other() {
    let host = Host::here();
    host.send(&["sleep:300"; MESSAGES]);
    let (killed, survivor) = (replica(&host), replica(&host));
    until("the first message of each", || {
        let both = [&killed, &survivor].iter().all(|it| !completed(&it.stderr()).is_empty());
        both.then_some(())
    });
    let killed = host.tells_nothing(killed.kill());
    host.counts(0);
    survivor.terminate();
    let survivor = host.end_of(survivor).succeeded();

    let (first, second) = (completed(&killed.stderr), completed(&survivor.stderr));
    assert!(!first.is_empty() && !second.is_empty(), "both worked: {} and {}", first.len(), second.len());
    // What was deleted a moment before the kill may not be in the log.
    let all = first.union(&second).count();
    assert!((MESSAGES - 4..=MESSAGES).contains(&all), "{all} of {MESSAGES}");
}
