//! The state of sessions, set by handlers and by the official clients, as either of them reads it.

use std::process::Command;

use longshore_testkit::program::Program;
use longshore_testkit::wait::until;
use longshore_testkit::{guest, needs};
use serde_json::{Value, json};

use crate::servicebus::broker::{Broker, calm, installed};
use crate::servicebus::host::Host;

/// Clients of somebody else.
#[derive(Clone, Copy)]
enum Official {
    Python,
    JavaScript,
}

impl Official {
    /// Reads a session's state, or sets it before.
    fn call(self, host: &Host, session: &str, set: Option<&[u8]>) -> Option<Vec<u8>> {
        let mut command = match self {
            Self::Python => {
                let mut python = Command::new(installed(".venv/bin/python"));
                python.arg(installed("python/session_state.py"));
                python
            }
            Self::JavaScript => {
                let mut node = needs::program("node", needs::SERVICES);
                node.arg(installed("node/session-state.js"));
                node
            }
        };
        command.args([if set.is_some() { "set" } else { "get" }, &host.connection, &host.name, session]);
        // In a file: a whole state is more than an argument may have.
        let file = tempfile::NamedTempFile::new().unwrap();
        if let Some(bytes) = set {
            std::fs::write(file.path(), bytes).unwrap();
            command.arg(file.path());
        }
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        let hex = said.strip_prefix('=')?;
        let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        Some((0..hex.len()).step_by(2).map(byte).collect())
    }

    fn read(self, host: &Host, session: &str) -> Option<String> {
        self.call(host, session, None).map(|bytes| String::from_utf8(bytes).unwrap())
    }
}

fn counts(ran: &Value) -> [Value; 6] {
    ["received", "completed", "retried", "poisoned", "abandoned", "lease_lost"].map(|it| ran[it].clone())
}

fn wait_for_a_free_session(host: &Host, session: &str) {
    until("a free session", || (calm().sessions(&host.name)[session]["held"] == false).then_some(()));
}

#[test]
fn a_state_is_kept_over_messages_retries_and_runs_and_the_official_clients_read_it() {
    let topic = calm().session_topic(30, 1000, &["billing"]);
    let subscription = Host::of_subscription(calm(), &topic, "billing");
    let of_topic = subscription.beside(&topic);
    let queue = Host::of_sessions(calm(), 30);
    for (host, to) in [(&queue, &queue), (&subscription, &of_topic)] {
        // An attempt that fails leaves the state as it was: there is one `b`.
        to.send_into("red", &["append:a", "append-then-retry:b", "reject", "append:c"]);
        to.send_into("blue", &["append:x", "forget", "append:y"]);
        let ran = host.run(&[]).run().succeeded().json();
        assert_eq!(counts(&ran), [8, 6, 1, 1, 0, 0].map(Value::from), "{ran}");
        for official in [Official::Python, Official::JavaScript] {
            assert_eq!(official.read(host, "red").as_deref(), Some("abc"));
            assert_eq!(official.read(host, "blue").as_deref(), Some("y"));
        }
        to.send_into("red", &["expect:abc", "append:d"]);
        to.send_into("blue", &["forget"]);
        let ran = host.run(&[]).run().succeeded().json();
        assert_eq!(ran["completed"], 3, "{ran}");
        assert_eq!(Official::Python.read(host, "red").as_deref(), Some("abcd"));
        assert_eq!(Official::JavaScript.read(host, "blue"), None);
    }
}

// What is valid JSON, the client for JavaScript parses: states that it reads here are none.
#[test]
fn what_official_clients_set_comes_to_handlers_byte_for_byte_and_stays_where_they_leave_it() {
    let host = Host::of_sessions(calm(), 30);
    let every: Vec<u8> = (0..=255).collect();
    let states = [&every[..], b"longshore-session/2 {}\n\x00", b"longshore-session/1 {", b"\xff\xfe"];
    for (n, state) in states.into_iter().enumerate() {
        let official = if n % 2 == 0 { Official::Python } else { Official::JavaScript };
        let (kept, changed) = (format!("kept-{n}"), format!("changed-{n}"));
        for session in [&kept, &changed] {
            assert_eq!(official.call(&host, session, Some(state)).as_deref(), Some(state));
        }
        host.send_into(&kept, &["ok", "retry-until:2"]);
        host.send_into(&changed, &["append:é"]);
        let ran = host.run(&[]).run().succeeded().json();
        assert_eq!(ran["completed"], 3, "{ran}");
        assert_eq!(Official::Python.call(&host, &kept, None).as_deref(), Some(state));
        let longer = [state, "é".as_bytes()].concat();
        assert_eq!(Official::JavaScript.call(&host, &changed, None), Some(longer));
    }
}

