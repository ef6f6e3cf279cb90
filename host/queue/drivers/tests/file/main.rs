//! The file-backed queue: the promises of every queue, and what processes that die at the wrong
//! moment leave behind.

#![allow(
    clippy::unwrap_used,
    reason = "clippy.toml allows it in tests, and does not see that helpers are tests too"
)]

mod harness;
mod processes;
mod refused;

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use longshore_queue::{DETAIL_PROPERTY, Outgoing, QueueError, REASON_PROPERTY, Receipt};
use longshore_testkit::queue_suite::{MINUTE, Subject, fill, keeps_every_promise, text};
use rusqlite::Connection;

use self::harness::{database, deleted, letter, queue_in, record_deletions, subject, url, with_poison};

keeps_every_promise!(subject);

#[tokio::test]
async fn any_bytes_an_id_and_properties_are_kept() {
    let Subject { queue, _keep, .. } = subject().await;
    let properties = vec![("trace".to_owned(), "\"ü\0".to_owned()), ("trace".to_owned(), String::new())];
    for body in [&b""[..], b"\0\xff\xfe{'", &[0; 64 * 1024]] {
        let sent = Outgoing {
            body: Bytes::from_static(Box::leak(body.to_vec().into_boxed_slice())),
            id: Some("order-7/0".into()),
            properties: properties.clone(),
            ..Outgoing::default()
        };
        assert_eq!(queue.send(sent).await.unwrap(), "order-7/0");
        let held = queue.receive(1, MINUTE).await.unwrap().remove(0);
        assert_eq!((&held.message.body[..], &held.message.properties), (body, &properties));
        queue.delete("order-7/0", &held.receipt).await.unwrap();
    }
}

#[tokio::test]
async fn messages_come_in_the_order_in_which_they_became_visible() {
    let Subject { queue, _keep, .. } = subject().await;
    let mut sent = Vec::new();
    for n in 0..50 {
        sent.push(queue.send(text(&n.to_string())).await.unwrap());
    }
    let mut received = Vec::new();
    for _ in 0..5 {
        received.extend(queue.receive(10, MINUTE).await.unwrap().into_iter().map(|held| held.message.id));
    }
    assert_eq!(received, sent);
}

#[tokio::test]
async fn a_receipt_that_was_never_given_finds_no_message() {
    let Subject { queue, missing, _keep } = subject().await;
    missing.create().await.unwrap();
    let id = queue.send(text("a")).await.unwrap();
    let held = queue.receive(1, MINUTE).await.unwrap().remove(0);
    for receipt in ["", "nonsense", "99.1", "1"] {
        let receipt = Receipt(receipt.into());
        assert_eq!(queue.delete(&id, &receipt).await, Err(QueueError::MessageNotFound));
    }
    assert_eq!(queue.delete("another", &held.receipt).await, Err(QueueError::MessageNotFound));
    assert_eq!(
        missing.delete(&id, &held.receipt).await,
        Err(QueueError::MessageNotFound),
        "of another queue"
    );
    queue.delete(&id, &held.receipt).await.unwrap();
}

