//! The whole loop through the real binary, from `IDENTITY_ENDPOINT` to the poison queue.

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
fn errors_name_the_thing_the_cause_and_the_mend() {
    let identity = Identity::start(HOUR);
    let none = Host::without_queue(&identity, None).start(&["queue", "stats"]);
    assert!(none.code() == 3 && none.stderr.contains("AZURE_CLIENT_ID is not set"), "{none:?}");

    let other = Host::without_queue(&identity, Some("another")).start(&["queue", "stats"]);
    assert!(
        other.code() == 3 && other.stderr.contains("client id is another (AZURE_CLIENT_ID)"),
        "{other:?}"
    );

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
    let run = ["--visibility", "4s", "--deadline", "5s", "--time-budget", "25s", "--max-dequeue", "3"];
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
