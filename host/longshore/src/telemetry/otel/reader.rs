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

use super::asked::Signal;
use super::otlp::OtlpClient;
use super::tally::ExportTally;

/// Exports metrics. They are not tried again: the next export says the same and more. What is lost
/// is the last.
///
/// The SDK polls it on a thread of its own, which is none of the runtime: so each export is a task.
#[derive(Debug)]
pub(super) struct MetricsExporter {
    runtime: Handle,
    client: Arc<OtlpClient>,
    temporality: Temporality,
    tally: Arc<ExportTally>,
}

impl MetricsExporter {
    /// Must be made on the runtime.
    pub(super) fn new(client: OtlpClient, temporality: Temporality, tally: Arc<ExportTally>) -> Self {
        Self { runtime: Handle::current(), client: Arc::new(client), temporality, tally }
    }
}

impl PushMetricExporter for MetricsExporter {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        self.tally.metrics_begin();
        let message: Bytes = ExportMetricsServiceRequest::from(metrics).encode_to_vec().into();
        let client = Arc::clone(&self.client);
        let sent = self.runtime.spawn(async move { client.send(message).await }).await;
        match sent.map_err(|error| OTelSdkError::InternalFailure(error.to_string()))? {
            Ok(answer) => {
                self.tally.metrics_taken(self.temporality == Temporality::Cumulative, &answer);
                Ok(())
            }
            Err(failure) => {
                self.tally.failed(Signal::Metrics, &failure);
                Err(OTelSdkError::InternalFailure(failure.cause))
            }
        }
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
