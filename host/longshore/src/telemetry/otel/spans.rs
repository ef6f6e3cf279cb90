//! What the worker says, as spans and measurements.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use opentelemetry::trace::{
    Link, Span as _, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId, TraceState,
    Tracer as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SdkTracer, Span};

use super::destination::{Destination, Operation};
use super::metrics::{ERROR_TYPE, Metrics, error_type};
use crate::telemetry::Correlation;
use longshore_handler::Usage;
use longshore_handler::trace_context::{TraceContext, TraceIds};
use longshore_queue::{Message, QueueUrl, Received};
use longshore_worker::hold::HoldCause;
use longshore_worker::report::Outcome;
use longshore_worker::telemetry::{AttemptSpan, SendSpan, Telemetry};
use longshore_worker::trace::carried;

/// The most bytes of a text from a message that a span has. A sender may write as much as a queue
/// takes, and what waits for its export is kept.
const MAX_TEXT: usize = 256;
/// How a message of Service Bus was settled.
const DISPOSITION: &str = "messaging.servicebus.disposition_status";
/// How many attributes a span of an attempt gets beside those of its operation.
const MORE_ATTRIBUTES: usize = 9;

/// What is told of a run: to a tracer, to instruments, or to both.
#[derive(Clone, Debug)]
pub(super) struct Observer(Arc<Observed>);

#[derive(Debug)]
struct Observed {
    tracer: Option<SdkTracer>,
    metrics: Option<Metrics>,
    is_service_bus: bool,
    receive: Operation,
    process: Operation,
    settle: Operation,
    correlation: Correlation,
    /// The span of the whole run.
    run: SpanContext,
}

impl Observer {
    /// Hears of a run on this queue, whose own span is this.
    pub(super) fn new(
        tracer: Option<SdkTracer>,
        metrics: Option<Metrics>,
        queue: &Destination,
        correlation: Correlation,
        run: SpanContext,
    ) -> Self {
        let of = |name| queue.operation(name);
        let (receive, process, settle) = (of("receive"), of("process"), of("settle"));
        let is_service_bus = queue.is_service_bus;
        Self(Arc::new(Observed {
            tracer,
            metrics,
            is_service_bus,
            receive,
            process,
            settle,
            correlation,
            run,
        }))
    }

    /// The instruments, where metrics are exported.
    pub(super) fn metrics(&self) -> Option<&Metrics> {
        self.0.metrics.as_ref()
    }
}

impl Observed {
    /// A span that has no parent in this process, linked with the run's and these.
    fn root(
        &self,
        operation: &Operation,
        kind: SpanKind,
        parent: &Context,
        links: impl IntoIterator<Item = SpanContext>,
        start: SystemTime,
    ) -> Option<Span> {
        let tracer = self.tracer.as_ref()?;
        let run = self.run.is_valid().then(|| self.run.clone());
        let links = run.into_iter().chain(links).map(Link::with_context).collect();
        let mut attributes = Vec::with_capacity(operation.traced.len() + MORE_ATTRIBUTES);
        attributes.extend_from_slice(&operation.traced);
        let builder = tracer
            .span_builder(operation.span_name.clone())
            .with_kind(kind)
            .with_start_time(start)
            .with_attributes(attributes)
            .with_links(links);
        Some(builder.start_with_context(tracer, parent))
    }

    /// What a span says of a message. Its body and its properties are not in it.
    fn about(&self, message: &Message, span: &mut Span) {
        span.set_attribute(KeyValue::new("messaging.message.id", capped(&message.id)));
        span.set_attribute(KeyValue::new("longshore.dequeue_count", i64::from(message.dequeue_count)));
        if let Some((_, id)) = message.properties.iter().find(|(name, _)| name == "correlation-id") {
            span.set_attribute(KeyValue::new("messaging.message.conversation_id", capped(id)));
        }
        if self.is_service_bus {
            let enqueued = message.inserted.as_second();
            span.set_attribute(KeyValue::new("messaging.servicebus.message.enqueued_time", enqueued));
            // Deliveries before this one.
            let before = i64::from(message.dequeue_count) - 1;
            if before > 0 {
                span.set_attribute(KeyValue::new("messaging.servicebus.message.delivery_count", before));
            }
        }
    }
}

