//! The thread that owns the connection, and does what waits for it in one transaction.
//!
//! A commit costs one flush of the disk, whatever it holds. While one is flushed, others queue up behind it and
//! share the next: sixteen deletes and a receive cost one flush.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::connection::{commit_fault, connect, fault};
use super::store::{Applied, Store, not_found};
use longshore_queue::{QueueError, QueueUrl};

/// How many operations share a transaction at most: what one caller waits for, and what one crash undoes.
const BATCH: usize = 256;

/// How long a caller waits at most. Longer than any lock is waited for, hence only a stuck disk gets there.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// How an operation uses the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// It changes nothing, and is done beside the transactions of others.
    Read,
    /// It shares a transaction.
    Write,
    /// The same, and it is done and answered after all others: whoever receives ought to know first what has ended.
    Receive,
    /// The same, and the database is made if there is none.
    Create,
}

/// The handle to the thread. Dropping it lets the thread do what waits, close the database, and end.
#[derive(Debug)]
pub(super) struct Database {
    jobs: Option<Sender<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
}

impl Database {
    /// Starts the thread for one queue. The database is opened with the first operation.
    pub(super) fn start(url: QueueUrl, directory: PathBuf) -> Result<Self, QueueError> {
        let (jobs, waiting) = channel();
        let worker = Worker { url, directory, connection: None };
        let thread =
            std::thread::Builder::new().name("file-queue".into()).spawn(move || worker.run(&waiting));
        let thread = thread.map_err(|error| QueueError::Fault {
            cause: format!("the thread of a queue's database could not be started: {error}"),
            mend: "allow this process more threads".into(),
        })?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Has one operation done, and waits until it is committed.
    pub(super) async fn run<T, F>(&self, access: Access, work: F) -> Result<T, QueueError>
    where
        T: Send + 'static,
        F: FnOnce(&Store<'_>) -> Applied<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Waiting { access, work: Some(work), result: None, reply };
        let gone = || QueueError::Unclear { cause: "the thread of the queue's database has ended".into() };
        let jobs = self.jobs.as_ref().ok_or_else(gone)?;
        jobs.send(Box::new(job)).map_err(|_| gone())?;
        match tokio::time::timeout(ANSWER_LIMIT, answer).await {
            Ok(answer) => answer.map_err(|_| gone())?,
            Err(_) => Err(QueueError::Unclear {
                cause: format!("the queue's database took longer than {} s", ANSWER_LIMIT.as_secs()),
            }),
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        drop(self.jobs.take());
        // Without waiting, a process that ends here could leave the log behind for the next to recover.
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// An operation that waits, whatever the type of its answer.
trait Job: Send {
    fn access(&self) -> Access;
    /// Whether nobody waits for the answer any more.
    fn is_forsaken(&self) -> bool;
    /// Does the work, and keeps the answer until it is known what became of the transaction.
    fn apply(&mut self, store: &Store<'_>) -> rusqlite::Result<()>;
    /// Answers the caller.
    fn answer(self: Box<Self>, outcome: Result<(), QueueError>);
}

struct Waiting<T, F> {
    access: Access,
    work: Option<F>,
    result: Option<Result<T, QueueError>>,
    reply: oneshot::Sender<Result<T, QueueError>>,
}

impl<T: Send, F: FnOnce(&Store<'_>) -> Applied<T> + Send> Job for Waiting<T, F> {
    fn access(&self) -> Access {
        self.access
    }

    fn is_forsaken(&self) -> bool {
        self.reply.is_closed()
    }

    fn apply(&mut self, store: &Store<'_>) -> rusqlite::Result<()> {
        if let Some(work) = self.work.take() {
            self.result = Some(work(store)?);
        }
        Ok(())
    }

    fn answer(self: Box<Self>, outcome: Result<(), QueueError>) {
        let answer = match (outcome, self.result) {
            (Ok(()), Some(result)) => result,
            (Err(error), _) => Err(error),
            (Ok(()), None) => Err(QueueError::Unclear { cause: "the operation was not done".into() }),
        };
        // Nobody may be waiting any more.
        let _ = self.reply.send(answer);
    }
}

/// What the thread works with.
struct Worker {
    url: QueueUrl,
    directory: PathBuf,
    /// Opened when it is first needed, and again after an error that leaves its state in doubt.
    connection: Option<Connection>,
}

impl Worker {
    /// Ends when the handle is dropped and nothing waits any more.
    fn run(mut self, waiting: &Receiver<Box<dyn Job>>) {
        while let Ok(first) = waiting.recv() {
            // A receive whose caller is gone would lease messages that nobody handles.
            let due = || std::iter::from_fn(|| waiting.try_recv().ok()).filter(|job| !job.is_forsaken());
            let first = std::iter::once(first).filter(|job| !job.is_forsaken());
            let (readers, mut writers): (Vec<_>, Vec<_>) =
                first.chain(due()).take(BATCH).partition(|job| job.access() == Access::Read);
            writers.sort_by_key(|job| job.access() == Access::Receive);
            let create = writers.iter().any(|job| job.access() == Access::Create);
            if let Err(error) = self.open(create) {
                for job in writers.into_iter().chain(readers) {
                    job.answer(Err(error.clone()));
                }
                continue;
            }
            self.write(writers);
            self.read(readers);
        }
    }

    fn open(&mut self, create: bool) -> Result<(), QueueError> {
        if self.connection.is_none() {
            let connection = connect(&self.directory, create)?.ok_or_else(|| not_found(&self.url))?;
            connection.set_prepared_statement_cache_capacity(32);
            self.connection = Some(connection);
        }
        Ok(())
    }

    fn write(&mut self, mut jobs: Vec<Box<dyn Job>>) {
        let Some(connection) = self.connection.as_ref().filter(|_| !jobs.is_empty()) else { return };
        let path = self.directory.join(super::connection::FILE);
        let applied = execute(connection, "BEGIN IMMEDIATE")
            .and_then(|()| apply(connection, &self.url, &mut jobs))
            .map_err(|error| fault(&path, &error))
            .and_then(|()| execute(connection, "COMMIT").map_err(|error| commit_fault(&path, &error)));
        if applied.is_err() && !connection.is_autocommit() {
            // If that fails as well, closing the connection undoes the transaction.
            let _ = execute(connection, "ROLLBACK");
        }
        if matches!(applied, Err(QueueError::Unclear { .. } | QueueError::Fault { .. })) {
            self.connection = None;
        }
        for job in jobs {
            job.answer(applied.clone());
        }
    }

    fn read(&mut self, jobs: Vec<Box<dyn Job>>) {
        for mut job in jobs {
            let answer = match &self.connection {
                Some(connection) => job
                    .apply(&Store::new(connection, &self.url))
                    .map_err(|error| fault(&self.directory.join(super::connection::FILE), &error)),
                None => Err(QueueError::Busy {
                    cause: "the queue's database is being opened again".into(),
                    retry_after: None,
                }),
            };
            job.answer(answer);
        }
    }
}

fn apply(connection: &Connection, url: &QueueUrl, jobs: &mut [Box<dyn Job>]) -> rusqlite::Result<()> {
    let store = Store::new(connection, url);
    for job in jobs {
        job.apply(&store)?;
        longshore_failpoint::kill_at("settle-batch");
    }
    Ok(())
}

fn execute(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(drop)
}
