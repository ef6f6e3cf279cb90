//! One line of the log, as it is written: nothing in it acts on a terminal, and none is too long.

use std::borrow::Cow;
use std::fmt::{self, Debug};
use std::io::{self, Write};

use serde_json::{Map, Value};
use tracing::field::Field;
use tracing_subscriber::field::{MakeExt, RecordFields};
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::{Writer, debug_fn};

use crate::shown::{shown, shown_json};

/// The longest line, in bytes, its end included. Container runtimes split what is longer than 16
/// KiB (moby, `jsonfilelog` and the CRI's log format), and the pieces are no JSON any more.
pub(super) const LONGEST_LINE: usize = 16_000;

/// How much of each text in a line stays, tried one after the other until the line is short enough.
const LONGEST_TEXTS: [usize; 4] = [8 << 10, 2 << 10, 256, 32];

/// The fields of a line of text. The values are those of others.
pub(super) struct ShownFields;

impl<'writer> FormatFields<'writer> for ShownFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        let field = |writer: &mut Writer<'_>, field: &Field, value: &dyn Debug| {
            let value = format!("{value:?}");
            match field.name() {
                "message" => write!(writer, "{}", shown(&value)),
                name => write!(writer, "{name}={}", shown(&value)),
            }
        };
        debug_fn(field).delimited(" ").format_fields(writer, fields)
    }
}

/// Writes whole lines of JSON, and shortens those that are too long.
pub(super) struct JsonLines<W>(pub(super) W);

impl<W: Write> Write for JsonLines<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if is_plain(line) {
            self.0.write_all(line)?;
        } else {
            let text = String::from_utf8_lossy(line);
            let text = text.trim_end_matches('\n');
            self.0.write_all(format!("{}\n", short_json(text)).as_bytes())?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Whether a line is short enough, and has nothing but visible ASCII and its end. Nearly all are.
fn is_plain(line: &[u8]) -> bool {
    let Some((b'\n', text)) = line.split_last() else { return false };
    // Without an end on the way the processor looks at many bytes at once.
    let is_visible = |is, byte| is & (b' '..=b'~').contains(byte);
    line.len() <= LONGEST_LINE && text.iter().fold(true, is_visible)
}

/// Writes whole lines of text, and cuts those that are too long.
pub(super) struct TextLines<W>(pub(super) W);

impl<W: Write> Write for TextLines<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if line.len() <= LONGEST_LINE {
            self.0.write_all(line)?;
        } else {
            let text = String::from_utf8_lossy(line);
            let text = text.trim_end_matches('\n');
            self.0.write_all(format!("{}\n", cut(text, LONGEST_LINE - 100)).as_bytes())?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// The same object, with its texts cut where it would be too long.
fn short_json(line: &str) -> Cow<'_, str> {
    let whole = shown_json(line);
    if whole.len() < LONGEST_LINE {
        return whole;
    }
    let Ok(Value::Object(object)) = serde_json::from_str(line) else {
        return cut(line, LONGEST_LINE - 100).into();
    };
    for longest in LONGEST_TEXTS {
        let mut shortened = object.clone();
        shortened.values_mut().for_each(|value| cut_texts(value, longest));
        let short = Value::Object(shortened).to_string();
        let short = shown_json(&short).into_owned();
        if short.len() < LONGEST_LINE {
            return short.into();
        }
    }
    // So many fields that not even their names have room.
    let names = ["timestamp", "level", "target", "message", "trace_id", "span_id"];
    let mut rest: Map<String, Value> =
        object.into_iter().filter(|(name, _)| names.contains(&&**name)).collect();
    rest.values_mut().for_each(|value| cut_texts(value, 256));
    Value::Object(rest).to_string().into()
}

fn cut_texts(value: &mut Value, longest: usize) {
    match value {
        Value::String(text) if text.len() > longest => *text = cut(text, longest),
        Value::Array(values) => values.iter_mut().for_each(|value| cut_texts(value, longest)),
        Value::Object(values) => values.values_mut().for_each(|value| cut_texts(value, longest)),
        _ => {}
    }
}

/// The start of a text, and how long it was.
fn cut(text: &str, longest: usize) -> String {
    let start = &text[..text.floor_char_boundary(longest)];
    format!("{start}\u{2026} ({} bytes)", text.len())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use serde_json::{Value, json};

    use super::super::written::WrittenLog;
    use super::{JsonLines, LONGEST_LINE, ShownFields, TextLines};

    fn written(line: &Value) -> (Value, usize) {
        let mut out = Vec::new();
        JsonLines(&mut out).write_all(format!("{line}\n").as_bytes()).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.matches('\n').count(), 1);
        (serde_json::from_str(&text).unwrap(), text.len())
    }

    #[test]
    fn a_line_of_json_that_fits_is_written_as_it_is() {
        let line = json!({ "level": "INFO", "message": "caf\u{e9} \u{202e}", "n": [1, { "a": "b" }] });
        assert_eq!(written(&line).0, line);
    }

    #[test]
    fn a_line_of_json_that_is_too_long_stays_json_and_is_cut() {
        let (found, length) =
            written(&json!({ "level": "INFO", "message": "m".repeat(40_000), "id": "m-1" }));
        assert!(length <= LONGEST_LINE, "{length}");
        assert_eq!((&found["level"], &found["id"]), (&json!("INFO"), &json!("m-1")));
        assert!(found["message"].as_str().unwrap().ends_with("m\u{2026} (40000 bytes)"));
        for line in [
            json!({ "level": "INFO", "message": "\u{1}".repeat(40_000) }),
            json!({ "level": "INFO", "message": "\u{202e}".repeat(40_000) }),
            json!({ "level": "INFO", "list": vec!["x".repeat(100); 10_000] }),
            json!({ "level": "INFO", "message": "m", "object": { "x": vec!["y".repeat(9_000); 20] } }),
        ] {
            let (found, length) = written(&line);
            assert!(length <= LONGEST_LINE && found["level"] == "INFO", "{length}");
        }
    }

    #[test]
    fn a_line_of_text_is_one_line_and_sends_nothing_to_a_terminal() {
        let log = WrittenLog::default();
        let to = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .compact()
            .with_ansi(false)
            .fmt_fields(ShownFields)
            .with_writer(move || TextLines(to.clone()))
            .finish();
        let evil = "a\u{1b}]52;c;x\u{7}\nERROR forged\u{202e}";
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(reason = evil, shown = %evil, debugged = ?evil, "said {evil}");
            tracing::warn!("{}", "y".repeat(40_000));
        });
        let text = log.text();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(!lines[0].chars().any(|c| c.is_control() || c == '\u{202e}'), "{}", lines[0]);
        assert!(lines[0].contains("said a\\u{1b}]52;c;x\\u{7}\\nERROR forged\\u{202e}"), "{}", lines[0]);
        assert!(lines[0].contains("reason=") && lines[1].len() <= LONGEST_LINE, "{text}");
    }
}
