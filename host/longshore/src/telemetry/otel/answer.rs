//! What a receiver answers to an export: the same message for each signal, whether it took all of
//! it, a part, or nothing.

use std::time::Duration;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use prost::Message;
use serde::Deserialize;

use crate::shown::shown;

/// The most characters of a receiver's own words that are kept.
const MAX_WORDS: usize = 300;

/// An export that was taken.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct OtlpTaken {
    /// How many of its spans or points were not.
    pub(super) rejected: u64,
    /// Why not, or another warning; empty if there is none.
    pub(super) words: String,
}

/// An export that was not taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OtlpFailure {
    /// The cause, in words.
    pub(super) cause: String,
    /// Whether the same export would fail again.
    pub(super) is_final: bool,
    /// How long the receiver wants to be left alone, if it said so.
    pub(super) pause: Option<Duration>,
}

impl OtlpFailure {
    /// A failure that is none the next time, perhaps.
    pub(super) fn passing(cause: String) -> Self {
        Self { cause, is_final: false, pause: None }
    }

    /// A failure that there will be every time.
    pub(super) fn lasting(cause: String) -> Self {
        Self { is_final: true, ..Self::passing(cause) }
    }
}

/// What some receivers answer in JSON, although they were sent protobuf.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct JsonAnswer {
    partial_success: Option<JsonPartialSuccess>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct JsonPartialSuccess {
    /// A number, which JSON of protobuf writes as text.
    #[serde(alias = "rejectedDataPoints")]
    rejected_spans: serde_json::Value,
    error_message: Option<String>,
}

/// Reads the message that says that an export was taken, wholly or in part.
///
/// # Errors
/// It is no such message: a web page, perhaps. What was sent there is lost.
pub(super) fn taken(message: Bytes) -> Result<OtlpTaken, OtlpFailure> {
    let begins_object = message.trim_ascii_start().first() == Some(&b'{');
    let (rejected, words) =
        if begins_object && let Ok(answer) = serde_json::from_slice::<JsonAnswer>(&message) {
            let partly = answer.partial_success.unwrap_or_default();
            let JsonPartialSuccess { rejected_spans, error_message } = partly;
            let rejected = rejected_spans.as_i64().or_else(|| rejected_spans.as_str()?.parse().ok());
            (rejected.unwrap_or_default(), error_message.unwrap_or_default())
        } else {
            // The messages for traces and for metrics differ in names only.
            let no_otlp = "the answer is not OTLP; look at the port and the path of the endpoint";
            let answer = ExportTraceServiceResponse::decode(message)
                .map_err(|_| OtlpFailure::lasting(no_otlp.to_owned()))?;
            let ExportTracePartialSuccess { rejected_spans, error_message } =
                answer.partial_success.unwrap_or_default();
            (rejected_spans, error_message)
        };
    Ok(OtlpTaken { rejected: u64::try_from(rejected).unwrap_or_default(), words: shortened(&words) })
}

/// The words in the body of a refusal over HTTP; empty if there are none.
pub(super) fn words_of_refusal(body: &Bytes) -> String {
    // `google.rpc.Status` has a number and a text in the same fields.
    if let Ok(ExportTracePartialSuccess { error_message, .. }) =
        ExportTracePartialSuccess::decode(body.clone())
    {
        return shortened(&error_message);
    }
    str::from_utf8(body).map(shortened).unwrap_or_default()
}

/// A receiver's words, without the white space of a page, as a line of a log has them: short, and
/// no character in them acts on a terminal.
pub(super) fn shortened(words: &str) -> String {
    let line = words.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = shown(&line);
    match line.char_indices().nth(MAX_WORDS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partial(rejected_spans: i64, words: &str) -> Bytes {
        let error_message = words.to_owned();
        let partial_success = Some(ExportTracePartialSuccess { rejected_spans, error_message });
        ExportTraceServiceResponse { partial_success }.encode_to_vec().into()
    }

    #[test]
    fn what_a_receiver_rejected_is_read_and_a_page_is_no_answer() {
        for (message, rejected, words) in [
            (Bytes::new(), 0, ""),
            (partial(0, ""), 0, ""),
            (partial(3, "too\n old"), 3, "too old"),
            (partial(-3, ""), 0, ""),
            (Bytes::from_static(b"{}"), 0, ""),
            (Bytes::from_static(b"{\"partialSuccess\":null}"), 0, ""),
            (
                Bytes::from_static(b"{\"partialSuccess\":{\"rejectedSpans\":null,\"errorMessage\":null}}"),
                0,
                "",
            ),
            (
                Bytes::from_static(
                    b" {\"partialSuccess\":{\"rejectedSpans\":\"7\",\"errorMessage\":\"no\"}}",
                ),
                7,
                "no",
            ),
            (Bytes::from_static(b"{\"partialSuccess\":{\"rejectedDataPoints\":7}}"), 7, ""),
        ] {
            assert_eq!(
                taken(message.clone()),
                Ok(OtlpTaken { rejected, words: words.into() }),
                "{message:?}"
            );
        }
        for page in ["<!doctype html><title>Welcome</title>", "OK", "true", "not found", "[]", "{"] {
            let failure = taken(Bytes::from_static(page.as_bytes())).unwrap_err();
            assert!(failure.is_final && failure.cause.contains("not OTLP"), "{page}: {failure:?}");
        }
    }

    #[test]
    fn the_words_of_a_refusal_are_short_whatever_they_are() {
        let status = ExportTracePartialSuccess { rejected_spans: 7, error_message: "quota".into() };
        assert_eq!(words_of_refusal(&status.encode_to_vec().into()), "quota");
        assert_eq!(words_of_refusal(&Bytes::from_static(b"<html>\n  <p>no</p>")), "<html> <p>no</p>");
        assert_eq!(words_of_refusal(&Bytes::from_static(b"\xff\xfe")), "");
        assert_eq!(shortened(&"x".repeat(1000)).chars().count(), 301);
        assert_eq!(shortened(&"\u{1b}".repeat(1000)).chars().count(), 301);
    }

    #[test]
    fn nothing_in_the_words_of_a_receiver_acts_on_a_terminal() {
        let evil = "no\u{1b}]52;c;x\u{7}\n{\"level\":\"ERROR\"}\u{202e}\0";
        let expected = "no\\u{1b}]52;c;x\\u{7} {\"level\":\"ERROR\"}\\u{202e}\\u{0}";
        assert_eq!(shortened(evil), expected);
        assert_eq!(taken(partial(1, evil)).unwrap().words, expected);
        assert_eq!(words_of_refusal(&Bytes::from(evil.to_owned())), expected);
        let status = ExportTracePartialSuccess { rejected_spans: 7, error_message: evil.into() };
        assert_eq!(words_of_refusal(&status.encode_to_vec().into()), expected);
    }
}
