//! What is done to the tables: one method per operation, in the words of the protocol.
//!
//! Each method works inside a transaction that somebody else begins and commits, and has two kinds
//! of errors: the outer is SQLite's and undoes the whole transaction, the inner is an answer to one
//! caller that has left nothing behind. Times are milliseconds since 1970-01-01 UTC.

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use jiff::Timestamp;
use rusqlite::{CachedStatement, Connection, OptionalExtension, Params, Row, params};

use crate::file::receipt::FileReceipt;
use longshore_queue::{Message, Outgoing, Properties, QueueError, QueueUrl, Receipt, Received, Specimen};

/// How many messages one transaction removes at most, so that no other operation waits for long
/// behind it.
const REMOVED_AT_ONCE: u32 = 4096;

/// Live ones and expired ones alike, in the order in which they are given out.
const VISIBLE: &str = "
    SELECT seq, id, dequeue_count, inserted_at, expires_at, properties, body FROM message
    WHERE queue = ?1 AND visible_at <= ?2 ORDER BY visible_at, seq LIMIT ?3";

const VISIBLE_AND_ALIVE: &str = "
    SELECT seq, id, dequeue_count, inserted_at, expires_at, properties, body FROM message
    WHERE queue = ?1 AND visible_at <= ?2 AND (expires_at IS NULL OR expires_at > ?2)
    ORDER BY visible_at, seq LIMIT ?3";

const LEASE: &str = "
    UPDATE message SET dequeue_count = min(dequeue_count, 4294967294) + 1, visible_at = ?2, receipt = ?3 WHERE seq = ?1";

const REMOVE: &str = "DELETE FROM message WHERE seq = ?1";

const REMOVE_SOME: &str = "
    DELETE FROM message WHERE seq IN (SELECT seq FROM message WHERE queue = ?1 LIMIT ?2)";

const INSERT: &str = "
    INSERT INTO message (queue, id, dequeue_count, visible_at, inserted_at, expires_at, receipt, properties, body)
    VALUES (?1, ?2, 0, ?3, ?4, ?5, ?6, ?7, ?8)";

const UPDATE: &str = "
    UPDATE message SET visible_at = ?6, receipt = ?7
    WHERE seq = ?1 AND receipt = ?2 AND queue = ?3 AND id = ?4 AND (expires_at IS NULL OR expires_at > ?5)";

const DELETE: &str = "
    DELETE FROM message
    WHERE seq = ?1 AND receipt = ?2 AND queue = ?3 AND id = ?4 AND (expires_at IS NULL OR expires_at > ?5)";

const FIND: &str = "
    SELECT receipt, properties FROM message
    WHERE seq = ?1 AND queue = ?2 AND id = ?3 AND (expires_at IS NULL OR expires_at > ?4)";

/// Expired messages that no receive has come across yet are subtracted, since the service would not
/// count them either.
const COUNT: &str = "
    SELECT (SELECT count(*) FROM message WHERE queue = ?1)
         - (SELECT count(*) FROM message WHERE queue = ?1 AND expires_at IS NOT NULL AND expires_at <= ?2)";

/// Those that a receive would find.
const COUNT_VISIBLE: &str = "
    SELECT count(*) FROM message
    WHERE queue = ?1 AND visible_at <= ?2 AND (expires_at IS NULL OR expires_at > ?2)";

/// An answer to one caller, or an error that undoes the transaction.
pub(super) type Applied<T> = rusqlite::Result<Result<T, QueueError>>;

/// One queue of the database, within a transaction.
pub(super) struct Store<'a> {
    connection: &'a Connection,
    url: &'a QueueUrl,
    /// Taken when the transaction had the database for itself, so that waiting for it shortens no
    /// lease.
    now: i64,
    lease: Prepared<'a>,
    delete: Prepared<'a>,
}

/// A statement that a transaction executes for one message after the other, and looks up among the
/// cached ones once.
struct Prepared<'a> {
    connection: &'a Connection,
    sql: &'static str,
    statement: RefCell<Option<CachedStatement<'a>>>,
}

impl<'a> Prepared<'a> {
    fn new(connection: &'a Connection, sql: &'static str) -> Self {
        Self { connection, sql, statement: RefCell::new(None) }
    }