#[tokio::test]
async fn many_expired_messages_hide_no_living_one() {
    let Subject { queue, _keep, .. } = subject().await;
    let expiring = |_| queue.send(Outgoing { time_to_live: Some(Duration::from_millis(1)), ..text("old") });
    join_all((0..9000).map(expiring)).await;
    queue.send(text("alive")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(queue.approximate_count().await, Ok(1));
    assert_eq!(queue.peek(32).await.unwrap().len(), 1);
    let received = queue.receive(32, MINUTE).await.unwrap();
    assert_eq!(received.len(), 1, "one receive suffices");
    assert_eq!(received[0].message.body, "alive");
}

#[tokio::test]
async fn each_deletion_is_a_row_that_a_trigger_sees() {
    let (directory, queue, _poison) = with_poison().await;
    let recorded = record_deletions(directory.path());
    let id = queue.send(text("a")).await.unwrap();
    let held = queue.receive(1, MINUTE).await.unwrap().remove(0);
    queue.delete(&id, &held.receipt).await.unwrap();
    assert_eq!(deleted(&recorded), [(id, 1, "orders".to_owned())]);
}

#[tokio::test]
async fn an_error_of_the_database_undoes_the_whole_batch_and_the_next_one_works() {
    let Subject { queue, _keep, .. } = subject().await;
    let directory = _keep.downcast_ref::<tempfile::TempDir>().unwrap();
    let connection = database(directory.path());
    let trigger = "CREATE TRIGGER fail BEFORE DELETE ON message WHEN old.body = x'78' BEGIN
        SELECT RAISE(ABORT, 'not this one'); END";
    connection.execute_batch(trigger).unwrap();
    queue.send(text("x")).await.unwrap();
    fill(&*queue, 7).await;
    let held = queue.receive(32, MINUTE).await.unwrap();
    let delete_all = || join_all(held.iter().map(|held| queue.delete(&held.message.id, &held.receipt)));
    let outcomes = delete_all().await;
    assert!(matches!(&outcomes[0], Err(QueueError::Fault { cause, .. }) if cause.contains("not this one")));
    let undone = outcomes.iter().filter(|outcome| outcome.is_err()).count() as u64;
    assert_eq!(queue.approximate_count().await, Ok(undone), "who was told of an error is still there");
    connection.execute_batch("DROP TRIGGER fail").unwrap();
    for outcome in delete_all().await {
        assert!(matches!(outcome, Ok(()) | Err(QueueError::MessageNotFound)), "{outcome:?}");
    }
    assert_eq!(queue.approximate_count().await, Ok(0));
}

#[tokio::test]
async fn dead_lettering_moves_a_message_with_its_id_and_says_why() {
    let (_directory, queue, poison) = with_poison().await;
    let properties = vec![("trace".to_owned(), "7".to_owned())];
    let id = queue.send(Outgoing { properties, ..text("a") }).await.unwrap();
    let held = queue.receive(1, MINUTE).await.unwrap().remove(0);
    assert!(queue.moves_to(poison.url()));
    queue.dead_letter(&id, &held.receipt, letter(poison.url(), "envelope")).await.unwrap();
    assert_eq!(queue.approximate_count().await, Ok(0));
    let moved = poison.peek(32).await.unwrap().remove(0);
    assert_eq!((moved.id, &moved.body[..], moved.dequeue_count), (id, &b"envelope"[..], 0));
    let expected = [("trace", "7"), (REASON_PROPERTY, "rejected"), (DETAIL_PROPERTY, "no such customer")];
    assert_eq!(moved.properties, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[tokio::test]
async fn a_dead_letter_that_cannot_be_moved_leaves_the_message_where_it_was() {
    let (directory, queue, poison) = with_poison().await;
    let id = queue.send(text("a")).await.unwrap();
    let stale = queue.receive(1, MINUTE).await.unwrap().remove(0).receipt;
    let receipt = queue.update(&id, &stale, MINUTE).await.unwrap();
    let refused = queue.dead_letter(&id, &stale, letter(poison.url(), "a")).await;
    assert_eq!(refused, Err(QueueError::ReceiptMismatch));
    let missing = url(directory.path(), "missing");
    let refused = queue.dead_letter(&id, &receipt, letter(&missing, "a")).await;
    assert_eq!(refused, Err(QueueError::QueueNotFound { queue: missing.to_string() }));
    let elsewhere = url(&directory.path().join("elsewhere"), "orders-poison");
    assert!(!queue.moves_to(&elsewhere));
    let refused = queue.dead_letter(&id, &receipt, letter(&elsewhere, "a")).await;
    assert!(matches!(refused, Err(QueueError::Fault { .. })));
    assert_eq!(poison.approximate_count().await, Ok(0));
    queue.delete(&id, &receipt).await.unwrap();
}

#[tokio::test]
async fn only_creating_makes_anything() {
    let directory = tempfile::tempdir().unwrap();
    let deep = directory.path().join("some/queues");
    let queue = queue_in(&deep, "orders").await;
    let error = queue.receive(1, MINUTE).await.unwrap_err();
    assert_eq!(error, QueueError::QueueNotFound { queue: queue.url().to_string() });
    assert!(!deep.exists());
    std::fs::create_dir_all(&deep).unwrap();
    let error = queue.send(text("a")).await.unwrap_err();
    assert_eq!(error, QueueError::QueueNotFound { queue: queue.url().to_string() });
    assert_eq!(deep.read_dir().unwrap().count(), 0);
    std::fs::remove_dir(&deep).unwrap();
    assert_eq!(queue.create().await, Ok(true));
    queue.send(text("a")).await.unwrap();
}

#[tokio::test]
async fn what_is_no_database_of_ours_is_named_in_the_error() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("queues.db");
    std::fs::write(&file, "this is a text of more than a hundred bytes. ".repeat(50)).unwrap();
    let named = |error: QueueError, what: &str| {
        let text = error.to_string();
        assert!(matches!(error, QueueError::Fault { .. }), "{text}");
        assert!(text.contains(&*file.to_string_lossy()) && text.contains(what), "{text}");
    };
    let queue = queue_in(directory.path(), "orders").await;
    named(queue.receive(1, MINUTE).await.unwrap_err(), "damaged");
    named(queue.create().await.unwrap_err(), "damaged");

    std::fs::remove_file(&file).unwrap();
    Connection::open(&file).unwrap().execute_batch("CREATE TABLE message (id)").unwrap();
    named(queue.receive(1, MINUTE).await.unwrap_err(), "not a database of this version");
    named(queue.create().await.unwrap_err(), "not a database of this version");

    std::fs::remove_file(&file).unwrap();
    let path = file.join("queues");
    std::fs::write(&file, "").unwrap();
    let error = queue_in(&path, "orders").await.create().await.unwrap_err();
    assert!(error.to_string().contains(&*path.to_string_lossy()), "{error}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_directory_that_cannot_be_made_is_named_in_the_error() {
    let error = queue_in(Path::new("/proc/queues"), "orders").await.create().await.unwrap_err();
    assert!(
        matches!(&error, QueueError::Fault { .. }) && error.to_string().contains("/proc/queues"),
        "{error}"
    );
}

#[tokio::test]
async fn a_database_without_a_write_ahead_log_gets_one_back() {
    let (directory, queue, poison) = with_poison().await;
    fill(&*queue, 5).await;
    drop((queue, poison));
    let mode =
        |sql: &str| database(directory.path()).query_row(sql, [], |row| row.get::<_, String>(0)).unwrap();
    assert_eq!(mode("PRAGMA journal_mode = DELETE"), "delete");
    let queue = queue_in(directory.path(), "orders").await;
    assert_eq!(queue.approximate_count().await, Ok(5));
    assert_eq!(mode("PRAGMA journal_mode"), "wal");
}

#[tokio::test]
async fn dropping_the_queue_closes_the_database() {
    let Subject { queue, missing, _keep } = subject().await;
    let directory = _keep.downcast_ref::<tempfile::TempDir>().unwrap();
    fill(&*queue, 5).await;
    let log = directory.path().join("queues.db-wal");
    assert!(log.exists());
    drop((queue, missing));
    assert!(!log.exists(), "the last connection takes the log with it");
}
