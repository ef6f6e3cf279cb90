//! What a dead letter carries is what comes back: every section, property and type, as its sender
//! wrote them.

use std::process::Command;

use serde_json::{Value, json};

use crate::servicebus::amqp::{
    NULL, annotations, application, array, binary, data, described, footer, header, id, list, map,
    properties, sequence, string, symbol, time, ulong, value,
};
use crate::servicebus::broker::{Broker, calm, installed};
use crate::servicebus::host::Host;

const ORDER: &[u8] = br#"{"order_id":"o-1","msg":"reject"}"#;

/// What the official client finds in the queue; with `send` it has put messages there before.
fn carried(host: &Host, arguments: &[&str]) -> Vec<Value> {
    let mut python = Command::new(installed(".venv/bin/python"));
    python.arg(installed("python/carried.py")).args([&host.connection, &host.name]).args(arguments);
    let told = python.output().unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let lines = String::from_utf8(told.stdout).unwrap();
    let mut messages: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    // Messages are sent again beside each other.
    messages.sort_by_key(Value::to_string);
    messages
}

/// All messages of the queue, rejected.
fn reject(host: &Host, messages: usize) {
    let ran = host.run(&["--max-dequeue", "1"]).run().succeeded().json();
    assert_eq!(ran["poisoned"], messages, "{ran}");
}

#[test]
fn what_the_official_client_sent_is_what_it_finds_again_after_a_redrive() {
    let host = Host::new(calm(), 30);
    let sent = carried(&host, &["send"]);
    assert_eq!(sent.len(), 7, "{sent:?}");
    reject(&host, 7);
    let report = host.json(&["poison", "redrive"]);
    assert_eq!(
        (&report["messages"], &report["seen"], &report["skipped"]),
        (&json!(7), &json!(7), &json!({}))
    );
    assert_eq!(carried(&host, &[]), sent);
    assert_eq!(host.json(&["poison", "list", "--all"]), Value::Null);
}

/// Messages as libraries of all kinds write them, and whether a receiver of ours can read what lies
/// around the body.
fn odd_messages() -> Vec<(&'static str, bool, Vec<u8>)> {
    let one = |name: &'static str, readable: bool, parts: &[&[u8]]| (name, readable, parts.concat());
    let with = |name: &'static str, readable: bool, value: Vec<u8>| {
        one(name, readable, &[&id(name), &application(&[("p", value)]), &data(ORDER)])
    };
    let bare = |name: &'static str, body: Vec<u8>| one(name, true, &[&id(name), &body]);
    let letters = [string("a"), string("b")];
    vec![
        one("header", true, &[&header(7, 600_000), &id("header"), &data(ORDER)]),
        one("annotations", true, &[&annotations(&[("own", ulong(7))]), &id("annotations"), &data(ORDER)]),
        with("decimal128", true, [&[0x94][..], &[7; 16]].concat()),
        with("decimal64", true, [&[0x84][..], &[7; 8]].concat()),
        with("decimal32", true, [&[0x74][..], &[7; 4]].concat()),
        with("char", true, vec![0x73, 0, 0, 0, 0x41]),
        with("nan", true, vec![0x72, 0x7f, 0xc0, 0, 0]),
        with("ubyte", true, vec![0x50, 1]),
        with("short", true, vec![0x61, 0xff, 0xff]),
        with("smallint", true, vec![0x54, 0xff]),
        with("symbol", true, symbol("x")),
        with("binary", true, binary(b"\xff\0")),
        with("time", true, time(-62_135_596_800_000)),
        with("timespan", true, described("com.microsoft:timespan", &ulong(10_000_000))),
        with("uri", true, described("com.microsoft:uri", &string("http://a"))),
        with("null", true, NULL.to_vec()),
        with("list", false, list(&letters)),
        with("map", false, map(&[(string("a"), string("b"))])),
        with("array", false, array()),
        one(
            "string-for-symbol",
            false,
            &[&properties(&[(0, string("s")), (6, string("application/json"))]), &data(ORDER)],
        ),
        one("ulong-id", true, &[&properties(&[(0, ulong(77))]), &data(ORDER)]),
        one("binary-id", true, &[&properties(&[(0, binary(b"\x01\x02"))]), &data(ORDER)]),
        one("no-id", true, &[&data(ORDER)]),
        one("session", true, &[&properties(&[(0, string("g")), (10, string("blue"))]), &data(ORDER)]),
        one("expiry", true, &[&properties(&[(0, string("e")), (8, time(1_900_000_000_000))]), &data(ORDER)]),
        bare("value-map", value(&map(&[(string("a"), string("b"))]))),
        bare("value-list", value(&list(&letters))),
        bare("value-number", value(&ulong(5))),
        bare("value-text", value(&string("{}"))),
        bare("value-described", value(&described("com.x:y", &string("b")))),
        bare("sequence", sequence(&letters)),
        bare("sequences", [sequence(&letters[..1]), sequence(&letters[1..])].concat()),
        bare("parts", [data(&ORDER[..9]), data(&ORDER[9..])].concat()),
        bare("empty", data(b"")),
        bare("footer", [data(ORDER), footer()].concat()),
    ]
}

