//! What a receiver answers to an export: the same message for each signal, whether it took all of
//! it, a part, or nothing.

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use prost::Message;
use serde::Deserialize;

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
}

/// What some receivers answer in JSON, although they were sent protobuf.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct JsonAnswer {
    partial_success: JsonPartialSuccess,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct JsonPartialSuccess {
    /// A number, which JSON of protobuf writes as text.
    #[serde(alias = "rejectedDataPoints")]
    rejected_spans: serde_json::Value,
    error_message: String,
}

/// Reads the message that says that an export was taken, wholly or in part.
///
/// # Errors
/// It is no such message: a web page, perhaps. What was sent there is lost.
pub(super) fn taken(message: Bytes) -> Result<OtlpTaken, OtlpFailure> {
    let begins_object = message.trim_ascii_start().first() == Some(&b'{');
    let (rejected, words) =
        if begins_object && let Ok(answer) = serde_json::from_slice::<JsonAnswer>(&message) {
            let JsonPartialSuccess { rejected_spans, error_message } = answer.partial_success;
            let rejected = rejected_spans.as_i64().or_else(|| rejected_spans.as_str()?.parse().ok());
            (rejected.unwrap_or_default(), error_message)
        } else {
            // The messages for traces and for metrics differ in names only.
            let answer = ExportTraceServiceResponse::decode(message).map_err(|_| OtlpFailure {
                cause: "the answer is not OTLP; look at the port and the path of the endpoint".into(),
                is_final: true,
            })?;
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

/// A receiver's words, without the white space of a page, in a line of a log.
pub(super) fn shortened(words: &str) -> String {
    let line = words.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MAX_WORDS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
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
    }
}
