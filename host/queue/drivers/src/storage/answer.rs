//! What an answer of the service says beside its messages.

use std::time::Duration;

use bytes::Bytes;
use http::header::{DATE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use serde_json::Value;

use longshore_azure::seconds_to_wait;

pub(super) const POP_RECEIPT: HeaderName = HeaderName::from_static("x-ms-popreceipt");
pub(super) const COUNT: HeaderName = HeaderName::from_static("x-ms-approximate-messages-count");
const ERROR_CODE: HeaderName = HeaderName::from_static("x-ms-error-code");

/// The value of a header, where it is text.
pub(super) fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).map(HeaderValue::to_str)?.ok()
}

/// What the service calls now, in whole seconds; our own time where it does not say.
pub(super) fn service_time(headers: &HeaderMap) -> Timestamp {
    let told = text(headers, DATE).and_then(|it| DateTimeParser::new().parse_timestamp(it).ok());
    told.unwrap_or_else(Timestamp::now)
}

/// The service's word for what it refuses, from a header, or from a body that is JSON; empty where
/// it has none.
pub(super) fn error_code(answer: &Response<Bytes>) -> String {
    if let Some(code) = text(answer.headers(), ERROR_CODE) {
        return code.to_owned();
    }
    let body: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    body["error"]["code"].as_str().unwrap_or_default().to_owned()
}

/// When the service wants to be asked again.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    seconds_to_wait(text(headers, RETRY_AFTER)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_named_by_a_header_or_by_a_body() {
        let answer = |header: Option<&'static str>, body: &'static str| {
            let mut answer = Response::new(Bytes::from_static(body.as_bytes()));
            if let Some(code) = header {
                answer.headers_mut().insert(ERROR_CODE, HeaderValue::from_static(code));
            }
            error_code(&answer)
        };
        let body = r#"{"error": {"code": "QueueNotFound", "message": "there is none"}}"#;
        assert_eq!(answer(Some("MessageNotFound"), body), "MessageNotFound");
        assert_eq!(answer(None, body), "QueueNotFound");
        for body in ["", "<Error><Code>x</Code></Error>", "[]", "{\"error\": 1}"] {
            assert_eq!(answer(None, body), "", "{body}");
        }
    }
}
