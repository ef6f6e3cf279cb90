//! Messages that are no XML text: each is poison by itself, and its neighbours are handled.

use std::sync::Arc;
use std::time::Duration;

use longshore::queue::{Outgoing, QueueError};
use longshore::worker::Config;
use longshore::worker::poison::{Envelope, PoisonFormat};

use crate::azurite::{fresh, open, plain};
use crate::proxy::{Decide, Fate, Proxy};
use crate::queue_suite::text;
use crate::{Recorder, work};

const LIMIT: Duration = Duration::from_secs(5);

fn config(poison_format: PoisonFormat) -> Config {
    Config { linger: Duration::ZERO, poison_format, ..Config::default() }
}

#[tokio::test]
async fn a_message_that_is_no_xml_is_poisoned_as_undecodable_and_its_neighbours_are_handled() {
    for (format, body) in [(PoisonFormat::Envelope, "[\"a\0b\"]"), (PoisonFormat::Raw, "WyJhAGIiXQ==")] {
        let decide: Decide = Arc::new(|_, _| Fate::Replace("a-hole-b", "a&#0;b"));
        let proxy = Proxy::start(plain().port, decide).await;
        let queue = open(&proxy.url(&plain().signed(&fresh())), LIMIT);
        queue.create().await.unwrap();
        for body in ["[1]", "[\"a-hole-b\"]", "[2]"] {
            queue.send(text(body)).await.unwrap();
        }
        let (poison, handler) = (plain().queue(), Arc::new(Recorder::default()));
        let finished = work(config(format), &queue, &poison, &handler).await;
        finished.end.unwrap();
        assert_eq!((finished.summary.completed, finished.summary.poisoned), (2, 1), "{:?}", finished.summary);
        assert_eq!(finished.summary.poison_reasons.get("undecodable"), Some(&1));
        let copy = poison.peek(32).await.unwrap().remove(0);
        match Envelope::parse(&copy.body) {
            Some(envelope) => {
                assert_eq!(envelope.body.body, body);
                assert!(envelope.detail.contains("U+0000"), "{}", envelope.detail);
            }
            None => assert_eq!(copy.body, body, "as it was it is no XML text: so it is base64"),
        }
        assert_eq!(queue.approximate_count().await, Ok(0));
    }
}

#[tokio::test]
async fn a_body_that_is_no_xml_text_is_refused_before_it_is_sent() {
    let queue = plain().queue();
    queue.create().await.unwrap();
    for body in [&b"a\x01b"[..], b"a\xffb", "\u{ffff}".as_bytes()] {
        let message = Outgoing { body: bytes::Bytes::copy_from_slice(body), ..Outgoing::default() };
        let error = queue.send(message).await.unwrap_err();
        assert!(matches!(&error, QueueError::Fault { mend, .. } if mend.contains("--base64")), "{error}");
        assert!(!queue.fits(body));
    }
}

#[tokio::test]
async fn every_text_comes_back_as_it_was_sent() {
    let queue = plain().queue();
    queue.create().await.unwrap();
    for body in
        ["", " ", "\t lead and trail \n", "a\r\nb\rc", "<a b='c'>&amp;]]></a>", "日本😀\u{7f}\u{fffd}"]
    {
        queue.send(text(body)).await.unwrap();
        let held = queue.receive(1, Duration::from_secs(60)).await.unwrap().remove(0);
        assert_eq!((held.message.body, held.damaged), (body.to_owned().into(), None), "{body:?}");
        queue.delete(&held.message.id, &held.receipt).await.unwrap();
    }
}
