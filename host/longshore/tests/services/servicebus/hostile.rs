//! Messages that no sender means well with: nested by thousands, with lengths that contradict each
//! other, with counts of what never comes. None may end the process, be lost, or block the queue.

use serde_json::json;

use crate::servicebus::amqp::{annotations, application, data, properties, string, symbol, value};
use crate::servicebus::broker::calm;
use crate::servicebus::host::Host;

/// Lists in each other, so many.
fn nested(depth: usize) -> Vec<u8> {
    // From the inside out, with the lengths that belong there: 9 bytes stand in front of each.
    let mut lists = Vec::with_capacity(9 * depth + 1);
    for level in (0..depth).rev() {
        let inside = u32::try_from(9 * level + 1).unwrap();
        lists.extend([0xd0]);
        lists.extend((inside + 4).to_be_bytes());
        lists.extend(1_u32.to_be_bytes());
    }
    lists.push(0x45);
    lists
}

/// Messages by what is wrong with them. The broker's own library has no limit for arrays, so that
/// none of these has one.
fn hostile(session: &str) -> Vec<(&'static str, Vec<u8>)> {
    let id = |id: &str| properties(&[(0, string(id)), (10, string(session))]);
    let body = data(br#"{"order_id":"o-1","msg":"ok"}"#);
    let one = |name: &'static str, parts: &[&[u8]]| (name, [&id(name), &parts.concat()[..]].concat());
    let liar = [&b"\0\x53\x74"[..], &b"\xc1\x20\x04\xa1\x03fSt".repeat(7000)].concat();
    let section = |code: u8, value: &[u8]| [&[0, 0x53, code][..], value].concat();
    vec![
        one("a-list", &[&value(&nested(1000))]),
        // In several frames.
        one("deep-list", &[&value(&nested(20_000))]),
        one("described", &[&section(0x77, &[&[0; 60_000][..], &[0x40; 60_001]].concat())]),
        one("sequence", &[&section(0x76, &nested(20_000))]),
        one("properties", &[&application(&[("deep", nested(20_000))]), &body]),
        one("footer", &[&value(&nested(3)), &section(0x78, &[0xc1, 3, 2, 0xa3, 0])]),
        one("liar", &[&liar]),
        one("nulls", &[&section(0x77, &[&b"\xd0\0\x03\0\x04\0\x03\0\0"[..], &[0x40; 0x30000]].concat())]),
        one("count", &[&section(0x74, b"\xd1\0\0\0\x04\xff\xff\xff\xfe"), &body]),
        ("annotations", [&annotations(&[("own", nested(500))]), &id("annotations"), &body[..]].concat()),
    ]
}

/// The ids of what is damaged, sorted.
fn unreadable(host: &Host, verb: &[&str]) -> Vec<String> {
    let shown = host.program(verb).run().succeeded().json_lines();
    let mut ids: Vec<String> = shown
        .iter()
        .filter(|it| it.get("unreadable").is_some())
        .map(|it| it["id"].as_str().unwrap().to_owned())
        .collect();
    ids.sort();
    ids
}

fn is_worked_off(host: &Host) {
    let messages = hostile("red");
    let raw: Vec<Vec<u8>> = messages.iter().map(|(_, bytes)| bytes.clone()).collect();
    calm().put_raw(&host.name, &raw);
    // Behind them, in the same session.
    let order = [
        properties(&[(0, string("last")), (6, symbol("application/json")), (10, string("red"))]),
        data(br#"{"order_id":"red-last","msg":"ok"}"#),
    ];
    calm().put_raw(&host.name, &[order.concat()]);
    let peeked = unreadable(host, &["peek", "--limit", "100"]);
    assert!(peeked.len() >= messages.len() - 2, "{peeked:?}");

    let ended = host.run(&[]).run().succeeded();
    let ran = ended.json();
    let poisoned = ran["poisoned"].as_u64().unwrap();
    assert_eq!(ran["received"], messages.len() + 1, "{ended:?}");
    assert_eq!(ran["completed"].as_u64().unwrap() + poisoned, messages.len() as u64 + 1, "{ended:?}");
    assert_eq!(ran["poison_reasons"], json!({ "undecodable": poisoned }), "{ended:?}");
    assert!(ended.stderr.contains("handled order red-last"), "{ended:?}");
    assert!(poisoned >= messages.len() as u64 - 2, "{ended:?}");

    let dead = unreadable(host, &["poison", "list", "--all"]);
    assert_eq!(dead.len() as u64, poisoned, "{dead:?}");
    for name in ["deep-list", "properties", "described", "liar", "annotations"] {
        assert!(dead.iter().any(|it| it == name), "{name} is named: {dead:?}");
        host.program(&["poison", "show", name]).run().succeeded();
    }
    let redriven = host.program(&["poison", "redrive", "--to", &Host::new(calm(), 30).url]).run();
    redriven.ends_with(1).says(&["chosen messages were not redriven and stay", "undecodable"]);
    assert!(unreadable(host, &["poison", "list", "--all"]).len() >= 5);
}

#[test]
fn hostile_messages_of_a_queue_are_poisoned_and_the_process_goes_on() {
    is_worked_off(&Host::new(calm(), 30));
}

#[test]
fn hostile_messages_of_a_subscription_are_poisoned_and_the_process_goes_on() {
    let topic = calm().topic(30, 10, &["billing"]);
    is_worked_off(&Host::of_subscription(calm(), &topic, "billing"));
}

#[test]
fn hostile_messages_of_a_session_are_poisoned_and_the_process_goes_on() {
    is_worked_off(&Host::of_sessions(calm(), 30));
}
