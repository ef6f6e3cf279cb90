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
/// it has none. It goes into errors: what is no word may be a piece of what the call was made with.
pub(super) fn error_code(answer: &Response<Bytes>) -> String {
    let is_word = |code: &&str| code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if let Some(code) = text(answer.headers(), ERROR_CODE) {
        return Some(code).filter(is_word).unwrap_or_default().to_owned();
    }
    let body: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    body["error"]["code"].as_str().filter(is_word).unwrap_or_default().to_owned()
}

/// When the service wants to be asked again.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    seconds_to_wait(text(headers, RETRY_AFTER)?)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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

    #[test]
    fn what_a_call_was_made_with_is_no_word_for_its_refusal() {
        for code in ["no /orders?sig=secret", "\u{1b}[31mred", "", "ServerBusy\n"] {
            let mut answer = Response::new(Bytes::from(json!({"error": {"code": code}}).to_string()));
            assert_eq!(error_code(&answer), "", "{code:?}");
            if let Ok(header) = code.parse() {
                answer.headers_mut().insert(ERROR_CODE, header);
                assert_eq!(error_code(&answer), "", "{code:?}");
            }
        }
    }
}
