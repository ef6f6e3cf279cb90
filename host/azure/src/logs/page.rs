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
    /// How many lines have a time that cannot be read. They are left out.
    pub unreadable: usize,
    /// How many lines there were.
    rows: usize,
    /// How many of the last lines are of one time: that of the last line that is left.
    at_once: usize,
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
        // A row, and whether it has a time at all: those without one come first.
        let read = |row: &Vec<Value>| {
            let text = |place: usize| row.get(place).and_then(Value::as_str).unwrap_or_default();
            let line = text(time).parse().ok().map(|time| LogLine {
                time,
                // A table that does not say so had it when it was written.
                ingested: text(ingested).parse().unwrap_or(time),
                replica: text(replica).to_owned(),
                text: text(log).to_owned(),
            });
            (line, !text(time).is_empty(), line_bytes(text(log)))
        };
        let rows: Vec<_> = table.rows.iter().map(read).collect();
        let bytes: usize = rows.iter().map(|(_, _, bytes)| bytes).sum();
        let last = rows.iter().rev().find_map(|(line, ..)| line.as_ref()).map(|line| line.time);
        let is_of_last = |(line, has_time, _): &&(Option<LogLine>, bool, usize)| match line {
            Some(line) => Some(line.time) == last,
            None => *has_time,
        };
        let at_once = rows.iter().rev().take_while(is_of_last).count();
        // The service leaves out the first line that has no room.
        let is_full = rows.len() >= PAGE_LINES || bytes + longest_line_bytes() > PAGE_BYTES;
        let (partial, rows_there) = (answered.error.map(|error| error.words()), rows.len());
        let lines: Vec<_> = rows.into_iter().filter_map(|(line, ..)| line).collect();
        Ok(Self { partial, unreadable: rows_there - lines.len(), rows: rows_there, at_once, is_full, lines })
    }

    /// Where the next page begins, after this one that began at `from`; `None` after the last.
    pub fn next(&self, from: &LogPlace) -> Option<LogPlace> {
        if !self.is_full || self.rows == 0 {
            return None;
        }
        Some(match self.lines.last() {
            Some(last) => from.after(last.time, self.at_once),
            None => from.beyond(self.rows),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A page whose lines have these times.
    fn page(times: &[&str]) -> LogPage {
        let columns = ["Time", "Ingested", "Replica", "Log"].map(|name| json!({ "name": name }));
        let rows: Vec<_> = times.iter().map(|time| json!([time, "", "orders-1-a", *time])).collect();
        let answer = json!({ "tables": [{ "columns": columns, "rows": rows }] });
        LogPage::read(answer.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_time_that_cannot_be_read_hides_its_own_line_and_no_other() {
        let (first, second) = ("2026-11-27T00:00:00Z", "2026-11-27T00:00:01Z");
        let one = page(&["", "yesterday", first, "+12026-11-27T00:00:00Z", second]);
        let texts: Vec<_> = one.lines.iter().map(|line| &*line.text).collect();
        assert_eq!((texts, one.unreadable), (vec![first, second], 3));
        assert_eq!(one.next(&LogPlace::default()), None, "it is not full");
    }

    #[test]
    fn pages_go_on_behind_times_that_cannot_be_read() {
        let from = LogPlace::default();
        let none = page(&["yesterday"; PAGE_LINES]);
        assert_eq!((none.lines.len(), none.unreadable), (0, PAGE_LINES));
        assert_eq!(none.next(&from), Some(from.beyond(PAGE_LINES)));
        let time = "2026-11-27T00:00:00Z";
        let mut times = vec![""; PAGE_LINES - 3];
        times.extend([time, time, "later"]);
        assert_eq!(page(&times).next(&from), Some(from.after(time.parse().unwrap(), 3)));
    }
}

#[cfg(test)]
mod fuzz;
