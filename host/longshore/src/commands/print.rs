//! What verbs write to standard output, and what they draw on standard error.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use comfy_table::presets;
use comfy_table::{ColumnConstraint, ContentArrangement, Row, Table};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use serde_json::json;

use crate::cli::Format;
use crate::exit::Failure;
use crate::shown::{shown, shown_json};
use crate::stderr::Stderr;
use crate::telemetry::PROGRESS;
use crate::unread::{PIECE, is_ready};

/// How many lines a cell of an overview has at most.
const OVERVIEW_LINES: usize = 2;

/// Why standard output could not be written, the first time.
static LOST: OnceLock<String> = OnceLock::new();

/// Whether the reader of standard output is gone.
static UNREAD: AtomicBool = AtomicBool::new(false);

/// What a verb has printed that waits for no reader, and nobody has read.
static BACKLOG: Mutex<Option<Backlog>> = Mutex::new(None);

/// How much of it is kept, in bytes. Lines beyond that are dropped and counted.
const MAX_BACKLOG: usize = 1 << 20;
/// How long the end of the process waits for a reader who reads no more.
const LAST_PATIENCE: Duration = Duration::from_secs(1);
/// How often it is looked whether there is room again.
const LOOK: Duration = Duration::from_millis(20);
/// What is said of lines that were dropped.
const DROPPED: &str = "lines were dropped, since nobody read them";

/// Text that is to be written as soon as there is room for it.
#[derive(Debug)]
struct Backlog {
    format: Format,
    bytes: VecDeque<u8>,
    /// How many writes were dropped since it was last said.
    dropped: u64,
}

impl Backlog {
    /// Takes a text, or drops it.
    fn push(&mut self, text: &[u8]) {
        if !self.bytes.is_empty() && self.bytes.len() + text.len() > MAX_BACKLOG {
            self.dropped += 1;
            return;
        }
        self.notice();
        self.bytes.extend(text);
    }

    fn notice(&mut self) {
        let dropped = std::mem::take(&mut self.dropped);
        if dropped == 0 {
            return;
        }
        let line = match self.format {
            Format::Json => json!({ "event": "dropped", "lines": dropped }).to_string(),
            Format::Table => format!("{dropped} {DROPPED}"),
        };
        self.bytes.extend(line.into_bytes());
        self.bytes.push_back(b'\n');
    }

    /// Writes as long as there is room for a piece, now or within `patience`; whether that was all.
    fn flush(&mut self, patience: Duration) -> bool {
        while !self.bytes.is_empty() {
            if !is_ready(io::stdout(), patience) {
                return false;
            }
            let (front, _) = self.bytes.as_slices();
            let piece = &front[..front.len().min(PIECE)];
            write_now(piece);
            let written = piece.len();
            self.bytes.drain(..written);
        }
        true
    }
}

/// From now on nothing that is printed waits for a reader: a verb that is to hear a stop holds no
/// thread for one that has stopped to read.
pub(super) fn wait_for_nobody(format: Format) {
    backlog().get_or_insert(Backlog { format, bytes: VecDeque::new(), dropped: 0 });
}

/// Whether something that was printed is not written yet.
#[cfg(feature = "dev")]
pub(super) fn has_backlog() -> bool {
    backlog().as_ref().is_some_and(|it| !it.bytes.is_empty())
}

/// The same, after what there is room for was written.
pub(super) fn is_behind() -> bool {
    backlog().as_mut().is_some_and(|it| !it.flush(Duration::ZERO))
}

/// Waits until all that was printed is written.
pub(super) async fn caught_up() {
    while is_behind() {
        tokio::time::sleep(LOOK).await;
    }
}

/// The last lines are written if somebody reads them.
pub(super) fn finish() {
    if let Some(backlog) = backlog().as_mut() {
        backlog.notice();
        backlog.flush(LAST_PATIENCE);
    }
}

fn backlog() -> MutexGuard<'static, Option<Backlog>> {
    // Bytes that wait are whole after a panic elsewhere.
    BACKLOG.lock().unwrap_or_else(PoisonError::into_inner)
}

fn write(text: &[u8]) {
    match backlog().as_mut() {
        Some(backlog) => {
            backlog.push(text);
            backlog.flush(Duration::ZERO);
        }
        None => write_now(text),
    }
}

