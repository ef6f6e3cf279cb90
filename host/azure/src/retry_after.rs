//! When a service wants to be asked again.

use std::time::Duration;

use azure_core::http::headers::{HeaderName, Headers};

const RETRY_AFTER: HeaderName = HeaderName::from_static("retry-after");

/// What `Retry-After` says, in seconds. The other form, a date, is not used by Azure.
pub fn retry_after(headers: &Headers) -> Option<Duration> {
    headers.get_optional_str(&RETRY_AFTER)?.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_read_and_nothing_else_is() {
        for (text, expected) in
            [("7", Some(7)), (" 0 ", Some(0)), ("-1", None), ("Wed, 25 Nov 2026 20:00:00 GMT", None)]
        {
            let mut headers = Headers::new();
            headers.insert(RETRY_AFTER, text.to_owned());
            assert_eq!(retry_after(&headers), expected.map(Duration::from_secs), "{text}");
        }
        assert_eq!(retry_after(&Headers::new()), None);
    }
}