/// The beginning of a text that a sender has written.
fn capped(text: &str) -> String {
    text[..text.floor_char_boundary(MAX_TEXT)].to_owned()
}

impl Telemetry for Observer {
    fn received(&self, messages: &[Received], took: Duration) {
        let Self(observed) = self;
        if let Some(metrics) = &observed.metrics {
            metrics.received(messages.len(), took);
        }
        let now = SystemTime::now();
        let started = now.checked_sub(took).unwrap_or(now);
        let senders = messages.iter().filter_map(|it| carried(&it.message)).map(|it| span_context(&it));
        if let Some(mut span) =
            observed.root(&observed.receive, SpanKind::Client, &Context::new(), senders, started)
        {
            let count = i64::try_from(messages.len()).unwrap_or(i64::MAX);
            span.set_attribute(KeyValue::new("messaging.batch.message_count", count));
            span.end_with_timestamp(now);
        }
    }

    fn attempt(&self, message: &Message, sender: Option<&TraceContext>) -> Box<dyn AttemptSpan> {
        let Self(observed) = self;
        let age = Timestamp::now().duration_since(message.inserted);
        if let Some(metrics) = &observed.metrics {
            // The clock of a service may be ahead of ours.
            metrics.starting(age.try_into().unwrap_or_default());
        }
        let sender = sender.map(span_context);
        let (parent, link) = match (observed.correlation, sender) {
            (Correlation::Parent, Some(sender)) => (Context::new().with_remote_span_context(sender), None),
            (Correlation::Link, sender) => (Context::new(), sender),
            (_, None) => (Context::new(), None),
        };
        let started = SystemTime::now();
        let mut span = observed.root(&observed.process, SpanKind::Consumer, &parent, link, started);
        if let Some(span) = span.as_mut().filter(|it| it.is_recording()) {
            observed.about(message, span);
        }
        let observed = Arc::clone(observed);
        Box::new(Attempt { observed, span, started, answered: None, settling: None })
    }

    fn on_hold(&self, cause: Option<HoldCause>) {
        if let Some(metrics) = self.metrics() {
            metrics.breaker(cause == Some(HoldCause::Breaker));
        }
    }
}

/// One attempt at a message.
#[derive(Debug)]
struct Attempt {
    observed: Arc<Observed>,
    span: Option<Span>,
    started: SystemTime,
    /// When the handler answered.
    answered: Option<SystemTime>,
    /// When settling began.
    settling: Option<SystemTime>,
}

impl Attempt {
    /// A span within this one.
    fn child(&self, operation: &Operation, kind: SpanKind, start: SystemTime) -> Option<Span> {
        let (tracer, span) = (self.observed.tracer.as_ref()?, self.span.as_ref()?);
        let builder = tracer
            .span_builder(operation.span_name.clone())
            .with_kind(kind)
            .with_start_time(start)
            .with_attributes(operation.traced.clone());
        let parent = Context::new().with_remote_span_context(span.span_context().clone());
        Some(builder.start_with_context(tracer, &parent))
    }

    /// A span of the settlement, where that moved the message to the poison queue, or failed.
    fn tell_settlement(&self, outcome: &Outcome, start: SystemTime, end: SystemTime) {
        let (disposition, failure) = match outcome {
            Outcome::Poisoned(..) => ("dead_letter", None),
            Outcome::LeaseLost => ("complete", Some("lease-lost")),
            Outcome::Abandoned(reason) if reason.starts_with("refused") => ("complete", Some(*reason)),
            _ => return,
        };
        let Some(mut span) = self.child(&self.observed.settle, SpanKind::Client, start) else {
            return;
        };
        // Other queues have no dispositions, and the conventions no attribute for them.
        if self.observed.is_service_bus {
            span.set_attribute(KeyValue::new(DISPOSITION, disposition));
        }
        if let Some(failure) = failure {
            span.set_attribute(KeyValue::new(ERROR_TYPE, failure));
            span.set_status(Status::error(failure));
        }
        span.end_with_timestamp(end);
    }
}

impl AttemptSpan for Attempt {
    fn context(&self) -> Option<TraceContext> {
        self.span.as_ref().map(|span| trace_context(span.span_context()))
    }

