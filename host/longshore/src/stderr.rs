//! Standard error, written so that a reader that does not read holds nothing up (rule 9).
//!
//! A pipe that nobody reads is full after 64 KiB, and a write to it then waits for ever, with the
//! thread that has something to say. So a line waits for a while, and is dropped and counted. After
//! that no line waits, until there is room again. Each line is written before the call returns:
//! what was logged before a crash is there after it.

use std::io::{self, Write};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

use crate::unread::{self, PIECE};

/// How long a line waits for a reader that has read before.
const PATIENCE: Duration = Duration::from_secs(1);

/// Whether standard error is a file, which always has room.
static IS_FILE: LazyLock<bool> = LazyLock::new(|| unread::is_file(io::stderr()));

static UNREAD: Mutex<Unread> = Mutex::new(Unread { is_stuck: false, dropped: 0 });

/// What nobody read.
#[derive(Debug)]
struct Unread {
    /// The last line found no room in time.
    is_stuck: bool,
    /// How many lines were dropped since it was last said.
    dropped: u64,
}

/// Writes whole lines to standard error.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stderr {
    /// Writes how many lines were dropped.
    notice: fn(u64) -> String,
}

impl Stderr {
    /// Lines of text.
    pub(crate) const TEXT: Self = Self { notice: |dropped| format!(" WARN {DROPPED} dropped={dropped}\n") };
    /// Lines that are JSON objects.
    pub(crate) const JSON: Self = Self {
        notice: |dropped| {
            let timestamp = jiff::Timestamp::now().to_string();
            let target = env!("CARGO_CRATE_NAME");
            let line = serde_json::json!({
                "timestamp": timestamp, "level": "WARN", "message": DROPPED, "dropped": dropped, "target": target,
            });
            format!("{line}\n")
        },
    };

    /// Writes a line, unless nobody reads.
    pub(crate) fn line(self, line: &[u8]) {
        // Valid after every statement, so a panic elsewhere is no reason to say nothing.
        let mut unread = UNREAD.lock().unwrap_or_else(PoisonError::into_inner);
        if unread.dropped > 0 && is_ready(Duration::ZERO) {
            let notice = (self.notice)(unread.dropped);
            if write(notice.as_bytes(), Duration::ZERO) {
                unread.dropped = 0;
            }
        }
        let patience = if unread.is_stuck { Duration::ZERO } else { PATIENCE };
        unread.is_stuck = !write(line, patience);
        unread.dropped += u64::from(unread.is_stuck);
    }
}

/// What is said of lines that were dropped.
const DROPPED: &str = "lines of the log were dropped, since nobody read it";

/// Writes bytes in pieces that do not wait; whether there was room for all of them in time. To a
/// file a line goes in one piece: other processes may write theirs there.
fn write(bytes: &[u8], patience: Duration) -> bool {
    let mut stderr = io::stderr().lock();
    let piece = if *IS_FILE { bytes.len().max(1) } else { PIECE };
    // A reader that is gone reads nothing: the line is lost, and there is nothing to wait for.
    bytes.chunks(piece).all(|piece| is_ready(patience) && !is_full(stderr.write_all(piece)))
}

/// Whether a write found no room. That is said only where somebody has made standard error
/// non-blocking.
fn is_full(written: io::Result<()>) -> bool {
    written.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

/// Whether a piece can be written without waiting, now or within `patience`.
fn is_ready(patience: Duration) -> bool {
    *IS_FILE || unread::is_ready(io::stderr(), patience)
}

impl Write for Stderr {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.line(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Stderr {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        *self
    }
}
