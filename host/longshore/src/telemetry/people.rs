//! Lines for people on a terminal. What became of a message is one line of at most a hundred
//! columns: the time, the id's end, the outcome, how long it took, and the cause.

use std::fmt::{self, Debug};
use std::io;

use jiff::Timestamp;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::shown::shown;

/// The most columns that a message's line takes, also on a wider terminal.
pub(super) const MAX_COLUMNS: usize = 100;
/// On a narrower terminal a line is no shorter than this.
const MIN_COLUMNS: usize = 50;
/// How many characters are shown of an id: its end, since many begin alike.
const END_OF_ID: usize = 8;
/// From so many milliseconds on, seconds say enough.
const SECONDS_FROM: u64 = 10_000;

/// Formats lines for people.
#[derive(Debug)]
pub(super) struct PeopleLines {
    columns: usize,
}

/// The fields of a line about a message.
#[derive(Debug, Default)]
struct MessageFields {
    message: String,
    message_id: String,
    outcome: String,
    reason: String,
    detail: String,
    dequeue_count: u64,
    ms: Option<u64>,
}

impl Visit for MessageFields {
    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            "dequeue_count" => self.dequeue_count = value,
            "ms" => self.ms = Some(value),
            _ => {}
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let text = match field.name() {
            "message" => &mut self.message,
            "message_id" => &mut self.message_id,
            "outcome" => &mut self.outcome,
            "reason" => &mut self.reason,
            "detail" => &mut self.detail,
            _ => return,
        };
        *text = format!("{value:?}");
    }
}

impl MessageFields {
    /// What became of a message, in so many columns.
    fn outcome(&self, columns: usize) -> String {
        let ms = match self.ms {
            Some(ms) if ms >= SECONDS_FROM => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
            Some(ms) => format!("{ms} ms"),
            None => String::new(),
        };
        let attempt = (self.dequeue_count > 1).then(|| format!("attempt {}", self.dequeue_count));
        let cause = [&*self.reason, &*self.detail].into_iter().filter(|it| !it.is_empty());
        let cause = cause.collect::<Vec<_>>().join(": ");
        let cause: Vec<_> = attempt.into_iter().chain((!cause.is_empty()).then_some(cause)).collect();
        let line = format!("{}  {:10} {ms:>8}  {}", self.id(), self.outcome, shown(&cause.join(", ")));
        cut(line.trim_end(), columns)
    }

    /// The end of the id.
    fn id(&self) -> String {
        let id = shown(&self.message_id);
        let count = id.chars().count();
        if count <= END_OF_ID + 1 {
            return format!("{id:9}");
        }
        std::iter::once('…').chain(id.chars().skip(count - END_OF_ID)).collect()
    }
}

impl PeopleLines {
    /// Lines for the terminal that standard error is.
    pub(super) fn of_stderr() -> Self {
        let columns = rustix::termios::tcgetwinsize(io::stderr()).map_or(0, |size| size.ws_col.into());
        Self::of(columns)
    }

    /// Lines for a terminal of so many columns; 0: it does not say.
    fn of(columns: usize) -> Self {
        let columns = if columns == 0 { MAX_COLUMNS } else { columns };
        Self { columns: columns.clamp(MIN_COLUMNS, MAX_COLUMNS) }
    }
}

impl<S, N> FormatEvent<S, N> for PeopleLines
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let time = Timestamp::now().strftime("%H:%M:%S").to_string();
        let (level, target) = (*event.metadata().level(), event.metadata().target());
        let mut fields = MessageFields::default();
        if target == "guest" || target.starts_with("longshore_worker") {
            event.record(&mut fields);
        }
        if !fields.outcome.is_empty() {
            let line = fields.outcome(self.columns - time.len() - 2);
            return paint(&mut writer, level, &format!("{time}  {line}"));
        }
        if target == "guest" && !fields.message.is_empty() {
            let mark = if level <= Level::WARN { level.as_str() } else { "|" };
            return paint(
                &mut writer,
                level,
                &format!("{time}  {}  {mark} {}", fields.id(), shown(&fields.message)),
            );
        }
        write!(writer, "{time}  ")?;
        paint_part(&mut writer, level, &format!("{level:5}"))?;
        writer.write_char(' ')?;
        context.format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}

/// Writes a whole line, in the colour of its level where it is worth a look.
fn paint(writer: &mut Writer<'_>, level: Level, line: &str) -> fmt::Result {
    if level <= Level::WARN {
        paint_part(writer, level, line)?;
    } else {
        writer.write_str(line)?;
    }
    writeln!(writer)
}

fn paint_part(writer: &mut Writer<'_>, level: Level, text: &str) -> fmt::Result {
    let colour = match level {
        Level::ERROR => 31,
        Level::WARN => 33,
        Level::INFO => 32,
        Level::DEBUG => 34,
        _ => 35,
    };
    if writer.has_ansi_escapes() {
        write!(writer, "\u{1b}[{colour}m{text}\u{1b}[0m")
    } else {
        writer.write_str(text)
    }
}

/// The start of a text that fits into so many columns; an ellipsis says that there was more.
pub(crate) fn cut(text: &str, columns: usize) -> String {
    if text.chars().map(width).sum::<usize>() <= columns {
        return text.to_owned();
    }
    let (mut shown, mut left) = (String::new(), columns.saturating_sub(1));
    for character in text.chars() {
        let Some(less) = left.checked_sub(width(character)) else { break };
        left = less;
        shown.push(character);
    }
    shown + "…"
}

