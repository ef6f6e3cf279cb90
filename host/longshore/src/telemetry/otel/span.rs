//! A span, written as the protocol has it while it is told: what has ended is bytes already, and
//! was never anything else.
//!
//! The SDK's own spans took more of the processor's time than all else that exports cost: each
//! attribute is an allocation there, once as a value and once more as a message.

use std::sync::Arc;
use std::time::SystemTime;

use opentelemetry::KeyValue;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use prost::encoding::{encoded_len_varint, fixed32, fixed64, key_len};

use super::batches::SpanBatches;
use super::numbers::ExportLimits;
use super::wire;
use longshore_handler::trace_context::TraceContext;

/// What nearly all spans have room in, beside what they begin with.
const USUAL_BYTES: usize = 384;

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
    written: WrittenSpan,
    batches: Arc<SpanBatches>,
}

/// The fields of a span that are written so far, in any order.
#[derive(Clone, Debug, Default)]
struct WrittenSpan {
    bytes: Vec<u8>,
    attributes: u32,
    links: u32,
}

/// What all spans of an operation begin with: its name, its kind, and what it is about. It is
/// written once, and copied.
#[derive(Clone, Debug)]
pub(super) struct SpanTemplate(WrittenSpan);

impl SpanTemplate {
    /// Spans of this name and kind, with these attributes, all of which are linked with this one.
    pub(super) fn new(
        limits: &ExportLimits,
        (name, kind): (&str, SpanKind),
        attributes: &[KeyValue],
        link: Option<&TraceContext>,
    ) -> Self {
        let mut written = WrittenSpan::default();
        wire::delimited(wire::NAME, name.as_bytes(), &mut written.bytes);
        wire::number(wire::KIND, kind as u64, &mut written.bytes);
        for KeyValue { key, value, .. } in attributes {
            written.text(key.as_str(), &value.as_str(), limits);
        }
        if let Some(context) = link {
            written.link(Relative { context, is_remote: false }, limits);
        }
        Self(written)
    }
}

impl WrittenSpan {
    fn link(&mut self, to: Relative<'_>, limits: &ExportLimits) {
        self.links += 1;
        if self.links > limits.links {
            return;
        }
        let mut link = Vec::with_capacity(64);
        wire::context(to.context, &mut link);
        fixed32::encode(wire::LINK_FLAGS, &wire::flags(to.context, to.is_remote), &mut link);
        wire::delimited(wire::LINKS, &link, &mut self.bytes);
    }

    fn text(&mut self, key: &str, value: &str, limits: &ExportLimits) {
        let Some(bytes) = self.attribute(limits) else { return };
        let any = wire::delimited_len(wire::STRING_VALUE, value.len());
        wire::begin_attribute(key, any, bytes);
        wire::delimited(wire::STRING_VALUE, value.as_bytes(), bytes);
    }

    fn number(&mut self, key: &str, value: i64, limits: &ExportLimits) {
        let Some(bytes) = self.attribute(limits) else { return };
        // The protocol writes negative numbers as their two's complement.
        let value = value.cast_unsigned();
        wire::begin_attribute(key, key_len(wire::INT_VALUE) + encoded_len_varint(value), bytes);
        wire::number(wire::INT_VALUE, value, bytes);
    }

    /// Where another attribute goes; `None` if there may be no more.
    fn attribute(&mut self, limits: &ExportLimits) -> Option<&mut Vec<u8>> {
        self.attributes += 1;
        (self.attributes <= limits.attributes).then_some(&mut self.bytes)
    }
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
        SpanTemplate(template): &SpanTemplate,
        parent: Option<Relative<'_>>,
        start: SystemTime,
    ) -> Self {
        let mut bytes = Vec::with_capacity(template.bytes.len() + USUAL_BYTES);
        bytes.extend_from_slice(&template.bytes);
        wire::context(&context, &mut bytes);
        if let Some(parent) = parent {
            wire::delimited(wire::PARENT_SPAN_ID, &parent.context.ids.span.to_be_bytes(), &mut bytes);
        }
        fixed64::encode(wire::START_TIME, &wire::nanoseconds(start), &mut bytes);
        let is_remote = parent.is_some_and(|it| it.is_remote);
        fixed32::encode(wire::FLAGS, &wire::flags(&context, is_remote), &mut bytes);
        let written = WrittenSpan { bytes, ..*template };
        Self { context, told: Some(ToldSpan { written, batches: Arc::clone(batches) }) }
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
        if let Some(ToldSpan { written, batches }) = &mut self.told {
            written.link(to, batches.limits());
        }
    }

    /// Gives it an attribute that is a text.
    pub(super) fn text(&mut self, key: &str, value: &str) {
        if let Some(ToldSpan { written, batches }) = &mut self.told {
            written.text(key, value, batches.limits());
        }
    }

    /// Gives it an attribute that is a number.
    pub(super) fn number(&mut self, key: &str, value: i64) {
        if let Some(ToldSpan { written, batches }) = &mut self.told {
            written.number(key, value, batches.limits());
        }
    }

    /// What it is about has failed, for this reason. It is said once at most.
    pub(super) fn failed(&mut self, reason: &str) {
        let Some(told) = &mut self.told else { return };
        let bytes = &mut told.written.bytes;
        let code = StatusCode::Error as u64;
        let of_code = key_len(wire::STATUS_CODE) + encoded_len_varint(code);
        wire::begin(wire::STATUS, wire::delimited_len(wire::STATUS_MESSAGE, reason.len()) + of_code, bytes);
        wire::delimited(wire::STATUS_MESSAGE, reason.as_bytes(), bytes);
        wire::number(wire::STATUS_CODE, code, bytes);
    }

    /// Ends it.
    pub(super) fn end(mut self, at: SystemTime) {
        self.finish(at);
    }

    fn finish(&mut self, at: SystemTime) {
        let Some(ToldSpan { written, batches }) = self.told.take() else { return };
        let WrittenSpan { mut bytes, attributes, links } = written;
        fixed64::encode(wire::END_TIME, &wire::nanoseconds(at), &mut bytes);
        let limits = batches.limits();
        for (tag, count, limit) in [
            (wire::DROPPED_ATTRIBUTES, attributes, limits.attributes),
            (wire::DROPPED_LINKS, links, limits.links),
        ] {
            if count > limit {
                wire::number(tag, u64::from(count - limit), &mut bytes);
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
        let long = "caf\u{e9} ".repeat(100);
        let attributes = [opentelemetry::KeyValue::new("text", long.clone())];
        let template = SpanTemplate::new(batches.limits(), what, &attributes, Some(other.context));
        let begun = at(1_700_000_000_000_000_001);
        let mut span = OtlpSpan::told(&batches, own.clone(), &template, Some(other), begun);
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
        let attributes = [opentelemetry::KeyValue::new("text", "")];
        let template = SpanTemplate::new(batches.limits(), what, &attributes, None);
        let mut span = OtlpSpan::told(&batches, own, &template, None, at(1));
        (0..4).for_each(|number| span.number("number", number));
        (0..3).for_each(|_| span.link(Relative { context: &other, is_remote: true }));
        drop(span);
        let span = exported(&batches).await;
        assert_eq!((span.attributes.len(), span.dropped_attributes_count), (2, 3));
        assert_eq!((span.links.len(), span.dropped_links_count), (1, 2));
        assert!(span.end_time_unix_nano > 1 && span.parent_span_id.is_empty() && span.flags == 0x101);
    }
}
