//! `check`: what is learnt of the queue, and of its own limit of deliveries.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use longshore_testkit::program::Ended;
use serde_json::{Value, json};

use crate::arm::check::{check, found, good, variable};
use crate::arm::server::{Answer, JOB, Server};
use crate::servicebus::broker::calm;
use crate::servicebus::host::Host;

#[test]
fn a_queue_that_dead_letters_before_the_host_does_is_found() {
    // Where nothing listens: what is asked of the queue itself is unknown.
    const QUEUE: &str = "/subscriptions/34adfa4f-cedf-4dc0-ba29-b6d1a69ab345/resourceGroups/rg/providers/Microsoft.ServiceBus/namespaces/127/queues/orders";
    let queue = "sb://127.0.0.1:9/orders";
    let limit = |limit: Value| Some(json!({ "properties": { "maxDeliveryCount": limit } }));
    let cases = [
        (limit(json!(6)), "5", "ok", ""),
        (limit(json!(5)), "5", "wrong", "set it to 6 or more"),
        (limit(json!(10)), "20", "wrong", "it is 10, and --max-dequeue 20"),
        (limit(Value::Null), "5", "unknown", "does not say"),
        (None, "5", "unknown", "in the job's resource group; if it is in another, `az servicebus queue show"),
    ];
    for (said, max_dequeue, expected, words) in cases {
        let mut job = good();
        variable(&mut job, "LONGSHORE_QUEUE", json!(queue));
        variable(&mut job, "LONGSHORE_MAX_DEQUEUE", json!(max_dequeue));
        let server = Server::start(move |call| match (&call.what, &said) {
            (what, _) if *what == format!("GET {JOB}") => Answer::ok(job.clone()),
            (what, Some(said)) if *what == format!("GET {QUEUE}") => {
                assert_eq!(call.query, "api-version=2024-01-01");
                Answer::ok(said.clone())
            }
            _ => Answer::error(404, "ResourceNotFound", "there is none"),
        });
        let ran = server.run(&["check", "--job", JOB]);
        let (result, detail) = found(&ran, "maxDeliveryCount");
        assert_eq!(result, expected, "{detail}");
        assert!(detail.contains(words) && !detail.contains("az containerapp"), "{detail}");
        assert_eq!(found(&ran, "queue exists").0, "unknown");
    }
}

#[test]
fn what_a_rule_of_sessions_should_be_is_computed_from_those_that_have_messages() {
    for (sessions, max_executions, expected, words) in [
        (3, 10, "wrong", "set messageCount to 8 and maxExecutions to 2"),
        (3, 2, "ok", "12 messages lie in 3 sessions"),
        (0, 10, "unknown", "no session has messages now"),
    ] {
        let host = Host::of_sessions(calm(), 30);
        for session in 0..sessions {
            host.send_into(&format!("s{session}"), &["ok"; 4]);
        }
        let mut job = good();
        variable(&mut job, "LONGSHORE_QUEUE", json!(host.url));
        variable(&mut job, "LONGSHORE_SESSIONS", json!("2"));
        let scale = &mut job["properties"]["configuration"]["eventTriggerConfig"]["scale"];
        scale["maxExecutions"] = json!(max_executions);
        scale["rules"][0]["type"] = json!("azure-servicebus");
        scale["rules"][0]["metadata"] = json!({ "queueName": host.name, "messageCount": "1" });
        let server = Server::start(move |call| match &call.what {
            what if *what == format!("GET {JOB}") => Answer::ok(job.clone()),
            _ => Answer::error(404, "ResourceNotFound", "there is none"),
        });
        let ran = server.run(&["check", "--job", JOB]);
        let (result, detail) = found(&ran, "sessions");
        assert_eq!(result, expected, "{detail}");
        assert!(detail.contains(words), "{detail}");
    }
}

