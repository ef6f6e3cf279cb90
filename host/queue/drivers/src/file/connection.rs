//! Opening the database: its settings, each read back, and what an error of SQLite means to a
//! caller.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, Error, ErrorCode, OpenFlags};

use crate::file::patience::{BUSY_LIMIT, Patience};
use crate::file::room;
use crate::file::schema::{self, Contents};
use longshore_queue::{QueueError, QueueUrl};

/// The database's file, within the directory of a queue's URL.
pub(super) const FILE: &str = "queues.db";

/// The longest sleep between two looks at a lock. Sleeps are random, since SQLite keeps no line of
/// those who wait: a process that looks in step with the holder would starve.
const LONGEST_NAP: Duration = Duration::from_millis(4);

/// This process has as many files open as it may (errno(3); the number is that of Linux and of
/// macOS).
const EMFILE: i32 = 24;

/// The system has as many files open as it may.
const ENFILE: i32 = 23;

/// Settings of every connection. `FULL` is what makes a commit in WAL mode survive a power cut
/// ([PRAGMA synchronous](https://sqlite.org/pragma.html#pragma_synchronous)); `fullfsync` makes it
/// true on macOS.
///
/// The cache is 6 MiB, of the 40 MB that the whole host may take. The log is written back each
/// 1,000 pages (4 MiB) and kept at its length: overwriting a file costs one flush and extending it
/// two.
const SETTINGS: &str = "
    PRAGMA synchronous = FULL;
    PRAGMA fullfsync = ON;
    PRAGMA checkpoint_fullfsync = ON;
    PRAGMA cache_size = -6144;
    PRAGMA wal_autocheckpoint = 1000;
    PRAGMA journal_size_limit = 33554432;
    PRAGMA temp_store = MEMORY;
";

/// Settings where the disk has little room: the log is written back each 16 pages (64 KiB).
const SHORT_LOG: &str = "PRAGMA wal_autocheckpoint = 16";

/// Opens the database of a directory; `None` if there is none, or one without our tables, and none
/// is to be made.
///
/// # Errors
/// [`QueueError::Fault`] names the path, what is wrong with it and the mend; [`QueueError::Busy`]
/// if another process holds the database for longer than ten seconds.
pub(super) fn connect(
    url: &QueueUrl,
    directory: &Path,
    create: bool,
    patience: &Patience,
) -> Result<Option<Connection>, QueueError> {
    #[cfg(target_os = "linux")]
    crate::file::mount::look(directory)?;
    let path = directory.join(FILE);
    if create {
        std::fs::create_dir_all(directory).map_err(|error| no_directory(url, directory, &error))?;
    } else {
        match directory.read_dir() {
            Ok(_) if path.exists() => {}
            Ok(_) => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(no_directory(url, directory, &error)),
        }
    }
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    flags.set(OpenFlags::SQLITE_OPEN_CREATE, create);
    let explain = |error| fault(url, &path, &error);
    let mut connection = Connection::open_with_flags(&path, flags).map_err(explain)?;
    wait_fairly(&mut connection, patience.clone()).map_err(explain)?;
    // Else a statement is planned anew each time that a value it compares with the index changes:
    // at each receive.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(explain)?;
    connection.execute_batch(SETTINGS).map_err(explain)?;
    if room::is_short(directory) {
        connection.execute_batch(SHORT_LOG).map_err(explain)?;
    }
    let snapshot = connection.unchecked_transaction().map_err(explain)?;
    let contents = schema::contents(&snapshot).map_err(explain)?;
    drop(snapshot);
    match contents {
        Contents::Queues => {}
        Contents::Nothing if create => {
            write_ahead(&connection, patience).map_err(explain)?;
            schema::install(&mut connection).map_err(explain)?;
        }
        Contents::Nothing => return Ok(None),
        Contents::Foreign => {
            return Err(QueueError::Fault {
                cause: format!("{} is not a database of this version of longshore", path.display()),
                mend: "name another directory, or use the version that made it".into(),
            });
        }
    }
    write_ahead(&connection, patience).map_err(explain)?;
    // SQLite opens a file that it may not write for reading, without a word.
    if connection.is_readonly("main").map_err(explain)? {
        return Err(QueueError::Fault {
            cause: format!("{} cannot be written", path.display()),
            mend: "give this user the right to write the file and its directory".into(),
        });
    }
    check_durability(url, &connection, &path)?;
    Ok(Some(connection))
}

/// Whether this process, or the whole system, has as many files open as it may. That passes.
fn too_many_files(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(EMFILE | ENFILE))
}

/// The queue has to wait until this process has closed other files.
fn no_file_left(url: &QueueUrl) -> QueueError {
    QueueError::busy(url, "this process may open no more files (ulimit -n)")
}

/// Whether the file can be opened, and its log can be made beside it. If so, SQLite could not do it
/// for a moment only: for want of a free file, mostly.
fn opens(path: &Path) -> io::Result<()> {
    let _file = std::fs::File::options().read(true).write(true).open(path)?;
    tempfile::tempfile_in(path.parent().unwrap_or(Path::new("."))).map(drop)
}

