//! Topics and their subscriptions: a subscription is unloaded as a queue is, and a topic is sent
//! to.

use longshore_testkit::identity::{Identity, Mood};
use longshore_testkit::{guest, sample};
use serde_json::{Value, json};

use crate::servicebus::broker::{Broker, calm, secure};
use crate::servicebus::host::Host;

/// A topic, and the binary in front of it and of its two subscriptions.
fn topic(broker: &Broker) -> (Host, Host, Host) {
    let name = broker.topic(30, 10, &["billing", "audit"]);
    let billing = Host::of_subscription(broker, &name, "billing");
    (billing.beside(&name), billing, Host::of_subscription(broker, &name, "audit"))
}

#[test]
fn each_subscription_is_unloaded_by_itself() {
    let (topic, billing, audit) = topic(calm());
    topic.send(&["ok", "reject", "retry-until:2"]);
    assert_eq!((billing.count(), audit.count()), (json!(3), json!(3)));
    let ran = billing.run(&[]).run().succeeded().json();
    let counts = ["received", "completed", "retried", "poisoned"].map(|it| &ran[it]);
    assert_eq!(counts, [4, 2, 1, 1], "{ran}");
    let listed = billing.json(&["poison", "list", "--all"]);
    assert_eq!(listed["reason"], "rejected", "{listed}");
    assert_eq!((billing.count(), audit.count()), (json!(0), json!(3)), "the other one is untouched");
    assert_eq!(audit.json(&["poison", "list", "--all"]), Value::Null);
}

#[test]
fn a_subscription_is_named_in_any_case() {
    let (topic, billing, _) = topic(calm());
    topic.send(&["ok"]);
    let shouted = billing.name.replace("Subscriptions", "subscriptions").to_uppercase();
    let ran = billing.beside(&shouted).run(&[]).run().succeeded().json();
    assert_eq!(ran["completed"], 1, "{ran}");
}

#[test]
fn a_dead_letter_of_a_subscription_goes_to_the_queue_that_is_named_and_never_to_the_topic() {
    let (topic, billing, audit) = topic(calm());
    let mended = Host::new(calm(), 30);
    topic.send(&["reject", "ok"]);
    billing.run(&[]).run().succeeded();
    let refused = billing.program(&["poison", "redrive"]).run().ends_with(2);
    refused.says(&["reaches all other subscriptions", "longshore run --queue", "--to", "nothing was sent"]);
    for wrong in [&topic.url, &format!("{}/$deadletterqueue", billing.url)] {
        billing.program(&["poison", "redrive", "--to", wrong]).run().ends_with(2).says(&["nothing was sent"]);
    }
    for subscription in [&audit.url, &billing.url] {
        let refused = billing.program(&["poison", "redrive", "--to", subscription]).run().ends_with(2);
        let mend = ["nothing can be sent to a subscription", "longshore run --queue", "nothing was sent"];
        refused.says(&mend);
    }
    assert_eq!((billing.count(), audit.count()), (json!(0), json!(2)));
    let letter = billing.json(&["poison", "list", "--all"]);
    let sent = billing.json(&["poison", "redrive", "--to", &mended.url]);
    assert_eq!((&sent["seen"], &sent["messages"]), (&json!(1), &json!(1)), "{sent}");
    let back = mended.json(&["peek"]);
    assert_eq!((&back["id"], &back["body"], back.get("properties")), (&letter["id"], &letter["body"], None));
    assert_eq!(billing.json(&["poison", "list", "--all"]), Value::Null);
    assert_eq!((billing.count(), audit.count()), (json!(0), json!(2)), "no subscription got it again");
}

#[test]
fn dead_letters_of_a_subscription_are_handed_to_the_handler_and_what_fails_again_stays() {
    let (topic, billing, audit) = topic(calm());
    topic.send(&["ok", "reject", "two books"]);
    // A run that was told wrongly how bodies are encoded.
    let ran = billing.run(&["--encoding", "base64"]).run().succeeded().json();
    assert_eq!(ran["poisoned"], 3, "{ran}");
    let dead = billing.beside(&format!("{}/$DeadLetterQueue", billing.name));
    let mended = dead.run(&[]).run().succeeded().json();
    let counts = ["received", "completed", "poisoned", "lease_lost"].map(|it| &mended[it]);
    assert_eq!(counts, [3, 2, 1, 0], "{mended}");
    let left = billing.json(&["poison", "list", "--all"]);
    assert!(left["body"].as_str().unwrap().contains("reject"), "{left}");
    assert_eq!(calm().locked(&format!("{}/$deadletterqueue", billing.name)), 0, "it is visible");
    assert_eq!((billing.count(), audit.count()), (json!(0), json!(3)), "no subscription got it again");
    dead.run(&["--forever"]).run().ends_with(2).says(&["unloaded once", "--poison-queue"]);
}

