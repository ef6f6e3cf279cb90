//! What became of the executions, in a SQLite database beside the queue.
//!
//! A lock file says that somebody writes to it. The kernel releases the lock when that process
//! ends, however it ends, and the next one marks as lost what has no end.

mod attempts;
mod depths;
mod numbers;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, params};

pub use self::attempts::PastMessage;
pub use self::depths::Depth;
use crate::execution::{ExecutionRecord, ExecutionState};

/// How many executions are kept.
pub const PAST_EXECUTIONS: u32 = 500;
/// How long a write waits for somebody who reads.
const BUSY_LIMIT: Duration = Duration::from_secs(5);
/// Written to `application_id`: no other program's database is taken for ours ("LDEV").
const APPLICATION: i32 = 0x4c44_4556;
/// The version of the table. A file of another one is replaced: it is a history, and no message.
const VERSION: i32 = 2;
/// Times are milliseconds since 1970-01-01 UTC.
const TABLE: &str = "
    DROP TABLE IF EXISTS execution;
    CREATE TABLE execution (
        name       TEXT    NOT NULL PRIMARY KEY,
        state      TEXT    NOT NULL,
        created_at INTEGER NOT NULL,
        started_at INTEGER,
        ended_at   INTEGER,
        exit_code  INTEGER,
        signal     INTEGER,
        restarts   INTEGER NOT NULL,
        cause      TEXT,
        summary    TEXT,             -- JSON
        failures   TEXT    NOT NULL, -- JSON, by cause
        log        TEXT    NOT NULL
    ) STRICT;
    CREATE INDEX execution_created ON execution (created_at);
    DROP TABLE IF EXISTS message;
    CREATE TABLE message (
        id        TEXT    NOT NULL PRIMARY KEY,
        outcome   TEXT    NOT NULL, -- of its last attempt
        attempts  INTEGER NOT NULL,
        last_at   INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX message_outcome ON message (outcome, last_at);
    CREATE INDEX message_last ON message (last_at);
    DROP TABLE IF EXISTS attempt;
    CREATE TABLE attempt (
        number        INTEGER NOT NULL PRIMARY KEY,
        message       TEXT    NOT NULL,
        execution     TEXT    NOT NULL,
        at            INTEGER NOT NULL,
        dequeue_count INTEGER NOT NULL,
        outcome       TEXT    NOT NULL,
        reason        TEXT    NOT NULL,
        detail        TEXT    NOT NULL,
        took          INTEGER NOT NULL, -- milliseconds
        trace         TEXT
    ) STRICT;
    CREATE INDEX attempt_message ON attempt (message);
    DROP TABLE IF EXISTS depth;
    CREATE TABLE depth (
        at       INTEGER NOT NULL PRIMARY KEY,
        messages INTEGER NOT NULL,
        visible  INTEGER,
        poison   INTEGER
    ) STRICT;
";

/// What is read of an execution.
const COLUMNS: &str =
    "name, state, created_at, started_at, ended_at, exit_code, signal, restarts, cause, summary, failures";

/// What the executions did together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Executed {
    /// How many are in each state.
    pub states: Vec<(ExecutionState, u64)>,
    /// How long their containers ran, in milliseconds.
    pub ran_ms: i64,
}

impl Executed {
    /// How many are in this state.
    #[must_use]
    pub fn count(&self, state: ExecutionState) -> u64 {
        self.states.iter().filter(|(it, _)| *it == state).map(|(_, count)| count).sum()
    }
}

/// Why the history cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// Another process does.
    #[error("another `longshore dev` works on this queue, and holds {0}; stop that one first")]
    Held(PathBuf),
    /// Its files cannot be written.
    #[error("the history cannot be kept in {path}: {cause}; may this user write there?")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: String,
    },
    /// The file is no database any more, or lacks a part of ours.
    #[error("the history {path} is damaged: {cause}; move the file away, and a new one is made")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        cause: String,
    },
    /// The file belongs to another program.
    #[error("{0} is the database of another program; move it away")]
    Foreign(PathBuf),
}

