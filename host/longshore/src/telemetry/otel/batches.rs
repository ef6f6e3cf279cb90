//! Spans that wait for their export: encoded already, so that what is kept is known to the byte,
//! and an export copies bytes only.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use opentelemetry::InstrumentationScope;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope as EncodedScope;
use opentelemetry_proto::tonic::resource::v1::Resource as EncodedResource;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_sdk::Resource;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len, message};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::encoded::EncodedExport;
use super::numbers::ExportLimits;
use super::resend::OtlpSender;
use super::tally::ExportTally;

/// The most bytes of spans that wait, those of an export under way among them: 16,384 spans of
/// 1 KiB.
const MAX_BYTES_WAITING: usize = 16 << 20;
/// The most bytes of spans in one export. Collectors take 4 MiB over gRPC by default.
const MAX_BYTES_EXPORTED: usize = 2 << 20;

/// The fields of `ExportTraceServiceRequest`, `ResourceSpans` and `ScopeSpans` that have in them
/// what is exported, and what it is of
/// ([trace.proto](https://github.com/open-telemetry/opentelemetry-proto)).
const RESOURCE_SPANS: u32 = 1;
const RESOURCE: u32 = 1;
const SCOPE_SPANS: u32 = 2;
const SCOPE: u32 = 1;
const SPANS: u32 = 2;

/// Takes the spans that have ended, and exports them in batches.
#[derive(Debug)]
pub(super) struct SpanBatches {
    waiting: Mutex<Waiting>,
    /// A batch is full, or the last is to go.
    arrived: Notify,
    limits: ExportLimits,
    tally: Arc<ExportTally>,
    /// The resource, and the scope, as fields of what is around the spans.
    resource: Vec<u8>,
    scope: Vec<u8>,
}

/// Spans for one export, as fields of the message that has them.
#[derive(Debug, Default)]
struct SpanBatch {
    spans: usize,
    bytes: BytesMut,
}

#[derive(Debug, Default)]
struct Waiting {
    full: VecDeque<SpanBatch>,
    begun: SpanBatch,
    /// The memory of a batch that was sent, for another one: new memory costs the system more than
    /// what is written to it.
    spare: Option<BytesMut>,
    /// How many spans and bytes there are, with those of the export under way.
    spans: usize,
    bytes: usize,
    is_closed: bool,
}

impl SpanBatches {
    pub(super) fn new(
        resource: &Resource,
        scope: &InstrumentationScope,
        limits: ExportLimits,
        tally: Arc<ExportTally>,
    ) -> Self {
        let attributes = ResourceAttributesWithSchema::from(resource).attributes.0;
        let resource = EncodedResource { attributes, ..EncodedResource::default() };
        let field = |tag, encoded: &dyn Fn(u32, &mut Vec<u8>)| {
            let mut bytes = Vec::new();
            encoded(tag, &mut bytes);
            bytes
        };
        let scope = EncodedScope::from((scope, None));
        let resource = field(RESOURCE, &|tag, bytes| message::encode(tag, &resource, bytes));
        let scope = field(SCOPE, &|tag, bytes| message::encode(tag, &scope, bytes));
        let (waiting, arrived) = (Mutex::default(), Notify::new());
        Self { waiting, arrived, limits, tally, resource, scope }
    }

    /// How much is kept, and how much a span may have.
    pub(super) fn limits(&self) -> &ExportLimits {
        &self.limits
    }

    /// A span has ended. Here it is, encoded, in two pieces. It is kept, unless there is no room
    /// for it.
    pub(super) fn ended(&self, span: [&[u8]; 2]) {
        let inner = span[0].len() + span[1].len();
        let length = key_len(SPANS) + encoded_len_varint(inner as u64) + inner;
        let mut waiting = self.waiting();
        let has_room =
            waiting.spans < self.limits.spans_waiting && waiting.bytes + length <= MAX_BYTES_WAITING;
        if waiting.is_closed || !has_room {
            self.tally.spans_ended(1);
            if !has_room {
                self.tally.span_without_room();
            }
            return;
        }
        waiting.spans += 1;
        waiting.bytes += length;
        if waiting.begun.bytes.len() + length > MAX_BYTES_EXPORTED {
            self.seal(&mut waiting);
        }
        waiting.begun.spans += 1;
        let bytes = &mut waiting.begun.bytes;
        encode_key(SPANS, WireType::LengthDelimited, bytes);
        encode_varint(inner as u64, bytes);
        span.iter().for_each(|piece| bytes.extend_from_slice(piece));
        if waiting.begun.spans >= self.limits.spans_exported {
            self.seal(&mut waiting);
        }
    }

    /// Exports what ends, until it is closed and nothing is left.
    pub(super) async fn export(self: Arc<Self>, sender: OtlpSender) {
        while let Some(SpanBatch { spans, bytes }) = self.next().await {
            let bytes = bytes.freeze();
            if let Some(answer) = sender.send(self.export_of(bytes.clone())).await {
                self.tally.spans_taken(spans as u64, &answer);
            }
            let mut waiting = self.waiting();
            waiting.spans -= spans;
            waiting.bytes -= bytes.len();
            waiting.spare = bytes.try_into_mut().ok();
        }
    }

    /// Nothing more will end. What waits is exported at once.
    pub(super) fn close(&self) {
        let mut waiting = self.waiting();
        waiting.is_closed = true;
        self.seal(&mut waiting);
        self.arrived.notify_one();
    }