#[test]
fn a_host_that_is_killed_before_it_completes_a_message_has_its_state_set_once() {
    let host = Host::of_sessions(calm(), 30);
    host.send_into("red", &["append:a", "append:b"]);
    // Before the state is set: the message is handled again.
    let killed = host.run(&[]).env("FAILPOINTS", "between-output-and-state=return").run();
    assert!(killed.was_killed());
    wait_for_a_free_session(&host, "red");
    // After it: the message is completed, and the next one is handled.
    for message in ["a", "b"] {
        let killed = host.run(&[]).env("FAILPOINTS", "between-output-and-delete=return").run();
        assert!(killed.was_killed(), "{message}");
        wait_for_a_free_session(&host, "red");
    }
    assert_eq!(calm().sessions(&host.name)["red"]["deliveries"], json!([0]), "the last is not completed");
    let ended = host.run(&[]).run().succeeded();
    assert_eq!(counts(&ended.json()), [0; 6].map(Value::from), "nothing is handled again");
    assert!(ended.stderr.contains("was handled before"), "{}", ended.stderr);
    assert_eq!(Official::Python.read(&host, "red").as_deref(), Some("ab"));
    assert_eq!(host.count(), 0);
    host.send_into("red", &["expect:ab", "append:c"]);
    assert_eq!(host.run(&[]).run().succeeded().json()["completed"], 2);
    assert_eq!(Official::JavaScript.read(&host, "red").as_deref(), Some("abc"));
}

#[test]
fn whatever_is_cut_each_state_has_each_message_once_and_in_order() {
    const SESSIONS: usize = 4;
    const MESSAGES: usize = 8;
    let broker = Broker::start(&[]);
    let host = Host::of_sessions(&broker, 5);
    let appends: Vec<_> = (0..MESSAGES).map(|n| format!("append-then-retry:{n}")).collect();
    let appends: Vec<_> = appends.iter().map(String::as_str).collect();
    for session in 0..SESSIONS {
        host.send_into(&format!("s{session}"), &appends);
    }
    let points = ["settle", "update-disposition", "set-session-state", "get-session-state", "deliver"];
    for seed in 1..=5 {
        broker.order(&json!({ "seed": seed, "probability": 0.1, "limit": 12, "points": points }));
        let point = ["between-output-and-state", "between-output-and-delete"][seed % 2];
        let mut run = host.run(&["--hold", "0", "--max-dequeue", "1000", "--time-budget", "1m"]);
        run.env("FAILPOINTS", format!("{point}=4*off->return")).run();
    }
    let faults = broker.order(&json!([]));
    while host.count() != 0 {
        host.run(&["--hold", "0", "--max-dequeue", "1000"]).run().succeeded();
    }
    assert_eq!(host.json(&["poison", "list"]), Value::Null);
    // Where a last message was completed and no answer came, the mark stays until there is another.
    for session in 0..SESSIONS {
        host.send_into(&format!("s{session}"), &["ok"]);
    }
    host.run(&[]).run().succeeded();
    for session in 0..SESSIONS {
        let state = Official::Python.read(&host, &format!("s{session}"));
        assert_eq!(state.as_deref(), Some("01234567"), "{session}: {faults}");
    }
}

#[test]
fn a_session_that_is_lost_before_the_state_is_set_keeps_what_it_had() {
    let broker = Broker::start(&[]);
    let host = Host::of_sessions(&broker, 2);
    Official::Python.call(&host, "red", Some(b"before"));
    host.send_into("red", &["append-late:x"]);
    broker.order(&json!([{ "at": "renew-session-lock", "do": "busy", "times": 1000 }]));
    let ran = host.run(&["--max-messages", "1"]).run().succeeded().json();
    assert_eq!(counts(&ran), [1, 0, 0, 0, 0, 1].map(Value::from), "{ran}");
    let state = broker.sessions(&host.name)["red"]["state"].as_str().unwrap().to_owned();
    assert!(state.ends_with("before"), "behind the mark of a session that was lost: {state}");
    broker.order(&json!([]));
    assert_eq!(host.run(&[]).run().succeeded().json()["completed"], 1);
    assert_eq!(Official::Python.read(&host, "red").as_deref(), Some("beforex"));
}

