//! `queue list` and `queue delete`, connection strings, and messages that are named by the
//! beginnings of their ids.

use serde_json::json;

use crate::storage::azurite::{ACCOUNT, KEY, fresh, plain, signature};
use crate::storage::check::found;
use crate::storage::host::Host;

/// The connection string of a queue, with the key of the account.
fn with_key(queue: &str, key: &str) -> String {
    let endpoint = format!("{}/{ACCOUNT}", plain().origin);
    format!(
        "DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={key};QueueEndpoint={endpoint};QueueName={queue}"
    )
}

#[test]
fn a_connection_string_with_a_key_or_a_signature_does_what_a_url_does() {
    let endpoint = format!("{}/{ACCOUNT}", plain().origin);
    let queue = fresh();
    let signed = format!("QueueEndpoint={endpoint}/;SharedAccessSignature={};QueueName={queue}", signature());
    for text in [with_key(&queue, KEY), signed] {
        let host = Host::at(text);
        assert_eq!(host.start(&["queue", "create"]).succeeded().json()["created"], true);
        host.send(&["ok", "ok", "reject"]);
        assert_eq!(host.count(), 3);
        let summary = host.run(&[]).succeeded().json();
        assert_eq!((&summary["completed"], &summary["poisoned"]), (&json!(2), &json!(1)), "{summary}");
        host.start(&["poison", "redrive"]).succeeded();
        let ran = host.start(&["check"]).succeeded();
        assert_eq!(found(&ran, "renew"), "allowed", "the key is that of the whole account");
        let deleted = host.start(&["queue", "delete", "--yes"]).succeeded().json();
        assert_eq!((&deleted["messages"], &deleted["poison_messages"]), (&json!(1), &json!(0)), "{deleted}");
        Host::at(with_key(&format!("{queue}-poison"), KEY)).start(&["queue", "delete", "--yes"]).succeeded();
    }
}

#[test]
fn a_key_that_is_not_the_account_s_is_refused_and_never_shown() {
    let other = "c3dvcmRmaXNoc3dvcmRmaXNo";
    let host = Host::at(with_key(&fresh(), other));
    let refused = host.start(&["queue", "stats", "--log=trace"]);
    assert_eq!(refused.code(), 3, "{refused:?}");
    assert!(
        refused.stderr.contains("is the key in the connection string one of the account's"),
        "{refused:?}"
    );
    assert!(!refused.stderr.contains(other) && !refused.stderr.contains("sig="), "{refused:?}");
}

#[test]
fn the_queues_of_an_account_are_listed_and_one_is_deleted() {
    let host = Host::signed();
    host.send(&["ok", "ok"]);
    let name = host.name().to_owned();
    let listed = || host.start(&["queue", "list"]).succeeded().json_lines();
    let row = listed().into_iter().find(|it| it["name"] == name.as_str()).expect("it is there");
    assert_eq!((&row["approximate_count"], &row["queue"]), (&json!(2), &json!(plain().url(&name))));
    assert!(listed().is_sorted_by_key(|it| it["name"].as_str().unwrap().to_owned()));

    let asked = host.start(&["queue", "delete"]);
    assert_eq!(asked.code(), 2, "{asked:?}");
    let deleted = host.start(&["queue", "delete", "--yes"]).succeeded().json();
    assert_eq!(deleted, json!({ "queue": plain().url(&name), "deleted": true, "messages": 2 }));
    assert!(listed().iter().all(|it| it["name"] != name.as_str()));
    let again = host.start(&["queue", "delete", "--yes"]);
    assert!(again.code() == 3 && again.stderr.contains("there is no queue"), "{again:?}");
}

#[test]
fn an_outbox_is_looked_for_and_sent_to_where_that_is_asked_for() {
    let (host, outbox) = (Host::signed(), Host::signed());
    let there = format!("--outbox=a={}", outbox.url);
    let ran = host.start(&["check", &there]);
    assert_eq!((found(&ran, "outbox exists"), found(&ran, "send outbox")), ("yes".into(), "unknown".into()));
    assert_eq!(outbox.count(), 0);
    let ran = host.start(&["check", &there, "--probe-outbox"]);
    assert_eq!(found(&ran, "send outbox"), "allowed", "{ran:?}");
    // A signature that may only read and process.
    let weak = outbox.url.replace("sp=rwdlacup", "sp=rp");
    let ran = host.start(&["check", &format!("--outbox=a={weak}"), "--probe-outbox"]);
    assert_eq!((ran.code(), found(&ran, "send outbox")), (3, "denied".into()), "{ran:?}");
    let missing = format!("--outbox=a={}", plain().signed(&fresh()));
    let ran = host.start(&["check", &missing, "--probe-outbox"]);
    assert_eq!((ran.code(), found(&ran, "outbox exists")), (3, "no".into()), "{ran:?}");
}

#[test]
fn a_message_is_named_by_the_beginning_of_the_id_that_the_service_gave_it() {
    let host = Host::signed();
    host.send(&["reject", "reject"]);
    let listed = host.start(&["peek"]).succeeded().json_lines();
    let ids: Vec<_> = listed.iter().map(|it| it["id"].as_str().unwrap()).collect();
    // Random ids differ early. The copies in the poison queue have ids of their own.
    let length = (8..36).find(|n| ids[0][..*n] != ids[1][..*n]).unwrap();
    let beginning = &ids[0][..length];
    assert_eq!(host.start(&["peek", beginning]).succeeded().json()["id"], ids[0]);
    host.run(&[]).succeeded();
    assert_eq!(host.start(&["poison", "show", beginning]).succeeded().json()["id"], ids[0]);
    assert_eq!(host.start(&["poison", "redrive", beginning]).succeeded().json()["messages"], 1);
    assert_eq!(host.start(&["poison", "purge", "--yes", ids[1]]).succeeded().json()["messages"], 1);
    let gone = host.start(&["poison", "show", ids[1]]);
    assert_eq!(gone.code(), 1, "{gone:?}");
}
