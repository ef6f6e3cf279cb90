//! How deep the queue was, over time.

use rusqlite::params;

use super::History;
use super::numbers::signed;

/// How many samples are kept: at one a second an hour and a half.
const PAST_DEPTHS: u32 = 5_400;

/// How deep the queue was at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// When, in milliseconds since 1970-01-01 UTC.
    pub at_ms: i64,
    /// All messages, by the queue's own count.
    pub messages: u64,
    /// Those that can be received; `None` where the queue does not say.
    pub visible: Option<u64>,
    /// Those in the poison queue; `None` where it cannot be counted.
    pub poison: Option<u64>,
}

impl Depth {
    /// Those that are leased or delayed; `None` where the queue does not say.
    #[must_use]
    pub fn hidden(&self) -> Option<u64> {
        self.visible.map(|visible| self.messages.saturating_sub(visible))
    }
}

impl History {
    /// Keeps a sample, and forgets the oldest ones.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn put_depth(&self, depth: &Depth) -> rusqlite::Result<()> {
        let connection = self.connection();
        let mut insert = connection.prepare_cached("INSERT OR REPLACE INTO depth VALUES (?1, ?2, ?3, ?4)")?;
        insert.execute(params![
            depth.at_ms,
            signed(depth.messages),
            depth.visible.map(signed),
            depth.poison.map(signed)
        ])?;
        let mut forget = connection.prepare_cached(
            "DELETE FROM depth WHERE at < (SELECT at FROM depth ORDER BY at DESC LIMIT 1 OFFSET ?1)",
        )?;
        forget.execute([PAST_DEPTHS])?;
        Ok(())
    }

    /// The samples since then, the oldest first.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn depths(&self, since_ms: i64) -> rusqlite::Result<Vec<Depth>> {
        let connection = self.connection();
        let query = "SELECT at, messages, visible, poison FROM depth WHERE at >= ?1 ORDER BY at";
        let mut statement = connection.prepare_cached(query)?;
        let depths = statement.query_map([since_ms], |row| {
            let optional =
                |column| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(column)?.map(i64::unsigned_abs));
            let messages = row.get::<_, i64>(1)?.unsigned_abs();
            Ok(Depth { at_ms: row.get(0)?, messages, visible: optional(2)?, poison: optional(3)? })
        })?;
        depths.collect()
    }
}
