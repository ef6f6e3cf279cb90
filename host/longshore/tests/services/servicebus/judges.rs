//! The judges of the broker: the official clients for Python and JavaScript, and that of .NET where
//! its judge is at hand.

use std::process::{Child, Command, Output, Stdio};

use crate::servicebus::amqp::{data, id};
use crate::servicebus::broker::{Broker, calm, installed};
use longshore_testkit::wait::until;
use longshore_testkit::{needs, sample};
use serde_json::{Value, json};

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
    if let Some(mut dotnet) = dotnet() {
        dotnet.arg(dotnet_verb);
        judges.push((".NET", dotnet));
    }
    judges
}

/// The program of .NET, where it is at hand.
fn dotnet() -> Option<Command> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(DOTNET)).find(|it| it.is_file());
    if found.is_none() {
        println!("{DOTNET} is not on PATH: Microsoft's client for .NET does not judge");
    }
    found.map(Command::new)
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

#[test]
fn the_clients_of_the_bench_take_thousands_of_messages_and_end() {
    // More than the library of the broker keeps of one session.
    const MESSAGES: usize = 5000;
    let (broker, body) = (Broker::start(&[]), sample::order("o-1", "ok"));
    let mut javascript = needs::program("node", needs::SERVICES);
    javascript.arg(installed("../../../benches/peers/servicebus.cjs")).arg(installed("node/package.json"));
    let clients = [("JavaScript", Some(javascript)), (".NET", dotnet())];
    for (name, client) in clients.into_iter().filter_map(|(name, it)| Some((name, it?))) {
        let mut client = client;
        let queue = broker.queue(60, 10);
        let message = |number| [id(&format!("o-{number}")), data(body.as_bytes())].concat();
        broker.fill_raw(&queue, &(0..MESSAGES).map(message).collect::<Vec<_>>());
        let (connection, messages) = (broker.connection_string(), MESSAGES.to_string());
        if name == ".NET" {
            client.arg("bus-processor").envs([("BUS_CONN", &connection), ("BUS_QUEUE", &queue)]);
            client.envs([("CONC", "16"), ("WANT", &messages)]);
        } else {
            client.args([&connection, &queue, &messages, "16"]);
        }
        let mut client = client.stdout(Stdio::null()).spawn().unwrap();
        let mut ended = None;
        until(format!("the end of the client for {name}"), || {
            ended = client.try_wait().unwrap();
            ended.is_some().then_some(())
        });
        assert!(ended.unwrap().success(), "{name}");
        assert_eq!(broker.done(&queue)["count"], MESSAGES, "{name}");
    }
}

#[test]
fn an_order_that_the_broker_cannot_carry_out_is_refused_and_ends_nothing() {
    let broker = Broker::start(&[]);
    let plain = broker.queue(30, 10);
    for (path, body, refused) in [
        ("/-/locks/nobody".to_owned(), Value::Null, "404"),
        ("/-/done/nobody".into(), Value::Null, "404"),
        ("/-/raw/nobody".into(), json!([]), "404"),
        (format!("/-/sessions/{plain}"), Value::Null, "404"),
        ("/-/no-such-order".into(), Value::Null, "404"),
        (format!("/-/raw/{plain}"), json!({ "no": "list" }), "400"),
        ("/-/%zz".into(), Value::Null, "400"),
    ] {
        let (status, answer) = broker.ask(&path, "", &body);
        assert_eq!(status, refused, "{path}: {answer}");
    }
    assert_eq!(broker.locked(&plain), 0, "it goes on");
}
