//! What an answer of the service says beside its messages.

use azure_core::http::Response;
use azure_core::http::headers::{HeaderName, Headers};
use bytes::Bytes;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;

const DATE: HeaderName = HeaderName::from_static("date");

/// What the service calls now, in whole seconds; our own time where it does not say.
pub(super) fn service_time(headers: &Headers) -> Timestamp {
    let told = headers.get_optional_str(&DATE).and_then(|it| DateTimeParser::new().parse_timestamp(it).ok());
    told.unwrap_or_else(Timestamp::now)
}

/// An answer in its parts.
pub(super) fn opened<T, F>(answer: Response<T, F>) -> (Headers, Bytes) {
    let (_, headers, body) = answer.deconstruct();
    (headers, body.into())
}
