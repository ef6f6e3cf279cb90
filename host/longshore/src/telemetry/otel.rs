//! OpenTelemetry: spans and metrics of a run, for whoever receives OTLP. It is on where the
//! standard variables name a receiver, and nothing of it is made otherwise.
//!
//! The run comes first. Exports have threads of their own, what they have no room for is dropped,
//! and the end of the run waits for them no longer than its flag says.

mod answer;
mod asked;
mod attributes;
mod batches;
mod checked;
mod completed;
mod destination;
mod encoded;
mod endpoint;
mod grpc;
mod http;
mod keys;
mod metrics;
mod numbers;
mod otlp;
mod places;
mod planned;
mod reader;
mod resend;
mod resource;
mod sampler;
mod span;
mod spans;
mod tally;
mod thread;
mod tracer;
mod variables;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use opentelemetry::InstrumentationScope;
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider, Temporality};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout, timeout_at};

use self::asked::{AskedExports, Signal};
use self::batches::SpanBatches;
use self::destination::Destination;
use self::metrics::{Metrics, When};
use self::numbers::ExportLimits;
use self::otlp::OtlpClient;
pub(crate) use self::planned::{NothingExported, PlannedExport, PlannedTelemetry};
use self::reader::MetricsExporter;
use self::resend::OtlpSender;
use self::span::{OtlpSpan, SpanTemplate};
use self::spans::Observer;
use self::tally::{Dropped, ExportTally};
use self::thread::ExportThread;
use self::tracer::OtlpTracer;
use self::wire::AttributeKey;
use super::Correlation;
use longshore_queue::{Queue, QueueUrl};
use longshore_worker::report::Summary;
use longshore_worker::telemetry::Telemetry;

/// The longest that the end of the run waits for the depth of the queue.
const MAX_DEPTH_WAIT: Duration = Duration::from_millis(500);
/// What made these spans and metrics.
const SCOPE: &str = "longshore";

/// What is exported of one run.
#[derive(Debug)]
pub(crate) struct Otel {
    observer: Arc<Observer>,
    run: Option<RunSpan>,
    traces: Option<TracesExport>,
    meters: Option<SdkMeterProvider>,
    tally: Arc<ExportTally>,
}

/// The span of the whole run.
#[derive(Debug)]
struct RunSpan {
    template: SpanTemplate,
    span: OtlpSpan,
}

/// The spans on their way.
#[derive(Debug)]
struct TracesExport {
    batches: Arc<SpanBatches>,
    exporting: ExportThread,
}

impl Otel {
    /// Starts what the variables of this process ask for; `None` where they ask for nothing.
    ///
    /// The run began so long ago. Must be called on the runtime. What cannot be started is said in
    /// the log: a run without traces is better than none.
    pub(crate) fn start(queue: &QueueUrl, correlation: Correlation, began: Duration) -> Option<Self> {
        let set = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
        let planned = PlannedTelemetry::of(&set.collect::<Vec<_>>());
        for words in planned.said() {
            tracing::warn!("{words}");
        }
        Some(Self::build(&planned.asked, planned.limits?, queue, correlation, began))
    }

    fn build(
        asked: &AskedExports,
        limits: ExportLimits,
        queue: &QueueUrl,
        correlation: Correlation,
        began: Duration,
    ) -> Self {
        // For exports over TLS.
        longshore_azure::choose_cryptography();
        let resource = resource::of_this_process(asked.attributes.clone());
        let tally = Arc::new(ExportTally::default());
        let scope = InstrumentationScope::builder(SCOPE).with_version(env!("CARGO_PKG_VERSION")).build();
        let queue = Destination::new(queue);
        let is_cumulative =
            |signal| signal == Signal::Metrics && asked.temporality == Temporality::Cumulative;
        let sender = |signal, export| {
            OtlpClient::new(signal, export)
                .map(|client| OtlpSender::new(signal, client, Arc::clone(&tally), is_cumulative(signal)))
                .inspect_err(|cause| tracing::warn!(cause, "{} are not exported", signal.word()))
                .ok()
        };
        let traces = asked.traces.as_ref().and_then(|export| {
            let batches = SpanBatches::new(&resource, &scope, limits, Arc::clone(&tally));
            let batches = Arc::new(batches);
            let exporting = || Some(Arc::clone(&batches).export(sender(Signal::Traces, export)?));
            let exporting = ExportThread::start(exporting)?;
            Some(TracesExport { batches, exporting })
        });
        let meters =
            asked.metrics.as_ref().and_then(|export| sender(Signal::Metrics, export)).map(|sender| {
                let exporter = MetricsExporter::new(sender, asked.temporality, Arc::clone(&tally));
                let reader = PeriodicReader::builder(exporter).with_interval(limits.interval).build();
                SdkMeterProvider::builder().with_resource(resource.clone()).with_reader(reader).build()
            });
        let tracer = traces.as_ref().map(|it| OtlpTracer::new(asked.sampler, Arc::clone(&it.batches)));
        let metrics = meters.as_ref().map(|it| Metrics::new(&it.meter_with_scope(scope), &queue));
        let now = Timestamp::now();
        let began = now.checked_sub(began).unwrap_or(now);
        let start_run = |it: &OtlpTracer| {
            let template = it.template(("run", SpanKind::Internal), &[], None);
            RunSpan { span: it.start(&template, None, began), template }
        };
        let run = tracer.as_ref().map(start_run);
        let run_context = run.as_ref().map(|it| it.span.context());
        let observer = Arc::new(Observer::new(tracer, metrics, &queue, correlation, run_context));
        Self { observer, run, traces, meters, tally }
    }

