//! The judges of the broker: the official clients for Python and JavaScript, and that of .NET where
//! its judge is at hand.

use std::process::{Child, Command, Output, Stdio};

use crate::servicebus::broker::{Broker, calm, installed};
use longshore_testkit::needs;

/// A program of .NET that judges brokers. It is no part of the tests: where it is not on `PATH`,
/// the others judge alone.
const DOTNET: &str = "dotnet-peer";

/// What is judged.
#[derive(Clone, Copy)]
enum Judged {
    Queue,
    Topic,
    Sessions,
}

/// The judges, each with what it is called.
fn judges(what: Judged) -> Vec<(&'static str, Command)> {
    let (python_file, javascript_file, dotnet_verb) = match what {
        Judged::Queue => ("python/judge.py", "node/judge.js", "judge-queue"),
        Judged::Topic => ("python/judge_topic.py", "node/judge-topic.js", "judge-topic"),
        Judged::Sessions => ("python/judge_sessions.py", "node/judge-sessions.js", "judge-sessions"),
    };
    let mut python = Command::new(installed(".venv/bin/python"));
    python.arg(installed(python_file));
    let mut javascript = needs::program("node", needs::SERVICES);
    javascript.arg(installed(javascript_file));
    let mut judges = vec![("Python", python), ("JavaScript", javascript)];
    let path = std::env::var_os("PATH").unwrap_or_default();
    match std::env::split_paths(&path).map(|folder| folder.join(DOTNET)).find(|it| it.is_file()) {
        Some(found) => {
            let mut dotnet = Command::new(found);
            dotnet.arg(dotnet_verb);
            judges.push((".NET", dotnet));
        }
        None => println!("{DOTNET} is not on PATH: Microsoft's client for .NET does not judge"),
    }
    judges
}

/// What all say of a broker, asked at once, each of an entity of its own.
fn verdicts(broker: &Broker, what: Judged) -> Vec<(&'static str, Output)> {
    let ask = |(name, mut judge): (&'static str, Command)| {
        judge.arg(broker.connection_string());
        match what {
            Judged::Queue => judge.arg(broker.queue(2, 3)),
            Judged::Topic => judge.arg(broker.topic(2, 3, &["all", "some"])).args(["all", "some"]),
            Judged::Sessions => judge.arg(broker.session_queue(2, 5)),
        };
        (name, judge.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    };
    let asked: Vec<(_, Child)> = judges(what).into_iter().map(ask).collect();
    asked.into_iter().map(|(name, asked)| (name, asked.wait_with_output().unwrap())).collect()
}

/// How often .NET's client is asked that finds messages out of order. It releases what comes 20 ms
/// after the rest of a batch, and gets that behind others: on a busy machine it is its own doing.
const ASKED: usize = 8;

#[test]
fn the_official_clients_are_content_with_the_broker() {
    for what in [Judged::Queue, Judged::Topic, Judged::Sessions] {
        for attempt in 1..=ASKED {
            let said = verdicts(calm(), what).into_iter().find_map(|(name, verdict)| {
                let content = verdict.status.success() && verdict.stdout == b"ok\n";
                (!content).then(|| (name, String::from_utf8_lossy(&verdict.stderr).into_owned()))
            });
            match said {
                None => break,
                Some((".NET", said)) if said == "broken: in order, none twice\n" && attempt < ASKED => {}
                Some((name, said)) => panic!("{name}: {said}"),
            }
        }
    }
}

#[test]
fn each_planted_mistake_is_found_by_every_official_client() {
    let cases = [
        (Judged::Queue, "tag-order", "renewed by its token"),
        (Judged::Queue, "no-expiry", "is delivered"),
        (Judged::Queue, "count", "counts none before it"),
        (Judged::Queue, "no-dead-letter", "is delivered"),
        (Judged::Topic, "one-copy", "each subscription gets"),
        (Judged::Sessions, "session-twice", "given to nobody else"),
        (Judged::Sessions, "session-mixed", "come in order, and no others"),
    ];
    let found: Vec<_> = std::thread::scope(|scope| {
        let judged = |bug, what| move || verdicts(&Broker::start(&["--bug", bug]), what);
        let started = cases.map(|(what, bug, words)| (bug, words, scope.spawn(judged(bug, what))));
        started.into_iter().map(|(bug, words, judged)| (bug, words, judged.join().unwrap())).collect()
    });
    for (bug, words, verdicts) in found {
        for (name, verdict) in verdicts {
            let said = String::from_utf8_lossy(&verdict.stderr);
            // The promises of the one for .NET are worded otherwise.
            let named = name == ".NET" || said.contains(words);
            let found = !verdict.status.success() && said.contains("broken: ") && named;
            assert!(found, "{name} is content with {bug}: {said}");
        }
    }
}
