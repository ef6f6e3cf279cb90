//! The whole loop through the real binary, from `IDENTITY_ENDPOINT` to the poison queue.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::storage::account::whole_loop::{redrive_and_purge, send_and_drain};
use crate::storage::azurite::{fresh, plain, secure};
use crate::storage::host::Host;
use crate::storage::proxy::{Decide, Fate, Proxy};
use longshore_testkit::identity::{Identity, Mood};
use longshore_testkit::wait::{slack, until};

const HOUR: Mood = Mood::Tokens(3600);

#[test]
fn from_the_identity_endpoint_to_the_poison_queue() {
    let identity = Identity::start(HOUR);
    let host = Host::without_queue(&identity, Some(longshore_testkit::identity::CLIENT_ID));
    assert_eq!(host.start(&["queue", "create"]).succeeded().json()["created"], true);
    send_and_drain(&host);
    host.send(&["reject"]);
    let before = identity.requests().len();
    assert_eq!(host.run(&[]).succeeded().json()["poisoned"], 1);
    assert_eq!(identity.requests().len(), before + 1, "one token for both queues");
    host.start(&["poison", "purge", "--limit", "1", "--reason", "rejected"]).succeeded();
    redrive_and_purge(&host);
}

#[test]
fn a_token_that_expires_in_mid_run_is_replaced_before() {
    let identity = Identity::start(Mood::Tokens(6));
    let host = Host::with_identity(&identity);
    host.send(&["sleep:1500"; 8]);
    let before = identity.requests().len();
    let summary = host.run(&["--concurrency", "1", "--linger", "0"]).succeeded().json();
    assert_eq!((&summary["completed"], &summary["retried"]), (&8.into(), &0.into()), "{summary}");
    assert!(identity.requests().len() > before + 2, "12 s took more than two tokens of 6 s");
}

