//! Metrics on their way to a receiver.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use prost::Message;
use tokio::runtime::Handle;

use super::encoded::EncodedExport;
use super::resend::OtlpSender;
use super::tally::ExportTally;

/// Exports metrics.
///
/// The SDK polls it on a thread of its own, which is none of the runtime: so each export is a task.
#[derive(Debug)]
pub(super) struct MetricsExporter {
    runtime: Handle,
    sender: Arc<OtlpSender>,
    temporality: Temporality,
    tally: Arc<ExportTally>,
}

impl MetricsExporter {
    /// Must be made on the runtime.
    pub(super) fn new(sender: OtlpSender, temporality: Temporality, tally: Arc<ExportTally>) -> Self {
        Self { runtime: Handle::current(), sender: Arc::new(sender), temporality, tally }
    }
}

impl PushMetricExporter for MetricsExporter {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        self.tally.metrics_begin();
        let message = ExportMetricsServiceRequest::from(metrics).encode_to_vec();
        let export = EncodedExport { head: Bytes::new(), rest: message.into() };
        let sender = Arc::clone(&self.sender);
        let sent = self.runtime.spawn(async move { sender.send(export).await }).await;
        let answer = sent.map_err(|error| OTelSdkError::InternalFailure(error.to_string()))?;
        let not_taken = || OTelSdkError::InternalFailure("the metrics were not taken".to_owned());
        let answer = answer.ok_or_else(not_taken)?;
        self.tally.metrics_taken(self.temporality == Temporality::Cumulative, &answer);
        Ok(())
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        self.temporality
    }
}
