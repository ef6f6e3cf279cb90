//! A span, written as the protocol has it while it is told: what has ended is bytes already, and
//! was never anything else.
//!
//! The SDK's own spans took more of the processor's time than all else that exports cost: each
//! attribute is an allocation there, once as a value and once more as a message.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use opentelemetry_proto::tonic::trace::v1::SpanFlags;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use prost::encoding::{WireType, encode_varint, encoded_len_varint, fixed32, fixed64, key_len};

use super::batches::SpanBatches;
use longshore_handler::trace_context::TraceContext;

/// The fields of `Span` ([trace.proto](https://github.com/open-telemetry/opentelemetry-proto)).
const TRACE_ID: u32 = 1;
const SPAN_ID: u32 = 2;
const TRACE_STATE: u32 = 3;
const PARENT_SPAN_ID: u32 = 4;
const NAME: u32 = 5;
const KIND: u32 = 6;
const START_TIME: u32 = 7;
const END_TIME: u32 = 8;
const ATTRIBUTES: u32 = 9;
const DROPPED_ATTRIBUTES: u32 = 10;
const LINKS: u32 = 13;
const DROPPED_LINKS: u32 = 14;
const STATUS: u32 = 15;
const FLAGS: u32 = 16;
/// The field of `Link` that is none of a span's; the first three are the same.
const LINK_FLAGS: u32 = 6;
/// The fields of `Status`.
const STATUS_MESSAGE: u32 = 2;
const STATUS_CODE: u32 = 3;
/// The fields of `KeyValue`, and of the `AnyValue` in it
/// ([common.proto](https://github.com/open-telemetry/opentelemetry-proto)).
const KEY: u32 = 1;
const VALUE: u32 = 2;
const STRING_VALUE: u32 = 1;
const INT_VALUE: u32 = 3;

/// What nearly all spans have room in.
const USUAL_BYTES: usize = 768;

/// A span in another place: of this process, or of a sender.
#[derive(Clone, Copy, Debug)]
pub(super) struct Relative<'a> {
    pub(super) context: &'a TraceContext,
    pub(super) is_remote: bool,
}

/// A span that has begun. It ends when it is dropped, unless it was ended before.
#[derive(Debug)]
pub(super) struct OtlpSpan {
    context: TraceContext,
    /// Where it is to be exported.
    told: Option<ToldSpan>,
}

/// What is told of a span that is to be exported.
#[derive(Debug)]
struct ToldSpan {
    bytes: Vec<u8>,
    attributes: u32,
    links: u32,
    batches: Arc<SpanBatches>,
}

impl OtlpSpan {
    /// A span that is not exported, and whose trace goes on all the same.
    pub(super) fn untold(context: TraceContext) -> Self {
        Self { context, told: None }
    }

    /// A span that is exported to there when it has ended.
    pub(super) fn told(
        batches: &Arc<SpanBatches>,
        context: TraceContext,
        (name, kind): (&str, SpanKind),
        parent: Option<Relative<'_>>,
        start: SystemTime,
    ) -> Self {
        let mut bytes = Vec::with_capacity(USUAL_BYTES);
        write_context(&context, &mut bytes);
        if let Some(parent) = parent {
            delimited(PARENT_SPAN_ID, &parent.context.ids.span.to_be_bytes(), &mut bytes);
        }
        delimited(NAME, name.as_bytes(), &mut bytes);
        number(KIND, kind as u64, &mut bytes);
        fixed64::encode(START_TIME, &nanoseconds(start), &mut bytes);
        let is_remote = parent.is_some_and(|it| it.is_remote);
        fixed32::encode(FLAGS, &flags(&context, is_remote), &mut bytes);
        let told = ToldSpan { bytes, attributes: 0, links: 0, batches: Arc::clone(batches) };
        Self { context, told: Some(told) }
    }

    /// What is to be continued.
    pub(super) fn context(&self) -> &TraceContext {
        &self.context
    }

    /// Whether it will be exported.
    pub(super) fn is_told(&self) -> bool {
        self.told.is_some()
    }

    /// Links it with another span.
    pub(super) fn link(&mut self, to: Relative<'_>) {
        let Some(told) = &mut self.told else { return };
        told.links += 1;
        if told.links > told.batches.limits().links {
            return;
        }
        let mut link = Vec::with_capacity(64);
        write_context(to.context, &mut link);
        fixed32::encode(LINK_FLAGS, &flags(to.context, to.is_remote), &mut link);
        delimited(LINKS, &link, &mut told.bytes);
    }

