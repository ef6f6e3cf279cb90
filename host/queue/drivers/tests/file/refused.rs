//! What is refused, passed over, or given up, and leaves nothing behind.

use std::time::Duration;

use longshore_queue::{Outgoing, QueueError, Receipt};
use longshore_testkit::queue_suite::{MINUTE, Subject, text};

use crate::harness::{database, letter, subject, url, with_poison};

#[tokio::test]
async fn a_receive_whose_caller_is_gone_leases_nothing() {
    let Subject { queue, _keep, .. } = subject().await;
    let directory = _keep.downcast_ref::<tempfile::TempDir>().unwrap();
    queue.send(text("a")).await.unwrap();
    // The thread waits for this transaction, so that the receive is still in line when its caller
    // goes.
    let connection = database(directory.path());
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    let held_up = queue.send(text("b"));
    let abandoned = queue.receive(32, MINUTE);
    let limit = Duration::from_millis(100);
    let (sent, received) = tokio::join!(tokio::time::timeout(limit, held_up), async {
        tokio::time::sleep(limit / 2).await;
        tokio::time::timeout(limit / 2, abandoned).await
    });
    assert!(sent.is_err() && received.is_err(), "both were given up");
    connection.execute_batch("ROLLBACK").unwrap();
    let received = queue.receive(32, MINUTE).await.unwrap();
    assert!(received.iter().all(|held| held.message.dequeue_count == 1), "{received:?}");
    assert!(received.iter().any(|held| held.message.body == "a"), "{received:?}");
}

#[tokio::test]
async fn a_body_that_is_too_large_is_no_dead_letter() {
    let (_directory, queue, poison) = with_poison().await;
    let id = queue.send(text("a")).await.unwrap();
    let receipt = queue.receive(1, MINUTE).await.unwrap().remove(0).receipt;
    let larger = "x".repeat(queue.max_body() + 1);
    let refused = queue.dead_letter(&id, &receipt, letter(poison.url(), &larger)).await;
    let url = queue.url().to_string();
    assert_eq!(
        refused,
        Err(QueueError::TooLarge { queue: url, size: Some(larger.len()), limit: queue.max_body() })
    );
    queue.delete(&id, &receipt).await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_done_with_a_message_is_refused_before_it_is_tried() {
    let Subject { queue, .. } = subject().await;
    let expired = Outgoing { time_to_live: Some(MINUTE), delay: MINUTE, ..text("a") };
    assert!(matches!(queue.send(expired).await, Err(QueueError::Fault { .. })));
    assert!(matches!(queue.receive(1, Duration::ZERO).await, Err(QueueError::Fault { .. })));
    let never_ours = Receipt("of another queue".into());
    assert_eq!(queue.delete("none", &never_ours).await, Err(QueueError::MessageNotFound));
    assert_eq!(queue.update("none", &never_ours, MINUTE).await, Err(QueueError::MessageNotFound));
    assert_eq!(queue.approximate_count().await, Ok(0));
}

#[tokio::test]
async fn a_directory_is_known_however_it_is_written() {
    let (directory, queue, _poison) = with_poison().await;
    std::fs::create_dir(directory.path().join("beside")).unwrap();
    assert!(queue.moves_to(&url(&directory.path().join("beside/.."), "orders-poison")));
    assert!(!queue.moves_to(&url(&directory.path().join("beside"), "orders-poison")));
}

#[tokio::test]
async fn a_count_that_is_none_is_said_and_one_that_is_too_large_stays_the_largest() {
    let Subject { queue, _keep, .. } = subject().await;
    let directory = _keep.downcast_ref::<tempfile::TempDir>().unwrap();
    let connection = database(directory.path());
    for (written, counted, is_damaged) in [
        (-1, 0, true),
        (i64::MIN, 0, true),
        (0, 1, false),
        (u32::MAX.into(), u32::MAX, false),
        (i64::from(u32::MAX) + 1, u32::MAX, false),
        (i64::MAX, u32::MAX, false),
    ] {
        let id = queue.send(text("a")).await.unwrap();
        connection.execute("UPDATE message SET dequeue_count = ?", [written]).unwrap();
        let held = queue.receive(1, MINUTE).await.unwrap().remove(0);
        assert_eq!((held.message.dequeue_count, held.damaged.is_some()), (counted, is_damaged), "{written}");
        queue.delete(&id, &held.receipt).await.unwrap();
    }
}