#[test]
fn the_limit_of_a_subscription_is_that_of_its_topics_subscription_and_its_rule_names_both() {
    const SUBSCRIPTION: &str = "/subscriptions/34adfa4f-cedf-4dc0-ba29-b6d1a69ab345/resourceGroups/rg/providers/Microsoft.ServiceBus/namespaces/127/topics/orders/subscriptions/billing";
    for (named, expected) in [("billing", "ok"), ("audit", "wrong")] {
        let mut job = good();
        variable(&mut job, "LONGSHORE_QUEUE", json!("sb://127.0.0.1:9/orders/subscriptions/billing"));
        let rule = &mut job["properties"]["configuration"]["eventTriggerConfig"]["scale"]["rules"][0];
        rule["type"] = json!("azure-servicebus");
        rule["metadata"] = json!({
            "namespace": "127", "topicName": "orders", "subscriptionName": named, "messageCount": "100",
        });
        let server = Server::start(move |call| match &call.what {
            what if *what == format!("GET {JOB}") => Answer::ok(job.clone()),
            what if *what == format!("GET {SUBSCRIPTION}") => {
                Answer::ok(json!({ "properties": { "maxDeliveryCount": 10 } }))
            }
            _ => Answer::error(404, "ResourceNotFound", "there is none"),
        });
        let ran = server.run(&["check", "--job", JOB]);
        assert_eq!(found(&ran, "maxDeliveryCount").0, "ok", "{ran:?}");
        let (result, detail) = found(&ran, "scale rule");
        assert_eq!(result, expected, "{detail}");
        assert!(expected == "ok" || detail.contains("subscriptionName audit"), "{detail}");
    }
}

/// Checks a Storage queue that answers with this status and code to whoever deletes, and counts for
/// whoever asks.
fn check_queue(deleting: (u16, &'static str)) -> (Ended, Server) {
    let server = Server::start(move |call| {
        let refused = |(status, code): (u16, &str)| {
            Answer::Say(status, vec![("x-ms-error-code", code.into())], Value::Null)
        };
        match call.what.split(' ').next() {
            Some("DELETE") => refused(deleting),
            Some("GET") => {
                let count = ("x-ms-approximate-messages-count", "7".into());
                Answer::Say(200, vec![count], Value::Null)
            }
            _ => refused((404, "MessageNotFound")),
        }
    });
    let ran = server.run(&["check", "--queue", &format!("{}/account/orders?sig=none", server.url)]);
    (ran, server)
}

#[test]
fn a_queue_is_counted_to_see_that_it_exists_only_where_nothing_else_tells() {
    for (deleting, exists, counted) in [
        ((404, "MessageNotFound"), "yes", 0),
        ((404, "QueueNotFound"), "no", 0),
        ((403, "AuthorizationPermissionMismatch"), "yes", 1),
    ] {
        let (ran, server) = check_queue(deleting);
        for check in ["queue exists", "poison queue exists"] {
            assert_eq!(found(&ran, check).0, exists, "{deleting:?}: {ran:?}");
        }
        let asked = (server.asked("GET", "/orders"), server.asked("GET", "/orders-poison"));
        assert_eq!(asked, (1 + counted, counted), "{deleting:?}: the first is the finding `count`");
    }
}

#[test]
fn what_was_asked_to_learn_whether_messages_may_be_received_is_said() {
    let receive = |deleting| found(&check_queue(deleting).0, "receive");
    let (result, detail) = receive((404, "MessageNotFound"));
    assert_eq!(
        (result.as_str(), detail.as_str()),
        ("allowed", "asked by deleting a message that does not exist")
    );
    let (result, detail) = receive((403, "AuthorizationPermissionMismatch"));
    assert!(result == "denied" && detail.contains("not allowed to delete messages"), "{result}: {detail}");
}

#[test]
fn an_outbox_that_a_job_names_is_looked_for_only_where_a_token_may_go() {
    let mut job = good();
    let (missing, foreign) = ("file:./queues/missing", "https://queue.example/account/invoices");
    variable(&mut job, "LONGSHORE_OUTBOX", json!(format!("a={missing}\nb={foreign}")));
    let ran = check(job).ends_with(3);
    let lines = ran.json_lines();
    let result = |of: &str| {
        lines.iter().find(|it| it["of"] == of).unwrap_or_else(|| panic!("{of}: {ran:?}"))["result"].clone()
    };
    assert_eq!(result(&format!("a: {missing}")), "no");
    assert_eq!(result(&format!("b: {foreign}")), "unknown");
}

/// Where calls to other hosts end up, and how many came.
fn witness() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    std::thread::spawn(move || {
        for _ in listener.incoming() {
            counted.fetch_add(1, Ordering::Relaxed);
        }
    });
    (url, calls)
}

