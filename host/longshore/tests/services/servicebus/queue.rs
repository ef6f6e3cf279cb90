//! The queue by itself: leases, delays and counts, as every queue keeps them, and what is Service
//! Bus's own.

use std::sync::Arc;
use std::time::Duration;

use longshore_azure::{Azure, Credential};
use longshore_queue::{DeadLetter, Outgoing, Queue, QueueError};
use longshore_queue_drivers::servicebus::ServiceBusQueue;
use serde_json::json;

use crate::servicebus::broker::{Broker, calm};
use longshore_testkit::queue_suite::{self, MINUTE, Subject, keeps_every_promise, text};
use longshore_testkit::wait::slack;

const SECOND: Duration = Duration::from_secs(1);

/// A queue with a connection of its own, since each test has a runtime of its own.
pub fn open(broker: &Broker, name: &str, limit: Duration) -> Arc<dyn Queue> {
    open_at(broker, broker.port, name, limit)
}

/// The same by way of another port, which leads to the broker.
pub fn open_at(broker: &Broker, port: u16, name: &str, limit: Duration) -> Arc<dyn Queue> {
    let to = broker.connection_string().replace(&format!(":{}", broker.port), &format!(":{port}"));
    let url = format!("{to};EntityPath={name}").parse().unwrap();
    Arc::new(ServiceBusQueue::open(url, &Azure::new(Credential::Developer)).unwrap().with_limit(limit))
}

fn fresh(lock_s: u32) -> Arc<dyn Queue> {
    open(calm(), &calm().queue(lock_s, 10), 20 * SECOND)
}

async fn subject() -> Subject {
    let missing = open(calm(), &crate::servicebus::broker::fresh(), 20 * SECOND);
    Subject { queue: fresh(30), missing, _keep: Box::new(()) }
}

// The other promises are those of receipts and sizes, where Service Bus is another.
keeps_every_promise!(subject:
    what_was_sent_is_received_and_gone_when_deleted,
    the_dequeue_count_rises_with_each_receive_and_with_nothing_else,
    asking_for_a_right_answers_without_touching_a_message,
    a_message_that_is_gone_is_not_found,
);

#[tokio::test]
async fn a_queue_that_is_not_there_is_not_found_whatever_is_asked() {
    let missing = open(calm(), &crate::servicebus::broker::fresh(), 20 * SECOND);
    let error = QueueError::QueueNotFound { queue: missing.url().to_string() };
    assert_eq!(missing.send(text("a")).await, Err(error.clone()));
    assert_eq!(missing.receive(1, MINUTE).await.err(), Some(error.clone()));
    assert_eq!(missing.peek(1).await, Err(error));
    let made = missing.create().await.unwrap_err();
    assert!(made.to_string().contains("az servicebus queue create"), "{made}");
}

#[tokio::test]
async fn a_lease_lasts_over_four_lock_durations_and_is_one_delivery() {
    let queue = fresh(2);
    queue.send(text("a")).await.unwrap();
    let held = queue.receive(1, MINUTE).await.unwrap().remove(0);
    assert!(queue.longest_lease() <= 2 * SECOND, "{:?}", queue.longest_lease());
    tokio::time::sleep(Duration::from_millis(8500)).await;
    assert_eq!(queue.receive(1, MINUTE).await.unwrap().len(), 0, "still ours");
    queue.delete(&held.message.id, &held.receipt).await.unwrap();
    assert_eq!(queue.approximate_count().await, Ok(0));
}

#[tokio::test]
async fn a_delay_longer_than_a_lock_is_kept_and_counts_once() {
    let queue = fresh(1);
    let id = queue.send(text("a")).await.unwrap();
    let held = queue.receive(1, MINUTE).await.unwrap().remove(0);
    queue.update(&id, &held.receipt, 3 * SECOND).await.unwrap();
    tokio::time::sleep(2 * SECOND).await;
    assert_eq!(queue.receive(1, MINUTE).await.unwrap().len(), 0, "hidden beyond its first lock");
    tokio::time::sleep(SECOND).await;
    assert_eq!(queue.receive(1, MINUTE).await.unwrap()[0].message.dequeue_count, 2);
}

