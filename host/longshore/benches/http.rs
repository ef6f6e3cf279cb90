//! One call over HTTPS for each message: over connections that are kept, with the host's identity,
//! with Microsoft's SDKs in three languages, over a connection for each, and beside Node's `fetch`
//! without any queue.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use longshore_testkit::identity::{CLIENT_ID, HEADER, Identity, Mood};
use longshore_testkit::steady::SteadyServer;
use longshore_testkit::{certificates, guest, needs};

use super::workbench::Workbench;
use super::{child, drain};

/// How many calls are made over connections that are kept, and over one for each.
const KEPT: usize = 12_000;
const ONE_EACH: usize = 2_000;
/// How many messages the handlers have that the SDKs are in: for Python's and JavaScript's an
/// engine starts anew.
const IN_RUST: usize = 6_000;
const IN_ENGINES: usize = 600;
/// How often each is measured.
const ROUNDS: usize = 3;
const CONCURRENCY: usize = 16;

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Caller {
    /// The host, whose handlers make no call.
    Nobody,
    /// The host, with a connection for each call, since the server closes each.
    OneEach,
    /// The host.
    Kept,
    /// The host, which adds a token.
    Signed,
    /// The same for `examples/exactly-once` in this language: an SDK's POST of one row.
    Sdk(&'static str),
    /// Node's `fetch`.
    Node,
}

impl Caller {
    fn name(self) -> &'static str {
        match self {
            Self::Nobody => "longshore run, no call",
            Self::OneEach => "longshore run, a connection for each",
            Self::Kept => "longshore run",
            Self::Signed => "with an identity",
            Self::Sdk("rust") => "  and azure_core in Rust",
            Self::Sdk("python") => "  and azure-data-tables in Python",
            Self::Sdk(_) => "  and @azure/data-tables in TypeScript",
            Self::Node => "Node's fetch, no queue",
        }
    }

    fn messages(self) -> usize {
        match self {
            Self::OneEach => ONE_EACH,
            Self::Sdk("rust") => IN_RUST,
            Self::Sdk(_) => IN_ENGINES,
            _ => KEPT,
        }
    }

    /// Whether it is to keep up with Node's `fetch`, and make no more connections than that takes.
    fn is_beside_node(self) -> bool {
        matches!(self, Self::Kept | Self::Signed | Self::Sdk(_))
    }
}

const CALLERS: [Caller; 8] = [
    Caller::Nobody,
    Caller::OneEach,
    Caller::Kept,
    Caller::Signed,
    Caller::Sdk("rust"),
    Caller::Sdk("python"),
    Caller::Sdk("typescript"),
    Caller::Node,
];

/// What all calls of one caller took.
#[derive(Clone, Copy, Default)]
struct Calls {
    calls: usize,
    seconds: f64,
    cpu_ms: f64,
    /// The most of one round.
    connections: usize,
}

impl Calls {
    fn per_second(&self) -> f64 {
        self.calls as f64 / self.seconds
    }

    fn cpu_ms_each(&self) -> f64 {
        self.cpu_ms / self.calls as f64
    }
}

/// What every caller needs.
struct Scene<'a> {
    workbench: &'a Workbench,
    authority: PathBuf,
    server: SteadyServer,
    identity: Identity,
    /// Where machine code is kept, so that no run that is measured compiles.
    compiled: PathBuf,
}

/// The handler that calls.
fn component(caller: Caller) -> PathBuf {
    let Caller::Sdk(language) = caller else { return guest::rogue().to_owned() };
    let built = format!("examples/target/exactly-once-{language}.wasm");
    needs::file(longshore_testkit::root().join(built), "make examples")
}

pub(super) fn measure(workbench: &Workbench) {
    let directory = workbench.directory("http");
    let authority = certificates::make(&directory, "IP:127.0.0.1");
    let (server, identity) = (SteadyServer::start(&directory), Identity::start(Mood::Tokens(3600)));
    let compiled = workbench.directory("http-compiled");
    let scene = Scene { workbench, authority, server, identity, compiled };
    for caller in CALLERS {
        scene.compile(&component(caller));
    }
    let mut all = [Calls::default(); CALLERS.len()];
    // In turns, so that whatever else the machine does hits all of them alike.
    for round in 0..ROUNDS {
        for (caller, calls) in CALLERS.into_iter().zip(&mut all) {
            let new = scene.calls(caller, round);
            calls.calls += new.calls;
            calls.seconds += new.seconds;
            calls.cpu_ms += new.cpu_ms;
            calls.connections = calls.connections.max(new.connections);
        }
    }
    println!(
        "{ROUNDS} times so many messages, {CONCURRENCY} at a time, one request each over TLS: GET, and POST with an SDK"
    );
    println!(
        "                                       messages  a second  CPU each  connections  / Node: rate   CPU"
    );
    let node = all[CALLERS.len() - 1];
    for (caller, calls) in CALLERS.iter().zip(&all) {
        let (rate, cpu) = (calls.per_second(), calls.cpu_ms_each());
        let (name, messages, connections) = (caller.name(), caller.messages(), calls.connections);
        print!("{name:<38} {messages:8} {rate:9.0} {cpu:6.3} ms {connections:12}");
        if caller.is_beside_node() {
            print!("        {:6.3} {:5.2}", rate / node.per_second(), cpu / node.cpu_ms_each());
        }
        println!();
    }
    println!(
        "at least 1 of Node's rate and at most 1 of its CPU without an SDK; at most 18 connections with any"
    );
}

