//! The protocol's messages of spans, field by field, as they are written.

use std::time::{Duration, SystemTime};

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

pub(super) fn nanoseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// An attribute up to its value, which is so long.
pub(super) fn begin_attribute(key: &str, value: usize, bytes: &mut Vec<u8>) {
    begin(ATTRIBUTES, delimited_len(KEY, key.len()) + delimited_len(VALUE, value), bytes);
    delimited(KEY, key.as_bytes(), bytes);
    begin(VALUE, value, bytes);
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