/// How many columns a character takes at the most. From Hangul on many take two
/// ([UAX 11](https://www.unicode.org/reports/tr11/)).
fn width(character: char) -> usize {
    if character >= '\u{1100}' && !('\u{2010}'..='\u{2027}').contains(&character) { 2 } else { 1 }
}

#[cfg(test)]
mod tests {
    use super::super::line::ShownFields;
    use super::super::written::WrittenLog;
    use super::{PeopleLines, cut, width};

    /// The lines that are written, without their times.
    fn lines(columns: usize, ansi: bool, log: impl FnOnce()) -> Vec<String> {
        let written = WrittenLog::default();
        let to = written.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(ansi)
            .fmt_fields(ShownFields)
            .event_format(PeopleLines::of(columns))
            .with_writer(move || to.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, log);
        written.text().lines().map(str::to_owned).collect()
    }

    macro_rules! ended {
        ($id:expr, $count:expr, $outcome:expr, $reason:expr, $detail:expr, $ms:expr) => {
            tracing::info!(target: "longshore_worker::report", message_id = $id, dequeue_count = $count, outcome = $outcome, reason = $reason, detail = $detail, ms = $ms)
        };
    }

    const ID: &str = "0198a2c4-3d1e-7a4f-9c61-0a7f2c9b1e55";

    #[test]
    fn what_became_of_a_message_is_one_line_of_a_hundred_columns() {
        let evil = "a\n\u{1b}[2J\u{202e}b ".repeat(50);
        let wide = "\u{6f22}\u{5b57}".repeat(200);
        for columns in [0, 50, 80, 100, 250] {
            let shown = lines(columns, false, || {
                ended!(ID, 1_u32, "completed", "", "", 12_u64);
                ended!(&*evil, 5_u32, "poisoned", "attempts-exhausted", &*evil, 123_456_u64);
                ended!(&*wide, 4_000_000_000_u32, "lease-lost", "trap", &*wide, u64::MAX);
            });
            assert_eq!(shown.len(), 3, "{shown:#?}");
            for line in shown {
                let limit = if columns == 0 { 100 } else { columns.min(100) };
                assert!(line.chars().map(width).sum::<usize>() <= limit, "{columns}: {line}");
                assert!(!line.chars().any(|it| it.is_control() || it == '\u{202e}'), "{line}");
            }
        }
    }

    #[test]
    fn it_has_the_time_the_end_of_the_id_the_outcome_the_cause_and_the_milliseconds() {
        let shown = lines(0, false, || {
            ended!(ID, 1_u32, "completed", "", "", 12_u64);
            ended!(ID, 3_u32, "retried", "trap", "panicked at src/lib.rs:1:2: no stock", 12_345_u64);
            ended!("o-1", 1_u32, "poisoned", "rejected", "no order", 0_u64);
        });
        let bare: Vec<_> = shown.iter().map(|line| &line[8..]).collect();
        let expected = [
            "  …2c9b1e55  completed     12 ms",
            "  …2c9b1e55  retried      12.3 s  attempt 3, trap: panicked at src/lib.rs:1:2: no stock",
            "  o-1        poisoned       0 ms  rejected: no order",
        ];
        assert_eq!(bare, expected);
        assert!(shown[0].as_bytes()[2] == b':' && shown[0].as_bytes()[5] == b':', "{}", shown[0]);
    }

    #[test]
    fn a_line_of_a_handler_stands_behind_the_end_of_its_message_s_id() {
        let shown = lines(0, false, || {
            tracing::info!(target: "guest", message_id = ID, stream = "stdout", "packed {}", 2);
            tracing::warn!(target: "guest", message_id = ID, context = "stock", "only two left");
        });
        let bare: Vec<_> = shown.iter().map(|line| &line[8..]).collect();
        assert_eq!(bare, ["  …2c9b1e55  | packed 2", "  …2c9b1e55  WARN only two left"]);
    }

    #[test]
    fn any_other_line_is_whole_and_what_is_poisoned_is_painted_as_a_warning() {
        let long = "x".repeat(300);
        let shown = lines(80, false, || tracing::error!(cause = &*long, "the queue is gone"));
        assert_eq!(&shown[0][8..], format!("  ERROR the queue is gone cause={long:?}"));
        let shown = lines(80, true, || {
            tracing::warn!(target: "longshore_worker::report", message_id = ID, outcome = "poisoned", reason = "rejected", detail = "no order", ms = 1_u64);
            ended!(ID, 1_u32, "completed", "", "", 12_u64);
        });
        assert!(shown[0].starts_with("\u{1b}[33m") && shown[0].ends_with("\u{1b}[0m"), "{shown:?}");
        assert!(!shown[1].contains('\u{1b}'), "{shown:?}");
    }

    #[test]
    fn a_cut_is_marked_and_in_place() {
        assert_eq!(["abc", "abcd", "abcde"].map(|text| cut(text, 4)), ["abc", "abcd", "abc…"]);
        assert_eq!(cut("\u{6f22}\u{6f22}\u{6f22}", 4), "\u{6f22}…");
    }
}
