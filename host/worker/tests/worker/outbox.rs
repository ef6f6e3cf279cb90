//! Rules 4 and 6: what handlers send goes before the delete, under ids of its origin, and only for
//! a handler that succeeded.

#![allow(clippy::unwrap_used, reason = "tests fail by it")]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use longshore_handler::{Answer, Handler, Invocation, OutboxMessage, Unavailable, Verdict};
use longshore_queue::{Queue, QueueError};
use longshore_worker::drain::End;
use longshore_worker::outbox::{OutboxEncoding, OutboxFormat, Outboxes};
use longshore_worker::stop::Stopper;
use longshore_worker::{Config, Finished, Worker};

use super::handler::failed;
use super::model::{Fault, MemoryQueue};

/// Sends two messages, and answers as it was told.
struct Sender {
    verdict: Verdict,
    work: Duration,
    second: Bytes,
}

#[async_trait::async_trait]
impl Handler for Sender {
    async fn handle(&self, _: Invocation) -> Answer {
        tokio::time::sleep(self.work).await;
        let message = |body: Bytes| OutboxMessage {
            output: "invoices".into(),
            body,
            properties: vec![("tenant".into(), "7".into())],
        };
        Answer {
            outbox: vec![message("[1]".into()), message(self.second.clone())],
            ..self.verdict.clone().into()
        }
    }

    async fn reload(&self) -> Result<(), Unavailable> {
        Ok(())
    }

    fn digest(&self) -> Option<String> {
        None
    }
}

struct Set {
    orders: Arc<MemoryQueue>,
    invoices: Arc<MemoryQueue>,
    config: Config,
    sender: Sender,
    encoding: OutboxEncoding,
}

impl Set {
    fn new(verdict: Verdict) -> Self {
        let config = Config { seed: Some(1), max_messages: Some(1), ..Config::default() };
        let (orders, invoices) = (MemoryQueue::filled("orders", 1), MemoryQueue::new("invoices"));
        Self {
            orders,
            invoices,
            config,
            sender: Sender { verdict, work: Duration::ZERO, second: "[2]".into() },
            encoding: OutboxEncoding::Text,
        }
    }

    async fn run(self, format: OutboxFormat) -> (Arc<MemoryQueue>, Arc<MemoryQueue>, Finished) {
        let mut outboxes = Outboxes::new(format);
        outboxes.add("invoices", self.invoices.clone(), self.encoding);
        let poison = MemoryQueue::new("orders-poison");
        let worker = Worker::new(self.config, self.orders.clone(), poison, Arc::new(self.sender));
        let finished = Arc::new(worker.sending_to(outboxes)).run(Stopper::default().signal()).await;
        (self.orders, self.invoices, finished)
    }
}

#[tokio::test(start_paused = true)]
async fn outputs_are_sent_in_their_order_before_the_message_is_deleted() {
    let set = Set::new(Verdict::Completed);
    // While nothing can be sent, nothing is deleted either.
    set.invoices.set_faults(|_, _| Fault { lost_before: true, ..Fault::default() });
    let (orders, invoices, finished) = set.run(OutboxFormat::Raw).await;
    assert_eq!((orders.len(), invoices.len(), finished.summary.lease_lost), (1, 0, 1));
    assert!(orders.calls_of("delete").is_empty());

    let (orders, invoices, finished) = Set::new(Verdict::Completed).run(OutboxFormat::Raw).await;
    assert_eq!((orders.len(), finished.summary.completed), (0, 1));
    assert_eq!(invoices.bodies(), ["[1]", "[2]"]);
}

#[tokio::test(start_paused = true)]
async fn each_output_carries_the_id_of_its_origin_and_its_place() {
    let (_, invoices, _) = Set::new(Verdict::Completed).run(OutboxFormat::CloudEvents).await;
    let ids: Vec<_> = invoices
        .bodies()
        .iter()
        .map(|body| serde_json::from_slice::<serde_json::Value>(body).unwrap()["id"].clone())
        .collect();
    assert_eq!(ids, ["0/0", "0/1"]);
    let sent: Vec<_> = invoices.sent_of("send").into_iter().map(|call| call.id).collect();
    assert_eq!(sent, ["0/0", "0/1"]);
}

#[tokio::test(start_paused = true)]
async fn an_outbox_of_base64_holds_what_functions_reads() {
    let mut set = Set::new(Verdict::Completed);
    set.encoding = OutboxEncoding::Base64;
    set.sender.second = Bytes::from_static(b"\xff\x00");
    let (orders, invoices, _) = set.run(OutboxFormat::Raw).await;
    assert_eq!((orders.len(), invoices.bodies()), (0, vec!["WzFd".into(), "/wA=".into()]));
}

