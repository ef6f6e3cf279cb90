//! Logs: lines for people on a terminal, with a progress bar; one JSON object a line elsewhere. All
//! to standard error.

mod json;
mod line;
#[cfg(feature = "otel")]
pub(crate) mod otel;
mod people;
#[cfg(test)]
mod written;

use std::io::{self, IsTerminal, Write};
use std::sync::LazyLock;

use clap::ValueEnum;
use indicatif::MultiProgress;
use tracing_subscriber::EnvFilter;

use self::json::JsonEvents;
use self::line::{JsonLines, ShownFields, TextLines};
use self::people::PeopleLines;

use crate::stderr::Stderr;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// One line of text each.
    Text,
    /// One JSON object a line.
    Json,
}

/// What the span of an attempt at a message has to do with the trace of its sender.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Correlation {
    /// It is a part of that trace.
    #[default]
    Parent,
    /// It begins a trace, and is linked with that one.
    Link,
}

/// What is drawn at the bottom of the terminal. Log lines go above it.
pub static PROGRESS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// The SDK logs the URL of each call that fails, with its pop receipt, as information. A filter
/// that names the target shows that.
const LIBRARIES: &str = "typespec_client_core=warn,azure_core=warn,azure_identity=warn";

/// Which lines are written, in the words of `--log`.
///
/// # Errors
/// When `filter` is not one.
pub fn filter(filter: &str) -> Result<EnvFilter, String> {
    EnvFilter::try_new(format!("{LIBRARIES},{filter}"))
        .map_err(|error| format!("--log {filter}: {error}; write a level such as info, or target=level"))
}

/// Starts logging, for the rest of the process.
///
/// # Errors
/// When `filter` is not one.
pub fn start(filter: &str, format: LogFormat) -> Result<(), String> {
    let filter = self::filter(filter)?;
    let terminal = io::stderr().is_terminal();
    // A log whose reader is gone must not end the run. By default its own error would go to
    // standard error, and panic.
    let builder = tracing_subscriber::fmt().with_env_filter(filter).log_internal_errors(false);
    let text = match format {
        LogFormat::Auto => terminal,
        LogFormat::Text => true,
        LogFormat::Json => false,
    };
    match (text, terminal) {
        (true, true) => {
            let builder = builder.fmt_fields(ShownFields).event_format(PeopleLines::of_stderr());
            builder.with_writer(|| TextLines(AboveProgress)).init();
        }
        (true, false) => {
            let builder = builder.compact().with_target(false).fmt_fields(ShownFields).with_ansi(false);
            builder.with_writer(|| TextLines(Stderr::TEXT)).init();
        }
        // One `write` a line, unbuffered: what was logged before a crash is there after it.
        (false, _) => {
            builder.event_format(JsonEvents).with_writer(|| JsonLines(Stderr::JSON)).init();
        }
    }
    Ok(())
}

struct AboveProgress;

impl Write for AboveProgress {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        PROGRESS.suspend(|| io::stderr().write_all(line))?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
