//! A receiver of OTLP over either protocol ([OTLP
//! specification](https://opentelemetry.io/docs/specs/otlp/)).

use std::time::Duration;

use tokio::time::timeout;

use super::answer::{OtlpFailure, OtlpTaken};
use super::asked::{Export, OtlpProtocol, Signal};
use super::encoded::EncodedExport;
use super::grpc::OtlpGrpc;
use super::http::OtlpHttp;

/// What sends exports of one signal.
#[derive(Debug)]
pub(super) struct OtlpClient {
    transport: Transport,
    /// How messages call the receiver.
    host: String,
    limit: Duration,
}

#[derive(Debug)]
enum Transport {
    Grpc(OtlpGrpc),
    Http(OtlpHttp),
}

impl OtlpClient {
    /// A client for what was asked for. Must be made on the runtime.
    ///
    /// # Errors
    /// The transport cannot be set up: the cause in words.
    pub(super) fn new(signal: Signal, export: &Export) -> Result<Self, String> {
        let transport = match export.protocol {
            OtlpProtocol::Grpc => Transport::Grpc(OtlpGrpc::new(signal, &export.endpoint)?),
            OtlpProtocol::Http => Transport::Http(OtlpHttp::new(&export.endpoint)),
        };
        Ok(Self { transport, host: export.endpoint.host(), limit: export.timeout })
    }

    /// Sends one export.
    ///
    /// # Errors
    /// It was not taken: the receiver and the cause in words.
    pub(super) async fn send(&self, export: EncodedExport) -> Result<OtlpTaken, OtlpFailure> {
        let sending = async {
            match &self.transport {
                Transport::Grpc(grpc) => grpc.send(export).await,
                Transport::Http(http) => http.send(export).await,
            }
        };
        let no_answer = |_| {
            let cause = format!("there was no answer within {} ms", self.limit.as_millis());
            Err(OtlpFailure::passing(cause))
        };
        let sent = timeout(self.limit, sending).await.unwrap_or_else(no_answer);
        sent.map_err(|failure| OtlpFailure { cause: format!("{}: {}", self.host, failure.cause), ..failure })
    }
}
