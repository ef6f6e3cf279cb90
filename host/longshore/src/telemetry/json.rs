//! A line of the log as a JSON object, written in one go.
//!
//! The library's own formatter writes piece by piece into a string, and looks at each piece whether
//! it is UTF-8. A message has two lines, and that took a twelfth of the processor's time of a
//! drain.

use std::cell::Cell;
use std::fmt;
use std::io::Write;

use jiff::Timestamp;
use jiff::tz::Offset;
use serde::ser::{SerializeMap, Serializer as _};
use serde_json::Serializer;
use serde_json::ser::{CompactFormatter, Compound};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent};

use longshore_handler::trace_context::TraceIds;
use longshore_worker::trace;

/// What most lines take, in bytes.
const USUAL_LINE: usize = 320;

/// One object a line: `timestamp`, `level`, the fields of the event, `target`, and under a message
/// with a trace `trace_id` and `span_id`, as OpenTelemetry calls them where logs are JSON
/// (<https://opentelemetry.io/docs/specs/otel/compatibility/logging_trace_context/>).
pub(super) struct JsonEvents;

impl<S: Subscriber, N> FormatEvent<S, N> for JsonEvents
where
    S: for<'a> tracing_subscriber::registry::LookupSpan<'a>,
    N: for<'a> tracing_subscriber::fmt::FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = Vec::with_capacity(USUAL_LINE);
        object(&mut line, event).map_err(|_| fmt::Error)?;
        line.extend_from_slice(b"}\n");
        writer.write_str(std::str::from_utf8(&line).map_err(|_| fmt::Error)?)
    }
}

/// Writes the object up to its end.
fn object(line: &mut Vec<u8>, event: &Event<'_>) -> serde_json::Result<()> {
    let metadata = event.metadata();
    let mut serializer = Serializer::new(&mut *line);
    let mut fields = Fields { object: serializer.serialize_map(None)?, written: Ok(()) };
    let now = stamp(Timestamp::now());
    fields.object.serialize_entry("timestamp", std::str::from_utf8(&now).unwrap_or_default())?;
    fields.object.serialize_entry("level", metadata.level().as_str())?;
    event.record(&mut fields);
    fields.written?;
    fields.object.serialize_entry("target", metadata.target())?;
    // The object goes on with the trace.
    if let Some(ids) = trace::current() {
        under_trace(line, ids);
    }
    Ok(())
}

/// Digits need no escaping: they are copied as they are.
fn under_trace(line: &mut Vec<u8>, ids: TraceIds) {
    let (trace, span) = (ids.trace_id(), ids.span_id());
    for part in [b",\"trace_id\":\"", &trace[..], b"\",\"span_id\":\"", &span, b"\""] {
        line.extend_from_slice(part);
    }
}

/// The fields of an event, each under its name.
struct Fields<'a> {
    object: Compound<'a, &'a mut Vec<u8>, CompactFormatter>,
    /// What became of those so far.
    written: serde_json::Result<()>,
}

impl Fields<'_> {
    fn entry(&mut self, field: &Field, value: &(impl serde::Serialize + ?Sized)) {
        if self.written.is_ok() {
            self.written = self.object.serialize_entry(field.name(), value);
        }
    }
}

impl Visit for Fields<'_> {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.entry(field, &value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.entry(field, &value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.entry(field, &value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.entry(field, &value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.entry(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.entry(field, &format_args!("{value:?}"));
    }
}

/// A time as all lines have it: `2026-11-27T09:12:27.012345Z`.
type Stamp = [u8; 27];

