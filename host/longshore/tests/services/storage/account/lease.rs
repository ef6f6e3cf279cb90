//! Leases on a real server: first of all that an expired one gives the message back.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use longshore_queue::{Message, Outgoing, Queue, QueueError, QueueUrl, Receipt, Received, Right};
use longshore_worker::Config;
use longshore_worker::lease::LeaseMode;

use crate::storage::{Recorder, work};
use longshore_testkit::queue_suite::{counts, text};
use longshore_testkit::wait::until_async;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn an_expired_lease_reappears() {
    let queue = super::queue();
    queue.create().await.unwrap();
    let id = queue.send(text("{}")).await.unwrap();
    let first = queue.receive(1, SECOND).await.unwrap().remove(0);
    assert!(queue.receive(1, SECOND).await.unwrap().is_empty(), "it is leased");
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let second = queue.receive(1, SECOND).await.unwrap().remove(0);
    assert_eq!((first.message.id.as_str(), second.message.id.as_str()), (id.as_str(), id.as_str()));
    assert_eq!((first.message.dequeue_count, second.message.dequeue_count), (1, 2));
    assert_eq!(second.message.time_to_live, None, "what is sent never expires");
}

fn config(lease: LeaseMode) -> Config {
    let (visibility, deadline) = (2 * SECOND, 10 * SECOND);
    Config { lease, visibility, deadline, linger: Duration::ZERO, breaker: 0, ..Config::default() }
}

async fn pair() -> (Arc<dyn Queue>, Arc<dyn Queue>) {
    let (queue, poison) = (super::queue(), super::queue());
    queue.create().await.unwrap();
    (queue, poison)
}

#[tokio::test]
async fn a_handler_that_outlasts_its_lease_keeps_it_by_renewing() {
    let (queue, poison) = pair().await;
    queue.send(text("[1]")).await.unwrap();
    let handler = Arc::new(Recorder { work: 5 * SECOND, ..Recorder::default() });
    let finished = work(config(LeaseMode::Auto), &queue, &poison, &handler).await;
    assert_eq!((finished.summary.received, finished.summary.completed), (1, 1), "{finished:?}");
    counts(&*queue, 0).await;
}

#[tokio::test]
async fn a_stolen_receipt_loses_the_lease_and_nothing_is_deleted() {
    let (queue, poison) = pair().await;
    let id = queue.send(text("[1]")).await.unwrap();
    let tap = Arc::new(Tap { queue: queue.clone(), receipt: Mutex::default() });
    let tapped: Arc<dyn Queue> = tap.clone();
    let handler = Arc::new(Recorder { work: 4 * SECOND, ..Recorder::default() });
    let config = Config { max_messages: Some(1), ..config(LeaseMode::Renew) };
    let theft = async {
        let receipt = until_async("the receive", async || tap.receipt.lock().unwrap().clone()).await;
        queue.update(&id, &receipt, Duration::ZERO).await.unwrap();
        queue.receive(1, 60 * SECOND).await.unwrap().remove(0)
    };
    let (finished, stolen) = tokio::join!(work(config, &tapped, &poison, &handler), theft);
    assert_eq!((finished.summary.completed, finished.summary.lease_lost), (0, 1), "{finished:?}");
    assert!(handler.seen.lock().unwrap().is_empty(), "the handler was interrupted");
    queue.delete(&id, &stolen.receipt).await.unwrap();
}

/// A queue that lets the test see the newest receipt.
#[derive(Debug)]
struct Tap {
    queue: Arc<dyn Queue>,
    receipt: Mutex<Option<Receipt>>,
}

#[async_trait::async_trait]
impl Queue for Tap {
    fn url(&self) -> &QueueUrl {
        self.queue.url()
    }

    async fn create(&self) -> Result<bool, QueueError> {
        self.queue.create().await
    }

    async fn may(&self, right: Right) -> Result<(), QueueError> {
        self.queue.may(right).await
    }

    async fn receive(&self, max: u32, visibility: Duration) -> Result<Vec<Received>, QueueError> {
        let received = self.queue.receive(max, visibility).await?;
        *self.receipt.lock().unwrap() = received.first().map(|it| it.receipt.clone());
        Ok(received)
    }

    async fn send(&self, message: Outgoing) -> Result<String, QueueError> {
        self.queue.send(message).await
    }

    async fn update(&self, id: &str, receipt: &Receipt, visibility: Duration) -> Result<Receipt, QueueError> {
        self.queue.update(id, receipt, visibility).await
    }

    async fn delete(&self, id: &str, receipt: &Receipt) -> Result<(), QueueError> {
        self.queue.delete(id, receipt).await
    }

    async fn peek(&self, max: u32) -> Result<Vec<Message>, QueueError> {
        self.queue.peek(max).await
    }

    async fn approximate_count(&self) -> Result<u64, QueueError> {
        self.queue.approximate_count().await
    }

    fn fits(&self, body: &[u8]) -> bool {
        self.queue.fits(body)
    }
}