    fn answered(&mut self, usage: Usage) {
        self.answered = Some(SystemTime::now());
        if let Some(span) = &mut self.span {
            let cpu = i64::try_from(usage.cpu.as_micros()).unwrap_or(i64::MAX);
            let memory = i64::try_from(usage.peak_memory).unwrap_or(i64::MAX);
            span.set_attribute(KeyValue::new("longshore.cpu_us", cpu));
            span.set_attribute(KeyValue::new("longshore.peak_memory_bytes", memory));
        }
    }

    fn sending(&mut self, to: &QueueUrl) -> Box<dyn SendSpan> {
        let (to, started) = (Destination::new(to).operation("send"), SystemTime::now());
        let span = self.child(&to, SpanKind::Producer, started);
        Box::new(Sending { observed: Arc::clone(&self.observed), to, span, started, is_sent: false })
    }

    fn settling(&mut self) {
        self.settling = Some(SystemTime::now());
    }

    fn ended(mut self: Box<Self>, outcome: &Outcome) {
        let now = SystemTime::now();
        let settling = self.settling.unwrap_or(now);
        let end = self.answered.unwrap_or(settling);
        let between = |from: SystemTime, to: SystemTime| to.duration_since(from).unwrap_or_default();
        if let Some(metrics) = &self.observed.metrics {
            let ran = self.answered.map(|at| between(self.started, at));
            metrics.ended(outcome, ran, between(settling, now));
        }
        self.tell_settlement(outcome, settling, now);
        if let Some(mut span) = self.span.take() {
            let (word, ..) = outcome.words();
            span.set_attribute(KeyValue::new("longshore.outcome", word));
            if *outcome != Outcome::Completed {
                // The cause for people may repeat what was in the body, and is in the log only.
                let error = error_type(outcome).to_owned();
                span.set_attribute(KeyValue::new(ERROR_TYPE, error.clone()));
                span.set_status(Status::error(error));
            }
            span.end_with_timestamp(end);
        }
    }
}

/// A message on its way to another queue: from when it was made to when it was sent.
#[derive(Debug)]
struct Sending {
    observed: Arc<Observed>,
    to: Operation,
    span: Option<Span>,
    started: SystemTime,
    is_sent: bool,
}

impl SendSpan for Sending {
    fn context(&self) -> Option<TraceContext> {
        self.span.as_ref().map(|span| trace_context(span.span_context()))
    }

    fn sent(mut self: Box<Self>) {
        self.is_sent = true;
        if let Some(metrics) = &self.observed.metrics {
            metrics.sent(&self.to, self.started.elapsed().unwrap_or_default());
        }
    }
}

impl Drop for Sending {
    /// The span ends with it.
    fn drop(&mut self) {
        if let Some(span) = self.span.as_mut().filter(|_| !self.is_sent) {
            span.set_attribute(KeyValue::new(ERROR_TYPE, "not-sent"));
            span.set_status(Status::error("not-sent"));
        }
    }
}

/// A context as the SDK has it.
fn span_context(context: &TraceContext) -> SpanContext {
    let TraceContext { ids: TraceIds { trace, span }, flags, state } = context;
    let (trace, span) = (TraceId::from(*trace), SpanId::from(*span));
    // What the SDK does not read is passed on by nobody.
    let state = if state.is_empty() { TraceState::NONE } else { state.parse().unwrap_or_default() };
    SpanContext::new(trace, span, TraceFlags::new(*flags), true, state)
}

/// A context as messages carry it.
fn trace_context(context: &SpanContext) -> TraceContext {
    let trace = u128::from_be_bytes(context.trace_id().to_bytes());
    let span = u64::from_be_bytes(context.span_id().to_bytes());
    let (ids, flags) = (TraceIds { trace, span }, context.trace_flags().to_u8());
    TraceContext { ids, flags, state: context.trace_state().header() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_a_sender_is_cut_between_characters() {
        assert_eq!(capped("short"), "short");
        assert_eq!(capped(&"x".repeat(100_000)).len(), 256);
        assert_eq!(capped(&format!("{}\u{6f22}", "x".repeat(255))).len(), 255);
    }

    #[test]
    fn a_context_is_the_same_on_both_sides() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let context = TraceContext::parse(text, Some("a=1,b=2")).unwrap();
        assert_eq!(trace_context(&span_context(&context)), context);
    }
}
