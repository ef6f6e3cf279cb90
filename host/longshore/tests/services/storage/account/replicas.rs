//! Two replicas of the worker on one queue, one of which is killed.

use std::collections::HashSet;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::storage::host::Host;
use longshore_testkit::guest;

const MESSAGES: usize = 60;

fn replica(host: &Host) -> Child {
    let component = guest::order();
    let args = ["run", "--forever", "--visibility", "6s", "--concurrency", "4", "--component"];
    let mut command = host.command(&[&args[..], &[component.to_str().unwrap()]].concat());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
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
    let (mut killed, survivor) = (replica(&host), replica(&host));
    std::thread::sleep(Duration::from_millis(1500));
    killed.kill().unwrap();
    let killed = host.ran(killed.wait_with_output().unwrap(), Duration::ZERO);

    let started = Instant::now();
    while host.count() > 0 {
        assert!(started.elapsed() < Duration::from_secs(60), "it is not drained");
        std::thread::sleep(Duration::from_millis(300));
    }
    kill_process(Pid::from_child(&survivor), Signal::TERM).unwrap();
    let survivor = host.ran(survivor.wait_with_output().unwrap(), Duration::ZERO).ok();

    let (first, second) = (completed(&killed.stderr), completed(&survivor.stderr));
    assert!(!first.is_empty() && !second.is_empty(), "both worked: {} and {}", first.len(), second.len());
    // What was deleted a moment before the kill may not be in the log.
    let all = first.union(&second).count();
    assert!((MESSAGES - 4..=MESSAGES).contains(&all), "{all} of {MESSAGES}");
}
