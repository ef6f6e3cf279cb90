//! The instruments: those of the messaging conventions, and what they have no name for.
//!
//! No attribute is an id or a digest: each value would make a time series of its own.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{BoundCounter, BoundHistogram, Counter, Gauge, Histogram, Meter};

use super::completed::{CompletedInstruments, CompletedMessage, CompletedMessages};
use super::destination::{Destination, Operation};
use longshore_worker::report::Outcome;

/// The buckets that the conventions advise for durations, in seconds ([Messaging
/// metrics](https://opentelemetry.io/docs/specs/semconv/messaging/messaging-metrics/)).
const SECONDS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// The buckets of ages, in seconds: from what is handled at once to what waited for a day.
const AGES: [f64; 13] =
    [0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0, 43_200.0, 86_400.0, 604_800.0];

/// What a span or a metric calls the cause of a failure.
pub(super) const ERROR_TYPE: &str = "error.type";

/// When the depth of the queue was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// At the start of the run.
    Start,
    /// At its end.
    End,
}

/// What is measured of a run.
#[derive(Debug)]
pub(super) struct Metrics {
    process_duration: Histogram<f64>,
    operation_duration: Histogram<f64>,
    consumed: Counter<u64>,
    sent: Counter<u64>,
    messages: Counter<u64>,
    age: Histogram<f64>,
    lease_lost: Counter<u64>,
    depth: Gauge<u64>,
    completed: Arc<CompletedMessages>,
    is_open: Arc<AtomicBool>,
    of_queue: OfQueue,
}

/// The attributes of what is measured of the queue that is unloaded.
#[derive(Debug)]
struct OfQueue {
    attributes: Vec<KeyValue>,
    receive: Vec<KeyValue>,
    process: Vec<KeyValue>,
    settle: Vec<KeyValue>,
    /// Bound to its attributes when it is first measured, since what is bound is exported.
    received: OnceLock<(BoundCounter<u64>, BoundHistogram<f64>)>,
}

impl OfQueue {
    fn new(queue: &Destination) -> Self {
        let measured = |operation| queue.operation(operation).measured;
        Self {
            attributes: queue.name_only(),
            receive: measured("receive"),
            process: measured("process"),
            settle: measured("settle"),
            received: OnceLock::new(),
        }
    }

    fn by_outcome(&self, outcome: &Outcome) -> Vec<KeyValue> {
        let (word, reason, _) = outcome.words();
        let mut attributes = self.attributes.clone();
        attributes.push(KeyValue::new("longshore.outcome", word));
        if !reason.is_empty() {
            attributes.push(KeyValue::new("longshore.reason", reason.to_owned()));
        }
        attributes
    }
}

impl Metrics {
    /// The instruments of a run on this queue.
    pub(super) fn new(meter: &Meter, queue: &Destination) -> Self {
        let seconds = |name: &'static str, buckets: &[f64], what: &'static str| {
            let histogram = meter.f64_histogram(name).with_unit("s").with_description(what);
            histogram.with_boundaries(buckets.to_vec()).build()
        };
        let counter = |name: &'static str, what: &'static str| {
            meter.u64_counter(name).with_unit("{message}").with_description(what).build()
        };
        let of_queue = OfQueue::new(queue);
        let process_duration = seconds("messaging.process.duration", &SECONDS, "Time in the handler.");
        let operation_duration = seconds(
            "messaging.client.operation.duration",
            &SECONDS,
            "Time of receives, sends and settlements.",
        );
        let messages = counter("longshore.messages", "Messages by outcome and reason.");
        let age = seconds("longshore.message.age", &AGES, "Age of messages when their handler starts.");
        let completed = Arc::new(CompletedMessages::new(CompletedInstruments {
            age: (age.clone(), of_queue.process.clone()),
            ran: (process_duration.clone(), of_queue.process.clone()),
            settled: (operation_duration.clone(), of_queue.settle.clone()),
            messages: (messages.clone(), of_queue.by_outcome(&Outcome::Completed)),
        }));
        let is_open = Arc::<AtomicBool>::default();
        let (kept, observed) = (Arc::clone(&completed), Arc::clone(&is_open));
        // Whoever collects calls this before anything is read ([Metrics
        // SDK](https://opentelemetry.io/docs/specs/otel/metrics/sdk/)): so nothing that is kept is
        // missing in what is exported.
        meter
            .u64_observable_gauge("longshore.breaker.state")
            .with_unit("1")
            .with_description("1 while the circuit breaker is open, else 0.")
            .with_callback(move |state| {
                kept.record_kept();
                state.observe(u64::from(observed.load(Ordering::Relaxed)), &[]);
            })
            .build();
        let depth = meter.u64_gauge("longshore.queue.depth").with_unit("{message}");
        Self {
            process_duration,
            operation_duration,
            consumed: counter("messaging.client.consumed.messages", "Messages received."),
            sent: counter("messaging.client.sent.messages", "Messages sent to outboxes."),
            messages,
            age,
            lease_lost: counter("longshore.lease.lost", "Messages whose lease was lost."),
            depth: depth.with_description("Messages in the queue, invisible ones too.").build(),
            completed,
            is_open,
            of_queue,
        }
    }

    /// A receive took so long, and brought so many messages.
    pub(super) fn received(&self, messages: usize, took: Duration) {
        let attributes = &self.of_queue.receive;
        let bind = || (self.consumed.bind(attributes), self.operation_duration.bind(attributes));
        let (consumed, duration) = self.of_queue.received.get_or_init(bind);
        consumed.add(messages as u64);
        duration.record(took.as_secs_f64());
    }

    /// A message was sent to another queue.
    pub(super) fn sent(&self, to: &Operation, took: Duration) {
        self.sent.add(1, &to.measured);
        self.operation_duration.record(took.as_secs_f64(), &to.measured);
    }

    /// A message has ended. It was so old when its handler started, which ran so long, if it ran;
    /// its settlement took so long.
    pub(super) fn ended(&self, outcome: &Outcome, age: Duration, ran: Option<Duration>, settled: Duration) {
        if *outcome == Outcome::Completed {
            return self.completed.add(CompletedMessage { age, ran, settled });
        }
        let of_queue = &self.of_queue;
        self.age.record(age.as_secs_f64(), &of_queue.process);
        self.operation_duration.record(settled.as_secs_f64(), &of_queue.settle);
        if let Some(ran) = ran {
            let mut attributes = of_queue.process.clone();
            attributes.push(KeyValue::new(ERROR_TYPE, error_type(outcome).to_owned()));
            self.process_duration.record(ran.as_secs_f64(), &attributes);
        }
        self.messages.add(1, &of_queue.by_outcome(outcome));
        if *outcome == Outcome::LeaseLost {
            self.lease_lost.add(1, &of_queue.attributes);
        }
    }

    /// The breaker has opened, or closed.
    pub(super) fn breaker(&self, is_open: bool) {
        self.is_open.store(is_open, Ordering::Relaxed);
    }

    /// So many messages are in the queue.
    pub(super) fn depth(&self, when: When, messages: u64) {
        let mut attributes = self.of_queue.attributes.clone();
        let when = match when {
            When::Start => "start",
            When::End => "end",
        };
        attributes.push(KeyValue::new("longshore.run.phase", when));
        self.depth.record(messages, &attributes);
    }
}

/// The cause of a failure as one word, of a small set of words.
pub(super) fn error_type(outcome: &Outcome) -> &str {
    match outcome.words() {
        (word, "", _) => word,
        (_, reason, _) => reason,
    }
}
