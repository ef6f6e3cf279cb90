//! A body as typed JSON, and what to say of one that does not fit.
//!
//! Reasons are logged, so they are made of field paths and kinds, never of values.

use serde::Deserialize;
use serde_json::error::Category;

use crate::{Failure, Message};

/// Field names come from the body where a type has maps, hence a limit, in characters.
const LONGEST_PATH: usize = 200;

/// How deep `serde_json` follows arrays and objects into each other.
const DEEPEST: usize = 127;

/// Reads the body and calls the handler; rejects what is not JSON or does not fit.
pub fn handle_json<'m, T: Deserialize<'m>>(
    message: &'m Message,
    handle: impl FnOnce(T, &'m Message) -> Result<(), Failure>,
) -> Result<(), Failure> {
    match parse(&message.body) {
        Ok(body) => handle(body, message),
        Err(reason) => Err(Failure::Reject(reason)),
    }
}

pub(crate) fn parse<'m, T: Deserialize<'m>>(body: &'m [u8]) -> Result<T, String> {
    let text = std::str::from_utf8(body)
        .map_err(|error| format!("body: not UTF-8: invalid byte at offset {}", error.valid_up_to()))?;
    serde_json::from_str(text).map_err(|error| explain::<T>(text, &error))
}

/// Tracking the path costs allocations in every field, so a body is read a second time once it is known not to fit.
#[cold]
fn explain<'m, T: Deserialize<'m>>(text: &'m str, error: &serde_json::Error) -> String {
    if text.trim().is_empty() {
        return "body: empty".to_owned();
    }
    if error.classify() != Category::Data {
        let cause = error.to_string();
        return match cause.strip_prefix("recursion limit exceeded") {
            Some(place) => format!("body: nested too deep: more than {DEEPEST} levels{place}"),
            None => format!("body: not JSON: {cause}"),
        };
    }
    let mut json = serde_json::Deserializer::from_str(text);
    match serde_path_to_error::deserialize::<_, T>(&mut json) {
        Ok(_) => "body: does not fit".to_owned(),
        Err(error) => {
            let path = error.path().to_string();
            describe(if path == "." { "" } else { &path }, error.inner())
        }
    }
}

/// Joins the path and the cause, in the order and the words of pydantic: `items[2].qty: expected u32, got string`.
fn describe(path: &str, error: &serde_json::Error) -> String {
    let whole = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let cause = whole.strip_suffix(&place).unwrap_or(&whole);
    if let Some(field) = quoted(cause, "missing field ") {
        return at(&join(path, field), "missing field");
    }
    if let Some(field) = quoted(cause, "duplicate field ") {
        return at(&join(path, field), "given twice");
    }
    if let Some(rest) = cause.strip_prefix("unknown field ") {
        let cause = ["unknown field", expected(rest)].concat();
        return at(path, &cause);
    }
    if let Some(rest) = cause.strip_prefix("unknown variant ") {
        let cause = ["unknown variant", expected(rest)].concat();
        return at(path, &cause);
    }
    for prefix in ["invalid type: ", "invalid value: ", "invalid length "] {
        if let Some((got, expected)) =
            cause.strip_prefix(prefix).and_then(|rest| rest.rsplit_once(", expected "))
        {
            let kind = if prefix == "invalid length " { "another length" } else { kind(got) };
            return at(path, &format!("expected {expected}, got {kind}"));
        }
    }
    at(path, &without_quotations(cause))
}

fn at(path: &str, cause: &str) -> String {
    let path = if path.is_empty() { "body" } else { path };
    match path.char_indices().nth(LONGEST_PATH) {
        Some((end, _)) => format!("{}…: {cause}", &path[..end]),
        None => format!("{path}: {cause}"),
    }
}

fn join(path: &str, field: &str) -> String {
    if path.is_empty() || path == field || path.ends_with(&format!(".{field}")) {
        return if path.is_empty() { field.to_owned() } else { path.to_owned() };
    }
    format!("{path}.{field}")
}

fn quoted<'a>(cause: &'a str, prefix: &str) -> Option<&'a str> {
    cause.strip_prefix(prefix)?.strip_prefix('`')?.strip_suffix('`')
}

/// The names that a type does know stand in its own code; the unknown one before them stands in the body.
fn expected(rest: &str) -> &str {
    rest.rfind(", expected ").map_or("", |start| &rest[start..])
}

/// What was found, without its value: serde writes `string "x"`, ``integer `7` `` or `sequence`.
fn kind(got: &str) -> &str {
    got.split(['"', '`']).next().unwrap_or_default().trim_end()
}

