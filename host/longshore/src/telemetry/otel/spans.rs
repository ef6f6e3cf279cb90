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

use super::destination::Destination;
use super::metrics::{ERROR_TYPE, Metrics, error_type};
use crate::telemetry::Correlation;
use longshore_handler::Usage;
use longshore_handler::trace_context::{TraceContext, TraceIds};
use longshore_queue::{Message, QueueUrl, Received};
use longshore_worker::hold::HoldCause;
use longshore_worker::report::Outcome;
use longshore_worker::telemetry::{AttemptSpan, SendSpan, Telemetry};
use longshore_worker::trace::carried;

/// What is told of a run: to a tracer, to instruments, or to both.
#[derive(Clone, Debug)]
pub(super) struct Observer {
    pub(super) tracer: Option<SdkTracer>,
    pub(super) metrics: Option<Arc<Metrics>>,
    pub(super) queue: Destination,
    pub(super) correlation: Correlation,
    /// The span of the whole run.
    pub(super) run: SpanContext,
}

impl Observer {
    /// A span that has no parent in this process, linked with the run's and these.
    fn root(
        &self,
        operation: &'static str,
        kind: SpanKind,
        parent: &Context,
        links: Vec<SpanContext>,
        start: SystemTime,
    ) -> Option<Span> {
        let tracer = self.tracer.as_ref()?;
        let run = self.run.is_valid().then(|| self.run.clone());
        let links = run.into_iter().chain(links).map(Link::with_context).collect();
        let builder = tracer
            .span_builder(self.queue.span_name(operation))
            .with_kind(kind)
            .with_start_time(start)
            .with_attributes(self.queue.traced(operation))
            .with_links(links);
        Some(builder.start_with_context(tracer, parent))
    }
}

impl Telemetry for Observer {
    fn received(&self, messages: &[Received], took: Duration) {
        if let Some(metrics) = &self.metrics {
            metrics.received(&self.queue, messages.len(), took);
        }
        let now = SystemTime::now();
        let started = now.checked_sub(took).unwrap_or(now);
        let senders = || messages.iter().filter_map(|it| carried(&it.message)).map(|it| span_context(&it));
        let links = if self.tracer.is_some() { senders().collect() } else { Vec::new() };
        if let Some(mut span) = self.root("receive", SpanKind::Client, &Context::new(), links, started) {
            let count = i64::try_from(messages.len()).unwrap_or(i64::MAX);
            span.set_attribute(KeyValue::new("messaging.batch.message_count", count));
            span.end_with_timestamp(now);
        }
    }

    fn attempt(&self, message: &Message, sender: Option<&TraceContext>) -> Box<dyn AttemptSpan> {
        let age = Timestamp::now().duration_since(message.inserted);
        if let Some(metrics) = &self.metrics {
            // The clock of a service may be ahead of ours.
            metrics.starting(&self.queue, age.try_into().unwrap_or_default());
        }
        let sender = sender.map(span_context);
        let (parent, links) = match (self.correlation, sender) {
            (Correlation::Parent, Some(sender)) => {
                (Context::new().with_remote_span_context(sender), Vec::new())
            }
            (Correlation::Link, Some(sender)) => (Context::new(), vec![sender]),
            (_, None) => (Context::new(), Vec::new()),
        };
        let started = SystemTime::now();
        let mut span = self.root("process", SpanKind::Consumer, &parent, links, started);
        if let Some(span) = span.as_mut().filter(|it| it.is_recording()) {
            span.set_attributes(self.about(message));
        }
        Box::new(Attempt { observer: self.clone(), span, started, answered: None, settling: None })
    }

    fn on_hold(&self, cause: Option<HoldCause>) {
        if let Some(metrics) = &self.metrics {
            metrics.breaker(cause == Some(HoldCause::Breaker));
        }
    }
}

impl Observer {
    /// What a span says of a message. Its body and its properties are not in it.
    fn about(&self, message: &Message) -> Vec<KeyValue> {
        let mut about = vec![
            KeyValue::new("messaging.message.id", message.id.clone()),
            KeyValue::new("longshore.dequeue_count", i64::from(message.dequeue_count)),
        ];
        let conversation = message.properties.iter().find(|(name, _)| name == "correlation-id");
        about.extend(
            conversation.map(|(_, id)| KeyValue::new("messaging.message.conversation_id", id.clone())),
        );
        if self.queue.is_service_bus {
            let enqueued = message.inserted.as_second();
            about.push(KeyValue::new("messaging.servicebus.message.enqueued_time", enqueued));
            // Deliveries before this one.
            let before = i64::from(message.dequeue_count) - 1;
            if before > 0 {
                about.push(KeyValue::new("messaging.servicebus.message.delivery_count", before));
            }
        }
        about
    }
}

/// One attempt at a message.
#[derive(Debug)]
struct Attempt {
    observer: Observer,
    span: Option<Span>,
    started: SystemTime,
    /// When the handler answered.
    answered: Option<SystemTime>,
    /// When settling began.
    settling: Option<SystemTime>,
}

impl Attempt {
    /// A span within this one.
    fn child(
        &self,
        to: &Destination,
        operation: &'static str,
        kind: SpanKind,
        start: SystemTime,
    ) -> Option<Span> {
        let (tracer, span) = (self.observer.tracer.as_ref()?, self.span.as_ref()?);
        let builder = tracer
            .span_builder(to.span_name(operation))
            .with_kind(kind)
            .with_start_time(start)
            .with_attributes(to.traced(operation));
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
        let Some(mut span) = self.child(&self.observer.queue, "settle", SpanKind::Client, start) else {
            return;
        };
        span.set_attribute(KeyValue::new("messaging.servicebus.disposition_status", disposition));
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
        let (to, started) = (Destination::new(to), SystemTime::now());
        let span = self.child(&to, "send", SpanKind::Producer, started);
        Box::new(Sending { metrics: self.observer.metrics.clone(), to, span, started, is_sent: false })
    }

    fn settling(&mut self) {
        self.settling = Some(SystemTime::now());
    }

    fn ended(mut self: Box<Self>, outcome: &Outcome) {
        let now = SystemTime::now();
        let settling = self.settling.unwrap_or(now);
        let end = self.answered.unwrap_or(settling);
        let between = |from: SystemTime, to: SystemTime| to.duration_since(from).unwrap_or_default();
        if let Some(metrics) = &self.observer.metrics {
            let ran = self.answered.map(|at| between(self.started, at));
            metrics.ended(&self.observer.queue, outcome, ran, between(settling, now));
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
    metrics: Option<Arc<Metrics>>,
    to: Destination,
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
        if let Some(metrics) = &self.metrics {
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
    let state = state.parse::<TraceState>().unwrap_or_default();
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
    fn a_context_is_the_same_on_both_sides() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let context = TraceContext::parse(text, Some("a=1,b=2")).unwrap();
        assert_eq!(trace_context(&span_context(&context)), context);
    }
}
