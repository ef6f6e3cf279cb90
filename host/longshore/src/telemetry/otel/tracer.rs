//! Begins spans: gives them their ids, and decides whether they are exported.

use std::sync::Arc;

use jiff::Timestamp;
use opentelemetry::KeyValue;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_sdk::trace::{IdGenerator as _, RandomIdGenerator};

use super::batches::SpanBatches;
use super::sampler::{SAMPLED, TraceSampler};
use super::span::{OtlpSpan, Relative, SpanTemplate, keep_buffer};
use longshore_handler::trace_context::{TraceContext, TraceIds};

/// What begins the spans of a run.
#[derive(Debug)]
pub(super) struct OtlpTracer {
    sampler: TraceSampler,
    batches: Arc<SpanBatches>,
    ids: RandomIdGenerator,
}

impl OtlpTracer {
    /// Spans go to there when they end.
    pub(super) fn new(sampler: TraceSampler, batches: Arc<SpanBatches>) -> Self {
        Self { sampler, batches, ids: RandomIdGenerator::default() }
    }

    /// What spans of this name and kind begin with, that have these attributes and this link.
    pub(super) fn template(
        &self,
        what: (&str, SpanKind),
        attributes: &[KeyValue],
        link: Option<&TraceContext>,
    ) -> SpanTemplate {
        SpanTemplate::new(self.batches.limits().span, what, attributes, link)
    }

    /// A span that begins like this, and is to end with the same template. Without a parent it
    /// begins a trace.
    pub(super) fn start(
        &self,
        template: &SpanTemplate,
        parent: Option<Relative<'_>>,
        at: Timestamp,
    ) -> OtlpSpan {
        let of_parent = parent.map(|it| it.context);
        let new_trace = || u128::from_be_bytes(self.ids.new_trace_id().to_bytes());
        let trace = of_parent.map_or_else(new_trace, |it| it.ids.trace);
        let ids = TraceIds { trace, span: u64::from_be_bytes(self.ids.new_span_id().to_bytes()) };
        let is_sampled = self.sampler.samples(trace, of_parent.map(|it| it.flags));
        let flags = if is_sampled { of_parent.map_or(0, |it| it.flags) | SAMPLED } else { 0 };
        let state = of_parent.map(|it| it.state.clone()).unwrap_or_default();
        let context = TraceContext { ids, flags, state };
        if is_sampled { OtlpSpan::told(context, template, parent, at) } else { OtlpSpan::untold(context) }
    }

    /// A span that began with this template has ended.
    pub(super) fn end(&self, template: &SpanTemplate, span: OtlpSpan, at: Timestamp) {
        if let Some(told) = span.ended(at) {
            self.batches.ended([template.bytes(), &told]);
            keep_buffer(told);
        }
    }
}