#[test]
fn no_token_goes_to_a_host_that_only_the_job_names() {
    let (proxy, calls) = witness();
    for queue in [
        "https://evil.example/account/orders",
        "https://account.queue.core.windows.net.evil.example/orders",
        "https://evil.example:8443/account/orders",
        "sb://evil.example/orders",
    ] {
        let mut job = good();
        variable(&mut job, "LONGSHORE_QUEUE", json!(queue));
        // It gives tokens for itself, and fails whoever wants one for a queue.
        let server = Server::start(move |call| match call.what.as_str() {
            what if *what == format!("GET {JOB}") => Answer::ok(job.clone()),
            _ => Answer::error(404, "ResourceNotFound", "there is none"),
        });
        let ran = server.run_with(&["check", "--job", JOB], &[("HTTPS_PROXY", &proxy)]).never_panicked();
        for check in ["queue exists", "poison queue exists"] {
            let (result, detail) = found(&ran, check);
            assert_eq!(result, "unknown", "{queue}: {detail}");
            assert!(detail.contains("would get your token") && detail.contains("evil.example"), "{detail}");
            assert!(detail.contains("queue"), "{detail}");
        }
        assert_eq!((server.tokens(), calls.load(Ordering::Relaxed)), (1, 0), "{queue}: one for ARM");
    }
    // A poison queue that only the job names, beside a queue that the command line names.
    let mut job = good();
    variable(&mut job, "LONGSHORE_POISON_QUEUE", json!("https://evil.example/account/poison"));
    let server = Server::start(move |call| match call.what.as_str() {
        what if *what == format!("GET {JOB}") => Answer::ok(job.clone()),
        _ => Answer::error(404, "QueueNotFound", "there is none"),
    });
    let queue = format!("{}/account/orders?sig=x", server.url);
    let ran = server.run_with(&["check", "--job", JOB, "--queue", &queue], &[("HTTPS_PROXY", &proxy)]);
    assert_eq!(found(&ran, "poison queue exists").0, "unknown", "{ran:?}");
    assert_ne!(found(&ran, "queue exists").0, "unknown", "{ran:?}");
    assert_eq!((server.tokens(), calls.load(Ordering::Relaxed)), (1, 0));
}

#[test]
fn a_grant_that_only_the_job_names_is_asked_about_where_a_token_may_go() {
    let (proxy, calls) = witness();
    let mut job = good();
    let (known, foreign) = ("GET acme.blob.core.windows.net/orders", "evil.example/acme/orders");
    let scope = "=https://storage.azure.com/.default";
    variable(&mut job, "LONGSHORE_HTTP_IDENTITY", json!(format!("{known}\n{foreign}{scope}")));
    // Its key is in a secret of the job's, which is not here.
    variable(&mut job, "LONGSHORE_HTTP_HEADER", json!("api.example.com=x-api-key=@KEY_OF_THE_JOB"));
    let server = Server::start(move |call| match call.what.as_str() {
        what if *what == format!("GET {JOB}") => Answer::ok(job.clone()),
        _ => Answer::error(404, "QueueNotFound", "there is none"),
    });
    server.gives_tokens_for_storage();
    let queue = format!("{}/account/orders?sig=x", server.url);
    let ran = server.run_with(&["check", "--job", JOB, "--queue", &queue], &[("HTTPS_PROXY", &proxy)]);
    let ran = ran.never_panicked();
    let reads = |of: &str| {
        let of = format!("{of}{scope}");
        let found = ran.json_lines().into_iter().find(|it| it["check"] == "identity reads" && it["of"] == of);
        found.unwrap_or_else(|| panic!("{of}: {ran:?}"))
    };
    // The witness takes calls, and answers none.
    assert!(reads(known)["detail"].to_string().contains("did not answer"), "{ran:?}");
    assert!(reads(foreign)["detail"].to_string().contains("would get your token"), "{ran:?}");
    assert_eq!(calls.load(Ordering::Relaxed), 1, "one call to the service that is known");
    assert_ne!(found(&ran, "job flags").0, "wrong", "{ran:?}");
}
