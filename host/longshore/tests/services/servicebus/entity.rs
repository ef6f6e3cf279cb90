//! What an entity promises, asked through the real binary alone: of queues of the broker's, with
//! sessions and without, or of the entity that `make verify-servicebus` names, with the caller's
//! login.
//!
//! Each test leaves the entity empty. On an entity of somebody's they run one after the other.

mod of_sessions;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use longshore_azure::{Azure, Credential};
use longshore_queue::{Outgoing, Queue, SESSION_ID};
use longshore_queue_drivers::servicebus::ServiceBusQueue;
use longshore_testkit::queue_suite::MINUTE;
use longshore_testkit::wait::{slack, until};
use serde_json::{Value, json};

use crate::servicebus::broker::calm;
use crate::servicebus::host::Host;

/// The URL of the caller's entity.
pub const VERIFY: &str = "LONGSHORE_VERIFY_SERVICEBUS";

/// The locks of a queue of the broker's, in seconds.
const LOCK_S: u32 = 3;

/// The caller's entity, where there is one.
pub fn named() -> Option<&'static str> {
    static NAMED: OnceLock<Option<String>> = OnceLock::new();
    NAMED.get_or_init(|| std::env::var(VERIFY).ok()).as_deref()
}

/// The session that messages are sent into where each needs one.
const SESSION: &str = "verify";

/// Empty entities: the caller's, or one of each kind.
fn entities() -> Vec<Host> {
    let into_session = |host| Host { session: Some(SESSION), ..host };
    let Some(url) = named() else {
        return vec![Host::new(calm(), LOCK_S), into_session(Host::of_sessions(calm(), LOCK_S))];
    };
    let host = empty(url);
    vec![if requires_sessions(url) { into_session(host) } else { host }]
}

/// The caller's entity, which has to be empty.
fn empty(url: &str) -> Host {
    let host = Host::of_caller(url);
    for verb in [&["peek"][..], &["poison", "list"]] {
        let there = host.program(verb).run().succeeded();
        // All that is there would be handled, and deleted.
        assert_eq!(there.stdout, "", "{url} is not empty; name an entity that nobody uses");
    }
    host
}

/// Whether the caller's entity requires sessions: whoever receives finds out.
fn requires_sessions(url: &'static str) -> bool {
    static REQUIRED: OnceLock<bool> = OnceLock::new();
    *REQUIRED.get_or_init(|| {
        let asked = std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(async {
                let queue =
                    ServiceBusQueue::open(url.parse().unwrap(), &Azure::new(Credential::Auto)).unwrap();
                let received = queue.receive(1, MINUTE).await.unwrap();
                assert_eq!(received.len(), 0, "{url} was empty just now; name one that nobody uses");
                queue.is_in_order()
            })
        });
        asked.join().expect("the entity can be received from")
    })
}

/// Makes everything that is left dead, and deletes it.
fn clean(host: &Host) {
    host.run(&["--encoding", "base64", "--linger", "0"]).run().succeeded();
    host.program(&["poison", "purge", "--yes"]).run().succeeded();
    assert_eq!((host.json(&["peek"]), host.json(&["poison", "list"])), (Value::Null, Value::Null));
}

fn counts(ran: &Value) -> [u64; 6] {
    ["received", "completed", "retried", "poisoned", "abandoned", "lease_lost"]
        .map(|it| ran[it].as_u64().unwrap())
}

/// How long a lock lasts there.
async fn lock(host: &Host) -> Duration {
    let credential = Azure::new(Credential::Auto);
    let queue: Arc<dyn Queue> =
        Arc::new(ServiceBusQueue::open(host.url.parse().unwrap(), &credential).unwrap());
    let session = host.session.map(|it| (SESSION_ID.to_owned(), it.to_owned()));
    let properties = session.into_iter().collect();
    queue.send(Outgoing { body: "{}".into(), properties, ..Outgoing::default() }).await.unwrap();
    let held = queue.receive(1, MINUTE).await.unwrap().remove(0);
    let lease = queue.longest_lease();
    queue.delete(&held.message.id, &held.receipt).await.unwrap();
    queue.stop_receiving().await;
    // A session is locked already when a message of it is received, for half of a lock at least.
    if host.session.is_some() { 2 * lease } else { lease }
}

#[test]
fn each_message_is_settled_as_its_handler_says_and_what_is_dead_comes_back_once() {
    for host in entities() {
        host.send(&["ok", "two books", "reject", "retry-until:2", "retry", "trap"]);
        let ran = host.run(&["--max-dequeue", "2"]).run().succeeded().json();
        assert_eq!(counts(&ran), [9, 3, 3, 3, 0, 0], "{ran}");
        assert_eq!(ran["poison_reasons"], json!({ "rejected": 1, "attempts-exhausted": 2 }));
        assert_eq!(host.json(&["peek"]), Value::Null, "nothing is left");

        let listed = host.json(&["poison", "list", "--all", "--reason", "rejected"]);
        let id = listed["id"].as_str().unwrap();
        assert_eq!(host.json(&["poison", "show", id])["body"], listed["body"]);
        let foreseen = host.json(&["poison", "redrive", "--dry-run", "--detail", "rejection"]);
        assert_eq!((&foreseen["messages"], &foreseen["not_chosen"]), (&json!(1), &json!(2)), "{foreseen}");
        assert_eq!(host.json(&["poison", "redrive", "--detail", "rejection"])["messages"], 1);
        let back = host.json(&["peek"]);
        assert_eq!((&back["id"], &back["body"]), (&listed["id"], &listed["body"]), "as it was");
        assert_eq!(host.json(&["poison", "purge", "--yes"])["messages"], 2);
        clean(&host);
    }
}