fn no_directory(url: &QueueUrl, directory: &Path, error: &io::Error) -> QueueError {
    if too_many_files(error) {
        return no_file_left(url);
    }
    if room::is_no_room(error) {
        return room::no_room(url, directory, room::NEEDED);
    }
    let mend = match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "give this user the right to write it"
        }
        _ => "name a directory that this user may write",
    };
    QueueError::Fault {
        cause: format!("the queue's directory {} cannot be used: {error}", directory.display()),
        mend: mend.into(),
    }
}

fn wait_fairly(connection: &mut Connection, patience: Patience) -> rusqlite::Result<()> {
    let mut since = Instant::now();
    connection.busy_handler(Some(move |attempt| {
        if attempt == 0 {
            since = Instant::now();
        }
        std::thread::sleep(LONGEST_NAP.mul_f64(rand::random::<f64>()));
        patience.lasts(since)
    }))
}

/// Switches to a write-ahead log. SQLite does not call the busy handler here, hence a loop of our
/// own.
fn write_ahead(connection: &Connection, patience: &Patience) -> rusqlite::Result<()> {
    let since = Instant::now();
    loop {
        match connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(())) {
            Err(error) if is_busy(&error) && patience.lasts(since) => {
                std::thread::sleep(LONGEST_NAP.mul_f64(rand::random::<f64>()));
            }
            other => return other,
        }
    }
}

/// Reads back what no message may be entrusted to a connection without: SQLite ignores a setting
/// that it cannot follow.
fn check_durability(url: &QueueUrl, connection: &Connection, path: &Path) -> Result<(), QueueError> {
    let explain = |error| fault(url, path, &error);
    let journal: String =
        connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).map_err(explain)?;
    let synchronous: i64 =
        connection.pragma_query_value(None, "synchronous", |row| row.get(0)).map_err(explain)?;
    if journal == "wal" && synchronous == 2 {
        return Ok(());
    }
    Err(QueueError::Fault {
        cause: format!(
            "{} runs with journal_mode={journal} and synchronous={synchronous} instead of wal and 2: a crash could lose messages",
            path.display()
        ),
        mend: "keep the queue on a local disk whose file system allows shared memory".into(),
    })
}

fn is_busy(error: &Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

/// What an error means when it is certain that nothing was done.
pub(super) fn fault(url: &QueueUrl, path: &Path, error: &Error) -> QueueError {
    if is_busy(error) {
        let held = format!("other processes held {} for {} s", path.display(), BUSY_LIMIT.as_secs());
        return QueueError::busy(url, held);
    }
    if error.sqlite_error_code() == Some(ErrorCode::CannotOpen) && path.exists() {
        match opens(path) {
            Ok(()) => {
                return QueueError::busy(url, format!("{} could not be opened for a moment", path.display()));
            }
            Err(error) if too_many_files(&error) => return no_file_left(url),
            Err(_) => {}
        }
    }
    let directory = path.parent().unwrap_or(Path::new("."));
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => return room::no_room(url, directory, room::NEEDED),
        // SQLite says no more than that a call failed.
        Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen) if room::is_full(directory) => {
            return room::no_room(url, directory, room::NEEDED);
        }
        _ => {}
    }
    let mend = match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            "the file is damaged: move it away together with its `-wal` and `-shm`, and restore a copy or create the queue anew"
        }
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            "give this user the right to write the file and its directory"
        }
        Some(ErrorCode::SystemIoFailure) => "look for errors of its disk in the system's log",
        _ => "report this with the version of longshore",
    };
    QueueError::Fault { cause: format!("{}: {error}", path.display()), mend: mend.into() }
}

