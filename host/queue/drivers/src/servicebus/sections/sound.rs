//! Whether bytes are AMQP as far as its lengths go.
//!
//! The library that decodes (`serde_amqp` 0.18) goes by counts alone. A value that says that it is
//! short may so hold others without an end, one in the other, until its stack overflows and the
//! process ends, and room is made for gigabytes that never come. What is sound holds what its
//! lengths have room for, at a depth that is bounded.

/// How deeply values may stand in each other. Messages have a handful.
const MAX_DEPTH: u32 = 32;

/// Whether these are values, one after the other, each as long as it says.
pub(in crate::servicebus) fn is_sound(mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        match behind(bytes, 0) {
            Some(rest) => bytes = rest,
            None => return false,
        }
    }
    true
}

/// The first value, if it is as long as it says.
pub(in crate::servicebus) fn first_sound(bytes: &[u8]) -> Option<&[u8]> {
    let rest = behind(bytes, 0)?;
    Some(&bytes[..bytes.len() - rest.len()])
}

/// What follows the first value ([AMQP 1.0, part
/// 1.2](https://docs.oasis-open.org/amqp/core/v1.0/os/amqp-core-types-v1.0-os.html#section-encodings)).
fn behind(value: &[u8], depth: u32) -> Option<&[u8]> {
    let (constructor, content) = value.split_first()?;
    match constructor {
        0 if depth < MAX_DEPTH => behind(behind(content, depth + 1)?, depth + 1),
        _ => behind_content(*constructor, content, depth),
    }
}

/// The same once its constructor is known, the upper half of which says how long the value is.
fn behind_content(constructor: u8, content: &[u8], depth: u32) -> Option<&[u8]> {
    match constructor >> 4 {
        4 => Some(content),
        5 => content.get(1..),
        6 => content.get(2..),
        7 => content.get(4..),
        8 => content.get(8..),
        9 => content.get(16..),
        0xa | 0xb => Some(counted(content, constructor)?.1),
        0xc..=0xf if depth < MAX_DEPTH => {
            let (inside, rest) = counted(content, constructor)?;
            let (count, items) = number(inside, constructor)?;
            let is_whole = match constructor >> 4 {
                0xc | 0xd => is_compound(count, items, constructor & 0xf == 1, depth + 1),
                _ => is_array(count, items, depth + 1),
            };
            is_whole.then_some(rest)
        }
        _ => None,
    }
}

/// Whether a list or a map has so many values, and a map one for each key.
fn is_compound(count: usize, mut items: &[u8], is_map: bool, depth: u32) -> bool {
    for _ in 0..count {
        match behind(items, depth) {
            Some(rest) => items = rest,
            None => return false,
        }
    }
    items.is_empty() && !(is_map && count % 2 == 1)
}

/// Whether an array has so many values of its one constructor.
fn is_array(count: usize, items: &[u8], depth: u32) -> bool {
    let Some((constructor, mut items)) = constructor(items, depth) else { return count == 0 };
    // The library takes no more values than bytes, and they may have none.
    if count > 1 + items.len() {
        return false;
    }
    for _ in 0..count {
        match behind_content(constructor, items, depth) {
            Some(rest) => items = rest,
            None => return false,
        }
    }
    items.is_empty()
}

/// The constructor of an array's values, behind a descriptor if they have one.
fn constructor(items: &[u8], depth: u32) -> Option<(u8, &[u8])> {
    let (constructor, items) = split(items)?;
    if constructor == 0 { split(behind(items, depth)?) } else { Some((constructor, items)) }
}

fn split(bytes: &[u8]) -> Option<(u8, &[u8])> {
    bytes.split_first().map(|(first, rest)| (*first, rest))
}

/// What a length in front says, and what follows that.
fn counted(content: &[u8], constructor: u8) -> Option<(&[u8], &[u8])> {
    let (length, rest) = number(content, constructor)?;
    rest.split_at_checked(length)
}

/// A length or a count, which constructors with an even upper half write in one byte, and others in
/// four.
fn number(content: &[u8], constructor: u8) -> Option<(usize, &[u8])> {
    if constructor >> 4 & 1 == 0 {
        return split(content).map(|(number, rest)| (usize::from(number), rest));
    }
    let (number, rest) = content.split_first_chunk()?;
    Some((usize::try_from(u32::from_be_bytes(*number)).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_sound_that_are_as_long_as_they_say() {
        for sound in [
            &b""[..],
            &[0x40],
            &[0x45, 0x41, 0x54, 7],
            &[0, 0x53, 0x75, 0xa0, 2, b'{', b'}'],
            &[0xc0, 4, 1, 0xa1, 1, b'a'],
            &[0xd1, 0, 0, 0, 7, 0, 0, 0, 2, 0x40, 0x54, 1],
            &[0xe0, 6, 2, 0xa1, 1, b'a', 1, b'b'],
            &[0xe0, 1, 0],
            &[0xf0, 0, 0, 0, 7, 0, 0, 0, 2, 0x50, 1, 2],
            &[0x94, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
            &[0, 0xa3, 1, b'x', 0x81, 0, 0, 0, 0, 0, 0, 0, 9],
        ] {
            assert!(is_sound(sound), "{sound:?}");
            for end in 1..sound.len() {
                let cut = &sound[..end];
                assert!(!is_sound(cut) || sound[0] == 0x45, "{cut:?}");
            }
        }
        for other in [
            // A map of a key without a value, and lists that are longer or shorter than they say.
            &[0xc1, 2, 1, 0x40][..],
            &[0xc0, 4, 2, 0xa1, 1, b'a'],
            &[0xc0, 5, 1, 0xa1, 1, b'a', 0x40],
            &[0xc0, 0],
            &[0xe0, 3, 200, 0x40, 0x40],
            &[0x10],
        ] {
            assert!(!is_sound(other), "{other:?}");
        }
    }

    #[test]
    fn values_that_stand_in_each_other_too_deeply_are_not_sound() {
        let described = [0, 0x53, 0x74].repeat(60_000 / 3);
        assert!(!is_sound(&described));
        let mut list = vec![0x45];
        for _ in 0..40 {
            list = [&[0xc0, u8::try_from(list.len() + 1).unwrap(), 1][..], &list].concat();
        }
        assert!(!is_sound(&list));
        assert!(is_sound(&list[3 * 20..]));
        assert_eq!(first_sound(b"\0\x53\x14\x45rest"), Some(&b"\0\x53\x14\x45"[..]));
        assert_eq!(first_sound(b"\0\x53\x14\xb0\x10\0\0\0rest"), None);
        // Each says that it is short, and holds all that follows.
        assert!(!is_sound(&[&[0, 0x53, 0x74][..], &b"\xc1\x20\x04\xa1\x03fSt".repeat(7000)].concat()));
    }
}
