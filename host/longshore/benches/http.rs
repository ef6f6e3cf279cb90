//! One call over HTTPS for each message: over connections that are kept, with the host's identity,
//! over a connection for each, and beside Node's `fetch` without any queue.

use std::fs::File;
use std::process::{Command, Stdio};

use longshore_testkit::identity::{CLIENT_ID, HEADER, Identity, Mood};
use longshore_testkit::steady::SteadyServer;
use longshore_testkit::{certificates, guest, needs};

use super::workbench::Workbench;
use super::{child, drain};

/// How many calls are made over connections that are kept, and over one for each.
const KEPT: usize = 12_000;
const ONE_EACH: usize = 2_000;
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
    /// Node's `fetch`.
    Node,
}

const CALLERS: [Caller; 5] = [Caller::Nobody, Caller::OneEach, Caller::Kept, Caller::Signed, Caller::Node];

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
    authority: std::path::PathBuf,
    server: SteadyServer,
    identity: Identity,
}

pub(super) fn measure(workbench: &Workbench) {
    let directory = workbench.directory("http");
    let authority = certificates::make(&directory, "IP:127.0.0.1");
    let (server, identity) = (SteadyServer::start(&directory), Identity::start(Mood::Tokens(3600)));
    let scene = Scene { workbench, authority, server, identity };
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
        "{ROUNDS} times {KEPT} messages ({ONE_EACH} with a connection for each), {CONCURRENCY} at a time, one GET each over TLS"
    );
    println!("                                    a second   CPU each   connections of one round");
    for (caller, calls) in CALLERS.iter().zip(&all) {
        let name = match caller {
            Caller::Nobody => "longshore run, no call",
            Caller::OneEach => "longshore run, a connection for each",
            Caller::Kept => "longshore run",
            Caller::Signed => "longshore run, with an identity",
            Caller::Node => "Node's fetch, no queue",
        };
        println!(
            "{name:<36} {:7.0}   {:.3} ms   {:6}",
            calls.per_second(),
            calls.cpu_ms_each(),
            calls.connections
        );
    }
    let [.., kept, signed, node] = all;
    for (name, calls) in [("longshore run", kept), ("with an identity", signed)] {
        println!(
            "{name} / Node: {:.2} of its rate (at least 1), {:.2} of its CPU (at most 1), {} connections (at most 18)",
            calls.per_second() / node.per_second(),
            calls.cpu_ms_each() / node.cpu_ms_each(),
            calls.connections
        );
    }
}

impl Scene<'_> {
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
        let (messages, calls, path) = match caller {
            Caller::Nobody => (KEPT, 0, "orders"),
            Caller::OneEach => (ONE_EACH, 1, "close"),
            _ => (KEPT, 1, "orders"),
        };
        let directory = self.workbench.directory(&format!("http-{caller:?}-{round}"));
        let body = format!("gets:{calls}@https://127.0.0.1:{port}/{path}");
        let queue = drain::fill_with(&directory, messages, &body);
        let outbox = format!("file:{}", directory.join("invoices").display());
        let made = Command::new(&self.workbench.host).args(["queue", "create", "--queue", &outbox]).output();
        assert!(made.expect("longshore runs").status.success());
        let grant = match caller {
            Caller::Signed => format!("--http-identity=127.0.0.1:{port}=api://orders/.default"),
            _ => format!("--allow-http=127.0.0.1:{port}"),
        };
        let run = Command::new(&self.workbench.host)
            .args(["run", "--output", "json", "--queue", &queue.url(), "--component"])
            .arg(guest::rogue())
            .args(["--concurrency", &CONCURRENCY.to_string(), "--max-messages", &messages.to_string()])
            .args(["--config=greeting=hello", "--allow-private=127.0.0.1", &grant])
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