#[test]
fn a_subscription_is_not_sent_to_and_a_topic_is_not_received_from() {
    let (topic, billing, _) = topic(calm());
    let order = sample::order("o-1", "ok");
    let refused = billing.program(&["send", &order]).run();
    assert_ne!(refused.code(), 0);
    refused.says(&["is a subscription", &format!("/{}`", topic.name)]);
    topic.run(&[]).run().ends_with(3).says(&["is a topic", "/Subscriptions/NAME"]);
    let missing = billing.beside(&format!("{}/Subscriptions/missing", topic.name));
    missing.run(&[]).run().ends_with(3).says(&["there is no queue"]);
    let made = missing.program(&["queue", "create"]).run().ends_with(3);
    made.says(&[&format!(
        "az servicebus topic subscription create --topic-name {} --name missing",
        topic.name
    )]);
}

#[test]
fn a_topic_has_no_poison_messages_and_one_who_asks_for_them_is_told_so() {
    let (topic, ..) = topic(calm());
    for verb in ["list", "redrive", "purge"] {
        let args = ["poison", verb, "--yes"];
        let args = if verb == "purge" { &args[..] } else { &args[..2] };
        topic
            .program(args)
            .run()
            .ends_with(3)
            .says(&["there is no queue or subscription", "if it is a topic"]);
    }
}

#[test]
fn a_subscription_is_checked_and_so_is_a_topic_that_handlers_send_to() {
    let (topic, billing, _) = topic(calm());
    topic.send(&["ok"]);
    let denied = topic.url.replace("c2VjcmV0", "b3RoZXIt");
    let missing = topic.beside("missing").url;
    for (outbox, exists, may_send, code) in
        [(&topic.url, "yes", "allowed", 0), (&denied, "unknown", "denied", 3), (&missing, "no", "unknown", 3)]
    {
        let component = guest::order();
        let flags =
            ["check", "--component", component.to_str().unwrap(), "--outbox", &format!("all={outbox}")];
        let checked = billing.program(&flags).run().ends_with(code);
        let findings = checked.json_lines();
        let result = |name| findings.iter().find(|it| it["check"] == name).map(|it| it["result"].clone());
        let rows = ["queue exists", "receive", "renew", "count", "poison queue exists"].map(result);
        assert_eq!(rows, ["yes", "allowed", "allowed", "allowed", "yes"].map(|it| Some(it.into())));
        assert_eq!(result("outbox exists"), Some(exists.into()), "{checked:?}");
        assert_eq!(result("send outbox"), Some(may_send.into()), "{checked:?}");
        let limit = findings.iter().find(|it| it["check"] == "maxDeliveryCount").unwrap();
        assert!(
            limit["detail"].as_str().unwrap().contains("az servicebus topic subscription show"),
            "{limit}"
        );
    }
    assert_eq!(billing.json(&["peek"])["dequeue_count"], 0);
    assert_eq!(billing.count(), 1, "nothing was sent");
}

#[test]
fn the_service_counts_a_subscription_and_not_its_topic() {
    let identity = Identity::start(Mood::Tokens(3600));
    let at = format!("127.0.0.1:{}", secure().tls.as_ref().unwrap().0);
    let queue = Host::with_identity(secure(), &identity, &at, "");
    let topic = queue.beside(&secure().topic(30, 10, &["billing"]));
    let billing = queue.beside(&format!("{}/Subscriptions/billing", topic.name));
    topic.send(&["ok", "reject"]);
    assert_eq!(billing.count(), 2);
    billing.run(&[]).run().succeeded();
    let dead = billing.beside(&format!("{}/$deadletterqueue", billing.name));
    assert_eq!((billing.count(), dead.count()), (json!(0), json!(1)));
    assert_ne!(topic.program(&["queue", "stats"]).run().code(), 0);
}

#[test]
fn what_a_handler_sends_to_a_topic_reaches_each_subscription() {
    let (topic, billing, audit) = topic(calm());
    let queue = Host::new(calm(), 30);
    queue.program(&["send", "outputs:3"]).run().succeeded();
    let component = guest::rogue();
    let flags = ["--component", component.to_str().unwrap(), "--config=greeting=hello"];
    let outbox = format!("--outbox=invoices={}", topic.url);
    let ran = queue.program(&[&["run"][..], &flags, &[&outbox]].concat()).run().succeeded().json();
    assert_eq!(ran["completed"], 1, "{ran}");
    assert_eq!((billing.count(), audit.count()), (json!(3), json!(3)));
}
