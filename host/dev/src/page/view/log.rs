//! The log of an execution: JSON lines as a person reads them, and everything else as it is.

use maud::{Markup, html};
use serde_json::Value;

use crate::page::text::{AsText, cut};

/// How many lines are shown, the newest.
const MAX_LINES: usize = 400;
/// How much of one line is shown, in characters.
const MAX_LINE: usize = 4_000;
/// Fields with a place of their own, or that say nothing to a person.
const PLACED: [&str; 4] = ["timestamp", "level", "target", "message"];

/// Fields that come first, since they say what became of a message.
const FIRST: [&str; 3] = ["outcome", "reason", "detail"];

/// The lines; only those of one message, where one is named.
pub(super) fn log(text: &str, message_id: Option<&str>) -> Markup {
    let parsed = text.lines().map(|line| (line, serde_json::from_str::<Value>(line).ok()));
    let is_wanted = |json: &Option<Value>| match message_id {
        None => true,
        Some(id) => json.as_ref().is_some_and(|it| it["message_id"].as_str() == Some(id)),
    };
    let lines: Vec<_> = parsed.filter(|(_, json)| is_wanted(json)).collect();
    let shown = &lines[lines.len().saturating_sub(MAX_LINES)..];
    html! {
        @if shown.is_empty() {
            p.quiet { "No line." }
        } @else {
            ol.log tabindex="0" aria-label="Lines of the log" {
                @for (line, json) in shown {
                    @match json {
                        Some(Value::Object(fields)) => (object(fields, message_id.is_some())),
                        _ => li { (AsText(&cut(line, MAX_LINE))) },
                    }
                }
            }
        }
    }
}

fn object(fields: &serde_json::Map<String, Value>, hides_id: bool) -> Markup {
    let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default();
    let level = match text("level") {
        "ERROR" => "error",
        "WARN" => "warn",
        "INFO" => "info",
        "DEBUG" => "debug",
        _ => "trace",
    };
    let rest = fields.iter().filter(|(name, _)| !PLACED.contains(&name.as_str()));
    let mut rest: Vec<_> = rest.filter(|(name, _)| !(hides_id && *name == "message_id")).collect();
    rest.sort_by_key(|(name, _)| FIRST.iter().position(|it| it == name).unwrap_or(FIRST.len()));
    html! {
        li.{ "log-" (level) } {
            span.log-time { (AsText(text("timestamp").get(11..23).unwrap_or_default())) }
            " " span.log-level { (level) }
            " " (AsText(&cut(text("message"), MAX_LINE)))
            @for (name, value) in rest {
                " " span.log-field { span.log-name { (AsText(name)) "=" } (AsText(&field(value))) }
            }
        }
    }
}

fn field(value: &Value) -> String {
    match value {
        Value::String(text) => cut(text, MAX_LINE).into_owned(),
        other => cut(&other.to_string(), MAX_LINE).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_text_whatever_stands_in_them_and_those_of_one_message_can_be_had() {
        let text = "{\"timestamp\":\"2026-11-26T12:00:00.250Z\",\"level\":\"WARN\",\"message\":\"<b>\\u001b[31m\",\"message_id\":\"o-1\",\"n\":1}\n\
                    <script>x</script>\n{\"level\":\"INFO\",\"message\":\"other\",\"message_id\":\"o-2\"}\n";
        let shown = log(text, None).into_string();
        assert!(shown.contains("&lt;script&gt;") && shown.contains("&lt;b&gt;"), "{shown}");
        assert!(!shown.contains('\u{1b}') && shown.contains("12:00:00.250") && shown.contains("log-warn"));
        let one = log(text, Some("o-2")).into_string();
        assert!(one.contains("other") && !one.contains("script") && !one.contains("o-2"), "{one}");
        assert!(log("", None).into_string().contains("No line"));
    }
}
