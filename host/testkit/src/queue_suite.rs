//! The promises that every kind of queue keeps, as functions over [`Queue`]: the same for a file
//! and for a service.
//!
//! Durations are whole seconds, and bodies are text, since a service takes no others.

use std::any::Any;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join_all;
use longshore_queue::{MAX_RECEIVE, MAX_VISIBILITY, Outgoing, Queue, QueueError, Received, Right};

/// Far longer than a test takes.
pub const MINUTE: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);
/// Long enough for a second of the service's clock to be over.
const OVER: Duration = Duration::from_secs(2);

/// What a test works on.
pub struct Subject {
    /// A queue that was just created, and is empty.
    pub queue: Arc<dyn Queue>,
    /// A queue beside it that was never created.
    pub missing: Arc<dyn Queue>,
    /// What has to live for as long as the queues.
    pub _keep: Box<dyn Any>,
}

/// Makes a test of each promise, given an async function that makes a [`Subject`].
#[macro_export]
macro_rules! keeps_every_promise {
    ($subject:path: $($promise:ident),* $(,)?) => {
        $(#[tokio::test]
        async fn $promise() {
            $crate::queue_suite::$promise(&$subject().await).await;
        })*
    };
    ($subject:path) => {
        $crate::keeps_every_promise!($subject:
            what_was_sent_is_received_and_gone_when_deleted,
            a_leased_message_is_invisible_until_its_lease_ends,
            an_expired_lease_may_still_delete_until_somebody_takes_the_message,
            a_receipt_changes_with_each_receive_and_update_and_older_ones_are_refused,
            an_update_to_zero_makes_a_message_visible_at_once,
            the_dequeue_count_rises_with_each_receive_and_with_nothing_else,
            a_delayed_message_is_counted_and_invisible_until_its_time,
            an_expired_message_is_never_delivered_and_not_found,
            at_most_32_messages_are_leased_at_once,
            the_largest_body_fits_and_one_byte_more_does_not,
            asking_for_a_right_answers_without_touching_a_message,
            a_message_that_is_gone_is_not_found,
            a_queue_that_was_never_created_is_not_found,
            creating_a_queue_twice_says_that_it_was_there,
            receivers_at_once_never_hold_the_same_message,
        );
    };
}
pub use crate::keeps_every_promise;

/// A message with this body and nothing else.
pub fn text(body: &str) -> Outgoing {
    Outgoing { body: Bytes::copy_from_slice(body.as_bytes()), ..Outgoing::default() }
}

/// Sends many messages, and returns their ids.
pub async fn fill(queue: &dyn Queue, count: usize) -> HashSet<String> {
    let bodies: Vec<String> = (0..count).map(|n| format!("message {n}")).collect();
    let sent = join_all(bodies.iter().map(|body| queue.send(text(body)))).await;
    sent.into_iter().map(|id| id.unwrap()).collect()
}

async fn one(queue: &dyn Queue, visibility: Duration) -> Received {
    let mut received = queue.receive(1, visibility).await.unwrap();
    assert_eq!(received.len(), 1, "one message is visible");
    received.remove(0)
}

/// One service says that the receipt is stale, another that there is no such message: both mean
/// that it is not ours.
fn is_refused(answer: Result<(), QueueError>) {
    assert!(answer.as_ref().is_err_and(QueueError::is_stale), "{answer:?}");
}

/// Waits until the queue's own count is this one. A service calls it approximate.
pub async fn counts(queue: &dyn Queue, messages: u64) {
    let started = Instant::now();
    while queue.approximate_count().await.unwrap() != messages {
        assert!(started.elapsed() < 10 * SECOND, "the queue does not count {messages}");
        tokio::time::sleep(SECOND / 10).await;
    }
}

/// The ids of all messages that are visible, now leased.
async fn rest(queue: &dyn Queue) -> Vec<String> {
    let mut ids = Vec::new();
    loop {
        let received = queue.receive(MAX_RECEIVE, MINUTE).await.unwrap();
        if received.is_empty() {
            return ids;
        }
        ids.extend(received.into_iter().map(|held| held.message.id));
    }
}

async fn nothing_is_visible(queue: &dyn Queue) {
    assert_eq!(queue.receive(1, SECOND).await.unwrap().len(), 0);
    assert_eq!(queue.peek(1).await.unwrap(), []);
}

