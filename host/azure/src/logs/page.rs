//! What Log Analytics answers: tables of columns and rows ([Response
//! format](https://learn.microsoft.com/azure/azure-monitor/logs/api/response-format)).

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::error::Said;
use super::query::{LogPlace, PAGE_BYTES, PAGE_LINES, line_bytes, longest_line_bytes};

/// One line that an execution wrote.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LogLine {
    /// When it was written: as the line itself says, or the service.
    pub time: Timestamp,
    /// When the service had it.
    pub ingested: Timestamp,
    /// The replica that wrote it: the execution's name, with an end.
    pub replica: String,
    /// The line.
    pub text: String,
}

/// The lines of one answer, in their order.
#[derive(Clone, Debug)]
pub struct LogPage {
    /// The lines.
    pub lines: Vec<LogLine>,
    /// Why lines are missing, where the service says that some are.
    pub partial: Option<String>,
    /// Whether there may be more.
    is_full: bool,
}

#[derive(Deserialize)]
struct Answered {
    tables: Vec<Table>,
    error: Option<Said>,
}

#[derive(Deserialize)]
struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Value>>,
}

#[derive(Deserialize)]
struct Column {
    name: String,
}

impl LogPage {
    /// Reads an answer. The error says what is wrong with it.
    pub(super) fn read(body: &[u8]) -> Result<Self, String> {
        let answered: Answered = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let table = answered.tables.into_iter().next().ok_or("it has no table")?;
        let place = |name: &str| {
            let found = table.columns.iter().position(|column| column.name == name);
            found.ok_or_else(|| format!("it has no column `{name}`"))
        };
        let (time, ingested) = (place("Time")?, place("Ingested")?);
        let (replica, log) = (place("Replica")?, place("Log")?);
        let read = |row: Vec<Value>| {
            let text = |place: usize| row.get(place).and_then(Value::as_str).unwrap_or_default();
            let time: Timestamp =
                text(time).parse().map_err(|error| format!("a line has no time: {error}"))?;
            Ok(LogLine {
                time,
                // A table that does not say so had it when it was written.
                ingested: text(ingested).parse().unwrap_or(time),
                replica: text(replica).to_owned(),
                text: text(log).to_owned(),
            })
        };
        let lines = table.rows.into_iter().map(read).collect::<Result<Vec<_>, String>>()?;
        let bytes: usize = lines.iter().map(|line| line_bytes(&line.text)).sum();
        // The service leaves out the first line that has no room.
        let is_full = lines.len() >= PAGE_LINES || bytes + longest_line_bytes() > PAGE_BYTES;
        Ok(Self { is_full, partial: answered.error.map(|error| error.words()), lines })
    }

    /// Where the next page begins, after this one that began at `from`; `None` after the last.
    pub fn next(&self, from: &LogPlace) -> Option<LogPlace> {
        let last = self.lines.last().filter(|_| self.is_full)?;
        let at_once = self.lines.iter().rev().take_while(|line| line.time == last.time).count();
        Some(from.after(last.time, at_once))
    }
}

#[cfg(test)]
mod fuzz;
