//! A message as the bytes that carry it: its sections, each as its sender encoded it ([AMQP 1.0,
//! part
//! 3.2](https://docs.oasis-open.org/amqp/core/v1.0/os/amqp-core-messaging-v1.0-os.html#section-message-format)).
//!
//! What is sent back into its queue is copied here byte by byte. Decoding it and encoding it again
//! would change types, and would lose what no type of ours stands for.

mod decoded;
mod section;
mod sound;

use bytes::Bytes;

pub(super) use self::decoded::{Content, Decoded, decode, decode_value};
pub(super) use self::sound::{first_sound, is_sound};

use self::section::{
    APPLICATION_PROPERTIES, DELIVERY_ANNOTATIONS, FOOTER, HEADER, LIST, MAP, MESSAGE_ANNOTATIONS, PROPERTIES,
    Section, compound, items, text,
};

/// What the service adds to a message that it moves to a dead-letter sub-queue.
const ADDED_PROPERTIES: [&[u8]; 2] = [b"DeadLetterReason", b"DeadLetterErrorDescription"];
/// What annotations begin with that are the service's, and which of them a sender sets.
const SERVICE_ANNOTATION: &[u8] = b"x-opt-";
const PARTITION_KEY: &[u8] = b"x-opt-partition-key";
const SENDERS_ANNOTATIONS: [&[u8]; 2] = [PARTITION_KEY, b"x-opt-via-partition-key"];
/// The field of the properties that names the session.
const GROUP_ID: usize = 10;
/// How many fields of the header its sender sets: durable, priority, time to live.
const SENDERS_HEADER_FIELDS: usize = 3;
/// A message as its sender sent it.
#[derive(Debug)]
pub(super) struct Original {
    /// All of its sections.
    pub(super) bytes: Bytes,
    /// Which partition it belongs to: a batch that carries it has to say so.
    pub(super) partition_key: Option<String>,
    /// Which session it belongs to.
    pub(super) group_id: Option<String>,
}

/// What the sender sent of a message that lay in a queue, or in its dead-letter sub-queue; `None`
/// if it is no message.
pub(super) fn original(message: &[u8], is_dead: bool) -> Option<Original> {
    let mut bytes = Vec::with_capacity(message.len());
    let (mut partition_key, mut group_id) = (None, None);
    let mut rest = message;
    while !rest.is_empty() {
        let section = Section::first(rest)?;
        rest = &rest[section.bytes.len()..];
        match section.code {
            HEADER => {
                let fields = items(section.value)?;
                let kept = &fields[..fields.len().min(SENDERS_HEADER_FIELDS)];
                compound(&mut bytes, HEADER, LIST, kept);
            }
            DELIVERY_ANNOTATIONS => {}
            MESSAGE_ANNOTATIONS => {
                let of_sender = |name: &[u8]| {
                    !name.starts_with(SERVICE_ANNOTATION) || SENDERS_ANNOTATIONS.contains(&name)
                };
                let kept = filtered(section.value, of_sender)?;
                partition_key = value_of(&kept, PARTITION_KEY).and_then(string);
                if !kept.is_empty() {
                    compound(&mut bytes, MESSAGE_ANNOTATIONS, MAP, &kept);
                }
            }
            APPLICATION_PROPERTIES if is_dead => {
                let kept = filtered(section.value, |name| !ADDED_PROPERTIES.contains(&name))?;
                if !kept.is_empty() {
                    compound(&mut bytes, APPLICATION_PROPERTIES, MAP, &kept);
                }
            }
            PROPERTIES => {
                group_id = items(section.value)?.get(GROUP_ID).copied().and_then(string);
                bytes.extend(section.bytes);
            }
            APPLICATION_PROPERTIES..=FOOTER => bytes.extend(section.bytes),
            _ => return None,
        }
    }
    Some(Original { bytes: bytes.into(), partition_key, group_id })
}

fn string(value: &[u8]) -> Option<String> {
    text(value).and_then(|text| String::from_utf8(text.to_vec()).ok())
}

/// The pairs of a map whose names are to be kept.
fn filtered(map: &[u8], keep: impl Fn(&[u8]) -> bool) -> Option<Vec<&[u8]>> {
    let items = items(map)?;
    if items.len() % 2 != 0 {
        return None;
    }
    Some(items.chunks_exact(2).filter(|pair| text(pair[0]).is_none_or(&keep)).flatten().copied().collect())
}