#[tokio::test]
async fn a_lock_that_could_not_be_renewed_is_a_lost_lease() {
    let broker = Broker::start(&[]);
    let queue = open(&broker, &broker.queue(1, 10), 5 * SECOND);
    let id = queue.send(text("a")).await.unwrap();
    let held = queue.receive(1, MINUTE).await.unwrap().remove(0);
    broker.order(&json!([{ "at": "renew-lock", "do": "busy", "times": 1000 }]));
    tokio::time::sleep(Duration::from_millis(1800)).await;
    broker.order(&json!([]));
    let lost =
        [queue.update(&id, &held.receipt, MINUTE).await.err(), queue.delete(&id, &held.receipt).await.err()];
    assert!(lost.iter().all(|it| it.as_ref().is_some_and(QueueError::is_stale)), "{lost:?}");
    // This one was busy, and is left alone for a while.
    let queue = open(&broker, queue.url().name(), 5 * SECOND);
    assert_eq!(queue.receive(1, MINUTE).await.unwrap()[0].message.dequeue_count, 2);
}

#[tokio::test]
async fn id_content_type_and_properties_travel_with_a_message_into_the_dead_letter_queue() {
    let queue = fresh(30);
    let properties = [("content-type", "application/json"), ("tenant", "blue")];
    let properties: Vec<_> = properties.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let sent = Outgoing { id: Some("o-1".into()), properties: properties.clone(), ..text("{}") };
    queue.send(sent).await.unwrap();
    let held = queue.receive(1, MINUTE).await.unwrap().remove(0);
    assert_eq!((held.message.id.as_str(), &held.message.properties), ("o-1", &properties));
    let poison = queue.url().poison().unwrap();
    assert!(queue.moves_to(&poison) && !queue.moves_to(queue.url()));
    let letter = DeadLetter { to: &poison, body: "unused".into(), reason: "rejected", detail: "as asked" };
    queue.dead_letter("o-1", &held.receipt, letter).await.unwrap();
    let dead = open(calm(), poison.name(), 20 * SECOND).peek(5).await.unwrap().remove(0);
    assert_eq!((dead.id.as_str(), &dead.body[..]), ("o-1", &b"{}"[..]));
    for (name, value) in [("DeadLetterReason", "rejected"), ("DeadLetterErrorDescription", "as asked")] {
        assert!(dead.properties.contains(&(name.into(), value.into())), "{:?}", dead.properties);
    }
}

#[tokio::test]
async fn a_delayed_message_is_not_delivered_before_its_time() {
    let queue = fresh(30);
    queue.send(Outgoing { delay: 2 * SECOND, ..text("later") }).await.unwrap();
    assert_eq!(queue.receive(1, MINUTE).await.unwrap().len(), 0);
    assert_eq!(queue.approximate_count().await, Ok(0), "as KEDA counts");
    tokio::time::sleep(2 * SECOND).await;
    assert_eq!(queue.receive(1, MINUTE).await.unwrap().len(), 1);
}

#[tokio::test]
async fn no_more_is_received_than_was_asked_for() {
    let queue = fresh(30);
    queue_suite::fill(&*queue, 10).await;
    let mut ours = Vec::new();
    while ours.len() < 4 {
        let max = u32::try_from(4 - ours.len()).unwrap();
        let received = queue.receive(max, MINUTE).await.unwrap();
        assert!(!received.is_empty() && received.len() <= max as usize, "{} of {max}", received.len());
        ours.extend(received);
    }
    let other = open(calm(), queue.url().name(), 20 * SECOND);
    let mut rest = 0;
    while rest < 6 {
        let received = other.receive(32, MINUTE).await.unwrap().len();
        assert_ne!(received, 0, "nothing was taken ahead: {rest} of 6 are there");
        rest += received;
    }
}

#[tokio::test]
async fn what_comes_after_the_last_receive_is_given_back_and_counts_no_delivery() {
    let queue = fresh(30);
    let sender = open(calm(), queue.url().name(), 20 * SECOND);
    sender.send(text("a")).await.unwrap();
    // It asks for more than there is, so that more may come.
    assert_eq!(queue.receive(8, MINUTE).await.unwrap().len(), 1);
    queue_suite::fill(&*sender, 3).await;
    queue.stop_receiving().await;
    let mut rest = Vec::new();
    while rest.len() < 3 {
        let received = sender.receive(8, MINUTE).await.unwrap();
        assert_ne!(received.len(), 0, "{} of 3 are there", rest.len());
        rest.extend(received);
    }
    assert!(rest.iter().all(|it| it.message.dequeue_count == 1));
    // The same without being told so.
    let left = fresh(30);
    left.send(text("a")).await.unwrap();
    assert_eq!(left.receive(8, MINUTE).await.unwrap().len(), 1);
    left.send(text("b")).await.unwrap();
    tokio::time::sleep(SECOND + SECOND / 2).await;
    assert_eq!(calm().locked(left.url().name()), 1, "only what was received");
}

