//! What verbs write to standard output, and what they draw on standard error.

use std::io::{self, Write};

use comfy_table::presets;
use comfy_table::{ContentArrangement, Table};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::cli::Format;
use crate::exit::Failure;
use crate::shown::{shown, shown_json};
use crate::telemetry::PROGRESS;

/// Writes to standard output. A reader that has seen enough, such as `head`, makes nothing fail.
fn write(text: &[u8]) -> Result<(), Failure> {
    match io::stdout().lock().write_all(text) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// One line of text.
pub(super) fn line(text: &str) -> Result<(), Failure> {
    write(format!("{}\n", shown(text)).as_bytes())
}

/// One JSON object, on a line of its own.
pub(super) fn json(value: &impl Serialize) -> Result<(), Failure> {
    let json = serde_json::to_string(value)?;
    write(format!("{}\n", shown_json(&json)).as_bytes())
}

/// A table for people, as wide as the terminal.
pub(super) fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Result<(), Failure> {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(header);
    if let Ok(size) = rustix::termios::tcgetwinsize(io::stdout()) {
        table.set_width(size.ws_col);
    }
    table.add_rows(
        rows.into_iter().map(|row| row.iter().map(|cell| shown(cell).into_owned()).collect::<Vec<_>>()),
    );
    write(format!("{table}\n").as_bytes())
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
    fields.iter().try_for_each(|(name, value)| line(&format!("{:width$}  {value}", name.as_ref())))
}

/// A counter of what is being done, drawn where standard error is a terminal.
pub(super) fn counter(verb: &str) -> ProgressBar {
    let bar = PROGRESS.add(ProgressBar::no_length());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {pos} {msg} in {elapsed}") {
        bar.set_style(style);
    }
    bar.with_message(verb.to_owned())
}
