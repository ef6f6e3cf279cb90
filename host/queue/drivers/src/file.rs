//! The file-backed queue: an Azure Storage Queue in a directory.
//!
//! One SQLite database per directory, with any number of queues in it. Any number of processes of
//! one host may work on it at once, and what was answered survives the death of any of them, and a
//! power cut. The protocol is that of [Storage
//! queues](https://learn.microsoft.com/rest/api/storageservices/operations-on-messages), with three
//! liberties: a sender may choose a message's id (two messages of one id are two messages),
//! durations count in milliseconds instead of seconds, and a message may never expire.

mod compact;
mod connection;
mod database;
#[cfg(target_os = "linux")]
mod mount;
mod patience;
mod receipt;
mod room;
mod schema;
mod store;

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

use self::database::{Database, DatabaseUse};
use self::receipt::FileReceipt;
use longshore_queue::limits::{check_lease, check_life, check_max, check_visibility};
use longshore_queue::place::Place;
use longshore_queue::queue::Compacted;
use longshore_queue::{
    DETAIL_PROPERTY, DeadLetter, Horizon, Message, Onlooker, Outgoing, Queue, QueueError, QueueUrl,
    REASON_PROPERTY, Receipt, Received, Right, Specimen,
};

/// Longer than the unit of time that messages are stamped in.
const STAMP: Duration = Duration::from_millis(2);

/// One queue of a database, with a connection and a thread of its own.
#[derive(Debug)]
pub struct FileQueue {
    url: QueueUrl,
    directory: PathBuf,
    database: Database,
}

impl FileQueue {
    /// A handle to the queue of this URL in this directory.
    ///
    /// The database is opened with the first operation, so that [`Queue::create`] can make it; what
    /// is wrong with it is that operation's error: [`QueueError::QueueNotFound`] where there is no
    /// such queue, and [`QueueError::Fault`] where the directory is missing, cannot be written or
    /// lies on a network file system, or the file is not our database. No operation but `create`
    /// makes anything.
    ///
    /// # Errors
    /// [`QueueError::Fault`] if no thread can be started.
    pub fn open(url: QueueUrl, directory: &Path) -> Result<Self, QueueError> {
        let database = Database::start(url.clone(), directory.to_owned())?;
        Ok(Self { url, directory: directory.to_owned(), database })
    }

    fn check_size(&self, body: &[u8]) -> Result<(), QueueError> {
        if self.fits(body) {
            return Ok(());
        }
        let queue = self.url.to_string();
        Err(QueueError::TooLarge { queue, size: Some(body.len()), limit: self.max_body() })
    }
}

#[async_trait]
impl Queue for FileQueue {
    fn url(&self) -> &QueueUrl {
        &self.url
    }

    async fn prepare(&self) -> Result<(), QueueError> {
        // Any operation opens the database.
        self.database.run(DatabaseUse::Read, |_| Ok(Ok(()))).await
    }

    async fn create(&self) -> Result<bool, QueueError> {
        self.database.run(DatabaseUse::Create, |store| store.create()).await
    }

    async fn list(&self) -> Result<Vec<String>, QueueError> {
        self.database.run(DatabaseUse::Read, |store| store.names()).await
    }

    async fn delete_queue(&self) -> Result<(), QueueError> {
        while !self.database.run(DatabaseUse::Settle, |store| store.delete_queue()).await? {}
        Ok(())
    }

    /// A process that may open the database may do everything with it.
    async fn may(&self, _: Right) -> Result<(), QueueError> {
        self.database.run(DatabaseUse::Read, |store| store.exists()).await
    }

    async fn receive(&self, max: u32, visibility: Duration) -> Result<Vec<Received>, QueueError> {
        check_max(max)?;
        check_lease(visibility)?;
        loop {
            let received =
                self.database.run(DatabaseUse::Receive, move |store| store.receive(max, visibility));
            if let Some(received) = received.await? {
                return Ok(received);
            }
        }
    }