    /// The next batch: a full one, or what there is once the first of it has waited long enough.
    async fn next(&self) -> Option<SpanBatch> {
        let mut is_due = false;
        loop {
            {
                let mut waiting = self.waiting();
                if is_due && waiting.full.is_empty() {
                    self.seal(&mut waiting);
                }
                if let Some(batch) = waiting.full.pop_front() {
                    return Some(batch);
                }
                if waiting.is_closed {
                    return None;
                }
            }
            is_due = timeout(self.limits.schedule, self.arrived.notified()).await.is_err();
        }
    }

    /// The message with these spans.
    fn export_of(&self, spans: Bytes) -> EncodedExport {
        let of_scope = self.scope.len() + spans.len();
        let scope_spans = key_len(SCOPE_SPANS) + encoded_len_varint(of_scope as u64) + of_scope;
        let of_resource = self.resource.len() + scope_spans;
        let mut head = Vec::with_capacity(32 + self.resource.len() + self.scope.len());
        encode_key(RESOURCE_SPANS, WireType::LengthDelimited, &mut head);
        encode_varint(of_resource as u64, &mut head);
        head.extend_from_slice(&self.resource);
        encode_key(SCOPE_SPANS, WireType::LengthDelimited, &mut head);
        encode_varint(of_scope as u64, &mut head);
        head.extend_from_slice(&self.scope);
        EncodedExport { head: head.into(), rest: spans }
    }

    /// Ends the batch that was begun. Its spans are counted at one go: all threads share the count.
    fn seal(&self, waiting: &mut Waiting) {
        let batch = std::mem::take(&mut waiting.begun);
        if batch.spans == 0 {
            return;
        }
        self.tally.spans_ended(batch.spans as u64);
        if !waiting.is_closed {
            waiting.begun.bytes = waiting.spare.take().unwrap_or_default();
            waiting.begun.bytes.clear();
            // The next one will be as large.
            waiting.begun.bytes.reserve(batch.bytes.len());
        }
        waiting.full.push_back(batch);
        self.arrived.notify_one();
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // What it guards is valid after every statement.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
impl SpanBatches {
    /// The next message to a receiver.
    pub(super) async fn next_request(&self) -> Option<Bytes> {
        let EncodedExport { head, rest } = self.export_of(self.next().await?.bytes.freeze());
        Some([head, rest].concat().into())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Buf;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::trace::v1::Span as EncodedSpan;
    use prost::Message;

    use super::*;
    use crate::telemetry::otel::answer::OtlpTaken;
    use crate::telemetry::otel::variables::Variables;

    fn batches(max: usize) -> SpanBatches {
        let resource = Resource::builder_empty().with_service_name("orders").build();
        let limits = ExportLimits::of(&Variables(&|_| None), &mut Vec::new());
        let limits = ExportLimits { spans_waiting: max, spans_exported: 4, ..limits };
        let scope = InstrumentationScope::builder("longshore").build();
        SpanBatches::new(&resource, &scope, limits, Arc::default())
    }

    fn span(name: &str) -> Vec<u8> {
        EncodedSpan { name: name.into(), ..EncodedSpan::default() }.encode_to_vec()
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_is_the_protocol_s_message_with_every_span_in_order() {
        let batches = batches(100);
        (0..6).for_each(|number| batches.ended([&span(&number.to_string()), b""]));
        let mut names = Vec::new();
        for expected in [4, 2] {
            let batch = batches.next().await.unwrap();
            assert_eq!(batch.spans, expected);
            let EncodedExport { head, rest } = batches.export_of(batch.bytes.freeze());
            let request = ExportTraceServiceRequest::decode(head.chain(rest)).unwrap();
            let [of_resource] = &request.resource_spans[..] else { panic!("{request:?}") };
            assert_eq!(of_resource.resource.as_ref().unwrap().attributes[0].key, "service.name");
            let [of_scope] = &of_resource.scope_spans[..] else { panic!("{request:?}") };
            assert_eq!(of_scope.scope.as_ref().unwrap().name, "longshore");
            names.extend(of_scope.spans.iter().map(|it| it.name.clone()));
        }
        assert_eq!(names, ["0", "1", "2", "3", "4", "5"]);
        batches.close();
        assert!(batches.next().await.is_none());
    }

    #[tokio::test]
    async fn each_span_that_ends_is_counted_once_wherever_it_is_when_the_run_ends() {
        let tally = Arc::new(ExportTally::default());
        let batches = SpanBatches { tally: Arc::clone(&tally), ..batches(6) };
        // Six of these have room, four of them in a batch.
        (0..7).for_each(|_| batches.ended([&span("waits"), b""]));
        batches.close();
        batches.ended([&span("late"), b""]);
        assert_eq!(tally.dropped().unwrap().spans, 8);
        while let Some(batch) = batches.next().await {
            tally.spans_taken(batch.spans as u64, &OtlpTaken::default());
        }
        assert_eq!(tally.dropped().unwrap().spans, 2);
    }

    #[test]
    fn what_waits_is_bounded_by_its_number_and_by_its_bytes() {
        let few = batches(3);
        (0..10).for_each(|_| few.ended([&span("small"), b""]));
        assert_eq!(few.waiting().spans, 3);

        let large = batches(1_000_000);
        (0..10_000).for_each(|_| large.ended([&span(&"x".repeat(100_000)), b""]));
        let waiting = large.waiting();
        assert!(waiting.bytes <= MAX_BYTES_WAITING && waiting.bytes > MAX_BYTES_WAITING - 200_000);
        let held: usize = waiting.full.iter().chain([&waiting.begun]).map(|it| it.bytes.len()).sum();
        assert_eq!(held, waiting.bytes);
        assert!(waiting.full.iter().all(|it| it.bytes.len() <= MAX_BYTES_EXPORTED));
    }
}
