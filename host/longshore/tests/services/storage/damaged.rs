//! Messages that are no XML text: each is poison by itself, and its neighbours are handled.

use std::sync::Arc;
use std::time::Duration;

use longshore_worker::Config;
use longshore_worker::poison::{Envelope, PoisonFormat};

use crate::storage::azurite::{fresh, open, plain};
use crate::storage::proxy::{Decide, Fate, Proxy};
use crate::storage::{Recorder, work};
use longshore_testkit::queue_suite::text;

const LIMIT: Duration = Duration::from_secs(5);

fn config(poison_format: PoisonFormat) -> Config {
    Config { linger: Duration::ZERO, poison_format, ..Config::default() }
}

#[tokio::test]
async fn a_message_that_is_no_xml_is_poisoned_as_undecodable_and_its_neighbours_are_handled() {
    for (format, body) in [(PoisonFormat::Envelope, "[\"a\0b\"]"), (PoisonFormat::Raw, "WyJhAGIiXQ==")] {
        let decide: Decide = Arc::new(|_, _| Fate::Replace("a-hole-b", "a&#0;b"));
        let proxy = Proxy::start(plain(), decide).await;
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
