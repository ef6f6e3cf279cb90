//! Identities, TLS and WebSockets; and connections that have to last.

use std::time::{Duration, Instant};

use longshore_queue::QueueError;
use rustix::process::Signal;
use serde_json::json;

use crate::servicebus::broker::{Broker, secure};
use crate::servicebus::host::Host;
use crate::servicebus::queue::open;
use longshore_testkit::identity::{Identity, Mood};
use longshore_testkit::queue_suite::{MINUTE, text};
use longshore_testkit::wait::{slack, until_async};

const HOUR: Mood = Mood::Tokens(3600);

fn at(broker: &Broker) -> String {
    format!("127.0.0.1:{}", broker.tls.as_ref().unwrap().0)
}

/// Sends two messages and runs; no secret is logged.
#[track_caller]
fn works(host: &Host, identity: &Identity) {
    host.send(&["ok", "reject"]);
    let ended = host.run(&[]).run().succeeded();
    let (log, ran) = (&ended.stderr, ended.json());
    assert_eq!((&ran["completed"], &ran["poisoned"]), (&1.into(), &1.into()), "{ran}");
    // Tokens, and what only bodies hold.
    for secret in identity.tokens().iter().map(String::as_str).chain(["order_id"]) {
        assert!(!log.contains(secret), "{secret} is in the log: {log}");
    }
}

#[test]
fn a_managed_identity_works_over_tls_and_in_a_web_socket() {
    let identity = Identity::start(HOUR);
    for query in ["", "?transport=websockets"] {
        works(&Host::with_identity(secure(), &identity, &at(secure()), query), &identity);
    }
}

#[test]
fn messages_are_counted_by_the_service_or_else_one_by_one() {
    let broker = Broker::start_with_tls("127.0.0.1:0").unwrap();
    let host = Host::with_identity(&broker, &Identity::start(HOUR), &at(&broker), "");
    host.send(&["ok", "ok", "reject"]);
    let count = || host.count();
    let fault = |at: &str, what: &str| json!([{ "at": at, "do": what, "times": 1 }]);
    broker.order(&fault("peek-message", "silent"));
    assert_eq!(count(), 3);
    assert_eq!(broker.order(&fault("count", "denied")), json!({}), "nothing was peeked at");
    assert_eq!(count(), 3);
    assert_eq!(broker.order(&json!([])), json!({ "count denied": 1 }));
    host.run(&[]).run().succeeded();
    let dead = format!("{}/$deadletterqueue", host.url);
    assert_eq!(host.json(&["queue", "stats", "--queue", &dead])["approximate_count"], 1);
    assert_eq!(count(), 0);
}

#[test]
fn where_the_port_of_amqp_does_not_answer_a_web_socket_is_opened() {
    // An address of this host alone, where nothing else listens.
    let address = "127.71.51.43";
    let Some(broker) = Broker::start_with_tls(&format!("{address}:443")) else {
        let privileged = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
        let allowed = privileged.is_ok_and(|it| it.trim().parse::<u16>().is_ok_and(|first| first <= 443));
        assert!(!allowed, "port 443 may be listened on, and the broker does not");
        return eprintln!("left out: only root may listen on port 443 here");
    };
    let identity = Identity::start(HOUR);
    works(&Host::with_identity(&broker, &identity, address, ""), &identity);
}

#[test]
fn a_certificate_that_nobody_vouches_for_ends_a_run_with_the_mend() {
    let identity = Identity::start(HOUR);
    let host = Host::with_identity(secure(), &identity, &at(secure()), "").without("SSL_CERT_FILE");
    host.run(&[]).run().ends_with(3).says(&["certificate", "SSL_CERT_FILE"]);
}

#[test]
fn a_connection_outlives_its_tokens() {
    let broker = Broker::start_with_tls("127.0.0.1:0").unwrap();
    let identity = Identity::start(Mood::Tokens(4));
    let host = Host::with_identity(&broker, &identity, &at(&broker), "");
    host.send(&["sleep:10000"]);
    let before = broker.state();
    let ran = host.run(&[]).run().succeeded().json();
    assert_eq!((&ran["received"], &ran["completed"]), (&1.into(), &1.into()), "{ran}");
    let after = broker.state();
    assert_eq!(after.0 - before.0, 1, "the broker ends whoever lets a token run out");
    assert!(after.1 - before.1 >= 3, "{before:?} {after:?}: 10 s take more than two tokens of 4 s");
}

#[test]
fn a_token_that_is_refused_is_replaced_once_and_then_told_with_the_role() {
    let identity = Identity::start(HOUR);
    let host = Host::with_identity(secure(), &identity, &at(secure()), "");
    host.send(&["ok"]);
    identity.turn(&[Mood::WrongAudience, HOUR]);
    assert_eq!(host.run(&[]).run().succeeded().json()["completed"], 1);
    identity.turn(&[Mood::WrongAudience]);
    host.run(&[]).run().ends_with(3).says(&["Azure Service Bus Data Receiver"]);
}

#[tokio::test]
async fn a_service_that_freezes_is_noticed_in_time_and_used_again() {
    let broker = Broker::start(&[]);
    let queue = open(&broker, &broker.queue(30, 10), Duration::from_secs(2));
    queue.send(text("a")).await.unwrap();
    broker.signal(Signal::STOP);
    let asked = Instant::now();
    for _ in 0..2 {
        let said = queue.receive(1, MINUTE).await.unwrap_err();
        assert!(said.is_transient(), "{said}");
    }
    let said = queue.send(text("b")).await.unwrap_err();
    assert!(matches!(said, QueueError::Unclear { .. } | QueueError::Busy { .. }), "{said:?}");
    assert!(asked.elapsed() < slack(Duration::from_secs(10)), "{:?}", asked.elapsed());
    broker.signal(Signal::CONT);
    // What was asked of the frozen one is done late: a receive that was given up may hold the
    // message until its lock ends.
    let received = until_async("the message", async || {
        let received = queue.receive(1, MINUTE).await.unwrap_or_default();
        (!received.is_empty()).then_some(received)
    });
    assert_eq!(received.await[0].message.body, "a");
}
