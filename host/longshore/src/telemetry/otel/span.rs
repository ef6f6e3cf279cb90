//! A span, written as the protocol has it while it is told: what has ended is bytes already, and
//! was never anything else.
//!
//! The SDK's own spans took more of the processor's time than all else that exports cost: each
//! attribute is an allocation there, once as a value and once more as a message.

use std::cell::RefCell;

use jiff::Timestamp;
use opentelemetry::KeyValue;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use prost::encoding::{encoded_len_varint, fixed32, fixed64, key_len};

use super::numbers::SpanLimits;
use super::wire::{self, AttributeKey};
use longshore_handler::trace_context::TraceContext;

/// What nearly all spans have room in, beside their template.
const USUAL_BYTES: usize = 320;

/// How many buffers of spans that have ended a thread keeps for others.
const MAX_SPARE: usize = 64;
/// The largest buffer that is kept, in bytes.
const MAX_SPARE_BYTES: usize = 2 * USUAL_BYTES;

thread_local! {
    /// The newest is taken first: what the processor has at hand. The allocator gives out the one
    /// that was used the longest ago.
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// Where a span is written, with nothing in it.
fn spare_buffer() -> Vec<u8> {
    let newest = SPARE.try_with(|spare| spare.borrow_mut().pop()).ok().flatten();
    newest.unwrap_or_else(|| Vec::with_capacity(USUAL_BYTES))
}

/// Keeps the buffer of a span that is copied to where it is exported from.
pub(super) fn keep_buffer(mut buffer: Vec<u8>) {
    if buffer.capacity() > MAX_SPARE_BYTES {
        return;
    }
    buffer.clear();
    // A thread that ends has no spare ones any more.
    let _ = SPARE.try_with(|spare| {
        let mut spare = spare.borrow_mut();
        if spare.len() < MAX_SPARE {
            spare.push(buffer);
        }
    });
}

/// A span in another place: of this process, or of a sender.
#[derive(Clone, Copy, Debug)]
pub(super) struct Relative<'a> {
    pub(super) context: &'a TraceContext,
    pub(super) is_remote: bool,
}

/// A span that has begun.
#[derive(Debug)]
pub(super) struct OtlpSpan {
    context: TraceContext,
    /// What is told of it beside its template, if it is to be exported.
    told: Option<WrittenSpan>,
}

/// The fields of a span that are written so far, in any order.
#[derive(Clone, Debug)]
struct WrittenSpan {
    bytes: Vec<u8>,
    attributes: u32,
    links: u32,
    limits: SpanLimits,
}

/// What all spans of an operation begin with: its name, its kind, and what it is about. It is
/// written once, and copied where a span has ended.
#[derive(Clone, Debug)]
pub(super) struct SpanTemplate(WrittenSpan);

impl SpanTemplate {
    /// Spans of this name and kind, with these attributes, all of which are linked with this one.
    pub(super) fn new(
        limits: SpanLimits,
        (name, kind): (&str, SpanKind),
        attributes: &[KeyValue],
        link: Option<&TraceContext>,
    ) -> Self {
        let mut written = WrittenSpan { bytes: Vec::new(), attributes: 0, links: 0, limits };
        wire::delimited(wire::NAME, name.as_bytes(), &mut written.bytes);
        wire::number(wire::KIND, kind as u64, &mut written.bytes);
        for KeyValue { key, value, .. } in attributes {
            written.text(&AttributeKey::new(key.as_str()), &value.as_str());
        }
        if let Some(context) = link {
            written.link(Relative { context, is_remote: false });
        }
        Self(written)
    }

    /// The fields that all these spans have.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0.bytes
    }
}

impl WrittenSpan {
    fn link(&mut self, to: Relative<'_>) {
        self.links += 1;
        if self.links > self.limits.links {
            return;
        }
        let mut link = Vec::with_capacity(64);
        wire::context(to.context, &mut link);
        fixed32::encode(wire::LINK_FLAGS, &wire::flags(to.context, to.is_remote), &mut link);
        wire::delimited(wire::LINKS, &link, &mut self.bytes);
    }

    fn text(&mut self, key: &AttributeKey, value: &str) {
        let Some(bytes) = self.attribute() else { return };
        key.begin(wire::delimited_len(wire::STRING_VALUE, value.len()), bytes);
        wire::delimited(wire::STRING_VALUE, value.as_bytes(), bytes);
    }

    fn number(&mut self, key: &AttributeKey, value: i64) {
        if let Some(bytes) = self.attribute() {
            key.number(value, bytes);
        }
    }

    /// Where another attribute goes; `None` if there may be no more.
    fn attribute(&mut self) -> Option<&mut Vec<u8>> {
        self.attributes += 1;
        (self.attributes <= self.limits.attributes).then_some(&mut self.bytes)
    }
}

impl OtlpSpan {
    /// A span that is not exported, and whose trace goes on all the same.
    pub(super) fn untold(context: TraceContext) -> Self {
        Self { context, told: None }
    }

    /// A span that is exported when it has ended.
    pub(super) fn told(
        context: TraceContext,
        SpanTemplate(template): &SpanTemplate,
        parent: Option<Relative<'_>>,
        start: Timestamp,
    ) -> Self {
        let mut bytes = spare_buffer();
        wire::context(&context, &mut bytes);
        if let Some(parent) = parent {
            wire::delimited(wire::PARENT_SPAN_ID, &parent.context.ids.span.to_be_bytes(), &mut bytes);
        }
        fixed64::encode(wire::START_TIME, &wire::nanoseconds(start), &mut bytes);
        let is_remote = parent.is_some_and(|it| it.is_remote);
        fixed32::encode(wire::FLAGS, &wire::flags(&context, is_remote), &mut bytes);
        Self { context, told: Some(WrittenSpan { bytes, ..*template }) }
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
        if let Some(told) = &mut self.told {
            told.link(to);
        }
    }

