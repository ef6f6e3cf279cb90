//! What became of the executions, in a SQLite database beside the queue.
//!
//! A lock file says that somebody writes to it. The kernel releases the lock when that process
//! ends, however it ends, and the next one marks as lost what has no end.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, params};

use crate::execution::{ExecutionRecord, ExecutionState};

/// How many executions are kept.
pub const PAST_EXECUTIONS: u32 = 500;
/// How long a write waits for somebody who reads.
const BUSY_LIMIT: Duration = Duration::from_secs(5);
/// Written to `application_id`: no other program's database is taken for ours ("LDEV").
const APPLICATION: i32 = 0x4c44_4556;
/// The version of the table. A file of another one is replaced: it is a history, and no message.
const VERSION: i32 = 1;
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
";

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
    pub(crate) fn put(&self, record: &ExecutionRecord) {
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
        let connection = self.connection();
        let mut statement = connection.prepare(
            "SELECT name, state, created_at, started_at, ended_at, exit_code, signal, restarts, cause, summary, failures
             FROM execution ORDER BY created_at DESC, rowid DESC LIMIT ?1",
        )?;
        let records = statement.query_map([at_most], record)?;
        records.collect()
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
mod tests {
    use super::*;
    use crate::cause::CauseCount;

    fn ended(name: &str, created_ms: i64) -> ExecutionRecord {
        ExecutionRecord {
            state: ExecutionState::Failed,
            started_ms: Some(created_ms + 1),
            ended_ms: Some(created_ms + 2),
            exit_code: Some(4),
            restarts: 1,
            cause: Some("the breaker was open".into()),
            summary: Some(serde_json::json!({ "received": 3 })),
            failures: vec![CauseCount { outcome: "retried".into(), cause: "failed".into(), count: 3 }],
            ..ExecutionRecord::created(name.into(), created_ms)
        }
    }

    #[test]
    fn what_is_kept_is_read_again_and_what_had_no_end_is_lost() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/orders.dev.db");
        let (history, lost) = History::open(&path).unwrap();
        assert!(lost.is_empty());
        history.put(&ExecutionRecord::created("orders-1".into(), 1));
        let second = ended("orders-2", 2);
        history.put(&ExecutionRecord { log: "its log".into(), ..second.clone() });
        let third = ExecutionRecord {
            state: ExecutionState::Running,
            ..ExecutionRecord::created("orders-3".into(), 3)
        };
        history.put(&third);
        drop(history);

        let (history, mut lost) = History::open(&path).unwrap();
        lost.sort();
        assert_eq!(lost, ["orders-1", "orders-3"]);
        let newest = history.newest(10).unwrap();
        assert_eq!(newest[1], second);
        assert_eq!([newest[0].state, newest[2].state], [ExecutionState::Lost; 2]);
        assert_eq!(history.log("orders-2").unwrap().as_deref(), Some("its log"));
        assert_eq!(history.log("orders-9").unwrap(), None);
    }

    #[test]
    fn one_process_at_a_time_keeps_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("orders.dev.db");
        let held = History::open(&path).unwrap();
        let refused = History::open(&path).unwrap_err().to_string();
        assert!(refused.contains("another `longshore dev` works on this queue"), "{refused}");
        drop(held);
        History::open(&path).unwrap();
    }

    #[test]
    fn the_oldest_executions_are_forgotten() {
        let history = History::in_memory().unwrap();
        for number in 0..i64::from(PAST_EXECUTIONS) + 3 {
            history.put(&ended(&format!("orders-{number}"), number));
        }
        let kept = history.newest(u32::MAX).unwrap();
        assert_eq!(kept.len(), PAST_EXECUTIONS as usize);
        assert_eq!(kept.last().unwrap().execution, "orders-3");
    }

    #[test]
    fn the_database_of_another_program_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("orders.dev.db");
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE theirs (a)").unwrap();
        let theirs = std::fs::read(&path).unwrap();
        assert!(matches!(History::open(&path), Err(HistoryError::Foreign(_))));
        assert!(std::fs::read(&path).unwrap() == theirs, "not a byte of it is changed");
    }

    #[test]
    fn a_damaged_history_is_named_and_is_new_once_it_was_moved_away() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("orders.dev.db");
        std::fs::write(&path, "no database").unwrap();
        let is_said = |refused: HistoryError| {
            assert!(matches!(refused, HistoryError::Damaged { .. }), "{refused:?}");
            let said = refused.to_string();
            assert!(
                said.contains("orders.dev.db is damaged") && said.contains("move the file away"),
                "{said}"
            );
        };
        is_said(History::open(&path).unwrap_err());
        std::fs::remove_file(&path).unwrap();
        History::open(&path).unwrap();
        // A file of ours without its table.
        Connection::open(&path).unwrap().execute_batch("DROP TABLE execution").unwrap();
        is_said(History::open(&path).unwrap_err());
        std::fs::rename(&path, directory.path().join("away")).unwrap();
        History::open(&path).unwrap();
    }
}
