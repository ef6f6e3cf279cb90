//! The whole loop through the real binary, and other people's clients at both ends.

use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::servicebus::broker::{Broker, calm, installed};
use longshore_testkit::guest;
use longshore_testkit::identity::{CLIENT_ID, HEADER, Identity};

/// How often the end-to-end test runs; `make servicebus-100` asks for 100.
fn rounds() -> u32 {
    std::env::var("LONGSHORE_ROUNDS").ok().and_then(|it| it.parse().ok()).unwrap_or(3)
}

/// A queue, and the binary in front of it.
pub struct Host {
    name: String,
    connection: String,
    /// What the queue is called on the command line.
    url: String,
    /// What else the binary finds in its environment.
    env: Vec<(&'static str, String)>,
}

impl Host {
    fn new(broker: &Broker, lock_s: u32) -> Self {
        let (name, connection) = (broker.queue(lock_s, 10), broker.connection_string());
        let url = format!("{connection};EntityPath={name}");
        Self { name, connection, url, env: Vec::new() }
    }

    /// With a managed identity, over TLS.
    pub fn with_identity(broker: &Broker, identity: &Identity, host: &str, query: &str) -> Self {
        let (_, authority) = broker.tls.as_ref().unwrap();
        let plain = Self::new(broker, 30);
        let env = [
            ("IDENTITY_ENDPOINT", identity.url.clone()),
            ("IDENTITY_HEADER", HEADER.to_owned()),
            ("AZURE_CLIENT_ID", CLIENT_ID.to_owned()),
            ("SSL_CERT_FILE", authority.to_str().unwrap().to_owned()),
        ];
        Self { url: format!("sb://{host}/{}{query}", plain.name), env: env.into(), ..plain }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// The same without one of its variables.
    pub fn without(mut self, variable: &str) -> Self {
        self.env.retain(|(name, _)| *name != variable);
        self
    }

    fn command(&self, args: &[&str]) -> Command {
        static CACHE: OnceLock<tempfile::TempDir> = OnceLock::new();
        let cache = CACHE.get_or_init(|| tempfile::tempdir().unwrap());
        let mut command = Command::new(env!("CARGO_BIN_EXE_longshore"));
        command
            .args(args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", cache.path())
            .env("LONGSHORE_CACHE_DIR", cache.path())
            .env("LONGSHORE_QUEUE", &self.url)
            .envs(self.env.iter().cloned())
            .env("LONGSHORE_OUTPUT", "json");
        command
    }

    /// The last line that a command prints, which is JSON; `null` if it prints none.
    pub fn json(&self, args: &[&str]) -> Value {
        summary(self.command(args).output().unwrap())
    }

    pub fn send(&self, words: &[&str]) {
        let order = |(n, msg): (usize, &&str)| format!(r#"{{"order_id":"o-{n}","msg":"{msg}"}}"#);
        let orders: Vec<_> = words.iter().enumerate().map(order).collect();
        let args: Vec<_> = ["send"].into_iter().chain(orders.iter().map(String::as_str)).collect();
        self.json(&args);
    }

    pub fn run(&self, args: &[&str]) -> Command {
        let component = guest::order();
        let fixed = ["run", "--component", component.to_str().unwrap(), "--retry-base", "200ms"];
        let more = ["--retry-cap", "500ms", "--max-retry-delay", "1s", "--breaker", "0"];
        self.command(&[&fixed[..], &more[..], args].concat())
    }

    fn start(&self, args: &[&str]) -> Child {
        self.run(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }
}

pub fn summary(output: Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    let stdout = String::from_utf8(output.stdout).unwrap();
    stdout.lines().last().map_or(Value::Null, |line| serde_json::from_str(line).unwrap())
}

#[test]
fn from_sending_to_the_dead_letter_queue_and_back_again_and_again() {
    for round in 0..rounds() {
        let host = Host::new(calm(), 30);
        host.send(&["ok", "two books", "reject", "retry-until:2", "retry", "trap"]);
        assert_eq!(host.json(&["queue", "stats"])["approximate_count"], 6);
        let started = Instant::now();
        let ran = summary(host.run(&["--max-dequeue", "2"]).output().unwrap());
        assert!(started.elapsed() < Duration::from_secs(60), "round {round}: {:?}", started.elapsed());
        let counts =
            ["received", "completed", "retried", "poisoned", "abandoned", "lease_lost"].map(|it| &ran[it]);
        assert_eq!(counts, [9, 3, 3, 3, 0, 0], "round {round}: {ran}");
        assert_eq!(ran["poison_reasons"], json!({ "rejected": 1, "attempts-exhausted": 2 }));

        let listed = host.json(&["poison", "list", "--reason", "rejected"]);
        assert!(listed["body"].as_str().unwrap().contains("reject"), "{listed}");
        let shown = host.json(&["poison", "show", listed["id"].as_str().unwrap()]);
        assert_eq!(shown["body"], listed["body"]);
        assert_eq!(host.json(&["poison", "redrive", "--reason", "rejected"])["messages"], 1);
        let peeked = host.json(&["peek"]);
        assert_eq!((&peeked["id"], peeked.get("properties")), (&listed["id"], None), "as it was");
        assert_eq!(host.json(&["poison", "purge"])["messages"], 2);
        assert_eq!(host.json(&["queue", "stats"])["approximate_count"], 1);
    }
}

#[test]
fn a_check_says_what_is_there_and_what_may_be_done_without_touching_a_message() {
    let there = Host::new(calm(), 30);
    there.send(&["ok"]);
    let missing = Host { url: there.url.replace(&there.name, "missing"), ..Host::new(calm(), 30) };
    let denied = Host { url: there.url.replace("c2VjcmV0", "b3RoZXIt"), ..Host::new(calm(), 30) };
    let rows = ["queue exists", "receive", "renew", "count", "poison queue exists"];
    for (host, code, expected) in [
        (&there, 0, ["yes", "allowed", "allowed", "allowed", "yes"]),
        (&missing, 3, ["no", "unknown", "unknown", "unknown", "no"]),
        (&denied, 3, ["unknown", "denied", "denied", "denied", "unknown"]),
    ] {
        let component = guest::order();
        let checked = host.command(&["check", "--component", component.to_str().unwrap()]).output().unwrap();
        assert_eq!(checked.status.code(), Some(code), "{checked:?}");
        let findings: Vec<Value> = checked
            .stdout
            .split(|it| *it == b'\n')
            .filter_map(|it| serde_json::from_slice(it).ok())
            .collect();
        let result = |name| findings.iter().find(|it| it["check"] == name).map(|it| it["result"].clone());
        assert_eq!(rows.map(result), expected.map(|it| Some(it.into())), "{checked:?}");
        assert_eq!(result("component loads"), Some("yes".into()));
        assert_eq!(result("maxDeliveryCount"), Some("unknown".into()), "nobody was asked for the job");
        assert_eq!(result("send poison"), None, "nothing is sent to a dead-letter queue");
    }
    assert_eq!(there.json(&["peek"])["dequeue_count"], 0);
}

#[test]
fn what_other_clients_send_is_handled_and_what_is_dead_they_read_with_its_reason() {
    let client = |name: &str| {
        let mut python = Command::new(installed(".venv/bin/python"));
        python.arg(installed("python/client.py"));
        let mut javascript = Command::new("node");
        javascript.arg(installed("node/client.js"));
        if name == "Python" { python } else { javascript }
    };
    for name in ["Python", "JavaScript"] {
        let host = Host::new(calm(), 30);
        let order = |msg: &str| format!(r#"{{"order_id":"o-<&>é😀","msg":"{msg}"}}"#);
        let sent = client(name)
            .args(["send", &host.connection, &host.name, &order("ok"), &order("reject")])
            .output();
        assert!(sent.as_ref().is_ok_and(|it| it.status.success()), "{name}: {sent:?}");
        let peeked = host.json(&["peek"]);
        let properties = json!([["content-type", "application/json"], ["tenant", "blue"], ["number", "7"]]);
        assert_eq!(peeked["properties"], properties, "{name}");
        let ran = summary(host.run(&[]).output().unwrap());
        assert_eq!((&ran["completed"], &ran["poisoned"]), (&1.into(), &1.into()), "{name}: {ran}");
        let dead = client(name).args(["dead", &host.connection, &host.name]).output().unwrap();
        let dead: Value = serde_json::from_slice(&dead.stdout).unwrap_or_else(|_| panic!("{name}: {dead:?}"));
        assert_eq!((&dead[0], &dead[1]), (&order("reject").into(), &"rejected".into()), "{name}");
        assert!(dead[2].as_str().is_some_and(|it| !it.is_empty()), "{name}: {dead}");
    }
}

#[test]
fn a_handler_that_outlasts_four_locks_is_handled_once() {
    let host = Host::new(calm(), 2);
    host.send(&["sleep:9000"]);
    let ran = summary(host.run(&[]).output().unwrap());
    assert_eq!((&ran["received"], &ran["completed"]), (&1.into(), &1.into()), "{ran}");
}

#[test]
fn a_lock_that_is_lost_interrupts_the_handler_and_nothing_is_settled() {
    let broker = Broker::start(&[]);
    let host = Host::new(&broker, 3);
    host.send(&["sleep:8000"]);
    broker.order(&json!([{ "at": "renew-lock", "do": "busy", "times": 1000 }]));
    let started = Instant::now();
    let ran = summary(host.run(&["--max-messages", "1"]).output().unwrap());
    assert!(started.elapsed() < Duration::from_secs(7), "{:?}", started.elapsed());
    let counts = ["received", "completed", "retried", "poisoned", "lease_lost"].map(|it| &ran[it]);
    assert_eq!(counts, [1, 0, 0, 0, 1], "{ran}");
    let settled = broker.order(&json!([]));
    assert!(settled.as_object().is_some_and(|it| it.keys().eq(["renew-lock busy"])), "{settled}");
    let again = summary(host.run(&[]).output().unwrap());
    assert_eq!((&again["received"], &again["completed"]), (&1.into(), &1.into()), "{again}");
}

#[test]
fn a_signal_ends_a_run_and_what_was_in_hand_is_visible_at_once() {
    let host = Host::new(calm(), 60);
    // A run begins with one message, and has the next ones when that is done.
    host.send(&["ok", "sleep:25000", "sleep:25000"]);
    let child = host.start(&["--grace", "1s"]);
    std::thread::sleep(Duration::from_secs(4));
    let signalled = Instant::now();
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    let ran = summary(child.wait_with_output().unwrap());
    assert!(signalled.elapsed() < Duration::from_secs(8), "{:?}", signalled.elapsed());
    let counts = ["received", "completed", "abandoned"].map(|it| &ran[it]);
    assert_eq!(counts, [3, 1, 2], "{ran}");
    let peeked = host.json(&["peek", "--limit", "1"]);
    assert_eq!(peeked["dequeue_count"], 1, "abandoned, and not left to the lock of a minute");
}

#[test]
fn two_replicas_share_a_queue_and_one_that_is_killed_loses_nothing() {
    let host = Host::new(calm(), 5);
    host.send(&["sleep:300"; 24]);
    let mut killed = host.start(&["--concurrency", "2"]);
    let survivor = host.start(&["--concurrency", "2", "--forever", "--max-messages", "40"]);
    std::thread::sleep(Duration::from_secs(2));
    killed.kill().unwrap();
    killed.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(40);
    while host.json(&["queue", "stats"])["approximate_count"] != 0 {
        assert!(Instant::now() < deadline, "the survivor does not drain the queue");
        std::thread::sleep(Duration::from_millis(500));
    }
    assert!(Command::new("kill").args(["-TERM", &survivor.id().to_string()]).status().unwrap().success());
    let ran = summary(survivor.wait_with_output().unwrap());
    assert!(ran["completed"].as_u64().is_some_and(|it| it >= 8), "{ran}");
    assert_eq!(host.json(&["poison", "list"]), Value::Null);
}
