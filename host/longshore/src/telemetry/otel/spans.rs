//! What the worker says, as spans and measurements.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use opentelemetry::trace::TraceState;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use super::destination::{Destination, Operation};
use super::keys::{
    BATCH_COUNT, CONVERSATION, CPU, DELIVERIES, DEQUEUE_COUNT, DISPOSITION, ENQUEUED, ERROR, MESSAGE_ID,
    OUTCOME, PEAK_MEMORY, capped,
};
use super::metrics::{Metrics, error_type};
use super::places::{Apart, Places};
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

/// What is told of a run: to a tracer, to instruments, or to both.
#[derive(Clone, Debug)]
pub(super) struct Observer(Arc<Places<SharedObserved>>);

/// What a thread's attempts share. Each of them counts as its owner, in a count of that thread.
type SharedObserved = Arc<Apart<Arc<Observed>>>;

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
        let is_service_bus = queue.is_service_bus;
        let observed = Arc::new(Observed { traces, metrics, is_service_bus, correlation });
        Self(Arc::new(Places::new(|| Arc::new(Apart(Arc::clone(&observed))))))
    }

    /// A span of the run's own has ended, which began with this template.
    pub(super) fn end_span(&self, template: &SpanTemplate, span: OtlpSpan, at: Timestamp) {
        if let Some(ObservedTraces { tracer, .. }) = &self.0.here().traces {
            tracer.end(template, span, at);
        }
    }

    /// The instruments, where metrics are exported.
    pub(super) fn metrics(&self) -> Option<&Metrics> {
        self.0.here().metrics.as_ref()
    }
}

impl Observed {
    /// What a span says of a message. Its body and its properties are not in it.
    fn about(&self, message: &Message, span: &mut OtlpSpan) {
        span.text(&MESSAGE_ID, capped(&message.id));
        span.number(&DEQUEUE_COUNT, i64::from(message.dequeue_count));
        if let Some((_, id)) = message.properties.iter().find(|(name, _)| name == "correlation-id") {
            span.text(&CONVERSATION, capped(id));
        }
        if self.is_service_bus {
            span.number(&ENQUEUED, message.inserted.as_second());
            // Deliveries before this one.
            let before = i64::from(message.dequeue_count) - 1;
            if before > 0 {
                span.number(&DELIVERIES, before);
            }
        }
    }
}

impl Telemetry for Observer {
    fn received(&self, messages: &[Received], took: Duration) {
        let observed = self.0.here();
        if let Some(metrics) = &observed.metrics {
            metrics.received(messages.len(), took);
        }
        let now = Timestamp::now();
        let started = now.checked_sub(took).unwrap_or(now);
        let Some(ObservedTraces { tracer, receive, .. }) = &observed.traces else { return };
        let mut span = tracer.start(receive, None, started);
        if span.is_told() {
            for sender in messages.iter().filter_map(|it| carried(&it.message)).map(passed_on) {
                span.link(Relative { context: &sender, is_remote: true });
            }
            let count = i64::try_from(messages.len()).unwrap_or(i64::MAX);
            span.number(&BATCH_COUNT, count);
        }
        tracer.end(receive, span, now);
    }

    fn attempt(
        &self,
        message: &Message,
        sender: Option<&TraceContext>,
        started: Timestamp,
    ) -> Box<dyn AttemptSpan> {
        let observed = self.0.here();
        // The clock of a service may be ahead of ours.
        let age = between(message.inserted, started);
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
    observed: SharedObserved,
    span: Option<OtlpSpan>,
    /// How old the message was then.
    age: Duration,
    started: Timestamp,
    /// When the handler answered.
    answered: Option<Timestamp>,
    /// When settling began.
    settling: Option<Timestamp>,
}

impl Attempt {
    /// This span, as the parent of another one.
    fn as_parent(&self) -> Option<Relative<'_>> {
        Some(Relative { context: self.span.as_ref()?.context(), is_remote: false })
    }

    /// Its span has ended, unless it had before.
    fn end_span(&mut self, at: Timestamp) {
        if let (Some(span), Some(traces)) = (self.span.take(), &self.observed.traces) {
            traces.tracer.end(&traces.process, span, at);
        }
    }

    /// A span of the settlement, where that moved the message to the poison queue, or failed.
    fn tell_settlement(&self, outcome: &Outcome, start: Timestamp, end: Timestamp) {
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
            span.text(&DISPOSITION, disposition);
        }
        if let Some(failure) = failure {
            span.text(&ERROR, failure);
            span.failed(failure);
        }
        tracer.end(settle, span, end);
    }
}

impl AttemptSpan for Attempt {
    fn context(&self) -> Option<TraceContext> {
        self.span.as_ref().map(|span| span.context().clone())
    }

    fn answered(&mut self, usage: Usage, at: Timestamp) {
        self.answered = Some(at);
        if let Some(span) = &mut self.span {
            let cpu = i64::try_from(usage.cpu.as_micros()).unwrap_or(i64::MAX);
            let memory = i64::try_from(usage.peak_memory).unwrap_or(i64::MAX);
            span.number(&CPU, cpu);
            span.number(&PEAK_MEMORY, memory);
        }
    }

