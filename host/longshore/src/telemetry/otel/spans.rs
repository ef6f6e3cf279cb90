//! What the worker says, as spans and measurements.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use opentelemetry::trace::TraceState;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use super::destination::{Destination, Operation};
use super::metrics::{ERROR_TYPE, Metrics, error_type};
use super::span::{OtlpSpan, Relative, SpanTemplate};
use super::tracer::OtlpTracer;
use crate::telemetry::Correlation;
use longshore_handler::Usage;
use longshore_handler::trace_context::TraceContext;
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

/// What is told of a run: to a tracer, to instruments, or to both.
#[derive(Clone, Debug)]
pub(super) struct Observer(Arc<Observed>);

#[derive(Debug)]
struct Observed {
    traces: Option<ObservedTraces>,
    metrics: Option<Metrics>,
    is_service_bus: bool,
    correlation: Correlation,
}

/// What begins spans, and what they begin with.
#[derive(Debug)]
struct ObservedTraces {
    tracer: OtlpTracer,
    /// These two have no parent in this process, and are linked with the run.
    receive: SpanTemplate,
    process: SpanTemplate,
    settle: SpanTemplate,
}

impl Observer {
    /// Hears of a run on this queue, whose own span is this.
    pub(super) fn new(
        tracer: Option<OtlpTracer>,
        metrics: Option<Metrics>,
        queue: &Destination,
        correlation: Correlation,
        run: Option<&TraceContext>,
    ) -> Self {
        let traces = tracer.map(|tracer| {
            let template = |name, kind, link| {
                let Operation { span_name, traced, .. } = queue.operation(name);
                tracer.template((&span_name, kind), &traced, link)
            };
            let receive = template("receive", SpanKind::Client, run);
            let process = template("process", SpanKind::Consumer, run);
            let settle = template("settle", SpanKind::Client, None);
            ObservedTraces { tracer, receive, process, settle }
        });
        Self(Arc::new(Observed { traces, metrics, is_service_bus: queue.is_service_bus, correlation }))
    }

    /// The instruments, where metrics are exported.
    pub(super) fn metrics(&self) -> Option<&Metrics> {
        self.0.metrics.as_ref()
    }
}

impl Observed {
    /// What a span says of a message. Its body and its properties are not in it.
    fn about(&self, message: &Message, span: &mut OtlpSpan) {
        span.text("messaging.message.id", capped(&message.id));
        span.number("longshore.dequeue_count", i64::from(message.dequeue_count));
        if let Some((_, id)) = message.properties.iter().find(|(name, _)| name == "correlation-id") {
            span.text("messaging.message.conversation_id", capped(id));
        }
        if self.is_service_bus {
            let enqueued = message.inserted.as_second();
            span.number("messaging.servicebus.message.enqueued_time", enqueued);
            // Deliveries before this one.
            let before = i64::from(message.dequeue_count) - 1;
            if before > 0 {
                span.number("messaging.servicebus.message.delivery_count", before);
            }
        }
    }
}

/// The beginning of a text that a sender has written.
fn capped(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_TEXT)]
}

impl Telemetry for Observer {
    fn received(&self, messages: &[Received], took: Duration) {
        let Self(observed) = self;
        if let Some(metrics) = &observed.metrics {
            metrics.received(messages.len(), took);
        }
        let now = SystemTime::now();
        let started = now.checked_sub(took).unwrap_or(now);
        let Some(ObservedTraces { tracer, receive, .. }) = &observed.traces else { return };
        let mut span = tracer.start(receive, None, started);
        if span.is_told() {
            for sender in messages.iter().filter_map(|it| carried(&it.message)).map(passed_on) {
                span.link(Relative { context: &sender, is_remote: true });
            }
            let count = i64::try_from(messages.len()).unwrap_or(i64::MAX);
            span.number("messaging.batch.message_count", count);
        }
        span.end(now);
    }