#[test]
fn a_state_fills_what_the_service_takes_and_more_fails_its_message() {
    let host = Host::of_sessions(calm(), 30);
    host.send_into("full", &["fill:256000", "ok", "append:x"]);
    host.send_into("over", &["append:a", "fill:256001"]);
    let ended = host.run(&["--max-dequeue", "1"]).run().succeeded();
    let ran = ended.json();
    assert_eq!(counts(&ran), [5, 3, 0, 2, 0, 0].map(Value::from), "{}", ended.stderr);
    assert!(ended.stderr.contains("session-state-limit"), "{}", ended.stderr);
    assert_eq!(Official::Python.call(&host, "full", None).map(|it| it.len()), Some(256_000));
    assert_eq!(Official::Python.read(&host, "over").as_deref(), Some("a"));
    // One that another client has set, and that leaves no room beside it, stays as it is.
    for bytes in [261_100, 262_000] {
        let (session, state) = (format!("big-{bytes}"), vec![b'x'; bytes]);
        Official::Python.call(&host, &session, Some(&state));
        host.send_into(&session, &["ok"]);
        let ended = host.run(&[]).run().succeeded();
        assert_eq!(ended.json()["completed"], 1);
        assert!(ended.stderr.contains("a handler that kills the host is not counted"), "{}", ended.stderr);
        assert_eq!(Official::Python.call(&host, &session, None), Some(state));
    }
}

#[test]
fn a_queue_without_sessions_has_no_state_and_says_which_have() {
    let host = Host::new(calm(), 30);
    host.send(&["append:x"]);
    let ended = host.run(&["--max-dequeue", "1"]).run().succeeded();
    assert_eq!(ended.json()["poisoned"], 1);
    assert!(ended.stderr.contains("has no sessions, and keeps no state of them"), "{}", ended.stderr);
}

#[test]
fn each_package_for_handlers_reads_and_sets_the_state() {
    let home = tempfile::tempdir().unwrap();
    let host = Host::new(calm(), 30);
    for probe in ["guest/python/target/session-probe.wasm", "guest/js/target/session-probe.wasm"] {
        let probe = needs::file(longshore_testkit::root().join(probe), needs::GUESTS);
        let invoke = |wish: &str, state: Option<&[u8]>| {
            let mut invoke = host.program(&["invoke", probe.to_str().unwrap(), &format!("\"{wish}\"")]);
            let file = home.path().join("state");
            if let Some(state) = state {
                std::fs::write(&file, state).unwrap();
                invoke.args(["--session-state", file.to_str().unwrap()]);
            }
            if state.is_some() || wish != "ask" {
                invoke.args(["--session-id", "red"]);
            }
            invoke.run().never_panicked().json()
        };
        for (wish, state, expected) in [
            ("count", None, json!({ "text": "{\"count\":1}" })),
            ("count", Some(&b"{\"count\": 41}"[..]), json!({ "text": "{\"count\":42}" })),
            ("bytes", None, json!({ "text": null, "base64": "/wA=" })),
            ("expect-bytes", Some(b"\xff\x00"), Value::Null),
            ("forget", Some(b"x"), json!({ "text": null })),
        ] {
            let invoked = invoke(wish, state);
            assert_eq!((&invoked["outcome"], &invoked["session_state"]), (&json!("completed"), &expected));
        }
        let unread = invoke("count", Some(b"\xff"));
        assert_eq!(unread["detail"], "the state of the session is not what was expected", "{unread}");
        let asked = invoke("ask", None);
        let detail = asked["detail"].as_str().unwrap();
        assert!(detail.starts_with("no session: the queue invoke has no sessions"), "{detail}");
    }
}

#[test]
fn handlers_in_python_and_javascript_keep_a_state_as_well() {
    for component in [guest::python(), guest::javascript()] {
        let host = Host::of_sessions(calm(), 60);
        host.send_into("red", &["append:a", "append-then-retry:b", "append:c"]);
        let arguments = ["run", "--component", component.to_str().unwrap(), "--deadline", "1m"];
        let mut run: Program = host.program(&arguments);
        let ran = run.args(["--retry-base", "200ms", "--breaker", "0"]).run().succeeded().json();
        assert_eq!(counts(&ran), [4, 3, 1, 0, 0, 0].map(Value::from), "{ran}");
        assert_eq!(Official::JavaScript.read(&host, "red").as_deref(), Some("abc"));
    }
}