    /// Returns how many rows it has changed.
    fn execute(&self, params: impl Params) -> rusqlite::Result<usize> {
        let mut kept = self.statement.borrow_mut();
        let statement = match kept.take() {
            Some(statement) => statement,
            None => self.connection.prepare_cached(self.sql)?,
        };
        kept.insert(statement).execute(params)
    }
}

impl<'a> Store<'a> {
    /// Works on the queue of this URL, at this moment.
    pub(super) fn new(connection: &'a Connection, url: &'a QueueUrl) -> Self {
        let [lease, delete] = [LEASE, DELETE].map(|sql| Prepared::new(connection, sql));
        Self { connection, url, now: since_epoch_ms(), lease, delete }
    }

    /// Creates the queue; `false` when it was there.
    pub(super) fn create(&self) -> Applied<bool> {
        let mut insert = self
            .connection
            .prepare_cached("INSERT INTO queue (name, created_at) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?;
        Ok(Ok(insert.execute(params![self.url.name(), self.now])? == 1))
    }

    /// The queues of this database, in alphabetical order.
    pub(super) fn names(&self) -> Applied<Vec<String>> {
        let mut names = self.connection.prepare_cached("SELECT name FROM queue ORDER BY name")?;
        names.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>().map(Ok)
    }

    /// Deletes the queue with its messages; `false` when there were more of them than one
    /// transaction should remove: ask again.
    pub(super) fn delete_queue(&self) -> Applied<bool> {
        if let Err(missing) = self.existing(self.url)? {
            return Ok(Err(missing));
        }
        let mut remove = self.connection.prepare_cached(REMOVE_SOME)?;
        if remove.execute(params![self.url.name(), REMOVED_AT_ONCE])? == REMOVED_AT_ONCE as usize {
            return Ok(Ok(false));
        }
        self.connection.prepare_cached("DELETE FROM queue WHERE name = ?1")?.execute([self.url.name()])?;
        Ok(Ok(true))
    }

    /// Leases up to `max` messages, and removes the expired ones that it comes across.
    ///
    /// `None`: only expired ones were found so far, ask again.
    pub(super) fn receive(&self, max: u32, visibility: Duration) -> Applied<Option<Vec<Received>>> {
        let mut removed: u32 = 0;
        loop {
            let found = self.visible(VISIBLE, max)?;
            if found.is_empty() {
                return Ok(self.existing(self.url)?.map(|()| Some(Vec::new())));
            }
            let (alive, expired): (Vec<_>, Vec<_>) =
                found.into_iter().partition(|found| found.expires_at.is_none_or(|at| at > self.now));
            let mut remove = self.connection.prepare_cached(REMOVE)?;
            for found in &expired {
                remove.execute([found.seq])?;
                removed += 1;
            }
            if !alive.is_empty() {
                let leased = alive.into_iter().map(|found| self.lease(found, visibility));
                return leased.collect::<rusqlite::Result<_>>().map(|leased| Ok(Some(leased)));
            }
            if removed >= REMOVED_AT_ONCE {
                return Ok(Ok(None));
            }
        }
    }

    fn lease(&self, mut found: Found, visibility: Duration) -> rusqlite::Result<Received> {
        let lease = FileReceipt::new(found.seq);
        let visible_at = self.after(visibility);
        self.lease.execute(params![lease.seq, visible_at, lease.nonce])?;
        let damaged = (found.counted < 0)
            .then(|| format!("its dequeue count cannot be read: the database says {}", found.counted));
        // What is no count stays 0, which is none.
        if damaged.is_none() {
            found.message.dequeue_count = found.message.dequeue_count.saturating_add(1);
        }
        Ok(Received { message: found.message, receipt: lease.receipt(), damaged })
    }

    /// Shows up to `max` visible messages.
    pub(super) fn peek(&self, max: u32) -> Applied<Vec<Specimen>> {
        let mut found = Vec::new();
        let seen = self.look_through(max, &mut |specimen| {
            found.push(specimen);
            ControlFlow::Continue(())
        })?;
        Ok(seen.map(|()| found))
    }

    /// Hands up to `max` visible messages to `look`, until that has seen enough.
    pub(super) fn look_through(
        &self,
        max: u32,
        look: &mut (dyn FnMut(Specimen) -> ControlFlow<()> + Send),
    ) -> Applied<()> {
        let mut visible = self.connection.prepare_cached(VISIBLE_AND_ALIVE)?;
        let mut rows = visible.query(params![self.url.name(), self.now, max])?;
        let mut is_empty = true;
        while let Some(row) = rows.next()? {
            is_empty = false;
            let Found { seq, message, .. } = self.read(row)?;
            if look(Specimen { key: seq.to_string(), ..message.into() }).is_break() {
                break;
            }
        }
        if is_empty { self.existing(self.url) } else { Ok(Ok(())) }
    }

    /// Puts a message into the queue, under this id.
    pub(super) fn send(&self, id: &str, message: &Outgoing) -> Applied<()> {
        if let Err(missing) = self.existing(self.url)? {
            return Ok(Err(missing));
        }
        self.insert(self.url, id, message).map(Ok)
    }

    /// Sets the end of a lease anew.
    pub(super) fn update(&self, id: &str, receipt: &Receipt, visibility: Duration) -> Applied<Receipt> {
        let Some(held) = FileReceipt::parse(receipt) else { return self.why_not(id, None) };
        let renewed = FileReceipt::new(held.seq);
        let (queue, visible_at) = (self.url.name(), self.after(visibility));
        let mut update = self.connection.prepare_cached(UPDATE)?;
        match update.execute(params![held.seq, held.nonce, queue, id, self.now, visible_at, renewed.nonce])? {
            0 => self.why_not(id, Some(held)),
            _ => Ok(Ok(renewed.receipt())),
        }
    }

    /// Deletes a leased message.
    pub(super) fn delete(&self, id: &str, receipt: &Receipt) -> Applied<()> {
        let Some(held) = FileReceipt::parse(receipt) else { return self.why_not(id, None) };
        match self.delete.execute(params![held.seq, held.nonce, self.url.name(), id, self.now])? {
            0 => self.why_not(id, Some(held)),
            _ => Ok(Ok(())),
        }
    }

    /// Puts `copy` into a queue of the same database, with the properties of the leased message
    /// before its own, and deletes the message.
    pub(super) fn dead_letter(
        &self,
        id: &str,
        receipt: &Receipt,
        to: &QueueUrl,
        mut copy: Outgoing,
    ) -> Applied<()> {
        let Some(held) = FileReceipt::parse(receipt) else { return self.why_not(id, None) };
        let properties = match self.find(id, held.seq)? {
            Some((nonce, properties)) if nonce == held.nonce => properties,
            _ => return self.why_not(id, Some(held)),
        };
        if let Err(missing) = self.existing(to)? {
            return Ok(Err(missing));
        }
        copy.properties.splice(0..0, properties);
        self.insert(to, id, &copy)?;
        longshore_failpoint::kill_at("between-copy-and-delete");
        self.connection.prepare_cached(REMOVE)?.execute([held.seq])?;
        Ok(Ok(()))
    }

    /// Counts the messages, invisible ones included.
    pub(super) fn count(&self) -> Applied<u64> {
        if let Err(missing) = self.existing(self.url)? {
            return Ok(Err(missing));
        }
        let mut count = self.connection.prepare_cached(COUNT)?;
        let counted: i64 = count.query_row(params![self.url.name(), self.now], |row| row.get(0))?;
        Ok(Ok(counted.unsigned_abs()))
    }

    /// How many messages can be received now.
    pub(super) fn visible_count(&self) -> Applied<u64> {
        if let Err(missing) = self.existing(self.url)? {
            return Ok(Err(missing));
        }
        let mut count = self.connection.prepare_cached(COUNT_VISIBLE)?;
        let counted: i64 = count.query_row(params![self.url.name(), self.now], |row| row.get(0))?;
        Ok(Ok(counted.unsigned_abs()))
    }

    /// Whether the queue is there.
    pub(super) fn exists(&self) -> Applied<()> {
        self.existing(self.url)
    }

    fn visible(&self, sql: &str, max: u32) -> rusqlite::Result<Vec<Found>> {
        let mut visible = self.connection.prepare_cached(sql)?;
        visible.query_map(params![self.url.name(), self.now, max], |row| self.read(row))?.collect()
    }

    /// Reads a row of [`VISIBLE`]: by position, since looking names up takes as long as the rest.
    fn read(&self, row: &Row<'_>) -> rusqlite::Result<Found> {
        let expires_at: Option<i64> = row.get(4)?;
        let counted: i64 = row.get(2)?;
        let left = |at: i64| Duration::from_millis(at.saturating_sub(self.now).max(0).unsigned_abs());
        let json: Option<String> = row.get(5)?;
        let properties = properties(json.as_deref());
        if json.is_some() && properties.is_empty() {
            tracing::warn!(queue = %self.url, seq = row.get::<_, i64>(0)?, "a message's properties in the database are no list of names and values: it has none");
        }
        let message = Message {
            id: row.get(1)?,
            body: Bytes::from(row.get::<_, Vec<u8>>(6)?),
            dequeue_count: u32::try_from(counted.max(0)).unwrap_or(u32::MAX),
            inserted: Timestamp::from_millisecond(row.get(3)?).unwrap_or_default(),
            time_to_live: expires_at.map(left),
            properties,
        };
        Ok(Found { seq: row.get(0)?, expires_at, counted, message })
    }

    fn insert(&self, to: &QueueUrl, id: &str, message: &Outgoing) -> rusqlite::Result<()> {
        let mut insert = self.connection.prepare_cached(INSERT)?;
        insert.execute(params![
            to.name(),
            id,
            self.after(message.delay),
            self.now,
            message.time_to_live.map(|left| self.after(left)),
            // As long as the receipts to come, so that the first lease does not make the row
            // longer.
            rand::random::<i64>(),
            json(&message.properties),
            &message.body[..],
        ])?;
        Ok(())
    }

    /// The receipt and the properties of a message that is there.
    fn find(&self, id: &str, seq: i64) -> rusqlite::Result<Option<(i64, Properties)>> {
        let mut find = self.connection.prepare_cached(FIND)?;
        let read = |row: &Row<'_>| Ok((row.get(0)?, properties(row.get::<_, Option<String>>(1)?.as_deref())));
        find.query_row(params![seq, self.url.name(), id, self.now], read).optional()
    }

    /// Why a message could be neither updated nor deleted.
    fn why_not<T>(&self, id: &str, held: Option<FileReceipt>) -> Applied<T> {
        if let Err(missing) = self.existing(self.url)? {
            return Ok(Err(missing));
        }
        let there = match held {
            Some(held) => self.find(id, held.seq)?.is_some(),
            None => false,
        };
        Ok(Err(if there { QueueError::ReceiptMismatch } else { QueueError::MessageNotFound }))
    }

    fn existing(&self, url: &QueueUrl) -> Applied<()> {
        let mut queue = self.connection.prepare_cached("SELECT 1 FROM queue WHERE name = ?1")?;
        Ok(if queue.exists([url.name()])? { Ok(()) } else { Err(not_found(url)) })
    }

    fn after(&self, delay: Duration) -> i64 {
        self.now.saturating_add(i64::try_from(delay.as_millis()).unwrap_or(i64::MAX))
    }
}

/// A row of the message table.
struct Found {
    seq: i64,
    expires_at: Option<i64>,
    /// The dequeue count as it stands in the row. Somebody may have written it by hand.
    counted: i64,
    message: Message,
}

/// There is no queue of this URL.
pub(super) fn not_found(url: &QueueUrl) -> QueueError {
    QueueError::QueueNotFound { queue: url.to_string() }
}

fn since_epoch_ms() -> i64 {
    // Before 1970 the clock is broken, and any time is as good as another.
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
}

fn json(properties: &Properties) -> Option<String> {
    (!properties.is_empty()).then(|| serde_json::json!(properties).to_string())
}

/// A message whose properties somebody damaged by hand must still be received, counted and
/// poisoned: it has none.
fn properties(json: Option<&str>) -> Properties {
    json.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default()
}
