//! The judges of the broker: the official clients for Python and JavaScript.

use std::process::{Command, Output};

use crate::servicebus::broker::{Broker, calm, installed};
use longshore_testkit::needs;

/// Each with what it is called.
fn judges() -> [(&'static str, Command); 2] {
    let mut python = Command::new(installed(".venv/bin/python"));
    python.arg(installed("python/judge.py"));
    let mut javascript = needs::program("node", needs::SERVICES);
    javascript.arg(installed("node/judge.js"));
    [("Python", python), ("JavaScript", javascript)]
}

/// What both say of a broker, asked at once.
fn verdicts(broker: &Broker) -> Vec<(&'static str, Output)> {
    let asked = judges().map(|(name, mut judge)| {
        let asked = judge.arg(broker.connection_string()).arg(broker.queue(2, 3));
        let asked = asked.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        (name, asked.spawn().unwrap())
    });
    asked.into_iter().map(|(name, asked)| (name, asked.wait_with_output().unwrap())).collect()
}

#[test]
fn the_official_clients_are_content_with_the_broker() {
    for (name, verdict) in verdicts(calm()) {
        let said = String::from_utf8_lossy(&verdict.stderr);
        assert!(verdict.status.success() && verdict.stdout == b"ok\n", "{name}: {said}");
    }
}

#[test]
fn each_planted_mistake_is_found_by_both_official_clients() {
    let cases = [
        ("tag-order", "renewed by its token"),
        ("no-expiry", "is delivered"),
        ("count", "counts none before it"),
        ("no-dead-letter", "is delivered"),
    ];
    let found: Vec<_> = std::thread::scope(|scope| {
        let started = cases
            .map(|(bug, words)| (bug, words, scope.spawn(move || verdicts(&Broker::start(&["--bug", bug])))));
        started.into_iter().map(|(bug, words, judged)| (bug, words, judged.join().unwrap())).collect()
    });
    for (bug, words, verdicts) in found {
        for (name, verdict) in verdicts {
            let said = String::from_utf8_lossy(&verdict.stderr);
            let found = !verdict.status.success() && said.contains("broken: ") && said.contains(words);
            assert!(found, "{name} is content with {bug}: {said}");
        }
    }
}
