//! The tables, which programs and tests may rely on, and the version that says who made them.
//!
//! | table | holds |
//! |---|---|
//! | `queue` | one row per queue: `name`, `created_at` |
//! | `message` | one row per message, of all queues, see [`TABLES`] |

use rusqlite::{Connection, TransactionBehavior};

/// Written to `application_id`, so that no other program's database is taken for ours ("LQUE").
const APPLICATION: i32 = 0x4c51_5545;

/// Written to `user_version`: the version of [`TABLES`].
const VERSION: i32 = 1;

/// The tables. Times are milliseconds since 1970-01-01 UTC, by the wall clock: leases have to mean
/// the same in several processes and after a reboot, which no monotonic clock does.
///
/// - No index on `id`: it is random, so that keeping it sorted would touch a page of its own for
///   each message. A receipt carries `seq` instead, and `id` and `receipt` are compared once the
///   row is found.
/// - `body` comes last: what precedes it keeps its size when a message is leased, so that SQLite
///   overwrites the row in place and leaves the pages of a long body untouched.
const TABLES: &str = "
    CREATE TABLE queue (
        name          TEXT    NOT NULL PRIMARY KEY,
        created_at    INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE message (
        seq           INTEGER PRIMARY KEY,      -- the order of sending
        queue         TEXT    NOT NULL,         -- queue.name
        id            TEXT    NOT NULL,
        dequeue_count INTEGER NOT NULL,
        visible_at    INTEGER NOT NULL,         -- the end of the lease or of the delay
        inserted_at   INTEGER NOT NULL,
        expires_at    INTEGER,                  -- NULL: never
        receipt       INTEGER NOT NULL,         -- random, new at each receive and update
        properties    TEXT,                     -- JSON, [[name, value], ...]; NULL: none
        body          BLOB    NOT NULL
    ) STRICT;
    CREATE INDEX message_visible ON message (queue, visible_at);
    CREATE INDEX message_expiring ON message (queue, expires_at) WHERE expires_at IS NOT NULL;
";

/// What a database file holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Contents {
    /// Nothing yet.
    Nothing,
    /// Our tables.
    Queues,
    /// Tables of another program, or of another version of this one.
    Foreign,
}

/// Looks whose database this is.
pub(super) fn contents(connection: &Connection) -> rusqlite::Result<Contents> {
    let application: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let version: i32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(match (application, version, tables) {
        (APPLICATION, VERSION, _) => Contents::Queues,
        (0, 0, 0) => Contents::Nothing,
        _ => Contents::Foreign,
    })
}

/// Makes the tables, unless another process was faster.
pub(super) fn install(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if contents(&transaction)? == Contents::Nothing {
        transaction.execute_batch(TABLES)?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
    }
    transaction.commit()
}