/// Writes to standard output. Nothing that a verb does ends because of it, and no exit code is
/// lost: a full disk is told at the end, and a reader that has seen enough, such as `head`, is none
/// of our business.
fn write_now(text: &[u8]) {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text).and_then(|()| stdout.flush()) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => UNREAD.store(true, Ordering::Relaxed),
        Err(error) => drop(LOST.set(error.to_string())),
    }
}

/// Whether nobody reads any more what a verb writes that has no end of its own.
pub(super) fn is_unread() -> bool {
    UNREAD.load(Ordering::Relaxed)
}

/// Why some of the output is missing; `None` if all of it was written, or nobody wanted more.
pub(super) fn lost() -> Option<&'static str> {
    LOST.get().map(String::as_str)
}

/// One line of text.
pub(super) fn line(text: &str) {
    write(format!("{}\n", shown(text)).as_bytes());
}

/// Lines of text that this program made, as they are.
pub(super) fn text(text: &str) {
    write(format!("{text}\n").as_bytes());
}

/// Something to know beside the result, for people: a line on standard error.
pub(super) fn note(text: &str) {
    Stderr::TEXT.line(format!("longshore: {}\n", shown(text)).as_bytes());
}

/// One JSON object, on a line of its own.
pub(super) fn json(value: &impl Serialize) -> Result<(), Failure> {
    let json = serde_json::to_string(value)?;
    write(format!("{}\n", shown_json(&json)).as_bytes());
    Ok(())
}

/// A table for people, as wide as the terminal.
pub(super) fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Result<(), Failure> {
    let mut table = empty_table(header);
    table.add_rows(rows.into_iter().map(cells));
    write(format!("{table}\n").as_bytes());
    Ok(())
}

/// The same where messages may belong to sessions: their ids are the second column if one does.
pub(super) fn table_of_messages(
    header: &[&str],
    rows: impl IntoIterator<Item = (Option<String>, Vec<String>)>,
) -> Result<(), Failure> {
    let rows: Vec<_> = rows.into_iter().collect();
    if rows.iter().all(|(session, _)| session.is_none()) {
        return table(header, rows.into_iter().map(|(_, row)| row));
    }
    let mut header = header.to_vec();
    header.insert(1, "session");
    let with_session = |(session, mut row): (Option<String>, Vec<String>)| {
        row.insert(1, session.unwrap_or_default());
        row
    };
    table(&header, rows.into_iter().map(with_session))
}

/// A table as an overview: on a terminal no cell has more than two lines, what is cut ends in `…`,
/// and the first columns are as wide as they need, so many of them.
pub(super) fn overview(
    header: &[&str],
    rows: impl IntoIterator<Item = Vec<String>>,
    whole_columns: usize,
) -> Result<(), Failure> {
    let mut table = empty_table(header);
    let is_fitted = table.width().is_some();
    table.set_truncation_indicator("…");
    for row in rows {
        let mut row = Row::from(cells(row));
        if is_fitted {
            row.max_height(OVERVIEW_LINES);
        }
        table.add_row(row);
    }
    for column in table.column_iter_mut().take(whole_columns) {
        column.set_constraint(ColumnConstraint::ContentWidth);
    }
    write(format!("{table}\n").as_bytes());
    Ok(())
}

fn empty_table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(header);
    // A terminal that nobody has measured has no columns.
    if let Ok(size) = rustix::termios::tcgetwinsize(io::stdout())
        && size.ws_col > 0
    {
        table.set_width(size.ws_col);
    }
    table
}

fn cells(row: Vec<String>) -> Vec<String> {
    row.iter().map(|cell| shown(cell).into_owned()).collect()
}

/// The name and value of each field, for results that are one object.
pub(super) fn fields<N: AsRef<str>>(
    fields: &[(N, String)],
    value: &impl Serialize,
    format: Format,
) -> Result<(), Failure> {
    if format == Format::Json {
        return json(value);
    }
    let width = fields.iter().map(|(name, _)| name.as_ref().len()).max().unwrap_or_default();
    fields.iter().for_each(|(name, value)| line(&format!("{:width$}  {value}", name.as_ref())));
    Ok(())
}

/// A counter of what is being done, drawn where standard error is a terminal.
pub(super) fn counter(verb: &str) -> ProgressBar {
    let bar = PROGRESS.add(ProgressBar::no_length());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {pos} {msg} in {elapsed}") {
        bar.set_style(style);
    }
    bar.with_message(verb.to_owned())
}
