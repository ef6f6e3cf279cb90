//! Queues in directories of their own, and processes that play the part of another host.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use bytes::Bytes;
use longshore_queue::{DeadLetter, Queue, QueueUrl};
use longshore_queue_drivers::open;
use longshore_testkit::queue_suite::Subject;
use rusqlite::Connection;

/// Set in a child process to the directory of the queue: the test then plays the part of the
/// process that dies.
pub(crate) const CHILD: &str = "LONGSHORE_TEST_CHILD";

pub(crate) async fn subject() -> Subject {
    let directory = tempfile::tempdir().unwrap();
    let queue = queue_in(directory.path(), "orders").await;
    queue.create().await.unwrap();
    let missing = queue_in(directory.path(), "missing").await;
    Subject { queue, missing, _keep: Box::new(directory) }
}

pub(crate) fn url(directory: &Path, name: &str) -> QueueUrl {
    format!("file:{}/{name}", directory.display()).parse().unwrap()
}

pub(crate) async fn queue_in(directory: &Path, name: &str) -> Arc<dyn Queue> {
    open(&url(directory, name)).await.unwrap()
}

/// A directory with the queues `orders` and `orders-poison`.
pub(crate) async fn with_poison() -> (tempfile::TempDir, Arc<dyn Queue>, Arc<dyn Queue>) {
    let directory = tempfile::tempdir().unwrap();
    let queue = queue_in(directory.path(), "orders").await;
    let poison = queue_in(directory.path(), "orders-poison").await;
    queue.create().await.unwrap();
    poison.create().await.unwrap();
    (directory, queue, poison)
}

pub(crate) fn database(directory: &Path) -> Connection {
    Connection::open(directory.join("queues.db")).unwrap()
}

/// Records each deletion in a table of its own, in the transaction that deletes.
pub(crate) fn record_deletions(directory: &Path) -> Connection {
    let connection = database(directory);
    let trigger = "
        CREATE TABLE deleted (id TEXT, dequeue_count INTEGER, queue TEXT);
        CREATE TRIGGER record AFTER DELETE ON message BEGIN
            INSERT INTO deleted VALUES (old.id, old.dequeue_count, old.queue);
        END;";
    connection.execute_batch(trigger).unwrap();
    connection
}

pub(crate) fn deleted(connection: &Connection) -> Vec<(String, u32, String)> {
    let mut rows = connection.prepare("SELECT id, dequeue_count, queue FROM deleted").unwrap();
    let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    rows.map(|row| row.unwrap()).collect()
}

/// Runs this very test again in a process of its own, which finds [`CHILD`] set.
pub(crate) fn child(test: &str, directory: &Path) -> std::process::Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(CHILD, directory)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

pub(crate) fn letter<'a>(to: &'a QueueUrl, body: &str) -> DeadLetter<'a> {
    DeadLetter {
        to,
        body: Bytes::copy_from_slice(body.as_bytes()),
        reason: "rejected",
        detail: "no such customer",
    }
}
