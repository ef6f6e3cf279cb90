//! The query, in the language of Log Analytics ([Kusto Query
//! Language](https://learn.microsoft.com/kusto/query/)).

use std::fmt::Write;

use jiff::Timestamp;

/// How many lines an answer has at most.
pub(super) const PAGE_LINES: usize = 2000;
/// How many bytes of lines an answer has at most. JSON makes six of a byte at worst, and an answer
/// of four megabytes is read.
pub(super) const PAGE_BYTES: usize = 600_000;
/// What a line takes beside its text: the replica's name, two times.
const BESIDE_TEXT: usize = 256;
/// Where a line is cut, in characters. Hosts cut theirs at 16,000 bytes.
const LONGEST_LINE: usize = 65_536;
/// The most bytes that a character has.
const CHARACTER: usize = 4;

/// What a line takes of [`PAGE_BYTES`].
pub(super) fn line_bytes(text: &str) -> usize {
    text.len() + BESIDE_TEXT
}

/// What the longest line takes of [`PAGE_BYTES`].
pub(super) fn longest_line_bytes() -> usize {
    LONGEST_LINE * CHARACTER + BESIDE_TEXT
}

/// Which lines of a job's log.
#[derive(Clone, Debug)]
pub struct LogSelection {
    /// The job's name.
    pub job: String,
    /// Only those of this execution.
    pub execution: Option<String>,
    /// Only those about messages whose ids begin or end so.
    pub message: Option<String>,
    /// Only those that were written from then on.
    pub since: Timestamp,
    /// Only those that the service got after this moment.
    pub ingested_after: Option<Timestamp>,
}

/// A place among the lines that are selected: after so many of those that were written at this
/// time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogPlace {
    time: Option<Timestamp>,
    skipped: usize,
}

impl LogPlace {
    /// The place after `lines` lines of this time, the last ones of a page that began here.
    pub(super) fn after(&self, time: Timestamp, lines: usize) -> Self {
        let before = if self.time == Some(time) { self.skipped } else { 0 };
        Self { time: Some(time), skipped: before + lines }
    }

    /// The place after `lines` more lines, none of which says a time.
    pub(super) fn beyond(&self, lines: usize) -> Self {
        Self { skipped: self.skipped + lines, ..self.clone() }
    }
}

impl LogSelection {
    /// The query for a page. It asks both tables that there are: the one of diagnostic settings,
    /// and the one of environments that send their logs themselves. A workspace may have either.
    ///
    /// Lines of the host say when they were written. The second table knows only when it got them.
    pub(super) fn query(&self, from: &LogPlace) -> String {
        let (job, since) = (literal(&self.job), moment(self.since));
        let mut query = String::from("union isfuzzy=true");
        let tables = [
            ("ContainerAppConsoleLogs", "JobName", "ContainerGroupName", "Log"),
            ("ContainerAppConsoleLogs_CL", "ContainerJobName_s", "ContainerGroupName_s", "Log_s"),
        ];
        for (place, (table, name, replica, log)) in tables.into_iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            // Writing to memory does not fail.
            let _ = write!(
                query,
                "{comma}\n  ({table} | where TimeGenerated >= {since} and {name} =~ {job} | project TimeGenerated, Ingested = ingestion_time(), Replica = {replica}, Log = substring({log}, 0, {LONGEST_LINE}))"
            );
        }
        query += "\n| extend line = parse_json(Log)\n| extend Time = coalesce(todatetime(tostring(line.timestamp)), TimeGenerated)";
        if let Some(execution) = &self.execution {
            let (whole, beginning) = (literal(execution), literal(&format!("{execution}-")));
            query += &format!("\n| where Replica =~ {whole} or Replica startswith {beginning}");
        }
        if let Some(message) = &self.message {
            let (id, part) = ("tostring(line.message_id)", literal(message));
            query += &format!("\n| where {id} startswith_cs {part} or {id} endswith_cs {part}");
        }
        if let Some(after) = self.ingested_after {
            query += &format!("\n| where coalesce(Ingested, TimeGenerated) > {}", moment(after));
        }
        if let Some(time) = from.time {
            query += &format!("\n| where Time >= {}", moment(time));
        }
        let skipped = from.skipped;
        query += "\n| project Time, Ingested, Replica, Log\n| order by Time asc, Replica asc, Log asc\n| extend Row = row_number()";
        query += &format!("\n| where Row > {skipped}");
        query += &format!("\n| extend Bytes = row_cumsum(string_size(Log) + {BESIDE_TEXT})");
        // A line that is larger than a page is a page.
        query += &format!("\n| where Bytes <= {PAGE_BYTES} or Row == {}", skipped + 1);
        query += &format!("\n| take {PAGE_LINES}\n| project Time, Ingested, Replica, Log");
        query
    }
}

