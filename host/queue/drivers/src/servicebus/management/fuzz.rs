//! Arbitrary bytes as an AMQP message: it is read as far as it can be. What was read is written and
//! read again, and what is carried as it was encoded stays the same.

use std::time::Duration;

use bytes::Bytes;
use fe2o3_amqp::types::messaging::message::__private::Serializable;
use fe2o3_amqp::types::primitives::{Binary, OrderedMap, Value};
use longshore_queue::{Message, Outgoing, QueueUrl};
use longshore_testkit::fuzz::{FuzzTarget, feed};

use super::{Peeked, peeked};
use crate::servicebus::message::{read, write};
use crate::servicebus::{binary_xml, sections};

const MESSAGE_TARGET: &str = "amqp-message";

const WORDS: &[&str] = &[
    "\0Sp",
    "\0Sq",
    "\0Sr",
    "\0Ss",
    "\0St",
    "\0Su",
    "\0Sv",
    "\0Sw",
    "\0Sx",
    "x-opt-partition-key",
    "x-opt-sequence-number",
    "x-opt-locked-until",
    "x-opt-message-state",
    "x-opt-enqueued-time",
    "DeadLetterReason",
    "com.microsoft:timespan",
    "@\u{6}string\u{8}",
    "http://schemas.microsoft.com/2003/10/Serialization/",
];

fn encoded(id: &str, outgoing: &Outgoing) -> Vec<u8> {
    serde_amqp::to_vec(&Serializable(write(id, outgoing))).unwrap()
}

/// Messages as senders and the service encode them.
fn seeds() -> Vec<Vec<u8>> {
    let named = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let plain = Outgoing { body: Bytes::from_static(b"{\"a\": 1}"), ..Outgoing::default() };
    let full = Outgoing {
        delay: Duration::from_secs(60),
        time_to_live: Some(Duration::from_secs(3600)),
        properties: ["content-type", "correlation-id", "subject", "session-id", "tenant", "DeadLetterReason"]
            .map(|name| named(name, "application/json"))
            .into(),
        ..plain.clone()
    };
    // A header, the service's annotations, properties of other types, a sequence, a value.
    let annotations =
        b"\0\x53\x72\xc1\x31\x04\xa3\x15x-opt-sequence-number\x55\x07\xa3\x13x-opt-message-state\x54\x00";
    let typed = b"\0\x53\x74\xc1\x25\x04\xa1\x03for\0\xa3\x16com.microsoft:timespan\x55\x09\xa1\x01b\x41";
    let body = [
        &b"\0\x53\x75\xa0\x02{}"[..],
        b"\0\x53\x76\x45",
        b"\0\x53\x77\xa1\x02{}",
        b"\0\x53\x77\x81\0\0\0\0\0\0\0\x01",
    ];
    let header = b"\0\x53\x70\xc0\x0c\x05\x41\x50\x07\x70\0\0\xea\x60\x42\x52\x03";
    let mut seeds = vec![encoded("m-1", &plain), encoded("m-2", &full)];
    seeds.extend(body.map(|body| [&header[..], annotations, typed, body].concat()));
    // Each map says that it is short, and holds all that follows.
    seeds.push([&b"\0\x53\x74"[..], &b"\xc1\x20\x04\xa1\x03fSt".repeat(7000)].concat());
    seeds
}

#[test]
fn whatever_a_message_is_encoded_as_it_is_read_or_shown_as_damaged() {
    let target = FuzzTarget { name: MESSAGE_TARGET, module: module_path!(), words: WORDS, seeds: seeds() };
    let queue: QueueUrl = "sb://ns.servicebus.windows.net/orders".parse().unwrap();
    let dead = queue.poison().unwrap();
    feed(&target, |bytes| {
        let ways = [&queue, &dead].map(|url| {
            let message = Value::Binary(Binary::from(bytes.to_vec()));
            let entry = OrderedMap::from_iter([(Value::from("message"), message)]);
            let Peeked { specimen, active, .. } = peeked(Value::Map(entry), url).expect("it has a message");
            if specimen.damaged.is_none() {
                is_read_again(&specimen.message, &queue);
            }
            if let Some(original) = sections::original(bytes, url.is_dead_letter_queue()) {
                let again = sections::original(&original.bytes, url.is_dead_letter_queue()).unwrap();
                assert_eq!(again.bytes, original.bytes, "it is carried as it is");
            }
            let damaged = specimen.damaged.unwrap_or_default();
            let message = specimen.message;
            format!(
                "{active} {} {} {} {} {damaged};",
                specimen.whole.is_some(),
                message.properties.is_empty(),
                message.time_to_live.is_some(),
                message.body.is_empty(),
            )
        });
        ways.concat()
    });
}

/// Writes what was read, and reads it again.
fn is_read_again(message: &Message, queue: &QueueUrl) {
    // What a body holds that .NET wrote may look like that once more.
    if binary_xml::read(&message.body).is_some() {
        return;
    }
    let (body, properties) = (message.body.clone(), message.properties.clone());
    let bytes = encoded(&message.id, &Outgoing { body, properties, ..Outgoing::default() });
    let again = read(sections::decode(&bytes), false, queue).message;
    assert_eq!(
        (&again.id, &again.body, &again.properties),
        (&message.id, &message.body, &message.properties)
    );
}
