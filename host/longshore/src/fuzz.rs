//! Arbitrary bytes for what other crates read: poison envelopes, what stands below a dead letter's
//! detail, traces, URLs of queues, and encoded bodies. These crates' own tests stay small, and know
//! nothing of this.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jiff::Timestamp;
use longshore_handler::trace_context::{TRACEPARENT, TRACESTATE, TraceContext};
use longshore_queue::encoding::Encoding;
use longshore_queue::place::Place;
use longshore_queue::{DETAIL_PROPERTY, MAX_DEAD_LETTER_TEXT, Message, QueueUrl};
use longshore_testkit::fuzz::{FuzzTarget, feed};
use longshore_worker::circumstances::Circumstances;
use longshore_worker::poison::{Envelope, PoisonFormat, PoisonReason};
use longshore_worker::trace;

const ENVELOPE_TARGET: &str = "poison-envelope";
const DETAIL_TARGET: &str = "dead-letter-detail";
const TRACE_TARGET: &str = "trace-context";
const URL_TARGET: &str = "queue-url";
const BODY_TARGET: &str = "encoded-body";

/// The largest body that a Storage queue takes, in bytes.
const MAX_BODY: usize = 64 << 10;

/// A message with this body.
fn message(body: &[u8]) -> Message {
    Message {
        id: "m-1".into(),
        body: Bytes::copy_from_slice(body),
        dequeue_count: 5,
        inserted: Timestamp::UNIX_EPOCH,
        time_to_live: Some(Duration::from_secs(60)),
        properties: vec![("tenant".into(), "7".into())],
    }
}

