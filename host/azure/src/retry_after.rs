//! When a service wants to be asked again.

use std::time::Duration;

use azure_core::http::headers::{HeaderName, Headers};
use jiff::Timestamp;
use jiff::fmt::rfc2822;

const RETRY_AFTER: HeaderName = HeaderName::from_static("retry-after");

/// The longest wait that is believed. A service that asks for more is asked again all the same.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// What the header `Retry-After` of an answer says: see [`seconds_to_wait`].
pub fn retry_after(headers: &Headers) -> Option<Duration> {
    seconds_to_wait(headers.get_optional_str(&RETRY_AFTER)?)
}

/// What the value of a header `Retry-After` says in either form: seconds, or a date ([RFC 9110,
/// section 10.2.3](https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3)). An hour is the most.
pub(crate) fn time_to_wait(text: &str, now: Timestamp) -> Option<Duration> {
    let until = || rfc2822::DateTimeParser::new().parse_timestamp(text.trim()).ok();
    let left = || Some(Duration::try_from(until()?.duration_since(now)).unwrap_or_default().min(LONGEST));
    seconds_to_wait(text).or_else(left)
}

/// What the value of a header `Retry-After` says, in seconds, and an hour at most. The other form,
/// a date, is not used by Azure.
pub fn seconds_to_wait(text: &str) -> Option<Duration> {
    let text = text.trim();
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // What is too large for a number is too long as well.
    Some(text.parse().map_or(LONGEST, |seconds| LONGEST.min(Duration::from_secs(seconds))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_read_and_nothing_else_is_and_no_wait_is_longer_than_an_hour() {
        for (text, expected) in [
            ("7", Some(7)),
            (" 0 ", Some(0)),
            ("3601", Some(3600)),
            ("18446744073709551615", Some(3600)),
            ("99999999999999999999999999", Some(3600)),
            ("-1", None),
            ("+1", None),
            ("1.5", None),
            ("", None),
            ("NaN", None),
            ("Wed, 25 Nov 2026 20:00:00 GMT", None),
        ] {
            let mut headers = Headers::new();
            headers.insert(RETRY_AFTER, text.to_owned());
            assert_eq!(retry_after(&headers), expected.map(Duration::from_secs), "{text}");
        }
        assert_eq!(retry_after(&Headers::new()), None);
    }

    #[test]
    fn a_date_is_the_time_that_is_left_until_then() {
        let now = "2026-11-25T20:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("7", Some(7)),
            ("Wed, 25 Nov 2026 20:00:09 GMT", Some(9)),
            ("Wed, 25 Nov 2026 19:59:00 GMT", Some(0)),
            ("Fri, 25 Dec 9998 23:59:59 GMT", Some(3600)),
            ("Wed, 25 Nov 2026", None),
            ("soon", None),
        ] {
            assert_eq!(time_to_wait(text, now), expected.map(Duration::from_secs), "{text}");
        }
    }
}
