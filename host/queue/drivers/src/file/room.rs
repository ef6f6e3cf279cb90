//! Room on the disk: what is left, what a change takes, and a reserve for those who make room.
//!
//! SQLite cannot delete anything from a file on a full disk: it writes to its log first. A file of
//! random bytes beside the database keeps a little room. It is given up for whoever looks and
//! deletes, and made again when there is room.

use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use longshore_queue::{QueueError, QueueUrl};

/// What a change takes at least, in bytes: the log's index, which processes share, and some pages
/// in the log.
pub(super) const NEEDED: u64 = 256 << 10;

/// The size of the reserve, in bytes: room for a log that is written back early.
const RESERVE: u64 = 512 << 10;

/// With less room than this, in bytes, the log is written back early, so that it stays short.
const SHORT: u64 = 8 << 20;

/// The reserve's file, beside the database.
const RESERVE_FILE: &str = "queues.reserve";

/// How much may still be written to the disk of a directory, in bytes; `None` if nobody knows.
pub(super) fn free(directory: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(directory).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Whether the log should stay short.
pub(super) fn is_short(directory: &Path) -> bool {
    free(directory).is_some_and(|free| free < SHORT)
}

/// Whether a change finds no room. A quota says so only to whoever writes.
pub(super) fn is_full(directory: &Path) -> bool {
    let fill = || -> io::Result<()> {
        let mut file = tempfile::tempfile_in(directory)?;
        file.write_all(&vec![0xa5; usize::try_from(NEEDED).unwrap_or_default()])?;
        file.sync_all()
    };
    fill().is_err_and(|error| is_no_room(&error))
}

/// Whether an error says that a disk, a quota or a file is full.
pub(super) fn is_no_room(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
}

/// The fault that something finds no room in a directory, with what it takes, in bytes.
pub(super) fn no_room(url: &QueueUrl, directory: &Path, takes: u64) -> QueueError {
    let left = match free(directory) {
        Some(free) => format!("{} KiB are left on its disk", free >> 10),
        None => "its disk is full".into(),
    };
    QueueError::Fault {
        cause: format!(
            "there is no room in {}: {left}, and at least {} KiB are needed",
            directory.display(),
            takes.div_ceil(1 << 10)
        ),
        mend: format!(
            "make room on that disk; or delete messages, as `longshore poison purge` does, and give their room back with `longshore queue compact --queue {url}`"
        ),
    }
}

/// Gives the reserve up, if there is less room than it has.
pub(super) fn give_up_reserve(directory: &Path) {
    if free(directory).is_some_and(|free| free < RESERVE) {
        // It is not there, or may not be removed: then SQLite says what it needs.
        let _ = std::fs::remove_file(directory.join(RESERVE_FILE));
    }
}

/// Makes the reserve, where that leaves room for a change. Whether it is there.
pub(super) fn keep_reserve(directory: &Path) -> bool {
    let path = directory.join(RESERVE_FILE);
    if !path.exists() && free(directory).is_some_and(|free| free >= RESERVE + NEEDED) {
        fill_reserve(&path);
    }
    path.exists()
}

/// Makes the reserve again, of the room that it had before.
pub(super) fn take_reserve_back(directory: &Path) {
    fill_reserve(&directory.join(RESERVE_FILE));
}

fn fill_reserve(path: &Path) {
    // Of several processes one makes it.
    let Ok(mut file) = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) else { return };
    // Random: some file systems keep no room for zeros.
    let mut bytes = vec![0; usize::try_from(RESERVE).unwrap_or_default()];
    rand::fill(&mut bytes[..]);
    if file.write_all(&bytes).is_err() {
        // Half a reserve would hold what others need.
        let _ = std::fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reserve_is_kept_while_there_is_room_and_made_once() {
        let directory = tempfile::tempdir().unwrap();
        assert!(keep_reserve(directory.path()));
        let reserve = directory.path().join(RESERVE_FILE);
        assert_eq!(std::fs::metadata(&reserve).unwrap().len(), RESERVE);
        let bytes = std::fs::read(&reserve).unwrap();
        take_reserve_back(directory.path());
        assert_eq!(std::fs::read(&reserve).unwrap(), bytes, "it was there");
        give_up_reserve(directory.path());
        assert!(reserve.exists() && !is_full(directory.path()), "there is room enough");
    }

    #[test]
    fn no_room_says_how_much_is_needed_and_where() {
        let url = "file:./queues/orders".parse().unwrap();
        let said = no_room(&url, Path::new("/"), NEEDED).to_string();
        assert!(said.starts_with("there is no room in /: "), "{said}");
        assert!(said.contains("at least 256 KiB are needed; make room"), "{said}");
        for kind in [ErrorKind::StorageFull, ErrorKind::QuotaExceeded, ErrorKind::FileTooLarge] {
            assert!(is_no_room(&kind.into()));
        }
        assert!(!is_no_room(&ErrorKind::PermissionDenied.into()));
    }
}