impl Scene<'_> {
    fn compile(&self, component: &Path) {
        let mut invoke = Command::new(&self.workbench.host);
        invoke.args(["invoke", "no JSON", "--config=greeting=hello", "--outbox=invoices=file:./invoices"]);
        invoke.arg("--cache-dir").arg(&self.compiled).arg("--component").arg(component);
        // Whatever becomes of the message, but for what is no message's fault.
        let ended = invoke.output().expect("longshore runs");
        assert!(!matches!(ended.status.code(), Some(2 | 3)), "{}", String::from_utf8_lossy(&ended.stderr));
    }

    fn calls(&self, caller: Caller, round: usize) -> Calls {
        self.server.counted();
        let mut calls = match caller {
            Caller::Node => self.node(),
            _ => self.host(caller, round),
        };
        let (connections, requests) = self.server.counted();
        assert!(requests >= calls.calls || caller == Caller::Nobody, "{caller:?}: {requests}");
        calls.connections = connections;
        calls
    }

    fn host(&self, caller: Caller, round: usize) -> Calls {
        let port = self.server.port;
        let messages = caller.messages();
        let (calls, path) = match caller {
            Caller::Nobody => (0, "orders"),
            Caller::OneEach => (1, "close"),
            _ => (1, "orders"),
        };
        let name = format!("http-{}-{round}", caller.name().replace([' ', '/'], "-"));
        let directory = self.workbench.directory(&name);
        let body = match caller {
            Caller::Sdk(_) => r#"{"account":"c-7","amount_cents":250}"#.to_owned(),
            _ => format!("gets:{calls}@https://127.0.0.1:{port}/{path}"),
        };
        let queue = drain::fill_with(&directory, messages, &body);
        let outbox = format!("file:{}", directory.join("invoices").display());
        let made = Command::new(&self.workbench.host).args(["queue", "create", "--queue", &outbox]).output();
        assert!(made.expect("longshore runs").status.success());
        let grant = match caller {
            Caller::Signed | Caller::Sdk(_) => {
                format!("--http-identity=127.0.0.1:{port}=api://orders/.default")
            }
            _ => format!("--allow-http=127.0.0.1:{port}"),
        };
        let run = Command::new(&self.workbench.host)
            .args(["run", "--output", "json", "--queue", &queue.url(), "--cache-dir"])
            .arg(&self.compiled)
            .arg("--component")
            .arg(component(caller))
            .args(["--concurrency", &CONCURRENCY.to_string(), "--max-messages", &messages.to_string()])
            .args(["--config=greeting=hello", "--allow-private=127.0.0.1", &grant])
            .arg(format!("--config=table=https://127.0.0.1:{port}/bookings"))
            .arg(format!("--outbox=invoices={outbox}"))
            .envs([("IDENTITY_ENDPOINT", self.identity.url.as_str()), ("IDENTITY_HEADER", HEADER)])
            .env("AZURE_CLIENT_ID", CLIENT_ID)
            .env("SSL_CERT_FILE", &self.authority)
            .env_remove("SSL_CERT_DIR")
            .stdout(Stdio::piped())
            .stderr(File::create(queue.log()).expect("a log file"))
            .spawn()
            .expect("longshore runs");
        let (output, usage) = child::wait(run);
        let summary: serde_json::Value = serde_json::from_slice(&output).expect("a summary");
        assert_eq!(summary["completed"], messages, "{summary}");
        Calls {
            calls: messages,
            seconds: summary["duration_ms"].as_f64().expect("a duration") / 1000.0,
            cpu_ms: usage.cpu.as_secs_f64() * 1000.0,
            connections: 0,
        }
    }

    /// Without its start, and after a thousand calls: it compiles what is hot.
    fn node(&self) -> Calls {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers/fetch.mjs");
        let url = format!("https://127.0.0.1:{}/orders", self.server.port);
        let (count, at_a_time) = (KEPT.to_string(), CONCURRENCY.to_string());
        let ran = needs::program("node", needs::SERVICES)
            .args([script, &url, &count, &at_a_time])
            .env("NODE_EXTRA_CA_CERTS", &self.authority)
            .output()
            .expect("Node runs");
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        let took: serde_json::Value = serde_json::from_slice(&ran.stdout).expect("what it took");
        let figure = |name: &str| took[name].as_f64().expect("a number");
        Calls { calls: KEPT, seconds: figure("seconds"), cpu_ms: figure("cpu_ms"), connections: 0 }
    }
}
