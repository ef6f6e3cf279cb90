//! The protocol's messages of spans, field by field, as they are written.

use jiff::Timestamp;
use opentelemetry_proto::tonic::trace::v1::SpanFlags;
use prost::encoding::{WireType, encode_varint, encoded_len_varint, key_len};

use longshore_handler::trace_context::TraceContext;

/// The fields of `Span` ([trace.proto](https://github.com/open-telemetry/opentelemetry-proto)).
pub(super) const TRACE_ID: u32 = 1;
pub(super) const SPAN_ID: u32 = 2;
pub(super) const TRACE_STATE: u32 = 3;
pub(super) const PARENT_SPAN_ID: u32 = 4;
pub(super) const NAME: u32 = 5;
pub(super) const KIND: u32 = 6;
pub(super) const START_TIME: u32 = 7;
pub(super) const END_TIME: u32 = 8;
pub(super) const ATTRIBUTES: u32 = 9;
pub(super) const DROPPED_ATTRIBUTES: u32 = 10;
pub(super) const LINKS: u32 = 13;
pub(super) const DROPPED_LINKS: u32 = 14;
pub(super) const STATUS: u32 = 15;
pub(super) const FLAGS: u32 = 16;
/// The field of `Link` that is none of a span's; the first three are the same.
pub(super) const LINK_FLAGS: u32 = 6;
/// The fields of `Status`.
pub(super) const STATUS_MESSAGE: u32 = 2;
pub(super) const STATUS_CODE: u32 = 3;
/// The fields of `KeyValue`, and of the `AnyValue` in it
/// ([common.proto](https://github.com/open-telemetry/opentelemetry-proto)).
pub(super) const KEY: u32 = 1;
pub(super) const VALUE: u32 = 2;
pub(super) const STRING_VALUE: u32 = 1;
pub(super) const INT_VALUE: u32 = 3;

/// The first three fields of a span, and of a link.
pub(super) fn context(context: &TraceContext, bytes: &mut Vec<u8>) {
    delimited(TRACE_ID, &context.ids.trace.to_be_bytes(), bytes);
    delimited(SPAN_ID, &context.ids.span.to_be_bytes(), bytes);
    if !context.state.is_empty() {
        delimited(TRACE_STATE, context.state.as_bytes(), bytes);
    }
}

/// The trace flags, with what is known of where a span is: the parent of a span, or a linked one.
pub(super) fn flags(context: &TraceContext, is_remote: bool) -> u32 {
    let known = SpanFlags::ContextHasIsRemoteMask as u32;
    let remote = if is_remote { SpanFlags::ContextIsRemoteMask as u32 } else { 0 };
    u32::from(context.flags) | known | remote
}

/// The time since 1970, in nanoseconds. No clock is before that, and none that is right is beyond
/// what the protocol has, in the year 2554.
pub(super) fn nanoseconds(time: Timestamp) -> u64 {
    let seconds = u64::try_from(time.as_second()).unwrap_or_default();
    seconds.saturating_mul(1_000_000_000).saturating_add(time.subsec_nanosecond().unsigned_abs().into())
}

/// The longest name of an attribute, in bytes.
const MAX_KEY: usize = 60;

/// The name of an attribute, as each span has it: its field, and the key of the field behind it.
/// It is written once, and copied.
#[derive(Clone, Copy, Debug)]
pub(super) struct AttributeKey {
    bytes: [u8; MAX_KEY + 3],
    length: usize,
}

impl AttributeKey {
    /// A name of [`MAX_KEY`] bytes at most.
    pub(super) const fn new(name: &str) -> Self {
        let name = name.as_bytes();
        assert!(name.len() <= MAX_KEY, "a longer name than any attribute has");
        let mut bytes = [0; MAX_KEY + 3];
        bytes[0] = delimited_key(KEY);
        bytes[1] = name.len() as u8;
        let mut at = 0;
        while at < name.len() {
            bytes[2 + at] = name[at];
            at += 1;
        }
        bytes[2 + at] = delimited_key(VALUE);
        Self { bytes, length: at + 3 }
    }

    /// An attribute up to its value, which is so long.
    pub(super) fn begin(&self, value: usize, bytes: &mut Vec<u8>) {
        begin(ATTRIBUTES, self.length + encoded_len_varint(value as u64) + value, bytes);
        bytes.extend_from_slice(&self.bytes[..self.length]);
        varint(value as u64, bytes);
    }

    /// The same with a value that is a number. The protocol writes negative numbers as their two's
    /// complement.
    pub(super) fn number(&self, value: i64, bytes: &mut Vec<u8>) {
        // In one piece: each piece looks whether there is room.
        let mut written = [0; 1 + MAX_VARINT];
        let mut length = 0;
        let mut rest = value.cast_unsigned();
        written[0] = (INT_VALUE << 3 | WireType::Varint as u32) as u8;
        loop {
            length += 1;
            if rest < 0x80 {
                written[length] = rest as u8;
                break;
            }
            written[length] = rest as u8 | 0x80;
            rest >>= 7;
        }
        self.begin(1 + length, bytes);
        bytes.extend_from_slice(&written[..=length]);
    }
}

/// The most bytes of a number.
const MAX_VARINT: usize = 10;

/// The key of a field with a length, whose tag is below 16.
const fn delimited_key(tag: u32) -> u8 {
    (tag << 3 | WireType::LengthDelimited as u32) as u8
}

pub(super) fn begin(tag: u32, length: usize, bytes: &mut Vec<u8>) {
    varint(u64::from(tag << 3 | WireType::LengthDelimited as u32), bytes);
    varint(length as u64, bytes);
}

pub(super) fn varint(number: u64, bytes: &mut Vec<u8>) {
    match u8::try_from(number) {
        // Nearly all are that short.
        Ok(byte) if byte < 0x80 => bytes.push(byte),
        _ => encode_varint(number, bytes),
    }
}

pub(super) fn delimited(tag: u32, field: &[u8], bytes: &mut Vec<u8>) {
    begin(tag, field.len(), bytes);
    bytes.extend_from_slice(field);
}

pub(super) fn delimited_len(tag: u32, length: usize) -> usize {
    key_len(tag) + encoded_len_varint(length as u64) + length
}

pub(super) fn number(tag: u32, number: u64, bytes: &mut Vec<u8>) {
    varint(u64::from(tag << 3 | WireType::Varint as u32), bytes);
    varint(number, bytes);
}