#[test]
fn a_refused_token_is_fetched_once_anew() {
    let identity = Identity::start(HOUR);
    let host = Host::with_identity(&identity);
    identity.turn(&[Mood::WrongAudience, HOUR]);
    let before = identity.requests().len();
    assert_eq!(host.count(), 0);
    assert_eq!(identity.requests().len(), before + 2);

    identity.turn(&[Mood::WrongAudience]);
    let refused = host.start(&["queue", "stats"]);
    assert_eq!(refused.code(), 3, "{refused:?}");
    assert!(refused.stderr.contains("not allowed to count messages"), "{}", refused.stderr);
    assert_eq!(identity.requests().len(), before + 4, "once, and not for ever");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_401_in_mid_run_every_call_goes_out_again_with_one_fresh_token() {
    let identity = Identity::start(HOUR);
    let mut host = Host::with_identity(&identity);
    host.send(&["ok"; 12]);
    // The fourth delete, when several calls are on their way.
    let deletes = AtomicUsize::new(0);
    let decide: Decide = Arc::new(move |method, _| match method {
        "DELETE" if deletes.fetch_add(1, Ordering::Relaxed) == 3 => Fate::Revoke,
        _ => Fate::Pass,
    });
    let proxy = Proxy::start(secure(), decide).await;
    host.url = proxy.url(&host.url);
    let before = identity.requests().len();
    let (ran, host) =
        tokio::task::spawn_blocking(move || (host.run(&["--linger", "0"]).succeeded(), host)).await.unwrap();
    let summary = ran.json();
    assert_eq!((&summary["completed"], &summary["retried"]), (&12.into(), &0.into()), "{summary}");
    assert_eq!(identity.requests().len(), before + 2, "one at the start, and one for all that were refused");
    let refused = proxy.refused();
    assert!((1..=12).contains(&refused), "{refused} calls were refused, each of them once");
    assert_eq!(tokio::task::spawn_blocking(move || host.count()).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_401_that_stays_ends_the_run_after_one_fresh_token() {
    let identity = Identity::start(HOUR);
    let mut host = Host::with_identity(&identity);
    let calls = Arc::new(AtomicUsize::new(0));
    let received = calls.clone();
    let decide: Decide = Arc::new(move |method, _| {
        received.fetch_add(usize::from(method == "GET"), Ordering::Relaxed);
        Fate::Answer("401 Unauthorized", "x-ms-error-code: InvalidAuthenticationInfo\r\n")
    });
    let proxy = Proxy::start(secure(), decide).await;
    host.url = proxy.url(&host.url);
    let before = identity.requests().len();
    let ran = tokio::task::spawn_blocking(move || host.run(&["--lease", "fixed"])).await.unwrap();
    assert!(ran.code() == 3 && ran.stderr.contains("not allowed to receive messages"), "{ran:?}");
    assert!(ran.stderr.contains("is the host's clock right?"), "{ran:?}");
    assert_eq!(identity.requests().len(), before + 2);
    assert_eq!(calls.load(Ordering::Relaxed), 2, "the receive, and the same once more");
}

#[test]
fn a_lease_that_runs_out_while_the_identity_is_down_is_lost_and_the_message_handled_later() {
    let identity = Identity::start(HOUR);
    let host = Host::with_identity(&identity);
    host.send(&["sleep:12000"]);
    identity.turn(&[Mood::Tokens(5), Mood::Silent]);
    let mut running = host.run_with(&["--visibility", "6s"]).start();
    running.wait_for_line("\"outcome\":\"lease-lost\"");
    identity.turn(&[HOUR]);
    let summary = host.end_of(running).succeeded().json();
    let count = |summary: &serde_json::Value, what: &str| summary[what].as_u64().unwrap();
    assert!(count(&summary, "lease_lost") >= 1, "{summary}");
    let mut completed = count(&summary, "completed");
    // On a slow machine so short a lease may be lost once more, with the identity back: other
    // executions then.
    until("the message's end", || {
        let over = host.count() == 0;
        if !over {
            completed += count(&host.run(&["--visibility", "60s"]).succeeded().json(), "completed");
        }
        over.then_some(())
    });
    assert_eq!(completed, 1);
}

#[test]
fn an_identity_that_says_nothing_ends_a_cold_start_within_20_s() {
    let identity = Identity::start(Mood::Silent);
    let host = Host::without_queue(&identity, Some(longshore_testkit::identity::CLIENT_ID));
    let ran = host.run(&[]);
    assert_eq!(ran.code(), 3, "{ran:?}");
    assert!(
        ran.stderr.contains("the managed identity gave no token: no answer within 6 s"),
        "{}",
        ran.stderr
    );
    assert!(ran.took < Duration::from_secs(20) + slack(Duration::from_secs(2)), "{:?}", ran.took);
}

#[test]
fn an_identity_that_refuses_once_or_is_not_there_yet_is_asked_again() {
    std::thread::scope(|all| {
        for status in [400, 401, 403, 404, 429, 500, 503] {
            all.spawn(move || {
                let identity = Identity::start(HOUR);
                let host = Host::with_identity(&identity);
                identity.turn(&[Mood::Refuses(status), Mood::Refuses(status), HOUR]);
                assert_eq!(host.count(), 0, "{status}");
            });
        }
        all.spawn(|| {
            let identity = Identity::start(Mood::Bare);
            assert_eq!(Host::with_identity(&identity).count(), 0, "a number is a time as well");
        });
        all.spawn(|| {
            // The port is free until the endpoint starts, five seconds after the host.
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let host = Host::with_identity(&Identity::start(HOUR));
            let mut stats = host.program(&["queue", "stats"]);
            let stats = stats.env("IDENTITY_ENDPOINT", format!("http://127.0.0.1:{port}/msi/token")).start();
            std::thread::sleep(Duration::from_secs(5));
            let late = Identity::start_at(port, HOUR);
            let ended = host.end_of(stats).succeeded();
            assert_eq!(late.requests().len(), 1);
            ended.says(&["no token yet, asking again", "Connection refused"]);
        });
        all.spawn(|| {
            let identity = Identity::start(Mood::Refuses(500));
            let host = Host::without_queue(&identity, Some(longshore_testkit::identity::CLIENT_ID));
            let ended = host.start(&["queue", "stats"]).ends_with(3);
            ended.says(&["answered HTTP 500", "is IDENTITY_ENDPOINT the platform's own"]);
            let took = ended.took;
            let limit = Duration::from_secs(20) + slack(Duration::from_secs(2));
            assert!(took > Duration::from_secs(15) && took < limit, "{took:?}");
        });
    });
}

/// A directory whose `az` is this script.
fn with_az(script: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let az = directory.path().join("az");
    std::fs::write(&az, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&az, std::fs::Permissions::from_mode(0o755)).unwrap();
    directory
}

fn as_developer(directory: &tempfile::TempDir, args: &[&str]) -> longshore_testkit::program::Program {
    let mut host = Host::at("https://127.0.0.1:9/account/orders".into()).program(args);
    let path = format!("{}:{}", directory.path().display(), std::env::var("PATH").unwrap());
    host.env("PATH", path).env("SSL_CERT_FILE", secure().authority.as_deref().unwrap());
    host
}

#[test]
fn a_developers_az_that_takes_its_time_is_waited_for_once() {
    let directory = tempfile::tempdir().unwrap();
    let runs = directory.path().join("runs");
    let expires = "4102444800";
    let az = with_az(&format!(
        "echo run >> {}; sleep 8; echo '{{\"accessToken\":\"t\",\"expires_on\":{expires},\"tokenType\":\"Bearer\"}}'",
        runs.display()
    ));
    // With a token, nobody is found at the queue's address.
    let ended = as_developer(&az, &["queue", "stats"]).run().ends_with(3);
    ended.says(&["no connection to it"]);
    assert_eq!(std::fs::read_to_string(&runs).unwrap(), "run\n");
}

#[test]
fn a_developers_az_ends_with_whoever_waits_for_it() {
    let directory = tempfile::tempdir().unwrap();
    let (started, over) = (directory.path().join("started"), directory.path().join("over"));
    let script = format!("echo > {}; sleep 3; echo > {}", started.display(), over.display());
    let az = with_az(&script);
    let component = longshore_testkit::guest::order();
    let run = ["run", "--component", component.to_str().unwrap()];
    for (args, code) in [(&["queue", "stats"][..], None), (&run, Some(0))] {
        let _ = std::fs::remove_file(&started);
        let asking = as_developer(&az, args).start();
        until("az", || started.exists().then_some(()));
        asking.terminate();
        let ended = asking.wait();
        assert_eq!(ended.status.code(), code, "{ended:?}");
    }
    std::thread::sleep(Duration::from_secs(4));
    assert!(!over.exists(), "one was left running");
}

#[test]
fn a_developer_who_is_not_logged_in_is_told_so_at_once() {
    let az = with_az("echo 'ERROR: Please run az login to setup account.' >&2; exit 1");
    let ended = as_developer(&az, &["queue", "stats"]).run().ends_with(3);
    ended.says(&["Please run az login", "azd not found", "log in with `az login`"]);
    assert!(!ended.stderr.contains("aka.ms") && ended.took < slack(Duration::from_secs(10)), "{ended:?}");
}

#[test]
fn errors_name_the_thing_the_cause_and_the_mend() {
    let identity = Identity::start(HOUR);
    // Each is asked for as long as an identity that was just assigned may be unknown.
    std::thread::scope(|both| {
        for (client_id, words) in [
            (None, "AZURE_CLIENT_ID is not set"),
            (Some("another"), "client id is another (AZURE_CLIENT_ID)"),
        ] {
            let identity = &identity;
            both.spawn(move || {
                let ended = Host::without_queue(identity, client_id).start(&["queue", "stats"]);
                assert!(ended.code() == 3, "{ended:?}");
                ended.says(&[words, "answered HTTP 400 (No managed identity found)"]);
            });
        }
    });

    let missing = Host::without_queue(&identity, Some(longshore_testkit::identity::CLIENT_ID)).run(&[]);
    assert!(missing.code() == 3 && missing.stderr.contains("longshore queue create"), "{missing:?}");

    let clear = Host::at(plain().url(&fresh())).start(&["queue", "stats"]);
    assert!(clear.code() == 3 && clear.stderr.contains("does not travel in the clear"), "{clear:?}");

    let nobody =
        Host::at("http://127.0.0.1:9/devstoreaccount1/orders?sig=x".into()).start(&["queue", "stats"]);
    assert_eq!(nobody.code(), 3, "{nobody:?}");
    for words in ["http://127.0.0.1:9/devstoreaccount1/orders", "no connection to it"] {
        assert!(nobody.stderr.contains(words), "{nobody:?}");
    }

    let uncertified = Host::without_queue(&identity, None);
    let ended = uncertified.program(&["queue", "stats"]).env("SSL_CERT_FILE", "/dev/null").run();
    let uncertified = uncertified.tells_nothing(ended);
    assert!(uncertified.code() == 3 && uncertified.stderr.contains("CA certificates"), "{uncertified:?}");

    let forced = Host::at("https://127.0.0.1:9/account/orders".into());
    let forced = forced.start(&["--credential", "workload-identity", "queue", "stats"]);
    assert!(forced.code() == 3 && forced.stderr.contains("AZURE_FEDERATED_TOKEN_FILE"), "{forced:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_signature_receipt_or_body_is_in_the_log_whatever_goes_wrong() {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let record = calls.clone();
    let decide: Decide = Arc::new(move |method, path| {
        let mut calls = record.lock().unwrap();
        calls.push(path.to_owned());
        match (method, calls.len() % 7) {
            ("PUT" | "DELETE", 1 | 4) => Fate::CutAfter,
            (_, 2) => Fate::Answer("503 Server Busy", "x-ms-error-code: ServerBusy\r\nretry-after: 1\r\n"),
            ("GET", 3) => Fate::CutBefore,
            ("GET", 5) => Fate::Truncated,
            _ => Fate::Pass,
        }
    });
    let direct = Host::signed();
    direct.send(&["ok", "reject", "retry-until:2", "trap", "sleep:3000", "ok", "ok"]);
    let proxy = Proxy::start(plain(), decide).await;
    let faulty = Host::at(proxy.url(&direct.url));
    let run = ["--visibility", "4s", "--deadline", "5s", "--time-budget", "2m", "--max-dequeue", "3"];
    let ran = tokio::task::spawn_blocking(move || faulty.run(&run)).await.unwrap();
    assert!(ran.stderr.lines().count() > 7, "it did log: {}", ran.stderr);
    let calls = calls.lock().unwrap();
    let receipts = calls.iter().filter_map(|path| path.split("popreceipt=").nth(1)?.split('&').next());
    let receipts: Vec<&str> = receipts.collect();
    assert!(receipts.len() > 5, "{calls:?}");
    for receipt in receipts {
        assert!(!ran.stderr.contains(receipt), "{}", ran.stderr);
        assert!(!ran.stderr.contains(&receipt.replace("%3D", "=").replace("%2B", "+").replace("%2F", "/")));
    }
}