#[test]
fn whatever_lies_in_a_poison_queue_it_is_an_envelope_or_none_and_bodies_come_back() {
    let base = r#"{"longshore":"poison/1","reason":"rejected","detail":"why","id":"m-1","queue":"file:./q/orders","dequeue_count":5,"inserted":"2026-11-27T03:00:00Z","poisoned":"2026-11-27T03:00:02Z""#;
    let attempt = r#""execution":"job-1","attempt":{"started":"2026-11-27T03:00:00Z","ended":"2026-11-27T03:00:01.5Z"},"log":["one","two"]"#;
    let whole = format!(
        r#"{base},"component":"sha256:00",{attempt},"expires":"2026-11-28T03:00:00Z","properties":[["a","b"]],"encoding":"base64","body":"AP8="}}"#
    );
    let plain = format!(r#"{base},"encoding":"text","body":"{{}}"}}"#);
    const PIECES: &[&str] = &[
        "\"longshore\":\"poison/1\"",
        "\"longshore\":\"poison/2\"",
        "\"encoding\":\"text\"",
        "\"encoding\":\"base64\"",
        "\"body\":",
        "\"log\":[",
        "\"attempt\":{",
        "\"properties\":[[",
        "null",
        "\\ufffe",
        "\u{fffe}",
        "\\u0000",
        "{",
        "[",
    ];
    let seeds = [&whole, &plain, r#"{"order_id": "o-1", "msg": "ok"}"#];
    let target = FuzzTarget::of_texts(ENVELOPE_TARGET, module_path!(), PIECES, &seeds);
    feed(&target, |bytes| {
        let message = message(bytes);
        let envelope = Envelope::new(&message, "file:./q/orders", PoisonReason::Rejected, "why", None);
        let written = envelope.to_bytes();
        let read = Envelope::parse(&written).expect("what was written is an envelope");
        assert_eq!(read.body.bytes().as_deref(), Some(bytes));
        let fits = |it: &[u8]| it.len() <= MAX_BODY;
        assert!(envelope.fallbacks(PoisonFormat::Envelope, &message.body, fits).count() > 0);
        let claimed = Envelope::is_claimed(bytes);
        let Some(found) = Envelope::parse(bytes) else { return format!("none {claimed}") };
        assert!(claimed, "what is an envelope says so");
        assert_eq!(Envelope::parse(&found.to_bytes()).as_ref(), Some(&found));
        format!(
            "an envelope {} {} {} {}",
            found.circumstances != Circumstances::default(),
            found.body.bytes().is_some(),
            found.component.is_some(),
            found.properties.is_empty()
        )
    });
}

#[test]
fn whatever_a_dead_letter_says_its_detail_is_told_from_what_stands_below() {
    let target = FuzzTarget::of_texts(
        DETAIL_TARGET,
        module_path!(),
        &[
            "\n",
            "\n{\"execution\":\"",
            "\"log\":[",
            "\"attempt\":{",
            "\"started\":",
            "null",
            "{}",
            "\\n",
            "\u{1f600}",
        ],
        &[
            "why\nand how\n{\"execution\":\"job-1\",\"attempt\":{\"started\":\"2026-11-27T03:00:00Z\",\"ended\":\"2026-11-27T03:00:01Z\"},\"log\":[\"one\",\"two\"]}",
            "why\n{}",
            "MaxDeliveryCountExceeded",
        ],
    );
    feed(&target, |bytes| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let mut dead = message(b"{}");
        dead.properties.push((DETAIL_PROPERTY.into(), text.clone()));
        let unwrapped = Envelope::unwrapped(&dead);
        let Some((detail, found)) = Circumstances::parse(&text) else {
            assert_eq!(unwrapped.detail, text);
            return "none".into();
        };
        assert_eq!((&*unwrapped.detail, &unwrapped.circumstances), (detail, &found));
        let below = found.below(detail);
        let kept = Circumstances::parse(&below).filter(|_| below.len() <= MAX_DEAD_LETTER_TEXT);
        if let Some((again, kept)) = kept.as_ref().filter(|(again, _)| *again == detail) {
            assert_eq!((&kept.execution, &kept.attempt), (&found.execution, &found.attempt), "{again}");
            assert!(found.log.ends_with(&kept.log), "the last lines are kept");
        }
        let has = [found.execution.is_some(), found.attempt.is_some(), found.log.is_empty(), kept.is_some()];
        format!("found {has:?}")
    });
}

#[test]
fn whatever_a_sender_says_of_a_trace_it_is_one_or_none() {
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let event = format!(
        r#"{{"specversion":"1.0","id":"1","source":"/shop","type":"ordered","traceparent":"{parent}","tracestate":"a=1","data":{{}}}}"#
    );
    const PIECES: &[&str] = &[
        "\"traceparent\":",
        "\"specversion\":\"1.0\"",
        "\"tracestate\":",
        "null",
        "00-",
        "ff-",
        "-01",
        "\n",
        "vendor=1,",
        "\\u00e9",
        "\u{e9}",
    ];
    let stateful = format!("{parent}\nvendor=1,other=2");
    let later = format!("cc{}-more", &parent[2..]);
    let seeds = [&event, parent, &stateful, &later];
    let target = FuzzTarget::of_texts(TRACE_TARGET, module_path!(), PIECES, &seeds);
    feed(&target, |bytes| {
        let of_body = trace::carried(&message(bytes));
        let text = String::from_utf8_lossy(bytes);
        let (first, state) =
            text.split_once('\n').map_or((&*text, None), |(first, rest)| (first, Some(rest)));
        let mut properties = vec![(TRACEPARENT.to_owned(), first.to_owned())];
        properties.extend(state.map(|state| (TRACESTATE.to_owned(), state.to_owned())));
        let read = TraceContext::parse(first, state);
        assert_eq!(TraceContext::of(&properties), read);
        for context in read.iter().chain(&of_body) {
            let again = TraceContext::parse(&context.traceparent(), Some(&context.state));
            assert_eq!(again.as_ref(), Some(context), "what is written is read");
            assert!(context.ids.trace != 0 && context.ids.span != 0);
        }
        format!("{} {}", way(of_body.as_ref()), way(read.as_ref()))
    });
}

fn way(context: Option<&TraceContext>) -> &'static str {
    match context {
        None => "none",
        Some(context) if context.state.is_empty() => "stateless",
        Some(_) => "whole",
    }
}