    async fn send(&self, mut message: Outgoing) -> Result<String, QueueError> {
        self.check_size(&message.body)?;
        check_visibility(message.delay)?;
        check_life(message.time_to_live, message.delay)?;
        let id = message.id.take().unwrap_or_else(|| Uuid::now_v7().to_string());
        let send = move |store: &store::Store<'_>| Ok(store.send(&id, &message)?.map(|()| id));
        self.database.run(DatabaseUse::Write, send).await
    }

    async fn update(&self, id: &str, receipt: &Receipt, visibility: Duration) -> Result<Receipt, QueueError> {
        check_visibility(visibility)?;
        let (id, receipt) = (id.to_owned(), receipt.clone());
        self.database.run(DatabaseUse::Settle, move |store| store.update(&id, &receipt, visibility)).await
    }

    async fn delete(&self, id: &str, receipt: &Receipt) -> Result<(), QueueError> {
        let (id, receipt) = (id.to_owned(), receipt.clone());
        self.database.run(DatabaseUse::Settle, move |store| store.delete(&id, &receipt)).await
    }

    async fn peek(&self, max: u32) -> Result<Vec<Message>, QueueError> {
        Ok(self.examine(max).await?.into_iter().map(|it| it.message).collect())
    }

    async fn examine(&self, max: u32) -> Result<Vec<Specimen>, QueueError> {
        self.database.run(DatabaseUse::Read, move |store| store.peek(max)).await
    }

    async fn look_through(&self, max: u32, mut look: Onlooker) -> Result<(), QueueError> {
        self.database.run(DatabaseUse::Read, move |store| store.look_through(max, &mut *look)).await
    }

    async fn horizon(&self) -> Result<Horizon, QueueError> {
        let now = Timestamp::from_millisecond(Timestamp::now().as_millisecond()).unwrap_or_default();
        self.database.run(DatabaseUse::Read, |store| store.exists()).await?;
        // Messages are stamped in whole milliseconds.
        tokio::time::sleep(STAMP).await;
        Ok(Horizon::Until(now))
    }

    fn key(&self, received: &Received) -> String {
        FileReceipt::parse(&received.receipt).map(|it| it.seq.to_string()).unwrap_or_default()
    }

    async fn approximate_count(&self) -> Result<u64, QueueError> {
        self.database.run(DatabaseUse::Read, |store| store.count()).await
    }

    async fn visible_count(&self) -> Result<Option<u64>, QueueError> {
        self.database.run(DatabaseUse::Read, |store| store.visible_count()).await.map(Some)
    }

    async fn compact(&self) -> Result<Compacted, QueueError> {
        let (url, directory) = (self.url.clone(), self.directory.clone());
        let compacting = tokio::task::spawn_blocking(move || compact::compact(&url, &directory));
        compacting.await.map_err(|error| QueueError::unclear(&self.url, error))?
    }

    fn moves_to(&self, poison: &QueueUrl) -> bool {
        let Place::File { directory } = poison.place() else { return false };
        same_directory(directory, &self.directory)
    }

    /// The copy keeps the message's id and properties, gets [`REASON_PROPERTY`] and
    /// [`DETAIL_PROPERTY`] beside them, and never expires.
    async fn dead_letter(
        &self,
        id: &str,
        receipt: &Receipt,
        letter: DeadLetter<'_>,
    ) -> Result<(), QueueError> {
        self.check_size(&letter.body)?;
        if !self.moves_to(letter.to) {
            return Err(QueueError::Fault {
                cause: format!("{} and {} do not lie in one database", self.url, letter.to),
                mend: "send a copy, then delete".into(),
            });
        }
        let (id, receipt, to) = (id.to_owned(), receipt.clone(), letter.to.clone());
        let properties = vec![
            (REASON_PROPERTY.to_owned(), letter.reason.to_owned()),
            (DETAIL_PROPERTY.to_owned(), letter.detail.to_owned()),
        ];
        let copy = Outgoing { body: letter.body, properties, ..Outgoing::default() };
        self.database.run(DatabaseUse::Write, move |store| store.dead_letter(&id, &receipt, &to, copy)).await
    }
}

fn same_directory(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => one == other,
    }
}