#[test]
fn a_message_keeps_its_id_and_its_properties_on_the_way_through_the_dead_letter_queue() {
    for host in entities() {
        let properties = ["--content-type", "application/json", "--property", "tenant=blue"];
        let body = r#"{"order_id":"o-<&>é😀","msg":"reject"}"#;
        host.sending(&["--id", "verify-1", body]).args(properties).run().succeeded();
        host.run(&[]).run().succeeded();
        assert_eq!(host.json(&["poison", "redrive"])["messages"], 1);
        let back = host.json(&["peek"]);
        assert_eq!((&back["id"], &back["body"]), (&json!("verify-1"), &json!(body)));
        let session = host.session.map(|it| json!([SESSION_ID, it]));
        let carried = [json!(["content-type", "application/json"]), json!(["tenant", "blue"])];
        let mut carried: Vec<_> = carried.into_iter().chain(session).collect();
        let mut found = back["properties"].as_array().unwrap().clone();
        for properties in [&mut carried, &mut found] {
            properties.sort_by_key(ToString::to_string);
        }
        assert_eq!(found, carried);
        clean(&host);
    }
}

#[test]
fn a_delayed_message_is_not_handled_before_its_time() {
    for host in entities() {
        host.sending(&["--delay", "4s", r#"{"order_id":"o-1","msg":"ok"}"#]).run().succeeded();
        let sent = Instant::now();
        let early = host.run(&["--linger", "0"]).run().succeeded().json();
        if sent.elapsed() < Duration::from_secs(3) {
            assert_eq!(early["received"], 0, "{early}");
        }
        until("the delayed message", || {
            (host.run(&["--linger", "0"]).run().succeeded().json()["completed"] == 1
                || early["completed"] == 1)
                .then_some(())
        });
        assert!(sent.elapsed() > Duration::from_secs(3), "{:?}", sent.elapsed());
        clean(&host);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_outlasts_its_lock_keeps_it_by_renewing_and_is_handled_once() {
    for host in entities() {
        let lock = lock(&host).await;
        let work = lock + lock / 2 + Duration::from_secs(1);
        host.send(&[&format!("sleep:{}", work.as_millis())]);
        let deadline = format!("{}s", work.as_secs() + 60);
        let ran = host.run(&["--deadline", &deadline, "--time-budget", "20m"]).run().succeeded().json();
        assert_eq!(counts(&ran), [1, 1, 0, 0, 0, 0], "a lock lasts {lock:?}: {ran}");
        clean(&host);
    }
}

#[test]
fn a_stop_makes_what_was_in_hand_visible_at_once() {
    for host in entities() {
        // A run begins with one message, and has the next one when that is done.
        host.send(&["ok", "sleep:600000"]);
        let mut running = host.run(&["--grace", "1s", "--deadline", "11m"]).start();
        running.wait_for_line("\"outcome\":\"completed\"");
        // The other one may still be on its way.
        std::thread::sleep(Duration::from_secs(3));
        let signalled = Instant::now();
        running.terminate();
        let ran = running.wait().succeeded().json();
        assert!(signalled.elapsed() < slack(Duration::from_secs(10)), "{:?}", signalled.elapsed());
        assert_eq!(counts(&ran), [2, 1, 0, 0, 1, 0], "{ran}");
        assert_eq!(host.json(&["peek"])["dequeue_count"], 1, "released, and not left to its lock");
        clean(&host);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_host_held_that_was_killed_is_handled_when_its_lock_ends() {
    for host in entities() {
        let lock = lock(&host).await;
        host.send(&["sleep:1000"; 6]);
        let mut killed = host.run(&["--concurrency", "2"]).start();
        killed.wait_for_line("\"outcome\":\"completed\"");
        assert!(killed.kill().was_killed());
        let last = Instant::now() + 2 * lock + slack(Duration::from_secs(60));
        let mut completed = 0;
        while !host.program(&["peek"]).run().succeeded().stdout.is_empty() {
            assert!(Instant::now() < last, "what was locked does not come back");
            completed += host.run(&["--linger", "0"]).run().succeeded().json()["completed"].as_u64().unwrap();
        }
        assert!((1..6).contains(&completed), "{completed}");
        assert_eq!(host.json(&["poison", "list"]), Value::Null);
        clean(&host);
    }
}
