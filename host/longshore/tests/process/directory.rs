//! A directory with the queue `orders`, seen from outside: through SQLite, and through the
//! library's sending side.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures_util::future::try_join_all;
use longshore_queue::{Outgoing, Queue};
use longshore_queue_drivers::open;
use rusqlite::Connection;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::process::{Program, cache, longshore};
use longshore_testkit::guest;

/// The queue that all tests work on.
pub(crate) const ORDERS: &str = "orders";
/// Its poison queue.
pub(crate) const POISON: &str = "orders-poison";

/// Settings that keep tests short, for a worker that drains.
const SHORT: &[&str] = &[
    "--visibility=2s",
    "--deadline=1s",
    "--retry-base=20ms",
    "--retry-cap=200ms",
    "--breaker=0",
    "--linger=3s",
];

/// A message as it lies in the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) dequeue_count: u32,
    /// Milliseconds since 1970.
    pub(crate) visible_at: i64,
    pub(crate) body: Vec<u8>,
}

/// A directory with a database, in which there is a queue `orders`.
#[derive(Debug)]
pub(crate) struct Directory {
    root: TempDir,
    runtime: Runtime,
    orders: Arc<dyn Queue>,
}

impl Directory {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let orders = runtime.block_on(open(&url(root.path(), ORDERS).parse().unwrap())).unwrap();
        runtime.block_on(orders.create()).unwrap();
        Self { root, runtime, orders }
    }

    /// A path in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// The URL of one of its queues.
    pub(crate) fn url(&self, queue: &str) -> String {
        url(self.root.path(), queue)
    }

    /// Puts messages into the queue, and returns their ids.
    pub(crate) fn send<B: AsRef<[u8]>>(&self, bodies: impl IntoIterator<Item = B>) -> Vec<String> {
        let sending = bodies.into_iter().map(|body| {
            let body = Bytes::copy_from_slice(body.as_ref());
            self.orders.send(Outgoing { body, ..Outgoing::default() })
        });
        self.runtime.block_on(try_join_all(sending)).unwrap()
    }

    /// Makes another queue beside it.
    pub(crate) fn create(&self, queue: &str) {
        let queue = self.runtime.block_on(open(&self.url(queue).parse().unwrap())).unwrap();
        self.runtime.block_on(queue.create()).unwrap();
    }

    /// Puts one message into another queue beside it.
    pub(crate) fn send_to(&self, queue: &str, body: &str) {
        let queue = self.runtime.block_on(open(&self.url(queue).parse().unwrap())).unwrap();
        let body = Bytes::copy_from_slice(body.as_bytes());
        self.runtime.block_on(queue.send(Outgoing { body, ..Outgoing::default() })).unwrap();
    }

    /// `longshore run` on the queue with the order component and short settings, and what else is
    /// asked.
    pub(crate) fn worker(&self, flags: &[&str]) -> Program {
        self.worker_with(&guest::order(), flags)
    }

    /// The same with another component.
    pub(crate) fn worker_with(&self, component: &Path, flags: &[&str]) -> Program {
        let mut program = longshore(["run", "--output=json", "--queue", &self.url(ORDERS), "--component"]);
        program.arg(component).arg("--cache-dir").arg(cache());
        let given = |name: &str| flags.iter().any(|flag| flag.split('=').next() == Some(name));
        let forever = flags.contains(&"--forever");
        let short = SHORT.iter().filter(|flag| {
            let name = flag.split('=').next().unwrap();
            !(given(name) || forever && name == "--linger")
        });
        program.args(short).args(flags);
        program
    }

    /// A connection of our own to the database.
    pub(crate) fn database(&self) -> Connection {
        database(self.root.path())
    }

    /// The messages of one of its queues, in the order of sending.
    pub(crate) fn rows(&self, queue: &str) -> Vec<Row> {
        rows(&self.database(), queue)
    }
}

fn url(directory: &Path, queue: &str) -> String {
    format!("file:{}/{queue}", directory.display())
}

/// A connection of our own to the database of a directory.
pub(crate) fn database(directory: &Path) -> Connection {
    let connection = Connection::open(directory.join("queues.db")).unwrap();
    connection.busy_timeout(Duration::from_secs(20)).unwrap();
    connection
}

/// The messages of a queue, in the order of sending.
pub(crate) fn rows(connection: &Connection, queue: &str) -> Vec<Row> {
    let sql = "SELECT id, dequeue_count, visible_at, body FROM message WHERE queue = ? ORDER BY seq";
    let mut select = connection.prepare_cached(sql).unwrap();
    let read = |row: &rusqlite::Row<'_>| {
        Ok(Row { id: row.get(0)?, dequeue_count: row.get(1)?, visible_at: row.get(2)?, body: row.get(3)? })
    };
    select.query_map([queue], read).unwrap().map(Result::unwrap).collect()
}

/// The wall clock, as the database has it: milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}
