//! The instruments: those of the messaging conventions, and what they have no name for.
//!
//! No attribute is an id or a digest: each value would make a time series of its own.

use std::sync::OnceLock;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{BoundCounter, BoundHistogram, Counter, Gauge, Histogram, Meter};

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
    breaker: Gauge<u64>,
    depth: Gauge<u64>,
    of_queue: OfQueue,
}

/// What is measured of the queue that is unloaded. What every message measures is bound to its
/// attributes once: looking them up cost more than all else. It is bound when it is first measured,
/// since what is bound is exported.
#[derive(Debug)]
struct OfQueue {
    attributes: Vec<KeyValue>,
    receive: Operation,
    process: Operation,
    settle: Operation,
    received: OnceLock<(BoundCounter<u64>, BoundHistogram<f64>)>,
    age: OnceLock<BoundHistogram<f64>>,
    settled: OnceLock<BoundHistogram<f64>>,
    processed: OnceLock<BoundHistogram<f64>>,
    completed: OnceLock<BoundCounter<u64>>,
}

impl OfQueue {
    fn new(queue: &Destination) -> Self {
        Self {
            attributes: queue.name_only(),
            receive: queue.operation("receive"),
            process: queue.operation("process"),
            settle: queue.operation("settle"),
            received: OnceLock::new(),
            age: OnceLock::new(),
            settled: OnceLock::new(),
            processed: OnceLock::new(),
            completed: OnceLock::new(),
        }
    }
}

impl Metrics {
    /// The instruments of a run on this queue.
    pub(super) fn new(meter: &Meter, queue: &Destination) -> Self {
        let seconds = |name: &'static str, buckets: &[f64], what: &'static str| {
            let histogram = meter.f64_histogram(name).with_unit("s").with_description(what);
            histogram.with_boundaries(buckets.to_vec()).build()
        };
        let messages = |name: &'static str, what: &'static str| {
            meter.u64_counter(name).with_unit("{message}").with_description(what).build()
        };
        let gauge = |name: &'static str, unit: &'static str, what: &'static str| {
            meter.u64_gauge(name).with_unit(unit).with_description(what).build()
        };
        let metrics = Self {
            process_duration: seconds("messaging.process.duration", &SECONDS, "Time in the handler."),
            operation_duration: seconds(
                "messaging.client.operation.duration",
                &SECONDS,
                "Time of receives, sends and settlements.",
            ),
            consumed: messages("messaging.client.consumed.messages", "Messages received."),
            sent: messages("messaging.client.sent.messages", "Messages sent to outboxes."),
            messages: messages("longshore.messages", "Messages by outcome and reason."),
            age: seconds("longshore.message.age", &AGES, "Age of messages when their handler starts."),
            lease_lost: messages("longshore.lease.lost", "Messages whose lease was lost."),
            breaker: gauge("longshore.breaker.state", "1", "1 while the circuit breaker is open, else 0."),
            depth: gauge("longshore.queue.depth", "{message}", "Messages in the queue, invisible ones too."),
            of_queue: OfQueue::new(queue),
        };
        metrics.breaker(false);
        metrics
    }

    /// A receive took so long, and brought so many messages.
    pub(super) fn received(&self, messages: usize, took: Duration) {
        let attributes = &self.of_queue.receive.measured;
        let bind = || (self.consumed.bind(attributes), self.operation_duration.bind(attributes));
        let (consumed, duration) = self.of_queue.received.get_or_init(bind);
        consumed.add(messages as u64);
        duration.record(took.as_secs_f64());
    }

    /// A handler starts on a message of this age.
    pub(super) fn starting(&self, age: Duration) {
        let bind = || self.age.bind(&self.of_queue.process.measured);
        self.of_queue.age.get_or_init(bind).record(age.as_secs_f64());
    }

    /// A message was sent to another queue.
    pub(super) fn sent(&self, to: &Operation, took: Duration) {
        self.sent.add(1, &to.measured);
        self.operation_duration.record(took.as_secs_f64(), &to.measured);
    }

    /// A message has ended. Its handler ran so long, if it ran; its settlement took so long.
    pub(super) fn ended(&self, outcome: &Outcome, ran: Option<Duration>, settled: Duration) {
        let of_queue = &self.of_queue;
        let bind = || self.operation_duration.bind(&of_queue.settle.measured);
        of_queue.settled.get_or_init(bind).record(settled.as_secs_f64());
        if *outcome == Outcome::Completed {
            let bind = || self.process_duration.bind(&of_queue.process.measured);
            if let Some(ran) = ran {
                of_queue.processed.get_or_init(bind).record(ran.as_secs_f64());
            }
            let bind = || self.messages.bind(&self.by_outcome(outcome));
            return of_queue.completed.get_or_init(bind).add(1);
        }
        if let Some(ran) = ran {
            let mut attributes = of_queue.process.measured.clone();
            attributes.push(KeyValue::new(ERROR_TYPE, error_type(outcome).to_owned()));
            self.process_duration.record(ran.as_secs_f64(), &attributes);
        }
        self.messages.add(1, &self.by_outcome(outcome));
        if *outcome == Outcome::LeaseLost {
            self.lease_lost.add(1, &of_queue.attributes);
        }
    }

    fn by_outcome(&self, outcome: &Outcome) -> Vec<KeyValue> {
        let (word, reason, _) = outcome.words();
        let mut attributes = self.of_queue.attributes.clone();
        attributes.push(KeyValue::new("longshore.outcome", word));
        if !reason.is_empty() {
            attributes.push(KeyValue::new("longshore.reason", reason.to_owned()));
        }
        attributes
    }

    /// The breaker has opened, or closed.
    pub(super) fn breaker(&self, is_open: bool) {
        self.breaker.record(u64::from(is_open), &[]);
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