    fn sending(&mut self, to: &QueueUrl) -> Box<dyn SendSpan> {
        let (to, started) = (Destination::new(to).operation("send"), Timestamp::now());
        let span = self.observed.traces.as_ref().map(|ObservedTraces { tracer, .. }| {
            let template = tracer.template((&to.span_name, SpanKind::Producer), &to.traced, None);
            let span = tracer.start(&template, self.as_parent(), started);
            (template, span)
        });
        Box::new(Sending { observed: Arc::clone(&self.observed), to, span, started, is_sent: false })
    }

    fn settling(&mut self) {
        self.settling = Some(Timestamp::now());
    }

    fn ended(mut self: Box<Self>, outcome: &Outcome) {
        let now = Timestamp::now();
        let settling = self.settling.unwrap_or(now);
        let end = self.answered.unwrap_or(settling);
        if let Some(metrics) = &self.observed.metrics {
            let ran = self.answered.map(|at| between(self.started, at));
            metrics.ended(outcome, self.age, ran, between(settling, now));
        }
        self.tell_settlement(outcome, settling, now);
        if let Some(span) = &mut self.span {
            let (word, ..) = outcome.words();
            span.text(&OUTCOME, word);
            if *outcome != Outcome::Completed {
                // The cause for people may repeat what was in the body, and is in the log only.
                let error = error_type(outcome);
                span.text(&ERROR, error);
                span.failed(error);
            }
        }
        self.end_span(end);
    }
}

impl Drop for Attempt {
    /// Its task may be gone before the message is settled.
    fn drop(&mut self) {
        if self.span.is_some() {
            self.end_span(Timestamp::now());
        }
    }
}

/// A message on its way to another queue: from when it was made to when it was sent.
#[derive(Debug)]
struct Sending {
    observed: SharedObserved,
    to: Operation,
    span: Option<(SpanTemplate, OtlpSpan)>,
    started: Timestamp,
    is_sent: bool,
}

impl SendSpan for Sending {
    fn context(&self) -> Option<TraceContext> {
        self.span.as_ref().map(|(_, span)| span.context().clone())
    }

    fn sent(mut self: Box<Self>) {
        self.is_sent = true;
        if let Some(metrics) = &self.observed.metrics {
            metrics.sent(&self.to, between(self.started, Timestamp::now()));
        }
    }
}

impl Drop for Sending {
    /// The span ends with it.
    fn drop(&mut self) {
        let Some((template, mut span)) = self.span.take() else { return };
        if !self.is_sent {
            span.text(&ERROR, "not-sent");
            span.failed("not-sent");
        }
        if let Some(ObservedTraces { tracer, .. }) = &self.observed.traces {
            tracer.end(&template, span, Timestamp::now());
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

/// How long it is from one time to another one; nothing where that is no later.
fn between(from: Timestamp, to: Timestamp) -> Duration {
    to.duration_since(from).try_into().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use opentelemetry::InstrumentationScope;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::trace::v1::Span;
    use opentelemetry_sdk::Resource;
    use prost::Message as _;

    use super::*;
    use crate::telemetry::otel::batches::SpanBatches;
    use crate::telemetry::otel::numbers::ExportLimits;
    use crate::telemetry::otel::sampler::TraceSampler;
    use crate::telemetry::otel::variables::Variables;

    /// What is exported of an attempt at a message on a queue, which this is done with.
    async fn exported(told: impl FnOnce(Box<dyn AttemptSpan>)) -> Span {
        let limits = ExportLimits::of(&Variables(&|_| None), &mut Vec::new());
        let (resource, scope) =
            (Resource::builder_empty().build(), InstrumentationScope::builder("longshore").build());
        let batches = Arc::new(SpanBatches::new(&resource, &scope, limits, Arc::default()));
        let tracer = OtlpTracer::new(TraceSampler::default(), Arc::clone(&batches));
        let queue = Destination::new(&"file:./queues/orders".parse().unwrap());
        let observer = Observer::new(Some(tracer), None, &queue, Correlation::Parent, None);
        let message = Message {
            id: "m-1".into(),
            body: "{}".into(),
            dequeue_count: 1,
            inserted: Timestamp::UNIX_EPOCH,
            time_to_live: None,
            properties: Vec::new(),
        };
        told(observer.attempt(&message, None, Timestamp::UNIX_EPOCH));
        batches.close();
        let request = batches.next_request().await.unwrap();
        let mut request = ExportTraceServiceRequest::decode(request).unwrap();
        let mut spans = request.resource_spans.remove(0).scope_spans.remove(0).spans;
        assert_eq!(spans.len(), 1, "{spans:?}");
        spans.remove(0)
    }

    #[tokio::test]
    async fn an_attempt_whose_task_is_gone_is_exported_once_as_one_that_has_ended_is() {
        let ended = exported(|attempt| attempt.ended(&Outcome::Completed)).await;
        let gone = exported(drop).await;
        let keys = |span: &Span| span.attributes.iter().map(|it| it.key.clone()).collect::<Vec<_>>();
        assert_eq!([keys(&gone), vec!["longshore.outcome".to_owned()]].concat(), keys(&ended));
        assert!(keys(&gone).contains(&"messaging.message.id".to_owned()), "{gone:?}");
        assert_eq!((ended.name.as_str(), gone.name.as_str()), ("process orders", "process orders"));
        assert!(gone.start_time_unix_nano == 0 && gone.end_time_unix_nano > 0, "{gone:?}");
    }

    #[test]
    fn an_age_is_none_where_the_clock_of_a_service_is_ahead() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        assert_eq!(between(at(1), at(3)), Duration::from_secs(2));
        assert_eq!(between(at(3), at(1)), Duration::ZERO);
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