/// A moment. The service keeps tenths of microseconds, and cuts what is finer.
fn moment(time: Timestamp) -> String {
    format!("datetime({})", time.strftime("%Y-%m-%dT%H:%M:%S.%7fZ"))
}

/// A text as the language writes it. Every character but those that names have is escaped, so that
/// none ends the text ([String
/// literals](https://learn.microsoft.com/kusto/query/scalar-data-types/string)).
fn literal(text: &str) -> String {
    let mut literal = String::from("'");
    for character in text.chars() {
        if character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.' | ' ' | ':' | '/') {
            literal.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            // Writing to memory does not fail.
            let _ = write!(literal, "\\u{unit:04x}");
        }
    }
    literal + "'"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection() -> LogSelection {
        LogSelection {
            job: "orders".into(),
            execution: None,
            message: None,
            since: Timestamp::UNIX_EPOCH,
            ingested_after: None,
        }
    }

    #[test]
    fn no_text_ends_its_literal() {
        for (text, written) in [
            ("0198a2c4-7b", "'0198a2c4-7b'"),
            ("it's", r"'it\u0027s'"),
            ("a\\' or 1==1 //", r"'a\u005c\u0027 or 1\u003d\u003d1 //'"),
            ("line\nbreak", r"'line\u000abreak'"),
            ("\u{1f4e6}", r"'\ud83d\udce6'"),
            ("", "''"),
        ] {
            assert_eq!(literal(text), written, "{text}");
        }
    }

    #[test]
    fn what_is_selected_is_in_the_query_and_nothing_else_is() {
        let plain = selection().query(&LogPlace::default());
        for part in ["startswith", "message_id", "Ingested, TimeGenerated) >", "where Time >="] {
            assert!(!plain.contains(part), "{part}: {plain}");
        }
        let selected = LogSelection {
            execution: Some("orders-1".into()),
            message: Some("m'1".into()),
            ingested_after: Some(Timestamp::UNIX_EPOCH),
            ..selection()
        };
        let place = LogPlace::default().after(Timestamp::UNIX_EPOCH, 7);
        let query = selected.query(&place);
        for part in [
            "Replica startswith 'orders-1-'",
            r"startswith_cs 'm\u00271'",
            r"endswith_cs 'm\u00271'",
            "Ingested, TimeGenerated) > datetime(1970-01-01T00:00:00.0000000Z)",
            "where Time >= datetime(1970-01-01T00:00:00.0000000Z)",
            "where Row > 7",
            "or Row == 8",
        ] {
            assert!(query.contains(part), "{part}: {query}");
        }
    }

    #[test]
    fn a_place_counts_the_lines_of_one_time_over_pages() {
        let (first, later) = (Timestamp::UNIX_EPOCH, Timestamp::from_second(1).unwrap());
        let place = LogPlace::default().after(first, 2000).after(first, 2000);
        assert_eq!(place, LogPlace { time: Some(first), skipped: 4000 });
        assert_eq!(place.after(later, 3), LogPlace { time: Some(later), skipped: 3 });
    }
}
