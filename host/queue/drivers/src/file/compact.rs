//! Giving back to the disk what deleted messages have left in the file. It never shrinks by itself.

use std::path::Path;

use rusqlite::Connection;

use crate::file::connection::{FILE, connect, fault};
use crate::file::patience::Patience;
use crate::file::room;
use crate::file::store::{Store, not_found};
use longshore_queue::queue::Compacted;
use longshore_queue::{QueueError, QueueUrl};

/// A database that is to have more bytes than this is written anew on disk, and not in memory.
const IN_MEMORY: u64 = 64 << 20;

/// What a page takes in the log beside its bytes ([WAL
/// format](https://sqlite.org/fileformat2.html#walformat), section 4.1).
const FRAME_HEADER: u64 = 24;

/// Writes the database of a queue anew, without the room that nothing stands in.
///
/// # Errors
/// [`QueueError::Fault`] where there is no room for what is left; [`QueueError::Busy`] where other
/// processes do not let go of the database.
pub(super) fn compact(url: &QueueUrl, directory: &Path) -> Result<Compacted, QueueError> {
    room::give_up_reserve(directory);
    let compacted = write_anew(url, directory);
    // It was there before there was a queue, or was given up for one.
    if directory.join(FILE).exists() {
        room::take_reserve_back(directory);
    }
    compacted
}

fn write_anew(url: &QueueUrl, directory: &Path) -> Result<Compacted, QueueError> {
    let path = directory.join(FILE);
    let explain = |error| fault(url, &path, &error);
    let connection = connect(url, directory, false, &Patience::default())?.ok_or_else(|| not_found(url))?;
    Store::new(&connection, url).exists().map_err(explain)??;
    let number = |pragma| number(&connection, pragma).map_err(explain);
    let (page, pages, unused) = (number("page_size")?, number("page_count")?, number("freelist_count")?);
    let stays = pages.saturating_sub(unused);
    let needed = stays.saturating_mul(page + FRAME_HEADER).saturating_add(room::NEEDED);
    if room::free(directory).is_some_and(|free| free < needed) {
        return Err(room::no_room(url, directory, needed));
    }
    if stays.saturating_mul(page) > IN_MEMORY {
        connection.execute_batch("PRAGMA temp_store = FILE").map_err(explain)?;
    }
    connection.execute_batch("VACUUM").map_err(explain)?;
    let is_held: bool =
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).map_err(explain)?;
    if is_held {
        return Err(QueueError::busy(
            url,
            format!(
                "other processes read {}, and its room is given back when they have ended",
                path.display()
            ),
        ));
    }
    let after = number("page_count")?;
    Ok(Compacted { before: pages.saturating_mul(page), after: after.saturating_mul(page) })
}

fn number(connection: &Connection, pragma: &str) -> rusqlite::Result<u64> {
    let number: i64 = connection.pragma_query_value(None, pragma, |row| row.get(0))?;
    Ok(number.unsigned_abs())
}
