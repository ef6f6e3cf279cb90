//! A message from the bytes that carry it.
//!
//! The library decodes what stands in front of the body, once that is known to be sound. The body
//! is read here: a list in it would take fifty times its size in memory, and no handler gets one.

use bytes::Bytes;
// The library names `Deserializable` private, and has no other way to read a message from bytes.
// Look at it when its version changes.
use fe2o3_amqp::types::messaging::{Body, Message as Amqp, message::__private::Deserializable};
use fe2o3_amqp::types::primitives::Value;

use super::section::{
    APPLICATION_PROPERTIES, DATA, FOOTER, HEADER, MAP, MESSAGE_ANNOTATIONS, SEQUENCE, Section, VALUE,
    compound, items,
};
use super::sound::is_sound;

/// Why a body of lists is not read.
const A_SEQUENCE: &str = "its body is an AMQP sequence";
/// Why bytes are not sound.
const NOT_SOUND: &str = "its lengths contradict each other, or it is too deep";

/// How much may stand in front of a body, in bytes: sixteen times what the service takes. Read, it
/// has many times the size
/// ([quotas](https://learn.microsoft.com/azure/service-bus-messaging/service-bus-quotas)).
const MAX_HEAD: usize = 1 << 20;

/// The body of a message.
#[derive(Debug)]
pub(in crate::servicebus) enum Content {
    /// Its data sections, one behind the other.
    Data(Bytes),
    /// A value that is text or bytes, or nothing.
    Plain(Bytes),
    /// What no handler gets, and why.
    Unreadable(&'static str),
}

/// What could be read of a message.
#[derive(Debug)]
pub(in crate::servicebus) struct Decoded {
    /// Sections that cannot be read are missing.
    pub(in crate::servicebus) amqp: Amqp<Content>,
    /// Why not all of it could be read.
    pub(in crate::servicebus) damaged: Option<String>,
}

/// Reads a message. What is no AMQP is read as far as it is, whatever its sender wrote.
pub(in crate::servicebus) fn decode(bytes: &[u8]) -> Decoded {
    let (mut head, mut body, mut damaged) = (0, BodySoFar::Nothing, None);
    let mut rest = bytes;
    while !rest.is_empty() {
        let start = bytes.len() - rest.len();
        let Some(section) = Section::first(rest) else {
            damaged = Some(NOT_SOUND.to_owned());
            break;
        };
        rest = &rest[section.bytes.len()..];
        match section.code {
            HEADER..=APPLICATION_PROPERTIES if head == start => head += section.bytes.len(),
            DATA..=VALUE => body = body.and(section.code, section.value),
            FOOTER => {}
            _ => damaged = Some("its sections are out of order".to_owned()),
        }
    }
    let head = &bytes[..head];
    let known = whole_head(head).unwrap_or_else(|why| {
        damaged = Some(why);
        each(head)
    });
    let damaged = damaged.map(|why| format!("it is no AMQP message: {why}"));
    Decoded { amqp: known.map_body(|()| body.content()), damaged }
}

/// Reads an answer of the service, whose body is a value that is wanted.
pub(in crate::servicebus) fn decode_value(bytes: &[u8]) -> Result<Amqp<Body<Value>>, String> {
    if !is_sound(bytes) {
        return Err(NOT_SOUND.to_owned());
    }
    let read = serde_amqp::from_slice::<Deserializable<Amqp<Body<Value>>>>(bytes);
    read.map(|it| it.0).map_err(|error| error.to_string())
}

/// All sections in front of a body.
fn whole_head(head: &[u8]) -> Result<Amqp<()>, String> {
    if head.len() > MAX_HEAD {
        return Err(format!("{} bytes stand in front of its body, of {MAX_HEAD} allowed", head.len()));
    }
    read(head)
}

/// Sections in front of a body.
fn read(head: &[u8]) -> Result<Amqp<()>, String> {
    if head.is_empty() {
        return Ok(Amqp::default());
    }
    decode_value(head).map(|it| it.map_body(drop))
}

/// Those of them that can be read by themselves: what the service itself has written above all.
fn each(mut head: &[u8]) -> Amqp<()> {
    let mut known = Amqp::default();
    while let Some(section) = Section::first(head) {
        head = &head[section.bytes.len()..];
        if section.bytes.len() > MAX_HEAD {
            continue;
        }
        let Ok(one) = read(section.bytes).or_else(|why| sound_pairs(&section).ok_or(why)) else { continue };
        known.header = known.header.or(one.header);
        known.message_annotations = known.message_annotations.or(one.message_annotations);
        known.properties = known.properties.or(one.properties);
        known.application_properties = known.application_properties.or(one.application_properties);
    }
    known
}

/// Annotations without those that cannot be read: the service's own stand beside its sender's.
fn sound_pairs(section: &Section<'_>) -> Option<Amqp<()>> {
    if section.code != MESSAGE_ANNOTATIONS {
        return None;
    }
    let items = items(section.value)?;
    let sound: Vec<&[u8]> =
        items.chunks_exact(2).filter(|pair| pair.iter().all(|it| is_sound(it))).flatten().copied().collect();
    let mut bytes = Vec::new();
    compound(&mut bytes, MESSAGE_ANNOTATIONS, MAP, &sound);
    read(&bytes).ok()
}

/// What was read of a body. Nothing is kept for each of its sections, which may be empty and
/// millions.
enum BodySoFar {
    Nothing,
    Data(Vec<u8>),
    Other(Content),
}

impl BodySoFar {
    /// The same with one more section.
    fn and(self, code: u64, value: &[u8]) -> Self {
        let unreadable = |why| Self::Other(Content::Unreadable(why));
        match (self, code, binary(value)) {
            // A copy: the bytes of a whole frame would stay for as long as this does.
            (Self::Nothing, DATA, Some(bytes)) => Self::Data(bytes.to_vec()),
            (Self::Nothing, DATA, None) => unreadable("its body is no data"),
            (Self::Nothing, SEQUENCE, _) => unreadable(A_SEQUENCE),
            (Self::Nothing, ..) => Self::Other(plain(value)),
            (Self::Data(mut data), DATA, Some(bytes)) => {
                data.extend_from_slice(bytes);
                Self::Data(data)
            }
            (Self::Other(Content::Unreadable(A_SEQUENCE)), ..) => unreadable(A_SEQUENCE),
            (Self::Data(_) | Self::Other(_), ..) => unreadable("its body is more than one AMQP value"),
        }
    }