    /// Who is to be told of the run.
    pub(crate) fn observer(&self) -> Arc<dyn Telemetry> {
        self.observer.clone()
    }

    /// Measures how many messages the queue has at the start of the run, while it starts.
    pub(crate) fn measure_depth(&self, queue: Arc<dyn Queue>) {
        let observer = Arc::clone(&self.observer);
        if observer.metrics().is_some() {
            tokio::spawn(async move { depth(&observer, &*queue, When::Start).await });
        }
    }

    /// Ends with the run, which came to this. Everything is settled: what is waited for here holds
    /// no lease, and changes no exit code. It is given up when `hurry` ends.
    pub(crate) async fn end(
        self,
        queue: &dyn Queue,
        ended: Option<RunEnd<'_>>,
        limit: Duration,
        hurry: impl Future<Output = ()> + Clone,
    ) {
        let deadline = Instant::now() + limit;
        let Self { observer, run, mut traces, meters, tally } = self;
        if let Some(run) = run {
            end_run(&observer, run, ended);
        }
        if observer.metrics().is_some() {
            let measured = timeout(MAX_DEPTH_WAIT.min(limit / 4), depth(&observer, queue, When::End));
            tokio::select! {
                biased;
                () = hurry.clone() => {}
                _ = measured => {}
            }
        }
        tally.end(deadline);
        // Even where nobody waits: what is closed is counted.
        if let Some(TracesExport { batches, .. }) = &traces {
            batches.close();
        }
        // The SDK waits on a thread, even where its provider is only dropped. One that is still
        // there when the time is up ends with the process.
        let metrics = spawn_blocking(move || meters.map(|it| it.shutdown_with_timeout(limit)));
        let spans = async {
            if let Some(TracesExport { exporting, .. }) = &mut traces {
                exporting.done().await;
            }
        };
        let in_time = tokio::select! {
            biased;
            () = hurry => false,
            flushed = timeout_at(deadline, async { tokio::join!(spans, metrics) }) => flushed.is_ok(),
        };
        if let Some(Dropped { spans, metric_exports, cause }) = tally.dropped() {
            tracing::warn!(
                spans,
                metric_exports,
                in_time,
                %cause,
                "telemetry was dropped; the run itself is complete"
            );
        }
    }
}

/// What a run came to, for its span.
pub(crate) struct RunEnd<'a> {
    /// Why it ended, as one word.
    pub(crate) end: &'a str,
    /// What it did.
    pub(crate) summary: &'a Summary,
    /// The digest of the component that was loaded last.
    pub(crate) component: Option<String>,
}

fn end_run(observer: &Observer, RunSpan { template, mut span }: RunSpan, ended: Option<RunEnd<'_>>) {
    match ended {
        Some(ended) => tell_end(&mut span, ended),
        None => span.failed("fault"),
    }
    observer.end_span(&template, span, Timestamp::now());
}

fn tell_end(run: &mut OtlpSpan, RunEnd { end, summary, component }: RunEnd<'_>) {
    if ["fault", "breaker-open", "component-unavailable"].contains(&end) {
        run.text(&AttributeKey::new(metrics::ERROR_TYPE), end);
        run.failed(end);
    }
    run.text(&AttributeKey::new("longshore.ended"), end);
    for (name, count) in [
        ("longshore.received", summary.received),
        ("longshore.completed", summary.completed),
        ("longshore.retried", summary.retried),
        ("longshore.poisoned", summary.poisoned),
        ("longshore.abandoned", summary.abandoned),
        ("longshore.lease_lost", summary.lease_lost),
    ] {
        run.number(&AttributeKey::new(name), i64::try_from(count).unwrap_or(i64::MAX));
    }
    if let Some(digest) = component {
        run.text(&AttributeKey::new("longshore.component.digest"), &digest);
    }
}

async fn depth(observer: &Observer, queue: &dyn Queue, when: When) {
    // A queue that may not be asked has no depth.
    if let (Some(metrics), Ok(messages)) = (observer.metrics(), queue.approximate_count().await) {
        metrics.depth(when, messages);
    }
}