impl HistoryError {
    /// Why SQLite refuses this file: it is damaged, or it cannot be used.
    fn of(path: &Path, error: &rusqlite::Error) -> Self {
        let (path, cause) = (path.to_owned(), error.to_string());
        match error.sqlite_error_code() {
            // `Unknown` is SQLITE_ERROR: the table is missing, or is another one.
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt | ErrorCode::Unknown) => {
                Self::Damaged { path, cause }
            }
            _ => Self::Unusable { path, cause },
        }
    }
}

/// The executions of one queue.
#[derive(Debug)]
pub struct History {
    connection: Mutex<Connection>,
    /// Held while this value lives.
    _lock: Option<File>,
}

impl History {
    /// Opens the history in this file, and makes it if it is not there. Returns the executions that
    /// had no end as well: they are lost.
    ///
    /// # Errors
    /// Another process works with it, or it cannot be written.
    pub fn open(path: &Path) -> Result<(Self, Vec<String>), HistoryError> {
        let unusable = |cause: String| HistoryError::Unusable { path: path.to_owned(), cause };
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory).map_err(|error| unusable(error.to_string()))?;
        }
        let lock_path = path.with_extension("lock");
        let lock = File::options().create(true).append(true).open(&lock_path);
        let lock = lock.map_err(|error| unusable(error.to_string()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => return Err(HistoryError::Held(lock_path)),
            Err(std::fs::TryLockError::Error(error)) => return Err(unusable(error.to_string())),
        }
        let refused = |error: rusqlite::Error| HistoryError::of(path, &error);
        let connection = Connection::open(path).and_then(prepared).map_err(refused)?;
        let connection = connection.ok_or_else(|| HistoryError::Foreign(path.to_owned()))?;
        let history = Self { connection: Mutex::new(connection), _lock: Some(lock) };
        let lost = history.lose().map_err(refused)?;
        Ok((history, lost))
    }

    /// A history that ends with this process.
    ///
    /// # Errors
    /// There is no memory for it.
    pub fn in_memory() -> Result<Self, HistoryError> {
        let refused = |error: rusqlite::Error| HistoryError::of(Path::new(":memory:"), &error);
        let connection = Connection::open_in_memory().and_then(prepared).map_err(refused)?;
        let connection = connection.ok_or_else(|| HistoryError::Foreign(":memory:".into()))?;
        Ok(Self { connection: Mutex::new(connection), _lock: None })
    }

    /// Marks as lost what has no end, and says what that was.
    fn lose(&self) -> rusqlite::Result<Vec<String>> {
        let connection = self.connection();
        let mut statement = connection.prepare(
            "UPDATE execution SET state = 'lost', cause = 'longshore dev ended before it'
             WHERE state IN ('pending', 'running') RETURNING name",
        )?;
        let names = statement.query_map([], |row| row.get(0))?;
        names.collect()
    }

    /// Keeps an execution as it is now. Where it cannot be kept, the executions go on all the same.
    pub fn put(&self, record: &ExecutionRecord) {
        let connection = self.connection();
        // Strings and numbers are always JSON.
        let failures = serde_json::to_string(&record.failures).unwrap_or_else(|_| "[]".into());
        // A disk that is full is no reason to stop a job. The next `put` tries again.
        let _ = connection.execute(
            "INSERT OR REPLACE INTO execution VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            params![
                record.execution,
                record.state.as_str(),
                record.created_ms,
                record.started_ms,
                record.ended_ms,
                record.exit_code,
                record.signal,
                record.restarts,
                record.cause,
                record.summary.as_ref().map(|it| it.to_string()),
                failures,
                record.log,
            ],
        );
        if record.ended_ms.is_some() {
            let _ = connection.execute(
                "DELETE FROM execution WHERE rowid IN
                     (SELECT rowid FROM execution ORDER BY created_at DESC, rowid DESC LIMIT -1 OFFSET ?1)",
                [PAST_EXECUTIONS],
            );
        }
    }

    /// The newest executions, the newest first, without their logs.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn newest(&self, at_most: u32) -> rusqlite::Result<Vec<ExecutionRecord>> {
        self.page(0, at_most)
    }

    /// Executions, the newest first, without their logs: `at_most` after the first `skipped`.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn page(&self, skipped: u32, at_most: u32) -> rusqlite::Result<Vec<ExecutionRecord>> {
        let connection = self.connection();
        let mut statement = connection.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM execution ORDER BY created_at DESC, rowid DESC LIMIT ?1 OFFSET ?2"
        ))?;
        let records = statement.query_map([at_most, skipped], record)?;
        records.collect()
    }

    /// One execution, without its log.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn execution(&self, name: &str) -> rusqlite::Result<Option<ExecutionRecord>> {
        let connection = self.connection();
        let query = format!("SELECT {COLUMNS} FROM execution WHERE name = ?1");
        connection.query_row(&query, [name], record).optional()
    }

    /// How many executions are kept in each state, and what their containers ran together, in
    /// milliseconds. Those that run count up to `now_ms`.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn executed(&self, now_ms: i64) -> rusqlite::Result<Executed> {
        let connection = self.connection();
        let mut statement = connection.prepare_cached(
            "SELECT state, count(*), sum(max(0, ifnull(ended_at, ?1) - ifnull(started_at, ifnull(ended_at, ?1))))
             FROM execution GROUP BY state",
        )?;
        let mut executed = Executed::default();
        let mut rows = statement.query([now_ms])?;
        while let Some(row) = rows.next()? {
            let state: String = row.get(0)?;
            let count = row.get::<_, i64>(1)?.unsigned_abs();
            executed.ran_ms += row.get::<_, i64>(2)?;
            executed.states.push((ExecutionState::parse(&state).unwrap_or(ExecutionState::Lost), count));
        }
        Ok(executed)
    }

    /// The end of an execution's log.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn log(&self, execution: &str) -> rusqlite::Result<Option<String>> {
        let connection = self.connection();
        let query = "SELECT log FROM execution WHERE name = ?1";
        connection.query_row(query, [execution], |row| row.get(0)).optional()
    }

    fn connection(&self) -> std::sync::MutexGuard<'_, Connection> {
        // Each statement stands for itself, so that a panic elsewhere leaves nothing half done.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The connection with its settings and its table; `None` if the file is another program's.
