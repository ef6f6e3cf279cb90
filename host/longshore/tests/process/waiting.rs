//! A stop is heard at once while something does not answer (rule 9), and before the first receive.

use std::io::Read;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::directory::{Directory, ORDERS};
use crate::process::{Process, Program, cache, longshore};
use longshore_testkit::certificates;
use longshore_testkit::guest;
use longshore_testkit::identity::{HEADER, Identity, Mood};
use longshore_testkit::wait::{slack, until};

/// What a stop may take: a receive in flight is awaited for 3 s, and nothing after it.
const STOP: Duration = Duration::from_millis(4500);

/// A server that takes calls and says nothing.
struct Silence {
    url: String,
    calls: Arc<AtomicUsize>,
}

impl Silence {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("127.0.0.1:{}", listener.local_addr().unwrap().port());
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = calls.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let counted = counted.clone();
                std::thread::spawn(move || {
                    let mut stream = stream.unwrap();
                    if stream.read(&mut [0; 1024]).is_ok_and(|read| read > 0) {
                        counted.fetch_add(1, Ordering::Relaxed);
                    }
                    // The connection stays until its other end is gone.
                    while stream.read(&mut [0; 1024]).is_ok_and(|read| read > 0) {}
                });
            }
        });
        Self { url, calls }
    }

    /// Waits until it was called.
    fn called(&self) {
        until("a call", || (self.calls.load(Ordering::Relaxed) > 0).then_some(()));
    }
}

fn run(queue: &str, flags: &[&str]) -> Program {
    let mut run = longshore(["run", "--output=json", "--log-format=json", "--queue", queue]);
    run.args(flags).arg("--component").arg(guest::order()).arg("--cache-dir").arg(cache());
    run
}

/// Stops a run that waits for something, and asserts that it ends as it should.
fn stop(worker: Process, what: &str) {
    // It is at it, and not about to begin.
    std::thread::sleep(Duration::from_millis(300));
    let asked = Instant::now();
    worker.terminate();
    let ended = worker.wait().succeeded();
    assert!(asked.elapsed() < slack(STOP), "{what}: {:?} {ended:?}", asked.elapsed());
    assert_eq!(ended.json()["received"], 0, "{what}");
}

#[test]
fn a_stop_is_heard_while_an_identity_endpoint_says_nothing() {
    let ours = tempfile::tempdir().unwrap();
    let authority = certificates::make(ours.path(), "IP:127.0.0.1");
    for flags in [&["--lease=auto"][..], &["--lease=fixed"], &["--forever"]] {
        let identity = Identity::start(Mood::Silent);
        // Nobody listens there, and nobody is asked before there is a token.
        let worker = run("https://127.0.0.1:9/account/orders", flags)
            .env("SSL_CERT_FILE", &authority)
            .env("IDENTITY_ENDPOINT", &identity.url)
            .env("IDENTITY_HEADER", HEADER)
            .start();
        until("a request for a token", || (!identity.requests().is_empty()).then_some(()));
        stop(worker, &format!("{flags:?}"));
    }
}

#[test]
fn a_stop_is_heard_while_a_queue_says_nothing() {
    for flags in [&["--lease=auto"][..], &["--lease=fixed"], &["--lease=renew", "--forever"]] {
        let silence = Silence::start();
        let worker = run(&format!("http://{}/account/orders?sig=x", silence.url), flags).start();
        silence.called();
        stop(worker, &format!("{flags:?}"));
    }
    let ours = tempfile::tempdir().unwrap();
    let authority = certificates::make(ours.path(), "IP:127.0.0.1");
    let silence = Silence::start();
    let key = "SharedAccessKeyName=all;SharedAccessKey=c2Vj;EntityPath=orders";
    let queue = format!("Endpoint=sb://{}/;{key}", silence.url);
    let worker = run(&queue, &[]).env("SSL_CERT_FILE", &authority).start();
    silence.called();
    stop(worker, "Service Bus");
}

#[test]
fn a_stop_is_heard_while_somebody_else_holds_the_database() {
    let directory = Directory::new();
    directory.send(["{}"]);
    let holder = directory.database();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    for flags in [&["--lease=auto"][..], &["--lease=renew"]] {
        let worker = run(&directory.url(ORDERS), flags).start();
        stop(worker, &format!("{flags:?}"));
    }
}