    /// Gives it an attribute that is a text.
    pub(super) fn text(&mut self, key: &AttributeKey, value: &str) {
        if let Some(told) = &mut self.told {
            told.text(key, value);
        }
    }

    /// Gives it an attribute that is a number.
    pub(super) fn number(&mut self, key: &AttributeKey, value: i64) {
        if let Some(told) = &mut self.told {
            told.number(key, value);
        }
    }

    /// What it is about has failed, for this reason. It is said once at most.
    pub(super) fn failed(&mut self, reason: &str) {
        let Some(WrittenSpan { bytes, .. }) = &mut self.told else { return };
        let code = StatusCode::Error as u64;
        let of_code = key_len(wire::STATUS_CODE) + encoded_len_varint(code);
        wire::begin(wire::STATUS, wire::delimited_len(wire::STATUS_MESSAGE, reason.len()) + of_code, bytes);
        wire::delimited(wire::STATUS_MESSAGE, reason.as_bytes(), bytes);
        wire::number(wire::STATUS_CODE, code, bytes);
    }

    /// Its fields beside those of its template, where it has ended; `None` if it is not exported.
    pub(super) fn ended(self, at: Timestamp) -> Option<Vec<u8>> {
        let WrittenSpan { mut bytes, attributes, links, limits } = self.told?;
        fixed64::encode(wire::END_TIME, &wire::nanoseconds(at), &mut bytes);
        for (tag, count, limit) in [
            (wire::DROPPED_ATTRIBUTES, attributes, limits.attributes),
            (wire::DROPPED_LINKS, links, limits.links),
        ] {
            if count > limit {
                wire::number(tag, u64::from(count - limit), &mut bytes);
            }
        }
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
    use opentelemetry_proto::tonic::trace::v1::span::Link;
    use opentelemetry_proto::tonic::trace::v1::{Span, Status};
    use prost::Message;

    use super::*;

    const NUMBERS: [i64; 8] = [0, 127, 128, 300, 16_384, i64::MAX, -1, i64::MIN];

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

    fn at(nanoseconds: i128) -> Timestamp {
        Timestamp::from_nanosecond(nanoseconds).unwrap()
    }

    fn attribute(key: &str, value: Value) -> KeyValue {
        KeyValue { key: key.into(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
    }

    /// What a span says that has ended.
    fn exported(template: &SpanTemplate, span: OtlpSpan, at: Timestamp) -> Span {
        Span::decode(&*[template.bytes(), &span.ended(at).unwrap()].concat()).unwrap()
    }

    #[test]
    fn a_span_is_read_by_the_protocol_s_own_types_as_it_was_told() {
        let (own, other) = contexts();
        let other = Relative { context: &other, is_remote: true };
        let what = ("process orders", SpanKind::Consumer);
        let long = "caf\u{e9} ".repeat(100);
        let attributes = [opentelemetry::KeyValue::new("text", long.clone())];
        let template = SpanTemplate::new(
            SpanLimits { attributes: 128, links: 128 },
            what,
            &attributes,
            Some(other.context),
        );
        let begun = at(1_700_000_000_000_000_001);
        let mut span = OtlpSpan::told(own.clone(), &template, Some(other), begun);
        span.text(&AttributeKey::new("empty"), "");
        for number in NUMBERS {
            span.number(&AttributeKey::new("number"), number);
        }
        span.failed("trap");
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
            attributes: [
                attribute("text", Value::StringValue(long)),
                attribute("empty", Value::StringValue(String::new())),
            ]
            .into_iter()
            .chain(NUMBERS.map(|number| attribute("number", Value::IntValue(number))))
            .collect(),
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
        assert_eq!(exported(&template, span, at(1_700_000_000_000_000_300)), expected);
    }

    #[test]
    fn a_buffer_that_was_used_has_nothing_of_another_span() {
        keep_buffer(b"old".to_vec());
        keep_buffer(vec![0; MAX_SPARE_BYTES + 1]);
        assert_eq!([spare_buffer(), spare_buffer()], [[]; 2] as [[u8; 0]; 2]);
        (0..2 * MAX_SPARE).for_each(|_| keep_buffer(vec![7]));
        assert_eq!(SPARE.with_borrow(Vec::len), MAX_SPARE);
    }

    #[test]
    fn what_is_over_a_limit_is_counted() {
        let (own, other) = contexts();
        let what = ("send invoices", SpanKind::Producer);
        let attributes = [opentelemetry::KeyValue::new("text", "")];
        let template = SpanTemplate::new(SpanLimits { attributes: 2, links: 1 }, what, &attributes, None);
        let mut span = OtlpSpan::told(own, &template, None, at(1));
        (0..4).for_each(|number| span.number(&AttributeKey::new("number"), number));
        (0..3).for_each(|_| span.link(Relative { context: &other, is_remote: true }));
        let span = exported(&template, span, at(2));
        assert_eq!((span.attributes.len(), span.dropped_attributes_count), (2, 3));
        assert_eq!((span.links.len(), span.dropped_links_count), (1, 2));
        assert!(span.end_time_unix_nano == 2 && span.parent_span_id.is_empty() && span.flags == 0x101);
    }
}