/// A message of the author's own type (`#[serde(try_from = …)]` and the like) passes, but parsers quote what they choke on.
fn without_quotations(cause: &str) -> String {
    let mut kept = String::with_capacity(cause.len());
    let mut rest = cause;
    while let Some(start) = rest.find(['"', '`']) {
        let quote = if rest[start..].starts_with('"') { '"' } else { '`' };
        kept.push_str(&rest[..start]);
        kept.push('…');
        rest = rest[start + 1..].rsplit_once(quote).map_or("", |(_, after)| after);
    }
    kept.push_str(rest);
    kept
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use serde::Deserialize;

    use super::parse;

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "read by no one: only whether it parses counts")]
    struct Order<'a> {
        order_id: String,
        #[serde(default)]
        items: Vec<Item>,
        #[serde(default, borrow)]
        note: Cow<'a, str>,
        #[serde(default)]
        even: Option<Even>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "read by no one: only whether it parses counts")]
    struct Item {
        qty: u32,
        #[serde(default)]
        kind: Option<Kind>,
        #[serde(default)]
        pair: Option<(u8, u8)>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Kind {
        Book,
        Toy,
    }

    #[derive(Debug, Deserialize)]
    #[serde(try_from = "String")]
    struct Even;

    impl TryFrom<String> for Even {
        type Error = String;

        fn try_from(text: String) -> Result<Self, String> {
            Err(format!("not even: {text:?} is odd"))
        }
    }

    fn reason(body: &[u8]) -> String {
        parse::<Order<'_>>(body).unwrap_err()
    }

    #[test]
    fn a_reason_names_the_field_and_the_cause() {
        for (body, expected) in [
            (r#"{}"#, "order_id: missing field"),
            (r#"{"order_id": 7}"#, "order_id: expected a string, got integer"),
            (r#"{"order_id": null}"#, "order_id: expected a string, got null"),
            (r#"{"order_id": true}"#, "order_id: expected a string, got boolean"),
            (r#"{"order_id": {}}"#, "order_id: expected a string, got map"),
            (r#"{"order_id": "a", "order_id": "b"}"#, "order_id: given twice"),
            (
                r#"{"order_id": "a", "items": [{"qty": 1}, {"qty": 2}, {"qty": "x"}]}"#,
                "items[2].qty: expected u32, got string",
            ),
            (r#"{"order_id": "a", "items": [{"qty": -1}]}"#, "items[0].qty: expected u32, got integer"),
            (
                r#"{"order_id": "a", "items": [{"qty": 1.5}]}"#,
                "items[0].qty: expected u32, got floating point",
            ),
            (r#"{"order_id": "a", "items": [{}]}"#, "items[0].qty: missing field"),
            (r#"{"order_id": "a", "items": {}}"#, "items: expected a sequence, got map"),
            (
                r#"{"order_id": "a", "items": [{"qty": 1, "kind": "car"}]}"#,
                "items[0].kind: unknown variant, expected `book` or `toy`",
            ),
            (
                r#"{"order_id": "a", "items": [{"qty": 1, "colour": 1}]}"#,
                "items[0].colour: unknown field, expected one of `qty`, `kind`, `pair`",
            ),
            (
                r#"{"order_id": "a", "items": [{"qty": 1, "pair": [1]}]}"#,
                "items[0].pair: expected a tuple of size 2, got another length",
            ),
            (r#"{"order_id": "a", "even": "secret"}"#, "even: not even: … is odd"),
            (r#"[]"#, "body: expected struct Order with 4 elements, got another length"),
            (r#""text""#, "body: expected struct Order, got string"),
        ] {
            assert_eq!(reason(body.as_bytes()), expected, "{body}");
        }
    }

    #[test]
    fn a_body_that_is_no_json_is_told_apart_from_one_that_does_not_fit() {
        for (body, expected) in [
            (&b""[..], "body: empty"),
            (b" \n", "body: empty"),
            (b"{\"a\"", "body: not JSON: EOF while parsing an object at line 1 column 4"),
            (b"{\"a\" 1}", "body: not JSON: expected `:` at line 1 column 6"),
            (b"{\"order_id\": \"a\"} x", "body: not JSON: trailing characters at line 1 column 19"),
            (b"order", "body: not JSON: expected value at line 1 column 1"),
            (b"{\"a\": \"\xff\"}", "body: not UTF-8: invalid byte at offset 7"),
        ] {
            assert_eq!(reason(body), expected, "{}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn nesting_too_deep_is_a_reason_and_not_a_stack_overflow() {
        let reason = parse::<serde_json::Value>("[".repeat(100_000).as_bytes()).unwrap_err();
        assert_eq!(reason, "body: nested too deep: more than 127 levels at line 1 column 128");
    }

    #[test]
    fn no_value_of_the_body_gets_into_a_reason() {
        for body in [
            r#"{"order_id": "a", "items": "secret, expected \"secret\" `secret`"}"#,
            r#"{"order_id": "a", "items": [{"qty": "secret\", expected u8"}]}"#,
            r#"{"order_id": "a", "items": [{"qty": 1, "kind": "secret, expected `secret`"}]}"#,
            r#"{"order_id": "a", "even": "\"secret\" and `secret`"}"#,
            r#""secret""#,
            r#"secret"#,
        ] {
            let reason = reason(body.as_bytes());
            assert!(!reason.contains("secret"), "{body}: {reason}");
        }
    }

    #[test]
    fn a_path_is_cut_when_a_key_is_long() {
        let body = format!(r#"{{"{}": "x"}}"#, "k".repeat(10_000));
        let reason = parse::<std::collections::HashMap<String, u32>>(body.as_bytes()).unwrap_err();
        assert!(reason.ends_with("k…: expected u32, got string") && reason.len() < 300, "{reason}");
    }

    #[test]
    fn a_type_may_borrow_from_the_body() {
        let order: Order<'_> = parse(br#"{"order_id": "a", "note": "plain"}"#).unwrap();
        assert!(matches!(order.note, Cow::Borrowed("plain")), "{order:?}");
    }
}
