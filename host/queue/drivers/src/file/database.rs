//! The thread that owns the connection, and does what waits for it in one transaction.
//!
//! A commit costs one flush of the disk, whatever it holds. While one is flushed, others queue up
//! behind it and share the next: sixteen deletes and a receive cost one flush.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::file::connection::{FILE, commit_fault, connect, fault};
use crate::file::patience::Patience;
use crate::file::room;
use crate::file::store::{Applied, Store, not_found};
use longshore_queue::{QueueError, QueueUrl};

/// How many operations share a transaction at most: what one caller waits for, and what one crash
/// undoes.
const BATCH: usize = 256;

/// How long a caller waits at most. Longer than any lock is waited for, hence only a stuck disk
/// gets there.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);
/// How long the end of the thread is awaited.
const END_LIMIT: Duration = Duration::from_secs(2);

/// How an operation uses the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DatabaseUse {
    /// It changes nothing, and is done beside the transactions of others.
    Read,
    /// It shares a transaction.
    Write,
    /// The same, and it takes no room on the disk.
    Settle,
    /// The same, and it is done and answered after all others: a receiver should know first what
    /// has ended.
    Receive,
    /// The same, and the database is made if there is none.
    Create,
}

/// The handle to the thread. Dropping it lets the thread do what waits, close the database, and
/// end.
#[derive(Debug)]
pub(super) struct Database {
    /// For errors.
    url: QueueUrl,
    jobs: Option<Sender<Box<dyn Operation>>>,
    patience: Patience,
    /// Says nothing, and is closed when the thread ends.
    over: Mutex<Receiver<Infallible>>,
}

impl Database {
    /// Starts the thread for one queue. The database is opened with the first operation.
    pub(super) fn start(url: QueueUrl, directory: PathBuf) -> Result<Self, QueueError> {
        let (jobs, waiting) = channel();
        let (alive, over) = channel();
        let patience = Patience::default();
        let writer = WriterThread {
            url: url.clone(),
            directory,
            patience: patience.clone(),
            connection: None,
            lent_reserve: false,
        };
        let thread = std::thread::Builder::new().name("file-queue".into()).spawn(move || {
            let _alive = alive;
            writer.run(&waiting);
        });
        thread.map_err(|error| QueueError::Fault {
            cause: format!("the thread of the database of {url} could not be started: {error}"),
            mend: "allow this process more threads".into(),
        })?;
        Ok(Self { url, jobs: Some(jobs), patience, over: Mutex::new(over) })
    }

