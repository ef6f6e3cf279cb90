//! Exporters that count what was taken, try again while there is time, and stop that at the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::{BatchSpanProcessor, Span, SpanData, SpanExporter, SpanProcessor};

/// How long is waited before an export is tried again. At the end of the run it is not.
const PAUSES: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];

/// What was to be exported, and what was.
#[derive(Debug, Default)]
pub(super) struct ExportTally {
    ended_spans: AtomicU64,
    taken_spans: AtomicU64,
    untaken_metrics: AtomicU64,
    state: Mutex<ExportState>,
    ending: Condvar,
}

#[derive(Debug, Default)]
struct ExportState {
    is_ending: bool,
    /// Why the last export failed, since one was taken.
    failing: Option<String>,
    /// Why the newest failed of all.
    newest: Option<String>,
}

/// What was not exported in the end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Dropped {
    /// How many spans.
    pub(super) spans: u64,
    /// How often the metrics were sent in vain.
    pub(super) metric_exports: u64,
    /// Why, as far as an exporter said.
    pub(super) cause: String,
}

impl ExportTally {
    /// From now on nothing is tried again.
    pub(super) fn end(&self) {
        self.state().is_ending = true;
        self.ending.notify_all();
    }

    /// What was not taken so far; `None` if all was.
    pub(super) fn dropped(&self) -> Option<Dropped> {
        let spans = self.ended_spans.load(Ordering::Relaxed);
        let spans = spans.saturating_sub(self.taken_spans.load(Ordering::Relaxed));
        let metric_exports = self.untaken_metrics.load(Ordering::Relaxed);
        let cause = self.state().newest.clone().unwrap_or_else(|| "there was no time left".into());
        (spans > 0 || metric_exports > 0).then_some(Dropped { spans, metric_exports, cause })
    }

    /// Notes what an export came to, and says when exports begin to fail.
    fn note(&self, what: &str, result: &OTelSdkResult) {
        let mut state = self.state();
        match result {
            Ok(()) => state.failing = None,
            Err(error) => {
                let error = error.to_string();
                if state.failing.is_none() && !state.is_ending {
                    tracing::warn!(
                        error,
                        "{what} could not be exported; they are tried again, and dropped at last"
                    );
                }
                state.failing = Some(error.clone());
                state.newest = Some(error);
            }
        }
    }

    /// Waits, unless the run ends meanwhile. Returns whether it does not.
    ///
    /// It blocks: only threads of the SDK's own call it.
    fn waits(&self, pause: Duration) -> bool {
        let ends = |state: &mut ExportState| !state.is_ending;
        let waited = self.ending.wait_timeout_while(self.state(), pause, ends);
        !waited.unwrap_or_else(PoisonError::into_inner).0.is_ending
    }

    fn state(&self) -> MutexGuard<'_, ExportState> {
        // What it guards is valid after every statement.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A processor that counts the spans that have ended.
#[derive(Debug)]
pub(super) struct CountedSpans(pub(super) BatchSpanProcessor, pub(super) Arc<ExportTally>);

impl SpanProcessor for CountedSpans {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.0.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        self.1.ended_spans.fetch_add(1, Ordering::Relaxed);
        self.0.on_end(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.0.set_resource(resource);
    }
}

/// An exporter that is patient while the run lasts, and counts what was taken.
#[derive(Debug)]
pub(super) struct Patient<E>(pub(super) E, pub(super) Arc<ExportTally>);

impl<E: SpanExporter> SpanExporter for Patient<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let mut pauses = PAUSES.iter();
        loop {
            let result = self.0.export(batch.clone()).await;
            self.1.note("traces", &result);
            if result.is_ok() {
                self.1.taken_spans.fetch_add(batch.len() as u64, Ordering::Relaxed);
            }
            let Some(pause) = pauses.next().filter(|_| result.is_err()) else { return result };
            // At the end it is tried once more, without a pause.
            if !self.1.waits(*pause) {
                pauses = [].iter();
            }
        }
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.0.set_resource(resource);
    }
}

/// Metrics are not tried again: the next export says the same and more. What is lost is the last.
impl<E: PushMetricExporter> PushMetricExporter for Patient<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let untaken = &self.1.untaken_metrics;
        // One that never ends was not taken either.
        untaken.fetch_add(1, Ordering::Relaxed);
        let result = self.0.export(metrics).await;
        self.1.note("metrics", &result);
        if result.is_ok() && self.0.temporality() == Temporality::Cumulative {
            untaken.store(0, Ordering::Relaxed);
        } else if result.is_ok() {
            untaken.fetch_sub(1, Ordering::Relaxed);
        }
        result
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.0.temporality()
    }
}