/// What an error of `COMMIT` means: only of a busy database and of a full disk is it known that
/// nothing was written.
pub(super) fn commit_fault(url: &QueueUrl, path: &Path, error: &Error) -> QueueError {
    if is_busy(error) || error.sqlite_error_code() == Some(ErrorCode::DiskFull) {
        fault(url, path, error)
    } else {
        QueueError::unclear(url, format!("the commit to {} failed: {error}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url() -> QueueUrl {
        "file:./queues/orders".parse().unwrap()
    }

    #[test]
    fn settings_that_would_lose_messages_are_a_fault() {
        let path = Path::new("queues/queues.db");
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(SETTINGS).unwrap();
        write_ahead(&connection, &Patience::default()).unwrap();
        let error = check_durability(&url(), &connection, path).unwrap_err().to_string();
        assert!(error.contains("journal_mode=memory") && error.contains("queues/queues.db"), "{error}");

        let directory = tempfile::tempdir().unwrap();
        let connection = connect(&url(), directory.path(), true, &Patience::default()).unwrap().unwrap();
        assert_eq!(check_durability(&url(), &connection, path), Ok(()));
        connection.execute_batch("PRAGMA synchronous = NORMAL").unwrap();
        let error = check_durability(&url(), &connection, path).unwrap_err().to_string();
        assert!(error.contains("synchronous=1"), "{error}");
    }

    #[test]
    fn only_a_busy_or_full_disk_makes_a_failed_commit_clear() {
        let error = |code| Error::SqliteFailure(rusqlite::ffi::Error::new(code), None);
        let path = Path::new("queues/queues.db");
        let commit = |code| commit_fault(&url(), path, &error(code));
        assert!(matches!(commit(rusqlite::ffi::SQLITE_BUSY), QueueError::Busy { .. }));
        assert!(matches!(commit(rusqlite::ffi::SQLITE_FULL), QueueError::Fault { .. }));
        assert!(matches!(commit(rusqlite::ffi::SQLITE_IOERR), QueueError::Unclear { .. }));
    }

    #[test]
    fn each_error_of_the_database_says_what_to_do() {
        use rusqlite::ffi;
        let path = Path::new("queues/queues.db");
        for (code, mend) in [
            (ffi::SQLITE_NOTADB, "the file is damaged"),
            (ffi::SQLITE_CORRUPT, "the file is damaged"),
            (ffi::SQLITE_CANTOPEN, "give this user the right"),
            (ffi::SQLITE_READONLY, "give this user the right"),
            (ffi::SQLITE_PERM, "give this user the right"),
            (ffi::SQLITE_IOERR, "look for errors of its disk"),
            (ffi::SQLITE_MISUSE, "report this"),
        ] {
            let error = Error::SqliteFailure(ffi::Error::new(code), None);
            let QueueError::Fault { cause, mend: said } = fault(&url(), path, &error) else {
                panic!("{code} is a fault");
            };
            assert!(cause.starts_with("queues/queues.db: ") && said.starts_with(mend), "{code}: {said}");
        }
        let full = Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_FULL), None);
        let said = fault(&url(), path, &full).to_string();
        assert!(said.starts_with("there is no room in queues: ") && said.contains("queue compact"), "{said}");
        let locked = Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_LOCKED), None);
        let busy = fault(&url(), path, &locked).to_string();
        assert_eq!(
            busy,
            "file:./queues/orders cannot take the call now: other processes held queues/queues.db for 10 s"
        );
    }

    #[test]
    fn a_process_that_has_no_file_left_waits_for_one() {
        for code in [EMFILE, ENFILE] {
            let busy = no_directory(&url(), Path::new("queues"), &io::Error::from_raw_os_error(code));
            assert!(busy.is_transient() && busy.to_string().contains("ulimit -n"), "{busy}");
        }
        // SQLite does not say why it could not open a file. That we can open it says that it
        // passes.
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE);
        let unopened = Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN), None);
        assert!(!fault(&url(), &path, &unopened).is_transient(), "it is not there");
        std::fs::write(&path, "").unwrap();
        assert!(fault(&url(), &path, &unopened).is_transient());
    }

    #[test]
    fn a_directory_that_cannot_be_used_says_why_and_what_to_do() {
        for (kind, mend) in [
            (io::ErrorKind::PermissionDenied, "give this user the right to write it"),
            (io::ErrorKind::ReadOnlyFilesystem, "give this user the right to write it"),
            (io::ErrorKind::NotADirectory, "name a directory that this user may write"),
        ] {
            let error = no_directory(&url(), Path::new("queues"), &kind.into()).to_string();
            assert!(error.starts_with("the queue's directory queues cannot be used: "), "{error}");
            assert!(error.ends_with(mend), "{error}");
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = connect(&url(), file.path(), false, &Patience::default()).unwrap_err().to_string();
        assert!(error.contains("cannot be used"), "a file is no directory: {error}");
        let missing = file.path().join("missing");
        assert!(connect(&url(), &missing, false, &Patience::default()).is_err(), "and has nothing in it");
    }

    #[test]
    fn the_switch_to_a_write_ahead_log_waits_for_other_processes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE);
        let other = Connection::open(&path).unwrap();
        other.execute_batch("CREATE TABLE held (id); BEGIN EXCLUSIVE").unwrap();
        let connection = Connection::open(&path).unwrap();
        connection.busy_timeout(Duration::ZERO).unwrap();
        let held_for = Duration::from_millis(100);
        let release = std::thread::spawn(move || {
            std::thread::sleep(held_for);
            other.execute_batch("COMMIT").unwrap();
        });
        let since = Instant::now();
        write_ahead(&connection, &Patience::default()).unwrap();
        assert!(since.elapsed() >= held_for / 2, "it was held");
        release.join().unwrap();
        let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
        assert_eq!(mode, "wal");
    }

    #[test]
    fn an_empty_file_is_no_queue_and_gets_tables_from_creating_alone() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(FILE), "").unwrap();
        assert!(connect(&url(), directory.path(), false, &Patience::default()).unwrap().is_none());
        let contents = |connection: &Connection| schema::contents(connection).unwrap();
        let found = Connection::open(directory.path().join(FILE)).unwrap();
        assert_eq!(contents(&found), Contents::Nothing);
        let made = connect(&url(), directory.path(), true, &Patience::default()).unwrap().unwrap();
        assert_eq!(contents(&made), Contents::Queues);
    }
}