    /// Has one operation done, and waits until it is committed.
    pub(super) async fn run<T, F>(&self, usage: DatabaseUse, work: F) -> Result<T, QueueError>
    where
        T: Send + 'static,
        F: FnOnce(&Store<'_>) -> Applied<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Waiting { url: self.url.clone(), usage, work: Some(work), result: None, reply };
        let gone = || QueueError::unclear(&self.url, "the thread of its database has ended");
        let jobs = self.jobs.as_ref().ok_or_else(gone)?;
        jobs.send(Box::new(job)).map_err(|_| gone())?;
        match tokio::time::timeout(ANSWER_LIMIT, answer).await {
            Ok(answer) => answer.map_err(|_| gone())?,
            Err(_) => {
                let cause = format!("its database took longer than {} s", ANSWER_LIMIT.as_secs());
                Err(QueueError::unclear(&self.url, cause))
            }
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        drop(self.jobs.take());
        // Nobody is left who waits for an answer. A database that somebody else holds is not waited
        // for: a stop is heard at once (rule 9).
        self.patience.give_up();
        // Without waiting, a process that ends here could leave the log behind for the next to
        // recover.
        let over = self.over.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _ = over.recv_timeout(END_LIMIT);
    }
}

/// An operation that waits, whatever the type of its answer.
trait Operation: Send {
    fn usage(&self) -> DatabaseUse;
    /// Whether the caller has stopped waiting for the answer.
    fn is_forsaken(&self) -> bool;
    /// Does the work, and keeps the answer until it is known what became of the transaction.
    fn apply(&mut self, store: &Store<'_>) -> rusqlite::Result<()>;
    /// Answers the caller with what became of the transaction: where it was committed, with the
    /// result of the work.
    fn answer(self: Box<Self>, outcome: Result<(), QueueError>);
}

struct Waiting<T, F> {
    url: QueueUrl,
    usage: DatabaseUse,
    work: Option<F>,
    result: Option<Result<T, QueueError>>,
    reply: oneshot::Sender<Result<T, QueueError>>,
}

impl<T: Send, F: FnOnce(&Store<'_>) -> Applied<T> + Send> Operation for Waiting<T, F> {
    fn usage(&self) -> DatabaseUse {
        self.usage
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
            (Ok(()), None) => Err(QueueError::unclear(&self.url, "the operation was not done")),
        };
        // The caller may have stopped waiting.
        let _ = self.reply.send(answer);
    }
}

/// What the thread works with.
struct WriterThread {
    url: QueueUrl,
    directory: PathBuf,
    patience: Patience,
    /// Opened when it is first needed, and again after an error that leaves its state in doubt.
    connection: Option<Connection>,
    /// Whether the reserve on the disk was given up for this connection, or for another beside it.
    lent_reserve: bool,
}

impl WriterThread {
    /// Ends when the handle is dropped and nothing waits any more.
    fn run(mut self, waiting: &Receiver<Box<dyn Operation>>) {
        while let Ok(first) = waiting.recv() {
            // A receive whose caller is gone would lease messages that no handler gets.
            let due = || std::iter::from_fn(|| waiting.try_recv().ok()).filter(|job| !job.is_forsaken());
            let first = std::iter::once(first).filter(|job| !job.is_forsaken());
            let (readers, mut writers): (Vec<_>, Vec<_>) =
                first.chain(due()).take(BATCH).partition(|job| job.usage() == DatabaseUse::Read);
            writers.sort_by_key(|job| job.usage() == DatabaseUse::Receive);
            let create = writers.iter().any(|job| job.usage() == DatabaseUse::Create);
            let takes_room = create || writers.iter().any(|job| job.usage() == DatabaseUse::Write);
            if let Err(error) = self.open(create, takes_room) {
                for job in writers.into_iter().chain(readers) {
                    job.answer(Err(error.clone()));
                }
                continue;
            }
            self.write(writers);
            self.read(readers);
        }
        // Closing writes the log back, which needs no more room, and removes it.
        self.connection = None;
        if self.lent_reserve {
            room::take_reserve_back(&self.directory);
        }
    }

    /// Opens the database. What takes no room may have the reserve.
    fn open(&mut self, create: bool, takes_room: bool) -> Result<(), QueueError> {
        if self.connection.is_none() {
            if !takes_room {
                room::give_up_reserve(&self.directory);
            }
            let connection = connect(&self.url, &self.directory, create, &self.patience)?
                .ok_or_else(|| not_found(&self.url))?;
            connection.set_prepared_statement_cache_capacity(32);
            self.connection = Some(connection);
            self.lent_reserve = !room::keep_reserve(&self.directory) && !takes_room;
        }
        Ok(())
    }

    fn write(&mut self, mut jobs: Vec<Box<dyn Operation>>) {
        let Some(connection) = self.connection.as_ref().filter(|_| !jobs.is_empty()) else { return };
        let path = self.directory.join(FILE);
        let applied = execute(connection, "BEGIN IMMEDIATE")
            .and_then(|()| apply(connection, &self.url, &mut jobs))
            .map_err(|error| fault(&self.url, &path, &error))
            .and_then(|()| {
                execute(connection, "COMMIT").map_err(|error| commit_fault(&self.url, &path, &error))
            });
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

    fn read(&mut self, jobs: Vec<Box<dyn Operation>>) {
        for mut job in jobs {
            let answer = match &self.connection {
                Some(connection) => job
                    .apply(&Store::new(connection, &self.url))
                    .map_err(|error| fault(&self.url, &self.directory.join(FILE), &error)),
                None => Err(QueueError::busy(&self.url, "its database is being opened again")),
            };
            job.answer(answer);
        }
    }
}

fn apply(connection: &Connection, url: &QueueUrl, jobs: &mut [Box<dyn Operation>]) -> rusqlite::Result<()> {
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