#[tokio::test(start_paused = true)]
async fn what_base64_makes_too_large_fails_its_message_before_anything_is_sent() {
    let mut set = Set::new(Verdict::Completed);
    set.encoding = OutboxEncoding::Base64;
    set.sender.second = "x".repeat(60 * 1024).into();
    let (orders, invoices, finished) = set.run(OutboxFormat::Raw).await;
    assert_eq!((orders.len(), invoices.len(), finished.summary.retried), (1, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn an_outbox_that_is_not_there_is_named_before_anything_is_sent() {
    let (there, missing) = (MemoryQueue::new("there"), MemoryQueue::new("invoices"));
    missing.remove();
    let mut outboxes = Outboxes::new(OutboxFormat::Raw);
    outboxes.add("there", there, OutboxEncoding::Text);
    assert_eq!(outboxes.look().await, Ok(()));
    outboxes.add("invoices", missing.clone(), OutboxEncoding::Text);
    let Err((name, QueueError::QueueNotFound { .. })) = outboxes.look().await else {
        panic!("it is missing")
    };
    assert_eq!(name, "invoices");
    // What may only be sent to does not tell.
    let denied = || QueueError::Denied {
        queue: "invoices".into(),
        operation: "count",
        cause: "403".into(),
        mend: "grant it".into(),
    };
    missing.set_faults(move |_, _| Fault { error: Some(denied()), ..Fault::default() });
    assert_eq!(outboxes.look().await, Ok(()));
    assert!(missing.sent_of("send").is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_output_keeps_the_properties_that_the_handler_gave_it() {
    let (_, invoices, _) = Set::new(Verdict::Completed).run(OutboxFormat::Raw).await;
    for message in invoices.peek(2).await.unwrap() {
        assert_eq!(message.properties, [("tenant".to_owned(), "7".to_owned())]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_output_that_no_queue_takes_fails_its_message_before_anything_is_sent() {
    let mut set = Set::new(Verdict::Completed);
    set.config.max_messages = None;
    set.config.max_dequeue = 1;
    let large = "x".repeat(64 * 1024 + 1);
    set.sender.second = large.into();
    let (orders, invoices, finished) = set.run(OutboxFormat::Raw).await;
    assert_eq!((orders.len(), finished.summary.poisoned), (0, 1));
    assert!(invoices.sent_of("send").is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_properties_of_an_output_count_as_a_part_of_its_size() {
    // `tenant` and `7`, and what AMQP puts around them.
    for (body, fits) in [(64 * 1024 - 17, true), (64 * 1024 - 16, false)] {
        let mut set = Set::new(Verdict::Completed);
        set.config.max_messages = None;
        set.config.max_dequeue = 1;
        set.sender.second = "x".repeat(body).into();
        let (_, invoices, finished) = set.run(OutboxFormat::Raw).await;
        assert_eq!(
            (invoices.len(), finished.summary.completed),
            if fits { (2, 1) } else { (0, 0) },
            "{body}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_fails_sends_nothing() {
    for verdict in [failed(), Verdict::Reject { detail: "no".into() }] {
        let (_, invoices, _) = Set::new(verdict).run(OutboxFormat::Raw).await;
        assert_eq!(invoices.len(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn outputs_of_a_lost_lease_are_dropped() {
    let mut set = Set::new(Verdict::Completed);
    set.sender.work = Duration::from_secs(45);
    // Stolen before the first renewal, at 30 s.
    let orders = set.orders.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(20)).await;
        orders.steal("0");
    });
    let (orders, invoices, finished) = set.run(OutboxFormat::Raw).await;
    assert_eq!((orders.len(), invoices.len(), finished.summary.lease_lost), (1, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn an_output_that_its_queue_refuses_as_too_large_is_a_retry() {
    let set = Set::new(Verdict::Completed);
    set.invoices.set_limit(2);
    let (orders, invoices, finished) = set.run(OutboxFormat::Raw).await;
    assert_eq!((orders.len(), invoices.len(), finished.summary.retried), (1, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn an_output_that_is_refused_at_the_last_attempt_poisons_its_message() {
    let mut set = Set::new(Verdict::Completed);
    set.invoices.set_limit(2);
    set.config.max_dequeue = 1;
    let (orders, invoices, finished) = set.run(OutboxFormat::Raw).await;
    assert_eq!((orders.len(), invoices.len(), finished.summary.poisoned), (0, 0, 1));
    assert_eq!(finished.summary.poison_reasons.get("attempts-exhausted"), Some(&1));
}

/// What a queue answers with a 400.
fn bad_request() -> QueueError {
    QueueError::Fault { cause: "HTTP 400".into(), mend: "look at the message".into() }
}

#[tokio::test(start_paused = true)]
async fn an_output_that_its_queue_refuses_is_a_failed_attempt_and_the_run_goes_on() {
    let mut set = Set::new(Verdict::Completed);
    set.orders.put("[1]");
    set.config.max_messages = Some(3);
    let mut refused = 0;
    set.invoices.set_faults(move |_, _| {
        refused += 1;
        Fault { error: (refused == 1).then(bad_request), ..Fault::default() }
    });
    let (orders, invoices, finished) = set.run(OutboxFormat::Raw).await;
    assert_eq!(finished.end, Ok(End::MaxMessages));
    assert_eq!((finished.summary.retried, finished.summary.completed), (1, 2));
    assert_eq!((orders.len(), invoices.len()), (0, 4));
}

#[tokio::test(start_paused = true)]
async fn outputs_that_are_always_refused_open_the_breaker() {
    let mut set = Set::new(Verdict::Completed);
    for _ in 0..100 {
        set.orders.put("[1]");
    }
    set.config.max_messages = None;
    set.invoices.set_faults(|_, _| Fault { error: Some(bad_request()), ..Fault::default() });
    let (orders, _, finished) = set.run(OutboxFormat::Raw).await;
    assert_eq!((finished.end, finished.summary.poisoned), (Ok(End::BreakerOpen), 0));
    assert_eq!(orders.len(), 101);
}

#[tokio::test(start_paused = true)]
async fn an_output_queue_that_takes_no_message_at_all_ends_the_run() {
    let set = Set::new(Verdict::Completed);
    let denied = QueueError::Denied {
        queue: "outputs".into(),
        operation: "send",
        cause: "403".into(),
        mend: "grant it".into(),
    };
    set.invoices.set_faults(move |_, _| Fault { error: Some(denied.clone()), ..Fault::default() });
    let (orders, _, finished) = set.run(OutboxFormat::Raw).await;
    assert!(matches!(finished.end, Err(QueueError::Denied { .. })), "{finished:?}");
    assert_eq!(orders.len(), 1);
}
