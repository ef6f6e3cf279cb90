//! Where one section of a message ends and the next begins.

/// The sections, by the numbers of their descriptors.
pub(super) const HEADER: u64 = 0x70;
pub(super) const DELIVERY_ANNOTATIONS: u64 = 0x71;
pub(super) const MESSAGE_ANNOTATIONS: u64 = 0x72;
pub(super) const PROPERTIES: u64 = 0x73;
pub(super) const APPLICATION_PROPERTIES: u64 = 0x74;
pub(super) const DATA: u64 = 0x75;
pub(super) const SEQUENCE: u64 = 0x76;
pub(super) const VALUE: u64 = 0x77;
pub(super) const FOOTER: u64 = 0x78;

/// How deeply descriptors may describe each other.
const MAX_DESCRIPTORS: u32 = 8;

/// A section, with its descriptor and without.
pub(super) struct Section<'a> {
    pub(super) code: u64,
    pub(super) bytes: &'a [u8],
    pub(super) value: &'a [u8],
}

impl<'a> Section<'a> {
    /// The first one of some; `None` if that is none, or longer than they are.
    pub(super) fn first(rest: &'a [u8]) -> Option<Self> {
        let descriptor = rest.strip_prefix(&[0])?;
        let described = size(descriptor, 0)?;
        let value = descriptor.get(described..)?;
        let value = value.get(..size(value, 0)?)?;
        let bytes = &rest[..1 + described + value.len()];
        Some(Self { code: code(&descriptor[..described])?, bytes, value })
    }
}

/// The number of a descriptor, which may be written as a name.
fn code(descriptor: &[u8]) -> Option<u64> {
    match descriptor {
        [0x53, code] => Some(u64::from(*code)),
        [0x80, code @ ..] => Some(u64::from_be_bytes(code.try_into().ok()?)),
        _ => Some(match text(descriptor)? {
            b"amqp:header:list" => HEADER,
            b"amqp:delivery-annotations:map" => DELIVERY_ANNOTATIONS,
            b"amqp:message-annotations:map" => MESSAGE_ANNOTATIONS,
            b"amqp:properties:list" => PROPERTIES,
            b"amqp:application-properties:map" => APPLICATION_PROPERTIES,
            b"amqp:data:binary" => DATA,
            b"amqp:amqp-sequence:list" => SEQUENCE,
            b"amqp:amqp-value:*" | b"amqp:value:*" => VALUE,
            b"amqp:footer:map" => FOOTER,
            _ => return None,
        }),
    }
}

/// How many bytes the first value takes, its constructor included. The upper half of a constructor
/// says how long what follows is, or how that is said.
pub(super) fn size(value: &[u8], descriptors: u32) -> Option<usize> {
    let constructor = *value.first()?;
    let counted = |width: usize| {
        let length =
            value.get(1..=width)?.iter().fold(0_usize, |length, byte| length << 8 | usize::from(*byte));
        (1 + width).checked_add(length)
    };
    let size = match constructor >> 4 {
        0 if constructor == 0 && descriptors < MAX_DESCRIPTORS => {
            let descriptor = size(&value[1..], descriptors + 1)?;
            (1 + descriptor).checked_add(size(value.get(1 + descriptor..)?, descriptors + 1)?)?
        }
        4 => 1,
        5 => 2,
        6 => 3,
        7 => 5,
        8 => 9,
        9 => 17,
        0xa | 0xc | 0xe => counted(1)?,
        0xb | 0xd | 0xf => counted(4)?,
        _ => return None,
    };
    (size <= value.len()).then_some(size)
}

/// The bytes of a string or a symbol.
pub(super) fn text(value: &[u8]) -> Option<&[u8]> {
    match value {
        [0xa1 | 0xa3, _, text @ ..] | [0xb1 | 0xb3, _, _, _, _, text @ ..] => Some(text),
        _ => None,
    }
}

/// The values in a list or a map; a map's are its keys, each with its value behind it.
pub(super) fn items(compound: &[u8]) -> Option<Vec<&[u8]>> {
    let (count, mut rest) = match compound {
        [0x45] | [0x40] => (0, &[][..]),
        [0xc0 | 0xc1, _, count, rest @ ..] => (usize::from(*count), rest),
        [0xd0 | 0xd1, _, _, _, _, a, b, c, d, rest @ ..] => {
            (usize::try_from(u32::from_be_bytes([*a, *b, *c, *d])).ok()?, rest)
        }
        _ => return None,
    };
    let mut items = Vec::new();
    for _ in 0..count {
        let (item, behind) = rest.split_at_checked(size(rest, 0)?)?;
        items.push(item);
        rest = behind;
    }
    Some(items)
}

/// The constructors of a list and of a map whose size and count have four bytes each.
pub(super) const LIST: u8 = 0xd0;
pub(super) const MAP: u8 = 0xd1;

/// Writes a section that is a list or a map of these values.
pub(super) fn compound(bytes: &mut Vec<u8>, code: u64, constructor: u8, items: &[&[u8]]) {
    let [.., code] = code.to_be_bytes();
    bytes.extend([0, 0x53, code, constructor]);
    let counted = |count: usize| u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes();
    bytes.extend(counted(4 + items.iter().map(|item| item.len()).sum::<usize>()));
    bytes.extend(counted(items.len()));
    items.iter().for_each(|item| bytes.extend(*item));
}
