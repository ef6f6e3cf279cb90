//! OpenTelemetry: spans and metrics of a run, for whoever receives OTLP. It is on where the
//! standard variables name a receiver, and nothing of it is made otherwise.
//!
//! The run comes first. Exports have threads of their own, what they have no room for is dropped,
//! and the end of the run waits for them no longer than its flag says.

mod client;
mod destination;
mod metrics;
mod resource;
mod spans;
mod tally;
mod variables;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::trace::{Span as _, SpanContext, SpanKind, Status, Tracer as _, TracerProvider as _};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{
    ExporterBuildError, MetricExporter, RetryPolicy, SpanExporter, WithExportConfig, WithHttpConfig,
    WithTonicConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider, Span};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout, timeout_at};

use self::client::OtlpHttp;
use self::destination::Destination;
use self::metrics::{Metrics, When};
use self::spans::Observer;
use self::tally::{CountedSpans, Dropped, ExportTally, Patient};
use self::variables::{AskedExports, Export, OtlpProtocol};
use super::Correlation;
use longshore_queue::{Queue, QueueUrl};
use longshore_worker::report::Summary;
use longshore_worker::telemetry::Telemetry;

/// How many spans wait for their export at most: 1,200 messages a second are two seconds of it
/// while a batch is under way. The SDK's own 2,048 would drop some.
const MAX_SPANS_WAITING: usize = 16_384;
/// How many spans one export has at most.
const MAX_SPANS_EXPORTED: usize = 2_048;
/// The longest that the end of the run waits for the depth of the queue.
const MAX_DEPTH_WAIT: Duration = Duration::from_millis(500);
/// What made these spans and metrics.
const SCOPE: &str = "longshore";

/// What is exported of one run.
#[derive(Debug)]
pub(crate) struct Otel {
    observer: Arc<Observer>,
    run: Option<Span>,
    tracers: Option<SdkTracerProvider>,
    meters: Option<SdkMeterProvider>,
    tally: Arc<ExportTally>,
}

impl Otel {
    /// Starts what the variables of this process ask for; `None` where they ask for nothing.
    ///
    /// The run began so long ago. Must be called on the runtime. What cannot be started is said in
    /// the log: a run without traces is better than none.
    pub(crate) fn start(queue: &QueueUrl, correlation: Correlation, began: Duration) -> Option<Self> {
        let asked = AskedExports::of(&|name| std::env::var(name).ok());
        for refusal in &asked.refused {
            tracing::warn!("{refusal}");
        }
        asked.is_anything().then(|| Self::build(&asked, queue, correlation, began))
    }

    fn build(asked: &AskedExports, queue: &QueueUrl, correlation: Correlation, began: Duration) -> Self {
        // For exports over TLS.
        longshore_azure::choose_cryptography();
        let (resource, tally) = (resource::of_this_process(), Arc::new(ExportTally::default()));
        let tracers = asked.traces.and_then(|export| said("traces", tracers(export, &resource, &tally)));
        let meters = asked.metrics.and_then(|export| said("metrics", meters(export, &resource, &tally)));
        let scope = InstrumentationScope::builder(SCOPE).with_version(env!("CARGO_PKG_VERSION")).build();
        let tracer = tracers.as_ref().map(|it| it.tracer_with_scope(scope.clone()));
        let metrics = meters.as_ref().map(|it| Arc::new(Metrics::new(&it.meter_with_scope(scope))));
        let run = tracer.as_ref().map(|tracer| {
            let (builder, now) = (tracer.span_builder("run"), SystemTime::now());
            let began = now.checked_sub(began).unwrap_or(now);
            let builder = builder.with_kind(SpanKind::Internal).with_start_time(began);
            builder.start_with_context(tracer, &opentelemetry::Context::new())
        });
        let run_context = run.as_ref().map_or(SpanContext::NONE, |it| it.span_context().clone());
        let queue = Destination::new(queue);
        let observer = Arc::new(Observer { tracer, metrics, queue, correlation, run: run_context });
        Self { observer, run, tracers, meters, tally }
    }

    /// Who is to be told of the run.
    pub(crate) fn observer(&self) -> Arc<dyn Telemetry> {
        self.observer.clone()
    }

    /// Measures how many messages the queue has at the start of the run, while it starts.
    pub(crate) fn measure_depth(&self, queue: Arc<dyn Queue>) {
        let observer = Arc::clone(&self.observer);
        if observer.metrics.is_some() {
            tokio::spawn(async move { depth(&observer, &*queue, When::Start).await });
        }
    }