#[test]
fn whatever_is_given_for_a_url_it_names_one_queue_or_is_refused() {
    const PIECES: &[&str] = &[
        "file:",
        "https://",
        "http://",
        "sb://",
        ".queue.core.windows.net/",
        ".servicebus.windows.net/",
        "/Subscriptions/",
        "/$deadletterqueue",
        "?sv=1&sig=x",
        "?transport=websockets",
        "QueueName=orders;",
        "EntityPath=orders;",
        "Endpoint=sb://",
        "UseDevelopmentStorage=true;",
        "AccountName=a;",
        "AccountKey=c2Vj;",
        "SharedAccessKey=c2Vj;",
        "127.0.0.1:10001/",
        "[::1]",
        "%2e%2e",
        "..",
        "/",
        "\\",
        "\u{130}",
        "xn--",
        "@",
        ":",
    ];
    let seeds = [
        "file:./queues/orders",
        "file:///var/queues/orders",
        "file:////var/queues/orders",
        "https://acme.queue.core.windows.net/orders?sv=2024&sig=a%3D",
        "http://127.0.0.1:10001/devstoreaccount1/orders",
        "UseDevelopmentStorage=true;DevelopmentStorageProxyUri=http://localhost;QueueName=orders",
        "DefaultEndpointsProtocol=https;AccountName=acme;AccountKey=c2VjcmV0PQ==;EndpointSuffix=core.windows.net;QueueName=orders",
        "BlobEndpoint=https://acme.blob.core.windows.net/;QueueEndpoint=https://acme.queue.core.windows.net/;SharedAccessSignature=sv=1&sig=a%3D;QueueName=orders",
        "sb://acme.servicebus.windows.net/orders?transport=websockets",
        "sb://acme.servicebus.windows.net/topic/Subscriptions/one/$deadletterqueue",
        "Endpoint=sb://acme.servicebus.windows.net/;SharedAccessKeyName=all;SharedAccessKey=c2Vj;EntityPath=orders",
        "Endpoint=sb://localhost;SharedAccessKeyName=a;SharedAccessKey=c2Vj;UseDevelopmentEmulator=true;EntityPath=orders",
    ];
    let target = FuzzTarget::of_texts(URL_TARGET, module_path!(), PIECES, &seeds);
    feed(&target, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let url: QueueUrl = match text.parse() {
            Ok(url) => url,
            Err(error) => return error.cause,
        };
        let is_bare = match url.place() {
            Place::File { .. } => true,
            Place::Storage { access, .. } => access.is_none(),
            Place::ServiceBus { access, .. } => access.is_none(),
        };
        if is_bare {
            let shown = url.to_string();
            match shown.parse::<QueueUrl>() {
                Ok(again) => assert_eq!((again.to_string(), again.name()), (shown, url.name())),
                Err(error) => panic!("{shown} is shown for {text:?}, and refused: {error}"),
            }
        }
        format!(
            "{} {is_bare} {} {} {} {} {:?}",
            url.kind().name,
            url.poison().is_ok(),
            url.owner().is_some(),
            url.limited().subscription.is_some(),
            url.counted_by().is_empty(),
            url.dead_letters_of().is_some(),
        )
    });
}

#[test]
fn whatever_a_body_is_it_is_decoded_or_refused_and_base64_comes_back() {
    let target = FuzzTarget::of_texts(
        BODY_TARGET,
        module_path!(),
        &["\u{feff}", "{", "[", "\"", "==", "\r\n", "eyJhIjoxfQ==", "77u/", "\\ud800", "1e999"],
        &[
            r#"{"a":1}"#,
            "eyJhIjoxfQ==",
            "two books",
            "\u{feff}{}",
            "eyJh\r\nIjoxfQ==\r\n",
            "W1tbW1tbW1tbW11dXV1dXV1dXQ==",
        ],
    );
    feed(&target, |bytes| {
        let body = Bytes::copy_from_slice(bytes);
        let encodings = [Encoding::Auto, Encoding::Text, Encoding::Base64];
        let ways = encodings.map(|encoding| match encoding.decode(&body) {
            Ok(decoded) if decoded == body => "as it is".to_owned(),
            Ok(decoded) => {
                assert!(decoded.len() <= body.len());
                "decoded".to_owned()
            }
            Err(cause) => cause,
        });
        let encoded = Bytes::from(STANDARD.encode(bytes));
        let back = Encoding::Base64.decode(&encoded).expect("it is base64");
        assert!(bytes.ends_with(&back) && bytes.len() - back.len() <= 3, "only a mark is left out");
        ways.join(" ")
    });
}