    fn attempt(&self, message: &Message, sender: Option<&TraceContext>) -> Box<dyn AttemptSpan> {
        let Self(observed) = self;
        let started = SystemTime::now();
        // The clock of a service may be ahead of ours.
        let age = age(message.inserted, started).unwrap_or_default();
        let sender = sender.cloned().map(passed_on);
        let (parent, linked) = match observed.correlation {
            Correlation::Parent => (sender.as_ref(), None),
            Correlation::Link => (None, sender.as_ref()),
        };
        let parent = parent.map(|context| Relative { context, is_remote: true });
        let traces = observed.traces.as_ref();
        let mut span = traces.map(|it| it.tracer.start(&it.process, parent, started));
        if let Some(span) = span.as_mut().filter(|it| it.is_told()) {
            if let Some(context) = linked {
                span.link(Relative { context, is_remote: true });
            }
            observed.about(message, span);
        }
        let observed = Arc::clone(observed);
        Box::new(Attempt { observed, span, age, started, answered: None, settling: None })
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
    span: Option<OtlpSpan>,
    /// How old the message was then.
    age: Duration,
    started: SystemTime,
    /// When the handler answered.
    answered: Option<SystemTime>,
    /// When settling began.
    settling: Option<SystemTime>,
}

impl Attempt {
    /// This span, as the parent of another one.
    fn as_parent(&self) -> Option<Relative<'_>> {
        Some(Relative { context: self.span.as_ref()?.context(), is_remote: false })
    }

    /// A span of the settlement, where that moved the message to the poison queue, or failed.
    fn tell_settlement(&self, outcome: &Outcome, start: SystemTime, end: SystemTime) {
        let (disposition, failure) = match outcome {
            Outcome::Poisoned(..) => ("dead_letter", None),
            Outcome::LeaseLost => ("complete", Some("lease-lost")),
            Outcome::Abandoned(reason) if reason.starts_with("refused") => ("complete", Some(*reason)),
            _ => return,
        };
        let Some(ObservedTraces { tracer, settle, .. }) = &self.observed.traces else { return };
        let mut span = tracer.start(settle, self.as_parent(), start);
        // Other queues have no dispositions, and the conventions no attribute for them.
        if self.observed.is_service_bus {
            span.text(DISPOSITION, disposition);
        }
        if let Some(failure) = failure {
            span.text(ERROR_TYPE, failure);
            span.failed(failure);
        }
        span.end(end);
    }
}

impl AttemptSpan for Attempt {
    fn context(&self) -> Option<TraceContext> {
        self.span.as_ref().map(|span| span.context().clone())
    }

    fn answered(&mut self, usage: Usage) {
        self.answered = Some(SystemTime::now());
        if let Some(span) = &mut self.span {
            let cpu = i64::try_from(usage.cpu.as_micros()).unwrap_or(i64::MAX);
            let memory = i64::try_from(usage.peak_memory).unwrap_or(i64::MAX);
            span.number("longshore.cpu_us", cpu);
            span.number("longshore.peak_memory_bytes", memory);
        }
    }

    fn sending(&mut self, to: &QueueUrl) -> Box<dyn SendSpan> {
        let (to, started) = (Destination::new(to).operation("send"), SystemTime::now());
        let span = self.observed.traces.as_ref().map(|ObservedTraces { tracer, .. }| {
            let template = tracer.template((&to.span_name, SpanKind::Producer), &to.traced, None);
            tracer.start(&template, self.as_parent(), started)
        });
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
            metrics.ended(outcome, self.age, ran, between(settling, now));
        }
        self.tell_settlement(outcome, settling, now);
        if let Some(mut span) = self.span.take() {
            let (word, ..) = outcome.words();
            span.text("longshore.outcome", word);
            if *outcome != Outcome::Completed {
                // The cause for people may repeat what was in the body, and is in the log only.
                let error = error_type(outcome);
                span.text(ERROR_TYPE, error);
                span.failed(error);
            }
            span.end(end);
        }
    }
}

/// A message on its way to another queue: from when it was made to when it was sent.
#[derive(Debug)]
struct Sending {
    observed: Arc<Observed>,
    to: Operation,
    span: Option<OtlpSpan>,
    started: SystemTime,
    is_sent: bool,
}

impl SendSpan for Sending {
    fn context(&self) -> Option<TraceContext> {
        self.span.as_ref().map(|span| span.context().clone())
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
            span.text(ERROR_TYPE, "not-sent");
            span.failed("not-sent");
        }
    }
}

/// The context of a sender as it goes on: what is no `tracestate` is passed on by nobody.
fn passed_on(mut sender: TraceContext) -> TraceContext {
    if !sender.state.is_empty() {
        sender.state = sender.state.parse::<TraceState>().map(|it| it.header()).unwrap_or_default();
    }
    sender
}

/// How long a message has been in its queue; `None` where the service's clock is ahead of ours.
fn age(inserted: Timestamp, now: SystemTime) -> Option<Duration> {
    now.duration_since(inserted.into()).ok()
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
    fn a_state_that_is_none_is_not_passed_on() {
        let passed = |state: &str| {
            let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
            passed_on(TraceContext::parse(text, Some(state)).unwrap()).state
        };
        assert_eq!(["", "a=1,b=2", "none"].map(passed), ["", "a=1,b=2", ""]);
    }
}