    /// Ends with the run, which came to this. Everything is settled: what is waited for here holds
    /// no lease, and changes no exit code.
    pub(crate) async fn end(self, queue: &dyn Queue, ended: Option<RunEnd<'_>>, limit: Duration) {
        let deadline = Instant::now() + limit;
        let Self { observer, run, tracers, meters, tally } = self;
        if let Some(run) = run {
            end_run(run, ended);
        }
        if observer.metrics.is_some() {
            let _ = timeout(MAX_DEPTH_WAIT.min(limit / 4), depth(&observer, queue, When::End)).await;
        }
        tally.end();
        // The calls wait on threads. One that is still there when the time is up ends with the
        // process.
        let traces = spawn_blocking(move || tracers.map(|it| it.shutdown_with_timeout(limit)));
        let metrics = spawn_blocking(move || meters.map(|it| it.shutdown_with_timeout(limit)));
        let flushed = timeout_at(deadline, async { tokio::join!(traces, metrics) }).await;
        if let Some(Dropped { spans, metric_exports, cause }) = tally.dropped() {
            let in_time = flushed.is_ok();
            tracing::warn!(
                spans,
                metric_exports,
                in_time,
                cause,
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

fn end_run(mut run: Span, ended: Option<RunEnd<'_>>) {
    let Some(RunEnd { end, summary, component }) = ended else {
        run.set_status(Status::error("fault"));
        return run.end();
    };
    if ["fault", "breaker-open", "component-unavailable"].contains(&end) {
        run.set_attribute(KeyValue::new(metrics::ERROR_TYPE, end.to_owned()));
        run.set_status(Status::error(end.to_owned()));
    }
    run.set_attribute(KeyValue::new("longshore.ended", end.to_owned()));
    for (name, count) in [
        ("longshore.received", summary.received),
        ("longshore.completed", summary.completed),
        ("longshore.retried", summary.retried),
        ("longshore.poisoned", summary.poisoned),
        ("longshore.abandoned", summary.abandoned),
        ("longshore.lease_lost", summary.lease_lost),
    ] {
        run.set_attribute(KeyValue::new(name, i64::try_from(count).unwrap_or(i64::MAX)));
    }
    if let Some(digest) = component {
        run.set_attribute(KeyValue::new("longshore.component.digest", digest));
    }
    run.end();
}

async fn depth(observer: &Observer, queue: &dyn Queue, when: When) {
    // A queue that may not be asked has no depth.
    if let (Some(metrics), Ok(messages)) = (&observer.metrics, queue.approximate_count().await) {
        metrics.depth(&observer.queue, when, messages);
    }
}

/// What was built, or a line of the log.
fn said<T>(what: &str, built: Result<T, ExporterBuildError>) -> Option<T> {
    let failed = |error: &ExporterBuildError| {
        tracing::warn!(%error, "{what} are not exported; look at the variables that begin with OTEL_EXPORTER_OTLP_");
    };
    built.inspect_err(failed).ok()
}

fn tracers(
    export: Export,
    resource: &Resource,
    tally: &Arc<ExportTally>,
) -> Result<SdkTracerProvider, ExporterBuildError> {
    let builder = SpanExporter::builder();
    let exporter = match export.protocol {
        OtlpProtocol::Grpc => builder.with_tonic().with_retry_policy(RetryPolicy::disabled()).build()?,
        OtlpProtocol::Http => builder
            .with_http()
            .with_protocol(opentelemetry_otlp::Protocol::HttpBinary)
            .with_http_client(OtlpHttp::new(export.timeout))
            .with_retry_policy(RetryPolicy::disabled())
            .build()?,
    };
    let is_set = |name: &str| std::env::var_os(name).is_some();
    let mut config = BatchConfigBuilder::default();
    if !is_set("OTEL_BSP_MAX_QUEUE_SIZE") {
        config = config.with_max_queue_size(MAX_SPANS_WAITING);
    }
    if !is_set("OTEL_BSP_MAX_EXPORT_BATCH_SIZE") {
        config = config.with_max_export_batch_size(MAX_SPANS_EXPORTED);
    }
    let exporter = Patient(exporter, Arc::clone(tally));
    let batches = BatchSpanProcessor::builder(exporter).with_batch_config(config.build()).build();
    let provider = SdkTracerProvider::builder().with_resource(resource.clone());
    Ok(provider.with_span_processor(CountedSpans(batches, Arc::clone(tally))).build())
}

fn meters(
    export: Export,
    resource: &Resource,
    tally: &Arc<ExportTally>,
) -> Result<SdkMeterProvider, ExporterBuildError> {
    let builder = MetricExporter::builder();
    let exporter = match export.protocol {
        OtlpProtocol::Grpc => builder.with_tonic().with_retry_policy(RetryPolicy::disabled()).build()?,
        OtlpProtocol::Http => builder
            .with_http()
            .with_protocol(opentelemetry_otlp::Protocol::HttpBinary)
            .with_http_client(OtlpHttp::new(export.timeout))
            .with_retry_policy(RetryPolicy::disabled())
            .build()?,
    };
    let reader = PeriodicReader::builder(Patient(exporter, Arc::clone(tally))).build();
    Ok(SdkMeterProvider::builder().with_resource(resource.clone()).with_reader(reader).build())
}