fn value_of<'a>(pairs: &[&'a [u8]], name: &[u8]) -> Option<&'a [u8]> {
    pairs.chunks_exact(2).find(|pair| text(pair[0]) == Some(name)).map(|pair| pair[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(code: u8, pairs: &[(&str, &[u8])]) -> Vec<u8> {
        let names: Vec<Vec<u8>> = pairs.iter().map(|(name, _)| short(0xa1, name)).collect();
        let items: Vec<&[u8]> =
            names.iter().zip(pairs).flat_map(|(name, (_, value))| [&name[..], value]).collect();
        let mut bytes = Vec::new();
        compound(&mut bytes, code.into(), MAP, &items);
        bytes
    }

    fn short(constructor: u8, text: &str) -> Vec<u8> {
        [&[constructor, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()
    }

    /// A list, an array, a decimal and a described value, as no property may be and some are.
    const ODD: [&[u8]; 4] = [
        &[0xc0, 4, 1, 0xa1, 1, b'a'],
        &[0xe0, 6, 2, 0xa1, 1, b'a', 1, b'b'],
        &[0x94, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
        &[0, 0xa3, 1, b'x', 0x81, 0, 0, 0, 0, 0, 0, 0, 9],
    ];

    #[test]
    fn every_section_and_type_is_kept_and_what_the_service_added_is_not() {
        let reason = short(0xa1, "rejected");
        let mine: Vec<(&str, &[u8])> = ["a", "b", "c", "d"].into_iter().zip(ODD).collect();
        let mut dead = mine.clone();
        dead.insert(1, ("DeadLetterReason", &reason));
        dead.push(("DeadLetterErrorDescription", &reason));
        let long = [&[0x81_u8][..], &7_i64.to_be_bytes()].concat();
        let key = short(0xa1, "blue");
        let properties =
            [&[0, 0x53, 0x73, 0xc0, 16, 11, 0xa3, 1, b'i'][..], &[0x40; 9], &short(0xa1, "g")].concat();
        for body in [
            &[0, 0x53, 0x75, 0xa0, 2, b'{', b'}', 0, 0x53, 0x75, 0xa0, 0][..],
            &[0, 0x53, 0x77, 0xc1, 5, 2, 0xa1, 1, b'k', 0x41],
            &[0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0x76, 0x45],
            &[],
        ] {
            let bare = |application: &[(&str, &[u8])]| [&properties, &map(0x74, application), body].concat();
            let lying = [
                // Durable, priority 7, a minute to live, not the first acquirer, delivered three
                // times.
                &[0, 0x53, 0x70, 0xc0, 12, 5, 0x41, 0x50, 7, 0x70, 0, 0, 0xea, 0x60, 0x42, 0x52, 3][..],
                &map(0x71, &[("x-opt-lock-token", &long)]),
                &map(
                    0x72,
                    &[("x-opt-sequence-number", &long), ("x-opt-partition-key", &key), ("own", &long)],
                ),
                &bare(&dead),
            ]
            .concat();
            let sent = [
                &[0, 0x53, 0x70, 0xd0, 0, 0, 0, 12, 0, 0, 0, 3, 0x41, 0x50, 7, 0x70, 0, 0, 0xea, 0x60][..],
                &map(0x72, &[("x-opt-partition-key", &key), ("own", &long)]),
                &bare(&mine),
            ]
            .concat();
            let original = original(&lying, true).unwrap();
            assert_eq!(&original.bytes[..], sent);
            assert_eq!(original.partition_key.as_deref(), Some("blue"));
            assert_eq!(original.group_id.as_deref(), Some("g"));
        }
    }

    #[test]
    fn what_is_no_message_is_told_from_one_and_never_read_beyond_its_end() {
        let whole =
            [&map(0x74, &[("a", &[0xa1, 1, b'x'])])[..], &[0, 0x53, 0x75, 0xb0, 0, 0, 0, 1, b'x']].concat();
        assert!(original(&whole, true).is_some());
        for end in 1..whole.len() {
            // Without its last section it is a message still.
            assert_eq!(original(&whole[..end], true).is_some(), end == whole.len() - 9, "{end}");
        }
        let described_for_ever = [0; 64];
        for garbage in
            [&b"no message"[..], &described_for_ever, &[0, 0x53, 0x79, 0x40], &[0, 0x53, 0x74, 0x45, 0x30]]
        {
            assert!(original(garbage, true).is_none(), "{garbage:?}");
        }
    }
}
