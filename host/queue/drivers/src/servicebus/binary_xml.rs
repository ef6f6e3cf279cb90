//! What `new BrokeredMessage(object)` of the old .NET client makes of a body: binary XML around it
//! ([\[MC-NBFX\]](https://learn.microsoft.com/openspecs/windows_protocols/mc-nbfx/)).
//!
//! Of a string and of bytes it is one element, whose content is what the sender meant.

/// An element with a short name, and its default namespace.
const ELEMENT: u8 = 0x40;
const NAMESPACE: u8 = 0x08;

/// What a body is, if the serializer of .NET wrote it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum DotnetBody {
    /// A string or bytes: the content.
    Content(Vec<u8>),
    /// An object of this type.
    Object(String),
}

/// Reads a body that begins as the serializer's do; `None` if it is another's.
pub(super) fn read(body: &[u8]) -> Option<DotnetBody> {
    let (name, rest) = short_text(body.strip_prefix(&[ELEMENT])?)?;
    let (namespace, rest) = short_text(rest.strip_prefix(&[NAMESPACE])?)?;
    if !namespace.starts_with("http://") {
        return None;
    }
    let simple = namespace == "http://schemas.microsoft.com/2003/10/Serialization/";
    match content(rest).filter(|_| simple && ["string", "base64Binary"].contains(&name)) {
        Some(content) => Some(DotnetBody::Content(content)),
        None => Some(DotnetBody::Object(name.to_owned())),
    }
}

/// A text of less than 128 bytes, and what follows it.
fn short_text(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = bytes.split_first().filter(|(length, _)| **length < 0x80)?;
    let (text, rest) = rest.split_at_checked(usize::from(*length))?;
    Some((std::str::from_utf8(text).ok()?, rest))
}

/// The records up to the end of the element, put together. Of each kind the odd one ends the
/// element as well.
fn content(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    loop {
        let (record, behind) = rest.split_first()?;
        let width = match record & 0xfe {
            // The end of the element, and an empty text.
            0x00 if *record == 0x01 => return behind.is_empty().then_some(content),
            0xa8 => 0,
            // UTF-8, bytes and UTF-16, with a length of one, two and four bytes.
            0x98 | 0x9e | 0xb6 => 1,
            0x9a | 0xa0 | 0xb8 => 2,
            0x9c | 0xa2 | 0xba => 4,
            _ => return None,
        };
        let (length, behind) = behind.split_at_checked(width)?;
        let length = length.iter().rev().fold(0_usize, |length, byte| length << 8 | usize::from(*byte));
        let (value, behind) = behind.split_at_checked(length)?;
        match record & 0xfe {
            0xb6 | 0xb8 | 0xba => {
                let units: Vec<u16> =
                    value.chunks_exact(2).map(|it| u16::from_le_bytes([it[0], it[1]])).collect();
                content.extend(String::from_utf16(&units).ok()?.into_bytes());
            }
            _ => content.extend(value),
        }
        if record & 1 == 1 {
            return behind.is_empty().then_some(content);
        }
        rest = behind;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(name: &str, namespace: &str, records: &[u8]) -> Vec<u8> {
        let short = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
        [&[ELEMENT][..], &short(name), &[NAMESPACE], &short(namespace), records].concat()
    }

    #[test]
    fn strings_and_bytes_are_unwrapped_and_objects_are_named() {
        const SIMPLE: &str = "http://schemas.microsoft.com/2003/10/Serialization/";
        let content = |bytes: &[u8]| Some(DotnetBody::Content(bytes.to_vec()));
        let object = |name: &str| Some(DotnetBody::Object(name.to_owned()));
        let long = [&[0x9d, 44, 1, 0, 0][..], &[b'x'; 300]].concat();
        for (name, namespace, records, expected) in [
            ("string", SIMPLE, &b"\x99\x02{}"[..], content(b"{}")),
            ("string", SIMPLE, b"\x9b\x02\0{}", content(b"{}")),
            ("string", SIMPLE, &long, content(&[b'x'; 300])),
            ("string", SIMPLE, b"\x98\x01{\x99\x01}", content(b"{}")),
            ("string", SIMPLE, b"\x98\x02{}\x01", content(b"{}")),
            ("string", SIMPLE, b"\xb7\x04\xe9\0{\0", content("é{".as_bytes())),
            ("string", SIMPLE, b"\xa9", content(b"")),
            ("base64Binary", SIMPLE, b"\x9f\x03\xff\0\x01", content(b"\xff\0\x01")),
            // Cut off, or more behind it.
            ("string", SIMPLE, b"\x99\x05{}", object("string")),
            ("string", SIMPLE, b"\x99\x02{}!", object("string")),
            ("int", SIMPLE, b"\x89\x05", object("int")),
            ("Order", "http://schemas.datacontract.org/2004/07/Shop", b"\x01", object("Order")),
        ] {
            assert_eq!(read(&body(name, namespace, records)), expected, "{name} {records:?}");
        }
        for other in [&b"{}"[..], b"@home", b"@", b"@\x02\x08", b"", b"@\x01a\x08\x01b"] {
            assert_eq!(read(other), None);
        }
    }
}