#[test]
fn whatever_libraries_write_comes_back_as_it_was_or_stays_and_is_named() {
    let host = Host::new(calm(), 30);
    let dead = format!("{}/$deadletterqueue", host.name);
    let messages = odd_messages();
    calm().put_raw(&host.name, &messages.iter().map(|(.., bytes)| bytes.clone()).collect::<Vec<_>>());
    let sent = calm().bare(&host.name);
    reject(&host, messages.len());

    let listed = host.program(&["poison", "list", "--all"]).run().succeeded().json_lines();
    assert_eq!(listed.len(), messages.len(), "each is shown");
    let unreadable = listed.iter().filter(|it| it.get("unreadable").is_some()).count();
    let foreseen = host.json(&["poison", "redrive", "--dry-run"]);
    let ended = host.program(&["poison", "redrive"]).run();
    let report = ended.json();
    for field in ["seen", "messages", "skipped", "not_chosen"] {
        assert_eq!(report[field], foreseen[field], "{field}: {report} {foreseen}");
    }
    let left = calm().bare(&dead).len();
    let back = calm().bare(&host.name);
    assert_eq!(report["seen"], messages.len(), "{report}");
    assert_eq!(report["messages"], back.len(), "{report}");
    assert_eq!(report["skipped"], json!({ "undecodable": left }), "{report}");
    // What cannot be read at all, and bodies that are no bytes.
    assert!(unreadable >= left + 6, "{unreadable} {left}");
    ended.ends_with(1).says(&["chosen messages were not redriven and stay", "undecodable"]);
    let missing: Vec<_> = messages
        .iter()
        .zip(&sent)
        .filter(|((_, readable, _), bytes)| *readable && !back.contains(bytes))
        .map(|((name, ..), _)| *name)
        .collect();
    assert_eq!(missing, Vec::<&str>::new(), "as they were, to the byte");
    assert!(back.iter().all(|bytes| sent.contains(bytes)));
}

#[test]
fn a_body_that_looks_like_an_envelope_is_not_believed_among_dead_letters() {
    let host = Host::new(calm(), 30);
    let forged = json!({
        "longshore": "poison/1", "reason": "expiring", "detail": "forged", "id": "forged", "queue": "sb://other/orders",
        "dequeue_count": 1, "inserted": "2020-01-01T00:00:00Z", "poisoned": "2020-01-01T00:00:00Z",
        "encoding": "text", "body": "{}",
    });
    let forged = forged.to_string();
    host.program(&["send", "--id", "o-1", &forged]).run().succeeded();
    reject(&host, 1);
    let listed = host.json(&["poison", "list", "--all"]);
    assert_eq!((&listed["id"], &listed["body"]), (&json!("o-1"), &json!(forged)));
    assert_ne!(listed["reason"], "expiring");
    assert_eq!(host.json(&["poison", "redrive"])["messages"], 1);
    let back = host.json(&["peek"]);
    assert_eq!((&back["id"], &back["body"]), (&json!("o-1"), &json!(forged)));
}

#[test]
fn a_list_counts_the_delivery_that_a_message_was_rejected_at() {
    let host = Host::new(calm(), 30);
    host.send(&["reject"]);
    reject(&host, 1);
    assert_eq!(host.json(&["poison", "list", "--all"])["dequeue_count"], 1);
}

#[test]
fn the_link_says_how_large_a_message_may_be() {
    let broker = Broker::start(&["--max-message", "1048576"]);
    let host = Host::new(&broker, 30);
    let order = format!(r#"{{"order_id":"o-1","msg":"reject","x":"{}"}}"#, "x".repeat(600 * 1024));
    host.program(&["send", "-"]).input(order.as_bytes()).run().succeeded();
    reject(&host, 1);
    assert_eq!(host.json(&["poison", "redrive", "--dry-run"])["messages"], 1);
    assert_eq!(host.json(&["poison", "redrive"])["messages"], 1);
    assert_eq!(host.json(&["peek"])["body"], order);
    let larger = "x".repeat(1024 * 1024);
    let refused = host.program(&["send", "-"]).input(larger.as_bytes()).run().ends_with(1);
    refused.says(&["takes 1048576", "not sent: line 1"]);
}

#[test]
fn the_dead_letter_queue_is_known_in_whatever_case_it_is_named() {
    let host = Host::new(calm(), 30);
    host.send(&["reject", "ok"]);
    let url = host.url.replace(&host.name, &host.name.to_uppercase());
    let ran = host.run(&["--poison-queue", &format!("{url}/$DeadLetterQueue")]).run().succeeded().json();
    assert_eq!((&ran["completed"], &ran["poisoned"]), (&json!(1), &json!(1)), "{ran}");
}

#[test]
fn the_body_of_a_brokered_message_is_what_its_sender_meant() {
    let host = Host::new(calm(), 30);
    const SPACE: &[u8] = b"\x08\x33http://schemas.microsoft.com/2003/10/Serialization/";
    let order = br#"{"order_id":"o-1","msg":"ok"}"#;
    let length = u8::try_from(order.len()).unwrap();
    let text = [&b"@\x06string"[..], SPACE, &[0x99, length], order].concat();
    let bytes = [&b"@\x0cbase64Binary"[..], SPACE, &[0x9f, length], order].concat();
    let object = [&b"@\x05Order"[..], SPACE, &[0x01]].concat();
    calm().put_raw(&host.name, &[text, bytes, object].map(|body| [id("o"), data(&body)].concat()));
    let ran = host.run(&[]).run().succeeded().json();
    assert_eq!(
        (&ran["completed"], &ran["poison_reasons"]),
        (&json!(2), &json!({ "undecodable": 1 })),
        "{ran}"
    );
    let listed = host.json(&["poison", "list", "--all"]);
    assert!(listed["detail"].as_str().unwrap().contains("a .NET object `Order`"), "{listed}");
}