    /// Gives it an attribute that is a text.
    pub(super) fn text(&mut self, key: &str, value: &str) {
        let Some(bytes) = self.attribute() else { return };
        let any = delimited_len(STRING_VALUE, value.len());
        begin_attribute(key, any, bytes);
        delimited(STRING_VALUE, value.as_bytes(), bytes);
    }

    /// Gives it an attribute that is a number.
    pub(super) fn number(&mut self, key: &str, value: i64) {
        let Some(bytes) = self.attribute() else { return };
        // The protocol writes negative numbers as their two's complement.
        let value = value.cast_unsigned();
        begin_attribute(key, key_len(INT_VALUE) + encoded_len_varint(value), bytes);
        number(INT_VALUE, value, bytes);
    }

    /// What it is about has failed, for this reason. It is said once at most.
    pub(super) fn failed(&mut self, reason: &str) {
        let Some(told) = &mut self.told else { return };
        let code = StatusCode::Error as u64;
        let length =
            delimited_len(STATUS_MESSAGE, reason.len()) + key_len(STATUS_CODE) + encoded_len_varint(code);
        begin(STATUS, length, &mut told.bytes);
        delimited(STATUS_MESSAGE, reason.as_bytes(), &mut told.bytes);
        number(STATUS_CODE, code, &mut told.bytes);
    }

    /// Ends it.
    pub(super) fn end(mut self, at: SystemTime) {
        self.finish(at);
    }

    /// Where another attribute goes; `None` if there may be no more, or if it is not exported.
    fn attribute(&mut self) -> Option<&mut Vec<u8>> {
        let told = self.told.as_mut()?;
        told.attributes += 1;
        (told.attributes <= told.batches.limits().attributes).then_some(&mut told.bytes)
    }

    fn finish(&mut self, at: SystemTime) {
        let Some(ToldSpan { mut bytes, attributes, links, batches }) = self.told.take() else { return };
        fixed64::encode(END_TIME, &nanoseconds(at), &mut bytes);
        let limits = batches.limits();
        for (tag, count, limit) in
            [(DROPPED_ATTRIBUTES, attributes, limits.attributes), (DROPPED_LINKS, links, limits.links)]
        {
            if count > limit {
                number(tag, u64::from(count - limit), &mut bytes);
            }
        }
        batches.ended(&bytes);
    }
}

impl Drop for OtlpSpan {
    fn drop(&mut self) {
        if self.told.is_some() {
            self.finish(SystemTime::now());
        }
    }
}

/// The first three fields of a span, and of a link.
fn write_context(context: &TraceContext, bytes: &mut Vec<u8>) {
    delimited(TRACE_ID, &context.ids.trace.to_be_bytes(), bytes);
    delimited(SPAN_ID, &context.ids.span.to_be_bytes(), bytes);
    if !context.state.is_empty() {
        delimited(TRACE_STATE, context.state.as_bytes(), bytes);
    }
}

/// The trace flags, with what is known of where a span is: the parent of a span, or a linked one.
fn flags(context: &TraceContext, is_remote: bool) -> u32 {
    let known = SpanFlags::ContextHasIsRemoteMask as u32;
    let remote = if is_remote { SpanFlags::ContextIsRemoteMask as u32 } else { 0 };
    u32::from(context.flags) | known | remote
}

fn nanoseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// An attribute up to its value, which is so long.
fn begin_attribute(key: &str, value: usize, bytes: &mut Vec<u8>) {
    begin(ATTRIBUTES, delimited_len(KEY, key.len()) + delimited_len(VALUE, value), bytes);
    delimited(KEY, key.as_bytes(), bytes);
    begin(VALUE, value, bytes);
}

fn begin(tag: u32, length: usize, bytes: &mut Vec<u8>) {
    varint(u64::from(tag << 3 | WireType::LengthDelimited as u32), bytes);
    varint(length as u64, bytes);
}

fn varint(number: u64, bytes: &mut Vec<u8>) {
    match u8::try_from(number) {
        // Nearly all are that short.
        Ok(byte) if byte < 0x80 => bytes.push(byte),
        _ => encode_varint(number, bytes),
    }
}

fn delimited(tag: u32, field: &[u8], bytes: &mut Vec<u8>) {
    begin(tag, field.len(), bytes);
    bytes.extend_from_slice(field);
}

fn delimited_len(tag: u32, length: usize) -> usize {
    key_len(tag) + encoded_len_varint(length as u64) + length
}

fn number(tag: u32, number: u64, bytes: &mut Vec<u8>) {
    varint(u64::from(tag << 3 | WireType::Varint as u32), bytes);
    varint(number, bytes);
}

