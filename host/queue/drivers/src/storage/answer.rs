//! What an answer of the service says beside its messages.

use std::time::Duration;

use http::header::{DATE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;

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

/// The service's word for what it refuses; empty where it has none.
pub(super) fn error_code(headers: &HeaderMap) -> &str {
    text(headers, ERROR_CODE).unwrap_or_default()
}

/// When the service wants to be asked again.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    seconds_to_wait(text(headers, RETRY_AFTER)?)
}