    fn content(self) -> Content {
        match self {
            Self::Nothing => Content::Plain(Bytes::new()),
            Self::Data(data) => Content::Data(data.into()),
            Self::Other(content) => content,
        }
    }
}

fn plain(value: &[u8]) -> Content {
    let text = |text: &[u8]| str::from_utf8(text).is_ok();
    match value {
        [0x40] => Content::Plain(Bytes::new()),
        [0xa1, _, bytes @ ..] | [0xb1, _, _, _, _, bytes @ ..] if text(bytes) => {
            Content::Plain(Bytes::copy_from_slice(bytes))
        }
        value => binary(value).map_or(
            Content::Unreadable("its body is an AMQP value that is neither text nor bytes"),
            |bytes| Content::Plain(Bytes::copy_from_slice(bytes)),
        ),
    }
}

/// The bytes of a binary value, whose length was looked at.
fn binary(value: &[u8]) -> Option<&[u8]> {
    match value {
        [0xa0, _, bytes @ ..] | [0xb0, _, _, _, _, bytes @ ..] => Some(bytes),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A list (0xd0) or a map (0xd1) that says that it has so many items, and has these bytes.
    fn counted(kind: u8, count: u32, items: &[u8]) -> Vec<u8> {
        let length = u32::try_from(items.len() + 4).unwrap();
        [&[kind][..], &length.to_be_bytes(), &count.to_be_bytes(), items].concat()
    }

    /// Lists in each other, so many.
    fn nested(depth: usize) -> Vec<u8> {
        let mut value = vec![0x45];
        for _ in 0..depth {
            value = counted(0xd0, 1, &value);
        }
        value
    }

    fn section(code: u64, value: &[u8]) -> Vec<u8> {
        [&[0, 0x53, u8::try_from(code).unwrap()], value].concat()
    }

    /// A map of one key, which is a symbol.
    fn map(value: &[u8]) -> Vec<u8> {
        counted(0xd1, 2, &[&[0xa3, 1, b'k'], value].concat())
    }

    #[test]
    fn a_message_that_is_too_deep_anywhere_is_damaged_and_the_rest_of_it_is_read() {
        let deep = nested(3000);
        let id = section(0x73, &[0xc0, 5, 1, 0xa1, 2, b'm', b'1']);
        for (place, is_damaged) in [(0x71, true), (0x72, true), (0x74, true), (0x77, false), (0x78, false)] {
            let value = if place == 0x77 { deep.clone() } else { map(&deep) };
            let hostile = section(place, &value);
            let bytes = if place < 0x73 { [hostile, id.clone()] } else { [id.clone(), hostile] }.concat();
            let Decoded { amqp, damaged } = decode(&bytes);
            assert_eq!(damaged.is_some(), is_damaged, "{place:x}: {damaged:?}");
            assert!(amqp.properties.and_then(|it| it.message_id).is_some(), "{place:x}");
            assert_eq!(matches!(amqp.body, Content::Unreadable(_)), place == 0x77);
        }
        let described = section(0x77, &[&[0; 5000][..], &[0x40; 5001]].concat());
        assert!(decode(&described).damaged.is_some());
    }

    #[test]
    fn what_the_service_wrote_is_read_beside_what_is_too_deep() {
        let number = [&[0xa3, 21][..], b"x-opt-sequence-number", &[0x55, 7]].concat();
        let deep = [&[0xa3, 1, b'k'][..], &nested(3000)].concat();
        for pairs in [[&number[..], &deep], [&deep, &number]] {
            let map = counted(0xd1, 4, &pairs.concat());
            let Decoded { amqp, damaged } = decode(&section(MESSAGE_ANNOTATIONS, &map));
            assert!(damaged.is_some());
            assert_eq!(amqp.message_annotations.map(|it| it.0.len()), Some(1));
        }
    }

    #[test]
    fn a_message_that_has_more_in_front_of_its_body_than_there_may_be_is_damaged_and_keeps_its_id() {
        let pair = |number: u32| [&[0xa1, 6][..], format!("{number:06}").as_bytes(), &[0x40]].concat();
        let pairs: Vec<u8> = (0..120_000).flat_map(pair).collect();
        let map = counted(0xd1, 240_000, &pairs);
        let id = section(0x73, &[0xc0, 5, 1, 0xa1, 2, b'm', b'1']);
        let Decoded { amqp, damaged } = decode(&[id, section(APPLICATION_PROPERTIES, &map)].concat());
        assert!(damaged.unwrap().contains("bytes stand in front of its body, of 1048576 allowed"));
        assert!(
            amqp.properties.and_then(|it| it.message_id).is_some() && amqp.application_properties.is_none()
        );
    }

    #[test]
    fn counts_of_what_never_comes_reserve_no_memory() {
        for count in
            [&b"\xd1\0\0\0\x04\xff\xff\xff\xfe"[..], b"\xf0\0\0\0\x05\xff\xff\xff\xff\x40", b"\xc1\x01\xfe"]
        {
            assert!(decode(&section(0x74, count)).damaged.is_some());
            assert!(matches!(decode(&section(VALUE, count)).amqp.body, Content::Unreadable(_)));
        }
    }

    #[test]
    fn a_body_takes_no_more_memory_than_it_has_bytes() {
        // A million values of a byte each.
        let nulls = [&[0xd0, 0, 0x10, 0, 4, 0, 0x10, 0, 0][..], &[0x40; 1 << 20]].concat();
        for (code, words) in [(VALUE, "neither text nor bytes"), (SEQUENCE, "sequence")] {
            let Content::Unreadable(why) = decode(&section(code, &nulls)).amqp.body else { panic!("{code}") };
            assert!(why.contains(words), "{why}");
        }
    }

    #[test]
    fn bodies_are_read_as_their_sections_say() {
        let data = |bytes: &[u8]| section(DATA, &[&[0xa0, 2][..], bytes].concat());
        let read = |bytes: &[u8]| match decode(bytes).amqp.body {
            Content::Data(bytes) | Content::Plain(bytes) => Some(bytes),
            Content::Unreadable(_) => None,
        };
        assert_eq!(read(&[data(b"ab"), data(b"cd")].concat()).unwrap(), "abcd");
        assert_eq!(read(&section(VALUE, b"\xb1\0\0\0\x02ab")).unwrap(), "ab");
        assert_eq!(read(&section(VALUE, b"\xa0\x01\xff")).unwrap(), &b"\xff"[..]);
        assert_eq!(read(&[]).unwrap(), "");
        assert_eq!(read(&section(VALUE, b"\xa1\x01\xff")), None, "it is no text");
        assert_eq!(read(&[data(b"ab"), section(VALUE, &[0x40])].concat()), None);
        let empty = section(DATA, &[0xa0, 0]).repeat(1000);
        assert_eq!(read(&[&data(b"ab")[..], &empty, &data(b"cd")].concat()).unwrap(), "abcd");
        assert_eq!(read(&[data(b"ab"), section(DATA, b"\xa1\x01x")].concat()), None);
        assert_eq!(read(&[section(VALUE, &[0x40]), data(b"ab")].concat()), None);
        assert_eq!(read(&section(DATA, b"\xa1\x01x")), None);
        let late = [data(b"ab"), section(HEADER, &[0x45])].concat();
        assert!(decode(&late).damaged.unwrap().contains("out of order"));
    }
}