#[cfg(test)]
mod tests {
    use opentelemetry::InstrumentationScope;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
    use opentelemetry_proto::tonic::trace::v1::span::Link;
    use opentelemetry_proto::tonic::trace::v1::{Span, Status};
    use opentelemetry_sdk::Resource;
    use prost::Message;

    use super::*;
    use crate::telemetry::otel::numbers::ExportLimits;
    use crate::telemetry::otel::variables::Variables;

    fn batches(attributes: u32, links: u32) -> Arc<SpanBatches> {
        let limits = ExportLimits::of(&Variables(&|_| None), &mut Vec::new());
        let limits = ExportLimits { attributes, links, spans_exported: 1, ..limits };
        let (resource, scope) =
            (Resource::builder_empty().build(), InstrumentationScope::builder("longshore").build());
        Arc::new(SpanBatches::new(&resource, &scope, limits, Arc::default()))
    }

    fn context(traceparent: &str, state: &str) -> TraceContext {
        TraceContext::parse(traceparent, Some(state)).unwrap()
    }

    /// Which of two spans: it, or the one that it has something to do with.
    fn contexts() -> (TraceContext, TraceContext) {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        (
            context(&format!("00-{trace}-00f067aa0ba902b7-01"), "shop=1"),
            context(&format!("00-{trace}-0000000000000007-03"), "shop=1"),
        )
    }

    fn at(nanoseconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_nanos(nanoseconds)
    }

    fn attribute(key: &str, value: Value) -> KeyValue {
        KeyValue { key: key.into(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
    }

    /// What the only span says that has ended.
    async fn exported(batches: &SpanBatches) -> Span {
        let mut request = ExportTraceServiceRequest::decode(batches.next_request().await.unwrap()).unwrap();
        let mut spans = request.resource_spans.remove(0).scope_spans.remove(0).spans;
        assert_eq!(spans.len(), 1, "{spans:?}");
        spans.remove(0)
    }

    #[tokio::test]
    async fn a_span_is_read_by_the_protocol_s_own_types_as_it_was_told() {
        let batches = batches(128, 128);
        let (own, other) = contexts();
        let other = Relative { context: &other, is_remote: true };
        let what = ("process orders", SpanKind::Consumer);
        let mut span =
            OtlpSpan::told(&batches, own.clone(), what, Some(other), at(1_700_000_000_000_000_001));
        span.link(Relative { is_remote: false, ..other });
        let long = "caf\u{e9} ".repeat(100);
        span.text("text", &long);
        span.text("empty", "");
        span.number("number", 300);
        span.number("negative", -1);
        span.failed("trap");
        span.end(at(1_700_000_000_000_000_300));
        let (trace, id) = (own.ids.trace.to_be_bytes().to_vec(), own.ids.span.to_be_bytes().to_vec());
        let expected = Span {
            trace_id: trace.clone(),
            span_id: id,
            trace_state: "shop=1".into(),
            parent_span_id: vec![0, 0, 0, 0, 0, 0, 0, 7],
            flags: 0x301,
            name: "process orders".into(),
            kind: SpanKind::Consumer as i32,
            start_time_unix_nano: 1_700_000_000_000_000_001,
            end_time_unix_nano: 1_700_000_000_000_000_300,
            attributes: vec![
                attribute("text", Value::StringValue(long)),
                attribute("empty", Value::StringValue(String::new())),
                attribute("number", Value::IntValue(300)),
                attribute("negative", Value::IntValue(-1)),
            ],
            links: vec![Link {
                trace_id: trace,
                span_id: vec![0, 0, 0, 0, 0, 0, 0, 7],
                trace_state: "shop=1".into(),
                flags: 0x103,
                ..Link::default()
            }],
            status: Some(Status { message: "trap".into(), code: StatusCode::Error as i32 }),
            ..Span::default()
        };
        assert_eq!(exported(&batches).await, expected);
    }

    #[tokio::test]
    async fn what_is_over_a_limit_is_counted_and_a_span_that_is_dropped_has_ended() {
        let batches = batches(2, 1);
        let (own, other) = contexts();
        let what = ("send invoices", SpanKind::Producer);
        let mut span = OtlpSpan::told(&batches, own, what, None, at(1));
        (0..5).for_each(|number| span.number("number", number));
        (0..3).for_each(|_| span.link(Relative { context: &other, is_remote: true }));
        drop(span);
        let span = exported(&batches).await;
        assert_eq!((span.attributes.len(), span.dropped_attributes_count), (2, 3));
        assert_eq!((span.links.len(), span.dropped_links_count), (1, 2));
        assert!(span.end_time_unix_nano > 1 && span.parent_span_id.is_empty() && span.flags == 0x101);
    }
}