#[tokio::test]
async fn a_wrong_key_is_refused_with_the_words_of_its_mend_and_without_the_key() {
    let name = calm().queue(30, 10);
    let right = format!("{};EntityPath={name}", calm().connection_string());
    let url = right.replace("c2VjcmV0LW9m", "b3RoZXItb25l").parse().unwrap();
    let queue = ServiceBusQueue::open(url, &Azure::new(Credential::Developer)).unwrap();
    let error = queue.receive(1, MINUTE).await.unwrap_err();
    assert!(
        matches!(&error, QueueError::Denied { mend, .. } if mend.contains("compare the name")),
        "{error:?}"
    );
    assert!(!format!("{error} {error:?} {queue:?}").contains("b3RoZXItb25l"), "{error:?} {queue:?}");
}

#[tokio::test]
async fn what_is_no_message_is_received_and_can_be_dead_lettered() {
    let broker = Broker::start(&[]);
    let queue = open(&broker, &broker.queue(30, 10), 5 * SECOND);
    queue_suite::fill(&*queue, 2).await;
    broker.order(&json!([{ "at": "deliver", "do": "garbled", "times": 1 }]));
    let mut received = queue.receive(2, MINUTE).await.unwrap();
    if received.len() < 2 {
        received.extend(queue.receive(1, MINUTE).await.unwrap());
    }
    let damaged: Vec<_> = received.iter().map(|it| it.damaged.is_some()).collect();
    assert_eq!(damaged, [true, false], "and those behind it come as well");
    let (it, poison) = (&received[0], queue.url().poison().unwrap());
    let letter = DeadLetter { to: &poison, body: "".into(), reason: "undecodable", detail: "it is garbage" };
    queue.dead_letter(&it.message.id, &it.receipt, letter).await.unwrap();
    assert_eq!(open(&broker, poison.name(), 5 * SECOND).approximate_count().await, Ok(1));
}

#[tokio::test]
async fn a_queue_for_which_no_token_is_taken_is_not_found() {
    let broker = Broker::start(&[]);
    let queue = open(&broker, &broker.queue(30, 10), 5 * SECOND);
    broker.order(&json!([{ "at": "put-token", "do": "unknown", "times": 1 }]));
    let error = QueueError::QueueNotFound { queue: queue.url().to_string() };
    assert_eq!(queue.receive(1, MINUTE).await.err(), Some(error));
}

#[tokio::test]
async fn what_is_too_large_with_its_properties_is_told_as_that() {
    let queue = fresh(30);
    let body = "x".repeat(249 * 1024);
    assert!(queue.fits(body.as_bytes()));
    let properties = vec![("long".to_owned(), "x".repeat(20 * 1024))];
    let error = queue.send(Outgoing { properties, ..text(&body) }).await.unwrap_err();
    assert!(matches!(error, QueueError::TooLarge { .. }), "{error:?}");
    queue.send(text("small")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_steady_trickle_each_message_is_delivered_once() {
    const MESSAGES: usize = 900;
    let queue = fresh(5);
    let sender = open(calm(), queue.url().name(), 20 * SECOND);
    let sending = tokio::spawn(async move {
        for n in 0..MESSAGES as u64 {
            sender.send(text("a")).await.unwrap();
            // About as long as a receive waits for the next message, so that many come just when it
            // gives up.
            if n % 3 == 0 {
                tokio::time::sleep(Duration::from_micros(17_000 + n * 997 % 6_000)).await;
            }
        }
    });
    let mut received = 0;
    while received < MESSAGES {
        for it in queue.receive(2 + received as u32 % 2, MINUTE).await.unwrap() {
            assert_eq!(it.message.dequeue_count, 1, "number {received}");
            queue.delete(&it.message.id, &it.receipt).await.unwrap();
            received += 1;
        }
    }
    sending.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_messages_are_received_without_a_pause_and_delivered_once() {
    // More than the service leaves unsettled on one link.
    const MESSAGES: usize = 6000;
    let broker = Broker::start(&[]);
    let queue = open(&broker, &broker.queue(5, 10), 20 * SECOND);
    queue_suite::fill(&*queue, MESSAGES).await;
    let started = std::time::Instant::now();
    let mut received = 0;
    while received < MESSAGES {
        let batch = queue.receive(32, MINUTE).await.unwrap();
        received += batch.len();
        let done = batch.iter().map(async |it| {
            assert_eq!(it.message.dequeue_count, 1);
            queue.delete(&it.message.id, &it.receipt).await
        });
        futures_util::future::try_join_all(done).await.unwrap();
    }
    assert!(started.elapsed() < slack(30 * SECOND), "{:?}", started.elapsed());
    assert_eq!(queue.approximate_count().await, Ok(0));
    let told = broker.links_and_requests("update-disposition");
    assert_eq!(told, (1, 0), "one link brings all, and settles all");
}