/// The time in UTC, in whole microseconds. Lines of one second share what precedes the point.
fn stamp(at: Timestamp) -> Stamp {
    thread_local! {
        static NEWEST: Cell<(i64, Stamp)> = const { Cell::new((i64::MIN, *b"0000-00-00T00:00:00.000000Z")) };
    }
    let second = at.as_second();
    let (of, mut stamp) = NEWEST.get();
    if of != second {
        let civil = Offset::UTC.to_datetime(at);
        // Before the year 0 or after 9999 the clock is broken, and the line has the newest time.
        let _ = write!(&mut stamp[..19], "{:04}-{:02}-{:02}T", civil.year(), civil.month(), civil.day());
        let time = (civil.hour(), civil.minute(), civil.second());
        let _ = write!(&mut stamp[11..19], "{:02}:{:02}:{:02}", time.0, time.1, time.2);
        NEWEST.set((second, stamp));
    }
    let mut micros = at.subsec_microsecond().unsigned_abs();
    for digit in stamp[20..26].iter_mut().rev() {
        *digit = b'0' + (micros % 10) as u8;
        micros /= 10;
    }
    stamp
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use longshore_handler::trace_context::TRACEPARENT;
    use serde_json::{Value, json};

    use super::super::written::WrittenLog;
    use super::{JsonEvents, stamp};

    /// The lines that `log` logs.
    fn lines(log: impl FnOnce()) -> Vec<Value> {
        let written = WrittenLog::default();
        let to = written.clone();
        let subscriber = tracing_subscriber::fmt()
            .event_format(JsonEvents)
            .with_max_level(tracing::Level::TRACE)
            .with_writer(move || to.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, log);
        written.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn a_line_has_its_time_its_level_each_field_as_what_it_is_and_its_target() {
        let lines = lines(|| {
            let (name, error) = ("o-1 \"\n\u{202e}", std::fmt::Error);
            tracing::warn!(name, n = 7_u64, below = -1, half = 0.5, is = true, %error, shown = ?name, "said {}", 1);
            tracing::trace!(target: "guest", none = tracing::field::Empty, "a line");
        });
        let mut first = lines[0].clone();
        let at: Timestamp = first["timestamp"].take().as_str().unwrap().parse().unwrap();
        assert!(Timestamp::now().duration_since(at).as_secs() < 60);
        let expected = json!({
            "timestamp": null, "level": "WARN", "message": "said 1", "name": "o-1 \"\n\u{202e}", "n": 7, "below": -1,
            "half": 0.5, "is": true, "error": std::fmt::Error.to_string(), "shown": "\"o-1 \\\"\\n\\u{202e}\"",
            "target": module_path!(),
        });
        assert_eq!(first, expected);
        assert_eq!((&lines[1]["level"], &lines[1]["target"]), (&json!("TRACE"), &json!("guest")));
        assert!(lines[1].get("none").is_none());
    }

    #[tokio::test]
    async fn a_line_under_a_message_names_its_trace_and_stays_json() {
        let ids = [(TRACEPARENT.to_owned(), format!("00-{}abc-{}d-01", "0".repeat(29), "0".repeat(15)))];
        let log = || lines(|| tracing::info!("m"));
        let under = longshore_worker::trace::under(&ids, async { log() }).await;
        let found = (&under[0]["message"], &under[0]["trace_id"], &under[0]["span_id"]);
        let (trace, span) = (format!("{}abc", "0".repeat(29)), format!("{}d", "0".repeat(15)));
        assert_eq!(found, (&json!("m"), &json!(trace), &json!(span)));
        assert!(log()[0].get("trace_id").is_none());
    }

    #[test]
    fn a_time_has_six_digits_of_a_second_in_utc() {
        for (at, said) in [
            ("2026-11-27T09:12:27.012345Z", "2026-11-27T09:12:27.012345Z"),
            ("2026-11-27T09:12:27.9999999Z", "2026-11-27T09:12:27.999999Z"),
            ("2026-11-27T09:12:27.9Z", "2026-11-27T09:12:27.900000Z"),
            ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000000Z"),
            ("2026-03-01T23:59:59.000001+02:00", "2026-03-01T21:59:59.000001Z"),
        ] {
            assert_eq!(std::str::from_utf8(&stamp(at.parse().unwrap())), Ok(said));
        }
    }
}
