//! Receiving always works: whatever is wrong with a body, messages are received, counted and
//! poisoned.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::directory::{Directory, ORDERS};
use crate::orders::order;
use crate::process::{longshore, run};

/// What `poison list` says of each message, by its original id.
fn poison(directory: &Directory) -> BTreeMap<String, Value> {
    let ended =
        run(&mut longshore(["poison", "list", "--all", "--output=json", "--queue", &directory.url(ORDERS)]));
    let envelopes = ended.succeeded().json_lines().into_iter();
    envelopes.map(|envelope| (envelope["id"].as_str().unwrap().to_owned(), envelope)).collect()
}

fn assert_poisoned(envelope: &Value, reason: &str, cause: &str) {
    assert_eq!(envelope["reason"], reason, "{envelope}");
    assert!(envelope["detail"].as_str().unwrap().contains(cause), "{cause} is not in {}", envelope["detail"]);
}

const LARGEST: usize = 64 * 1024;

fn deep_array() -> String {
    ["[".repeat(10_000), "]".repeat(10_000)].concat()
}

/// Bodies that no handler takes, the reason for which they are poison, and words of the cause.
fn rubbish() -> Vec<(Vec<u8>, &'static str, &'static str)> {
    let deep_array = deep_array();
    let deep_object = ["{\"order_id\":".repeat(5_000), "1".into(), "}".repeat(5_000)].concat();
    vec![
        (Vec::new(), "rejected", "empty"),
        (vec![b' '; LARGEST], "rejected", "empty"),
        (vec![b'x'; LARGEST], "rejected", "not JSON"),
        (vec![0; LARGEST], "rejected", "not JSON"),
        (vec![0xff; LARGEST], "undecodable", "not UTF-8"),
        (b"{\"order_id\": \"\xff\"}".to_vec(), "undecodable", "not UTF-8"),
        (b"\xed\xa0\x80".to_vec(), "undecodable", "not UTF-8"),
        (br#"{"order_id": "\ud800", "msg": "ok"}"#.to_vec(), "rejected", "not JSON"),
        (b"null".to_vec(), "rejected", "body"),
        (b"1e999999".to_vec(), "rejected", "body"),
        (STANDARD.encode(&deep_array).into_bytes(), "rejected", "expected a string"),
        (deep_array.into_bytes(), "rejected", "expected a string"),
        (deep_object.into_bytes(), "rejected", "expected a string"),
    ]
}

#[test]
fn bodies_that_no_handler_takes_end_in_the_poison_queue_with_the_reason_and_come_back_as_they_were() {
    let directory = Directory::new();
    let frame = order("o-large", "").len();
    let large = order("o-large", &"m".repeat(LARGEST - frame));
    assert_eq!(large.len(), LARGEST);
    let deep = format!(r#"{{"order_id": "o-deep", "msg": "ok", "more": {}}}"#, deep_array());
    directory.send([large, deep]);
    let ids = directory.send(rubbish().iter().map(|(body, ..)| body));

    let ended = directory.worker(&[]).run().succeeded();
    assert_eq!(ended.json()["completed"], 2, "the largest and the deepest are as good as any: {ended:?}");
    assert!(directory.rows(ORDERS).is_empty());
    let found = poison(&directory);
    assert_eq!(found.len(), ids.len());
    for (id, (_, reason, cause)) in ids.iter().zip(rubbish()) {
        assert_poisoned(&found[id], reason, cause);
    }

    run(&mut longshore(["poison", "redrive", "--queue", &directory.url(ORDERS)])).succeeded();
    let back: BTreeMap<_, _> = directory.rows(ORDERS).into_iter().map(|row| (row.id, row.body)).collect();
    let sent: BTreeMap<_, _> = ids.into_iter().zip(rubbish().into_iter().map(|(body, ..)| body)).collect();
    assert!(back == sent, "the bodies were changed on their way");
}

#[test]
fn what_somebody_else_put_into_the_poison_queue_is_listed_whatever_it_is() {
    let directory = Directory::new();
    let deep = ["{\"longshore\":\"poison/1\",\"properties\":", &"[".repeat(10_000)].concat();
    let poison = directory.url("orders-poison");
    run(&mut longshore(["queue", "create", "--queue", &poison])).succeeded();
    run(&mut longshore(["send", "--queue", &poison, &deep, "[]", "{\"longshore\":\"poison/1\"}"]))
        .succeeded();
    for output in ["table", "json"] {
        let list = ["poison", "list", "--all", "--queue", &directory.url(ORDERS), "--output", output];
        let ended = run(&mut longshore(list)).succeeded();
        assert_eq!(ended.stdout.matches("unknown").count(), 3, "{}", ended.stdout);
    }
}
