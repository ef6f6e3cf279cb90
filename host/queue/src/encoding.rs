//! How the bodies of a queue are encoded, and what a handler sees of them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::de::IgnoredAny;

/// What some editors and .NET's writers put before UTF-8 text. It is no part of the text ([RFC
/// 3629](https://www.rfc-editor.org/rfc/rfc3629#section-6)), and no JSON begins with it ([RFC
/// 8259](https://www.rfc-editor.org/rfc/rfc8259#section-8.1)).
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// The same mark in UTF-16, of either byte order.
const MARKS_OF_UTF_16: [&[u8]; 2] = [&[0xff, 0xfe], &[0xfe, 0xff]];

/// How the bodies of a queue are encoded.
///
/// A byte order mark before UTF-8 text is no part of it, in base64 as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Encoding {
    /// A body that starts with `{`, `[` or `"` is text. Another one is base64 when it decodes
    /// strictly and is valid UTF-8 JSON. All others are text.
    #[default]
    Auto,
    /// UTF-8 text, handed on as it is.
    Text,
    /// Base64 with padding (RFC 4648 section 4), as Azure Functions and older SDKs send it. Spaces
    /// and line breaks in it are skipped.
    Base64,
}

impl Encoding {
    /// The body as the handler shall see it, or why it cannot be decoded.
    pub fn decode(self, body: &Bytes) -> Result<Bytes, String> {
        match self {
            Self::Text => text(body),
            Self::Base64 => base64(body),
            Self::Auto if looks_like_json(without_mark(body)) => text(body),
            Self::Auto => match base64(body) {
                Ok(decoded) if is_json(&decoded) => Ok(decoded),
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

fn without_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body)
}

fn text(body: &Bytes) -> Result<Bytes, String> {
    match std::str::from_utf8(body) {
        Ok(_) => Ok(body.slice_ref(without_mark(body))),
        Err(_) if MARKS_OF_UTF_16.iter().any(|mark| body.starts_with(mark)) => {
            Err("not UTF-8 text: it begins with the byte order mark of UTF-16; send it as UTF-8".into())
        }
        Err(error) => Err(format!("not UTF-8 text: invalid at byte {}", error.valid_up_to())),
    }
}

/// Skips what [.NET skips](https://learn.microsoft.com/dotnet/api/system.convert.frombase64string):
/// tools break base64 into lines of 60, 64 or 76 characters.
fn base64(body: &Bytes) -> Result<Bytes, String> {
    let encoded = without_mark(body);
    let skipped = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    let decoded = if encoded.iter().any(skipped) {
        let encoded: Vec<_> = encoded.iter().copied().filter(|byte| !skipped(byte)).collect();
        STANDARD.decode(encoded)
    } else {
        STANDARD.decode(encoded)
    };
    let decoded = decoded
        .map(Bytes::from)
        .map_err(|error| format!("not base64: {}", error.to_string().trim_end_matches('.')))?;
    // Bytes that are no text may begin with these three by chance.
    Ok(text(&decoded).unwrap_or(decoded))
}

#[cfg(test)]
mod tests {
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
            // A guess that the documentation shows.
            (Auto, b"MTIz", Ok(b"123")),
            (Auto, b"W10=", Ok(b"[]")),
            (Text, b"MTIz", Ok(b"MTIz")),
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
            (Auto, &[0xff, 0xfe], Err("UTF-16")),
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
    fn a_byte_order_mark_is_no_part_of_the_text() {
        use Encoding::{Auto, Base64, Text};
        let marked = |text: &[u8]| [BYTE_ORDER_MARK, text].concat();
        let json = br#"{"a":1}"#;
        let encoded = STANDARD.encode(marked(json)).into_bytes();
        for (encoding, body, expected) in [
            (Auto, marked(json), &json[..]),
            (Text, marked(json), json),
            (Auto, encoded.clone(), json),
            (Base64, encoded.clone(), json),
            // Before the base64, and in it.
            (Auto, marked(&encoded), json),
            (Base64, marked(&encoded), json),
            (Text, marked(b"two books"), b"two books"),
            (Auto, marked(b""), b""),
            // Only the first one is a mark.
            (Text, marked(&marked(b"x")), &marked(b"x")),
            // No text: these bytes are its own.
            (Base64, STANDARD.encode(marked(b"\xff")).into_bytes(), &marked(b"\xff")),
        ] {
            let got = encoding.decode(&Bytes::from(body.clone()));
            assert_eq!(got.as_deref(), Ok(expected), "{encoding:?} {body:?}");
        }
    }

    #[test]
    fn line_breaks_in_base64_are_skipped_as_dotnet_does() {
        let body = format!(r#"{{"text":"{}"}}"#, "x".repeat(100));
        let encoded = STANDARD.encode(&body);
        for (length, end) in [(60, "\n"), (64, "\r\n"), (76, "\n"), (4, " \t")] {
            let lines: Vec<_> =
                encoded.as_bytes().chunks(length).map(|it| str::from_utf8(it).unwrap()).collect();
            let broken = Bytes::from(lines.join(end) + end);
            for encoding in [Encoding::Auto, Encoding::Base64] {
                assert_eq!(encoding.decode(&broken).as_deref(), Ok(body.as_bytes()), "{encoding:?} {length}");
            }
            assert_eq!(Encoding::Text.decode(&broken), Ok(broken));
        }
        let other = Encoding::Base64.decode(&Bytes::from_static(b"eyJh\x0bIjoxfQ=="));
        assert!(other.is_err(), "a vertical tab is none of them: {other:?}");
    }
}