fn prepared(connection: Connection) -> rusqlite::Result<Option<Connection>> {
    connection.busy_timeout(BUSY_LIMIT)?;
    // Nothing is changed before it is known whose file it is: WAL is written into its header.
    let application: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let version: i32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    match (application, version, tables) {
        (APPLICATION, _, _) | (0, 0, 0) => {}
        _ => return Ok(None),
    }
    // What a power cut takes of it is a line of a history.
    connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;")?;
    if (application, version) != (APPLICATION, VERSION) {
        connection.execute_batch(&format!(
            "BEGIN IMMEDIATE; {TABLE} PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION}; COMMIT;"
        ))?;
    }
    Ok(Some(connection))
}

fn record(row: &Row<'_>) -> rusqlite::Result<ExecutionRecord> {
    let parsed = |text: Option<String>| text.and_then(|it| serde_json::from_str(&it).ok());
    let failures: String = row.get("failures")?;
    let state: String = row.get("state")?;
    Ok(ExecutionRecord {
        execution: row.get("name")?,
        state: ExecutionState::parse(&state).unwrap_or(ExecutionState::Lost),
        created_ms: row.get("created_at")?,
        started_ms: row.get("started_at")?,
        ended_ms: row.get("ended_at")?,
        exit_code: row.get("exit_code")?,
        signal: row.get("signal")?,
        restarts: row.get("restarts")?,
        cause: row.get("cause")?,
        summary: parsed(row.get("summary")?),
        failures: serde_json::from_str(&failures).unwrap_or_default(),
        log: String::new(),
    })
}

#[cfg(test)]
mod tests;