pub async fn what_was_sent_is_received_and_gone_when_deleted(Subject { queue, .. }: &Subject) {
    let id = queue.send(text(r#"{"order": 1, "note": "<&>é"}"#)).await.unwrap();
    let received = one(&**queue, MINUTE).await;
    assert_eq!(received.message.id, id);
    assert_eq!(received.message.body, r#"{"order": 1, "note": "<&>é"}"#);
    let age = received.message.inserted.duration_until(jiff::Timestamp::now()).as_secs();
    assert!((-5..60).contains(&age), "inserted {age} s ago");
    queue.delete(&id, &received.receipt).await.unwrap();
    counts(&**queue, 0).await;
}

pub async fn a_leased_message_is_invisible_until_its_lease_ends(Subject { queue, .. }: &Subject) {
    let id = queue.send(text("a")).await.unwrap();
    one(&**queue, SECOND).await;
    nothing_is_visible(&**queue).await;
    // Invisible messages are counted.
    counts(&**queue, 1).await;
    tokio::time::sleep(OVER).await;
    assert_eq!(one(&**queue, SECOND).await.message.id, id);
}

pub async fn an_expired_lease_may_still_delete_until_somebody_takes_the_message(subject: &Subject) {
    let queue = &*subject.queue;
    fill(queue, 2).await;
    let held = queue.receive(2, SECOND).await.unwrap();
    tokio::time::sleep(OVER).await;
    queue.delete(&held[0].message.id, &held[0].receipt).await.unwrap();
    let retaken = one(queue, MINUTE).await;
    assert_eq!(retaken.message.id, held[1].message.id);
    let refused = queue.delete(&held[1].message.id, &held[1].receipt).await.unwrap_err();
    assert!(refused.is_stale(), "{refused}");
    queue.delete(&retaken.message.id, &retaken.receipt).await.unwrap();
}

pub async fn a_receipt_changes_with_each_receive_and_update_and_older_ones_are_refused(subject: &Subject) {
    let queue = &*subject.queue;
    let id = queue.send(text("a")).await.unwrap();
    let first = one(queue, MINUTE).await.receipt;
    let second = queue.update(&id, &first, Duration::ZERO).await.unwrap();
    let third = one(queue, MINUTE).await.receipt;
    assert!(first != second && second != third && first != third);
    for stale in [&first, &second] {
        is_refused(queue.update(&id, stale, MINUTE).await.map(drop));
        is_refused(queue.delete(&id, stale).await);
    }
    queue.delete(&id, &third).await.unwrap();
}

pub async fn an_update_to_zero_makes_a_message_visible_at_once(Subject { queue, .. }: &Subject) {
    let id = queue.send(text("a")).await.unwrap();
    let held = one(&**queue, MINUTE).await;
    let longer = queue.update(&id, &held.receipt, MAX_VISIBILITY).await.unwrap();
    nothing_is_visible(&**queue).await;
    queue.update(&id, &longer, Duration::ZERO).await.unwrap();
    assert_eq!(one(&**queue, MINUTE).await.message.id, id);
}

pub async fn the_dequeue_count_rises_with_each_receive_and_with_nothing_else(subject: &Subject) {
    let queue = &*subject.queue;
    let id = queue.send(text("a")).await.unwrap();
    for count in 1..=3 {
        for _ in 0..2 {
            let peeked = queue.peek(MAX_RECEIVE).await.unwrap();
            assert_eq!((peeked.len(), peeked[0].dequeue_count), (1, count - 1), "peeking does not count");
        }
        let held = one(queue, MINUTE).await;
        assert_eq!((held.message.id.as_str(), held.message.dequeue_count), (id.as_str(), count));
        queue.update(&id, &held.receipt, Duration::ZERO).await.unwrap();
    }
}

pub async fn a_delayed_message_is_counted_and_invisible_until_its_time(Subject { queue, .. }: &Subject) {
    queue.send(Outgoing { delay: SECOND, ..text("later") }).await.unwrap();
    nothing_is_visible(&**queue).await;
    counts(&**queue, 1).await;
    tokio::time::sleep(OVER).await;
    assert_eq!(one(&**queue, MINUTE).await.message.body, "later");
    let refused = Outgoing { delay: MAX_VISIBILITY + SECOND, ..text("too late") };
    assert!(matches!(queue.send(refused).await, Err(QueueError::Fault { .. })));
}

pub async fn an_expired_message_is_never_delivered_and_not_found(Subject { queue, .. }: &Subject) {
    // A service takes its time, a queue on this host does not.
    let (life, over) = if queue.url().owner().is_none() { (SECOND, SECOND) } else { (2 * SECOND, OVER) };
    let expiring = || Outgoing { time_to_live: Some(life), ..text("short-lived") };
    let id = queue.send(expiring()).await.unwrap();
    let held = one(&**queue, MINUTE).await;
    let left = held.message.time_to_live.expect("it expires");
    assert!(left <= life, "{left:?}");
    queue.send(expiring()).await.unwrap();
    tokio::time::sleep(life + over).await;
    nothing_is_visible(&**queue).await;
    is_refused(queue.delete(&id, &held.receipt).await);
    queue.send(text("for ever")).await.unwrap();
    assert_eq!(one(&**queue, MINUTE).await.message.body, "for ever");
}

pub async fn at_most_32_messages_are_leased_at_once(Subject { queue, .. }: &Subject) {
    let sent = fill(&**queue, 40).await;
    assert!((1..=32).contains(&queue.peek(MAX_RECEIVE).await.unwrap().len()));
    for count in [0, MAX_RECEIVE + 1] {
        assert!(matches!(queue.receive(count, MINUTE).await, Err(QueueError::Fault { .. })), "{count}");
    }
    let first = queue.receive(MAX_RECEIVE, MINUTE).await.unwrap();
    assert!((1..=32).contains(&first.len()), "{}", first.len());
    let mut ids: HashSet<_> = first.into_iter().map(|held| held.message.id).collect();
    ids.extend(rest(&**queue).await);
    assert_eq!(ids, sent);
}

pub async fn the_largest_body_fits_and_one_byte_more_does_not(Subject { queue, .. }: &Subject) {
    let limit = queue.max_body();
    assert_eq!(limit, queue.url().kind().max_body);
    let (largest, larger) = ("x".repeat(limit), "x".repeat(limit + 1));
    assert!(queue.fits(largest.as_bytes()) && !queue.fits(larger.as_bytes()));
    queue.send(text(&largest)).await.unwrap();
    assert_eq!(one(&**queue, MINUTE).await.message.body, largest);
    let refused = queue.send(text(&larger)).await.unwrap_err();
    let url = queue.url().to_string();
    assert_eq!(refused, QueueError::TooLarge { queue: url, size: Some(limit + 1), limit });
}

pub async fn asking_for_a_right_answers_without_touching_a_message(subject: &Subject) {
    let Subject { queue, missing, .. } = subject;
    let id = queue.send(text("a")).await.unwrap();
    let not_found = QueueError::QueueNotFound { queue: missing.url().to_string() };
    for right in [Right::Receive, Right::Update] {
        assert_eq!(queue.may(right).await, Ok(()), "{right:?}");
        assert_eq!(missing.may(right).await, Err(not_found.clone()), "{right:?}");
    }
    counts(&**queue, 1).await;
    let held = one(&**queue, MINUTE).await;
    assert_eq!((held.message.id.as_str(), held.message.dequeue_count), (id.as_str(), 1));
    // A lease is not touched either.
    queue.may(Right::Update).await.unwrap();
    queue.delete(&id, &held.receipt).await.unwrap();
}

pub async fn a_message_that_is_gone_is_not_found(Subject { queue, .. }: &Subject) {
    let id = queue.send(text("a")).await.unwrap();
    let held = one(&**queue, MINUTE).await;
    queue.delete(&id, &held.receipt).await.unwrap();
    is_refused(queue.delete(&id, &held.receipt).await);
    is_refused(queue.update(&id, &held.receipt, MINUTE).await.map(drop));
}

pub async fn a_queue_that_was_never_created_is_not_found(Subject { queue, missing, .. }: &Subject) {
    let id = queue.send(text("a")).await.unwrap();
    let receipt = one(&**queue, MINUTE).await.receipt;
    let error = QueueError::QueueNotFound { queue: missing.url().to_string() };
    assert_eq!(missing.send(text("a")).await, Err(error.clone()));
    assert_eq!(missing.receive(1, MINUTE).await.err(), Some(error.clone()));
    assert_eq!(missing.peek(1).await, Err(error.clone()));
    assert_eq!(missing.update(&id, &receipt, MINUTE).await, Err(error.clone()));
    assert_eq!(missing.delete(&id, &receipt).await, Err(error.clone()));
    assert_eq!(missing.approximate_count().await, Err(error));
}

pub async fn creating_a_queue_twice_says_that_it_was_there(Subject { queue, missing, .. }: &Subject) {
    assert_eq!(queue.create().await, Ok(false));
    assert_eq!(missing.create().await, Ok(true));
    missing.send(text("a")).await.unwrap();
    // Each queue has messages of its own.
    counts(&**queue, 0).await;
}

pub async fn receivers_at_once_never_hold_the_same_message(Subject { queue, .. }: &Subject) {
    let sent = fill(&**queue, 100).await;
    let received = join_all((0..20).map(|_| queue.receive(8, MINUTE))).await;
    let mut ids: Vec<String> =
        received.into_iter().flat_map(|held| held.unwrap()).map(|held| held.message.id).collect();
    // A service may give fewer than were asked for.
    ids.extend(rest(&**queue).await);
    assert_eq!(ids.len(), 100, "each message once");
    assert_eq!(ids.into_iter().collect::<HashSet<_>>(), sent);
}
