//! Several processes on one database, and what those that die leave behind.

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::Duration;

use longshore_queue::Queue;
use longshore_testkit::queue_suite::{MINUTE, fill};

use crate::harness::{CHILD, child, database, deleted, queue_in, record_deletions, with_poison};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_at_once_never_hold_the_same_message() {
    async fn drain(queue: &dyn Queue) -> Vec<String> {
        let mut held = Vec::new();
        loop {
            let received = queue.receive(3, MINUTE).await.unwrap();
            if received.is_empty() {
                return held;
            }
            held.extend(received.into_iter().map(|held| held.message.id));
        }
    }
    if let Some(directory) = std::env::var_os(CHILD) {
        for id in drain(&*queue_in(Path::new(&directory), "orders").await).await {
            println!("\nheld {id}");
        }
        return;
    }
    let (directory, queue, _poison) = with_poison().await;
    let sent = fill(&*queue, 1500).await;
    let children = [0, 1]
        .map(|_| child("processes::two_processes_at_once_never_hold_the_same_message", directory.path()));
    let another = queue_in(directory.path(), "orders").await;
    let (here, there) = tokio::join!(drain(&*queue), drain(&*another));
    let mut held = here;
    held.extend(there);
    for child in children {
        let output = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
        held.extend(output.lines().filter_map(|line| line.strip_prefix("held ")).map(str::to_owned));
    }
    assert_eq!(held.len(), sent.len(), "each message once");
    assert_eq!(held.into_iter().collect::<HashSet<_>>(), sent);
}

#[tokio::test]
async fn a_killed_process_loses_nothing() {
    let lease = Duration::from_secs(1);
    if let Some(directory) = std::env::var_os(CHILD) {
        let queue = queue_in(Path::new(&directory), "orders").await;
        loop {
            let held = queue.receive(8, lease).await.unwrap();
            for held in &held {
                queue.delete(&held.message.id, &held.receipt).await.unwrap();
                println!("\ndeleted {}", held.message.id);
            }
        }
    }
    let (directory, queue, _poison) = with_poison().await;
    let sent = fill(&*queue, 5000).await;
    let recorded = record_deletions(directory.path());
    let mut child = child("processes::a_killed_process_loses_nothing", directory.path());
    let mut answered = HashSet::new();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for line in lines {
        answered.extend(line.unwrap().strip_prefix("deleted ").map(str::to_owned));
        if answered.len() == 100 {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    tokio::time::sleep(lease).await;
    let mut left = HashSet::new();
    loop {
        let held = queue.receive(32, MINUTE).await.unwrap();
        if held.is_empty() {
            break;
        }
        left.extend(held.into_iter().map(|held| held.message.id));
    }
    let deleted: HashSet<String> = deleted(&recorded).into_iter().map(|(id, ..)| id).collect();
    assert!(answered.len() >= 100 && !left.is_empty(), "killed in the middle of its work");
    assert!(answered.is_subset(&deleted), "what was answered is done");
    assert!(left.is_disjoint(&deleted));
    assert_eq!(&left | &deleted, sent, "what is not deleted comes back");
}

/// Kills the process in the middle of a transaction, at a failpoint.
#[cfg(feature = "failpoints")]
mod killed_inside_a_transaction {
    use std::path::Path;
    use std::time::Duration;

    use futures_util::future::join_all;

    use crate::harness::{CHILD, child, deleted, letter, queue_in, record_deletions, url, with_poison};
    use longshore_testkit::queue_suite::{MINUTE, fill, text};
    use std::collections::HashSet;

    /// The child does `work` with everything that it leased, and dies of it.
    fn dies(test: &str, directory: &Path) {
        let test = format!("processes::killed_inside_a_transaction::{test}");
        let status = child(&test, directory).wait().unwrap();
        assert_eq!(
            std::os::unix::process::ExitStatusExt::signal(&status),
            Some(9),
            "killed at the failpoint"
        );
    }

    #[tokio::test]
    async fn between_copy_and_delete_leaves_the_message_where_it_was() {
        if let Some(directory) = std::env::var_os(CHILD) {
            let queue = queue_in(Path::new(&directory), "orders").await;
            let held = queue.receive(1, Duration::from_secs(1)).await.unwrap().remove(0);
            fail::cfg("between-copy-and-delete", "return").unwrap();
            let to = url(Path::new(&directory), "orders-poison");
            let _ = queue.dead_letter(&held.message.id, &held.receipt, letter(&to, "a")).await;
            return;
        }
        let (directory, queue, poison) = with_poison().await;
        let id = queue.send(text("a")).await.unwrap();
        dies("between_copy_and_delete_leaves_the_message_where_it_was", directory.path());
        assert_eq!(poison.approximate_count().await, Ok(0), "no copy");
        tokio::time::sleep(Duration::from_secs(1)).await;
        let held = queue.receive(32, MINUTE).await.unwrap();
        assert_eq!((held.len(), &held[0].message.id), (1, &id));
        assert_eq!(held[0].message.dequeue_count, 2);
    }

    #[tokio::test]
    async fn a_batch_that_is_half_applied_is_undone() {
        if let Some(directory) = std::env::var_os(CHILD) {
            let queue = queue_in(Path::new(&directory), "orders").await;
            let held = queue.receive(32, Duration::from_secs(1)).await.unwrap();
            fail::cfg("settle-batch", "return").unwrap();
            join_all(held.iter().map(|held| queue.delete(&held.message.id, &held.receipt))).await;
            return;
        }
        let (directory, queue, _poison) = with_poison().await;
        let sent = fill(&*queue, 20).await;
        let recorded = record_deletions(directory.path());
        dies("a_batch_that_is_half_applied_is_undone", directory.path());
        assert_eq!(deleted(&recorded), []);
        tokio::time::sleep(Duration::from_secs(1)).await;
        let held = queue.receive(32, MINUTE).await.unwrap();
        assert_eq!(held.into_iter().map(|held| held.message.id).collect::<HashSet<_>>(), sent);
    }
}

/// Somebody else's lock, for as long as this lasts.
const HELD: Duration = Duration::from_millis(300);

#[tokio::test]
async fn a_lock_that_another_process_holds_is_awaited() {
    let (directory, queue, poison) = with_poison().await;
    let other = database(directory.path());
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (sent, ()) = tokio::join!(fill(&*queue, 1), async {
        tokio::time::sleep(HELD).await;
        other.execute_batch("COMMIT").unwrap();
    });
    assert_eq!(sent.len(), 1);
    drop((queue, poison));

    // The same for who opens the database, and has to switch it to a write-ahead log first.
    let mode = other.query_row("PRAGMA journal_mode = DELETE", [], |row| row.get::<_, String>(0));
    assert_eq!(mode.unwrap(), "delete");
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let queue = queue_in(directory.path(), "orders").await;
    let (count, ()) = tokio::join!(queue.approximate_count(), async {
        tokio::time::sleep(HELD).await;
        other.execute_batch("COMMIT").unwrap();
    });
    assert_eq!(count, Ok(1));
}
