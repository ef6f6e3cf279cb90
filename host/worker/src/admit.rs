//! What is looked at before a message reaches a handler: its dequeue count first, then its
//! encoding (rule 2).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::de::IgnoredAny;

use crate::poison::PoisonReason;
use longshore_queue::Message;

/// How the bodies of a queue are encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Encoding {
    /// A body that starts with `{`, `[` or `"` is text. Another one is base64 when it decodes
    /// strictly and is valid UTF-8 JSON. All others are text.
    #[default]
    Auto,
    /// UTF-8 text, handed on as it is.
    Text,
    /// Base64 with padding (RFC 4648 section 4), as Azure Functions and older SDKs send it.
    Base64,
}

impl Encoding {
    /// The body as the handler shall see it, or why it cannot be decoded.
    pub fn decode(self, body: &Bytes) -> Result<Bytes, String> {
        match self {
            Self::Text => text(body),
            Self::Base64 => STANDARD
                .decode(body.trim_ascii())
                .map(Bytes::from)
                .map_err(|error| format!("not base64: {}", error.to_string().trim_end_matches('.'))),
            Self::Auto if looks_like_json(body) => text(body),
            Self::Auto => match STANDARD.decode(body.trim_ascii()) {
                Ok(decoded) if is_json(&decoded) => Ok(decoded.into()),
                _ => text(body),
            },
        }
    }
}

fn looks_like_json(body: &[u8]) -> bool {
    matches!(body.trim_ascii_start().first(), Some(b'{' | b'[' | b'"'))
}

fn is_json(body: &[u8]) -> bool {
    std::str::from_utf8(body).is_ok() && serde_json::from_slice::<IgnoredAny>(body).is_ok()
}

fn text(body: &Bytes) -> Result<Bytes, String> {
    match std::str::from_utf8(body) {
        Ok(_) => Ok(body.clone()),
        Err(error) => Err(format!("not UTF-8 text: invalid at byte {}", error.valid_up_to())),
    }
}

/// The decoded body of a message that may be handled, or why it goes to the poison queue unhandled.
///
/// `damaged` is why the queue itself could not read the body, if so.
pub fn admit(
    message: &Message,
    damaged: Option<String>,
    max_dequeue: u32,
    encoding: Encoding,
) -> Result<Bytes, (PoisonReason, String)> {
    // A message that was received was received once at least. Where no count could be read, it is
    // 0: it would never be found to be too high.
    if message.dequeue_count == 0 {
        let cause = damaged.unwrap_or_else(|| "its dequeue count is 0, although it was received".into());
        return Err((PoisonReason::Undecodable, cause));
    }
    if message.dequeue_count > max_dequeue {
        let detail = format!("received {} times, of {max_dequeue} allowed", message.dequeue_count);
        return Err((PoisonReason::AttemptsExhausted, detail));
    }
    if let Some(cause) = damaged {
        return Err((PoisonReason::Undecodable, cause));
    }
    encoding.decode(&message.body).map_err(|cause| (PoisonReason::Undecodable, cause))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn a_body_is_decoded_as_its_encoding_says() {
        use Encoding::{Auto, Base64, Text};
        type Case<'a> = (Encoding, &'a [u8], Result<&'a [u8], &'a str>);
        let cases: &[Case<'_>] = &[
            (Auto, br#"{"a":1}"#, Ok(br#"{"a":1}"#)),
            (Auto, b" [1]", Ok(b" [1]")),
            (Auto, b"\"x\"", Ok(b"\"x\"")),
            (Auto, b"{ not json", Ok(b"{ not json")),
            (Auto, b"eyJhIjoxfQ==", Ok(br#"{"a":1}"#)),
            (Auto, b"eyJhIjoxfQ==\n", Ok(br#"{"a":1}"#)),
            // Decodes, but to no JSON: a word, not base64.
            (Auto, b"abcd", Ok(b"abcd")),
            (Auto, b"1234", Ok(b"1234")),
            // Decodes to the text "hello", which is no JSON.
            (Auto, b"aGVsbG8=", Ok(b"aGVsbG8=")),
            // Decodes to a JSON string with a byte that is no UTF-8.
            (Auto, b"Iv8i", Ok(b"Iv8i")),
            // Not strict: padding missing.
            (Auto, b"eyJhIjoxfQ", Ok(b"eyJhIjoxfQ")),
            (Auto, b"", Ok(b"")),
            (Auto, &[0xff, 0xfe], Err("not UTF-8")),
            (Auto, &[b'{', 0xff], Err("not UTF-8")),
            (Text, b"eyJhIjoxfQ==", Ok(b"eyJhIjoxfQ==")),
            (Text, &[0xff], Err("not UTF-8")),
            (Base64, b"AP8=", Ok(&[0, 0xff])),
            (Base64, b"{}", Err("not base64")),
        ];
        for (encoding, body, expected) in cases {
            let got = encoding.decode(&Bytes::copy_from_slice(body));
            match expected {
                Ok(bytes) => assert_eq!(got.as_deref(), Ok(*bytes), "{encoding:?} {body:?}"),
                Err(word) => {
                    assert!(got.as_ref().is_err_and(|e| e.contains(word)), "{encoding:?} {body:?} {got:?}")
                }
            }
        }
    }

    #[test]
    fn the_dequeue_count_is_looked_at_before_the_body() {
        let message = Message {
            id: "1".into(),
            body: Bytes::from_static(&[0xff]),
            dequeue_count: 6,
            inserted: Timestamp::UNIX_EPOCH,
            time_to_live: None,
            properties: Vec::new(),
        };
        assert_eq!(
            admit(&message, Some("broken".into()), 5, Encoding::Auto).unwrap_err().0,
            PoisonReason::AttemptsExhausted
        );
        assert_eq!(admit(&message, None, 6, Encoding::Auto).unwrap_err().0, PoisonReason::Undecodable);
        let intact = Message { body: Bytes::from_static(b"{}"), ..message };
        let uncounted = Message { dequeue_count: 0, ..intact.clone() };
        assert_eq!(admit(&uncounted, None, 6, Encoding::Auto).unwrap_err().0, PoisonReason::Undecodable);
        let damaged = admit(&intact, Some("broken".into()), 6, Encoding::Auto);
        assert_eq!(damaged.unwrap_err(), (PoisonReason::Undecodable, "broken".into()));
    }
}
