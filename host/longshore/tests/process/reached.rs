//! A run whose handlers call a service: over connections that are kept, and with tokens that end
//! while it goes on.

use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use longshore_testkit::identity::{CLIENT_ID, HEADER, Identity, Mood};
use longshore_testkit::wait::until;
use longshore_testkit::web::WebServer;
use longshore_testkit::{certificates, guest};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::directory::{Directory, ORDERS, POISON};
use crate::process::{Program, cache, longshore};

/// A service over TLS, an identity endpoint, and a queue.
pub(crate) struct Service {
    authority: TempDir,
    server: WebServer,
    identity: Identity,
    directory: Directory,
    /// What the server runs on.
    _runtime: Runtime,
}

impl Service {
    pub(crate) fn start(protocols: &[&str], mood: Mood) -> Self {
        let authority = tempfile::tempdir().unwrap();
        certificates::make(authority.path(), "IP:127.0.0.1");
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.unwrap();
        let server = runtime.block_on(WebServer::start_with_tls(authority.path(), protocols));
        let (identity, directory) = (Identity::start(mood), Directory::new());
        longshore(["queue", "create", "--queue", &directory.url("invoices")]).run().succeeded();
        Self { authority, server, identity, directory, _runtime: runtime }
    }

    fn host(&self) -> String {
        format!("127.0.0.1:{}", self.server.port)
    }

    /// Messages that make one request each.
    pub(crate) fn send(&self, messages: usize, path: &str) {
        self.directory.send((0..messages).map(|_| format!("gets:1@https://{}{path}", self.host())));
    }

    pub(crate) fn with_identity(&self) -> String {
        format!("--http-identity={}=api://orders/.default", self.host())
    }

    fn worker(&self, flags: &[&str]) -> Program {
        let common =
            ["--config=greeting=hello", "--allow-private=127.0.0.1", "--deadline=10s", "--visibility=60s"];
        let mut worker = self.directory.worker_with(&guest::rogue(), &[&common, flags].concat());
        worker.arg(format!("--outbox=invoices={}", self.directory.url("invoices")));
        self.give_environment(&mut worker);
        worker
    }

    /// What a program needs to call the service, as the platform sets it.
    pub(crate) fn give_environment(&self, program: &mut Program) {
        program.env("SSL_CERT_FILE", self.authority.path().join("ca.pem"));
        program.env("IDENTITY_ENDPOINT", &self.identity.url).env("IDENTITY_HEADER", HEADER);
        program.env("AZURE_CLIENT_ID", CLIENT_ID);
    }

    /// The directory of the queue.
    pub(crate) fn directory(&self) -> &Directory {
        &self.directory
    }

    /// How many requests the service has seen.
    pub(crate) fn seen(&self) -> usize {
        self.server.seen().len()
    }

    /// How often a token was asked for.
    pub(crate) fn asked_for_tokens(&self) -> usize {
        self.identity.requests().len()
    }
}

/// When a token ends, in seconds since 1970, as it says itself.
fn end(authorization: &str) -> u64 {
    let claims = authorization.trim_start_matches("Bearer ").split('.').nth(1).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    claims["exp"].as_u64().unwrap()
}

#[test]
fn a_run_makes_no_more_connections_than_it_handles_messages_at_a_time() {
    for (protocols, most) in [(&["http/1.1"][..], 18), (&["h2", "http/1.1"], 1)] {
        for signed in [false, true] {
            let service = Service::start(protocols, Mood::Tokens(3600));
            service.send(400, "/orders");
            let grant =
                if signed { service.with_identity() } else { format!("--allow-http={}", service.host()) };
            let ended = service.worker(&["--concurrency=16", &grant]).run().succeeded();
            assert_eq!(ended.json()["completed"], 400, "{ended:?}");
            let connections = service.server.connections();
            assert!((1..=most).contains(&connections), "{protocols:?} {signed}: {connections}");
            let seen = service.server.seen();
            assert_eq!(seen.len(), 400);
            assert_eq!(service.identity.requests().len(), usize::from(signed), "one token for all");
            assert!(seen.iter().all(|it| it.header("authorization").is_empty() != signed));
        }
    }
}

#[test]
fn a_run_that_never_calls_out_asks_for_no_token_and_reads_no_certificates() {
    let service = Service::start(&["http/1.1"], Mood::Tokens(3600));
    service.directory.send(["print:1"; 10]);
    let mut worker = service.worker(&[&service.with_identity()]);
    // Whoever read it would say so.
    let ended = worker.env("SSL_CERT_FILE", "/nowhere/ca.pem").run().succeeded();
    assert_eq!(ended.json()["completed"], 10, "{ended:?}");
    assert!(service.identity.requests().is_empty() && !ended.stderr.contains("certificate"), "{ended:?}");
    service.send(1, "/");
    let ended = worker.run();
    assert!(ended.stderr.contains("no root certificates"), "{ended:?}");
}

#[test]
fn a_token_that_ends_in_mid_run_is_replaced_before_and_no_request_has_an_old_one() {
    let service = Service::start(&["http/1.1"], Mood::Tokens(4));
    service.send(24, "/slow");
    let ended = service.worker(&["--concurrency=1", &service.with_identity()]).run().succeeded();
    let summary = ended.json();
    assert_eq!((&summary["completed"], &summary["retried"]), (&24.into(), &0.into()), "{ended:?}");
    let tokens = service.identity.tokens();
    assert!(tokens.len() >= 4, "12 s of tokens that live for 4 s: {}", tokens.len());
    for seen in service.server.seen() {
        let at = seen.at.duration_since(UNIX_EPOCH).unwrap().as_secs();
        assert!(end(seen.header("authorization")) >= at, "{seen:?}");
    }
}

#[test]
#[ignore = "the host looks for the identity after half a minute: `make test-services` runs it"]
fn an_identity_that_is_down_holds_the_run_and_costs_no_message_an_attempt() {
    let service = Service::start(&["http/1.1"], Mood::Tokens(3));
    service.send(200, "/slow");
    let flags = ["--concurrency=2", &service.with_identity(), "--max-dequeue=2", "--time-budget=10m"];
    let mut worker = service.worker(&flags).start();
    until("the first requests", || (service.server.seen().len() > 4).then_some(()));
    service.identity.turn(&[Mood::Refuses(500)]);
    worker.wait_for_line("identity-unavailable");
    // Longer than five attempts take.
    std::thread::sleep(Duration::from_secs(10));
    let before = service.server.seen().len();
    assert!(before < 200, "{before}");
    service.identity.turn(&[Mood::Tokens(3600)]);
    let ended = worker.wait().succeeded();
    let summary = ended.json();
    assert_eq!((&summary["completed"], &summary["poisoned"]), (&200.into(), &0.into()), "{ended:?}");
    assert_eq!((service.directory.rows(ORDERS).len(), service.directory.rows(POISON).len()), (0, 0));
}

#[test]
fn without_an_identity_a_handler_gets_no_message_and_the_run_says_why() {
    let service = Service::start(&["http/1.1"], Mood::Refuses(403));
    service.send(20, "/orders");
    let ended = service.worker(&["--hold=0", &service.with_identity()]).run().ends_with(3);
    let summary = ended.json();
    assert_eq!((&summary["completed"], &summary["poisoned"]), (&0.into(), &0.into()), "{ended:?}");
    ended.says(&["no token for requests to 127.0.0.1", "the identity gave no token", "answered HTTP 403"]);
    assert_eq!(service.directory.rows(ORDERS).len(), 20, "none of them is lost");
    assert!(service.server.seen().is_empty());
}

/// A name that comes to mean another address: `/etc/hosts` is one of this process's own.
#[cfg(target_os = "linux")]
#[test]
#[ignore = "it mounts a file of its own on /etc/hosts, as root: `make test-services` runs it"]
fn a_name_that_comes_to_mean_another_address_is_refused_with_the_next_connection() {
    let service = Service::start(&["http/1.1"], Mood::Tokens(3600));
    certificates::make(service.authority.path(), "DNS:service.test");
    let server =
        service._runtime.block_on(WebServer::start_with_tls(service.authority.path(), &["http/1.1"]));
    let hosts = service.directory.path("hosts");
    std::fs::write(&hosts, "127.0.0.1 service.test\n").unwrap();
    let origin = format!("service.test:{}", server.port);
    let mounted = "mount --bind \"$1\" /etc/hosts && shift && exec \"$@\"";
    let mut worker = Program::new("unshare", service.directory.path("").as_path());
    worker.args(["--mount", "sh", "-c", mounted, "sh"]).arg(&hosts).arg(env!("CARGO_BIN_EXE_longshore"));
    worker.args([
        "run",
        "--forever",
        "--log-format=json",
        "--queue",
        &service.directory.url(ORDERS),
        "--component",
    ]);
    worker.arg(guest::rogue()).arg("--cache-dir").arg(cache());
    worker.args(["--config=greeting=hello", "--allow-private=127.0.0.1", "--allow-http", &origin]);
    worker.arg(format!("--outbox=invoices={}", service.directory.url("invoices")));
    worker.env("SSL_CERT_FILE", service.authority.path().join("ca.pem"));
    let mut running = worker.start();
    let ask = || service.directory.send([format!("get:https://{origin}/")]);
    ask();
    running.wait_for_line("200  ");
    // It goes on over the connection that was checked.
    std::fs::write(&hosts, "127.0.0.2 service.test\n").unwrap();
    let before = server.seen().len();
    ask();
    until("the next request", || (server.seen().len() > before).then_some(()));
    server.close_connections();
    ask();
    running.wait_for_line("its addresses are not public");
    assert_eq!((server.connections(), server.seen().len()), (1, before + 1));
    running.terminate();
    running.wait();
}
