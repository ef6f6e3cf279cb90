//! OTLP over gRPC. Exports are encoded already, so that their bytes are passed on as they are.

use std::error::Error;

use bytes::{Buf, BufMut, Bytes};
use http::uri::PathAndQuery;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint as ChannelEndpoint};
use tonic::{Code, Extensions, Request, Status};

use super::answer::{OtlpFailure, OtlpTaken, shortened, taken};
use super::asked::Signal;
use super::endpoint::OtlpEndpoint;

/// A connection to a receiver, made when the first export goes out.
#[derive(Debug)]
pub(super) struct OtlpGrpc {
    channel: Channel,
    metadata: MetadataMap,
    method: PathAndQuery,
}

impl OtlpGrpc {
    /// Must be called on the runtime.
    ///
    /// # Errors
    /// TLS cannot be set up: the cause in words.
    pub(super) fn new(signal: Signal, endpoint: &OtlpEndpoint) -> Result<Self, String> {
        let url = &endpoint.url;
        // gRPC has paths of its own.
        let origin = url.origin().ascii_serialization();
        let mut channel = ChannelEndpoint::from_shared(origin).map_err(|error| innermost(&error))?;
        if url.scheme() == "https" {
            let tls = ClientTlsConfig::new().with_enabled_roots();
            channel = channel.tls_config(tls).map_err(|error| innermost(&error))?;
        }
        let user_agent = concat!("longshore/", env!("CARGO_PKG_VERSION"));
        let channel = channel.user_agent(user_agent).map_err(|error| innermost(&error))?.connect_lazy();
        let method = PathAndQuery::from_static(match signal {
            Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        });
        Ok(Self { channel, metadata: MetadataMap::from_headers(endpoint.headers.clone()), method })
    }

    /// Sends one export.
    ///
    /// # Errors
    /// It was not taken: the cause in words.
    pub(super) async fn send(&self, message: Bytes) -> Result<OtlpTaken, OtlpFailure> {
        let mut client = Grpc::new(self.channel.clone());
        client.ready().await.map_err(|error| OtlpFailure { cause: innermost(&error), is_final: false })?;
        let request = Request::from_parts(self.metadata.clone(), Extensions::new(), message);
        let answer = client.unary(request, self.method.clone(), EncodedMessage).await;
        taken(answer.map_err(|status| failure(&status))?.into_inner())
    }
}

/// What a status other than OK means
/// ([Failures](https://opentelemetry.io/docs/specs/otlp/#failures)).
fn failure(status: &Status) -> OtlpFailure {
    let is_final = match status.code() {
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss => false,
        // What fails below gRPC has this code, and an error behind it.
        Code::Unknown => status.source().is_none(),
        // A receiver that is busy says when to come back. One that finds an export too large says
        // nothing.
        Code::ResourceExhausted => status.details().is_empty(),
        _ => true,
    };
    let words = shortened(status.message());
    let colon = if words.is_empty() { "" } else { ": " };
    let mend = match status.code() {
        Code::Unauthenticated | Code::PermissionDenied => "; look at OTEL_EXPORTER_OTLP_HEADERS",
        _ => "",
    };
    let answered = || format!("it answered {:?}{colon}{words}{mend}", status.code());
    let cause = status.source().map_or_else(answered, innermost);
    OtlpFailure { cause, is_final }
}

/// The words of the error that no other error stands behind: *connection refused*, or what is wrong
/// with a certificate.
fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}

/// Messages that are encoded, and stay so.
#[derive(Debug)]
struct EncodedMessage;

impl Codec for EncodedMessage {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for EncodedMessage {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(message);
        Ok(())
    }
}

impl Decoder for EncodedMessage {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_will_be_refused_again_is_told_from_what_may_be_taken_later() {
        for (code, is_final) in [
            (Code::Unavailable, false),
            (Code::DeadlineExceeded, false),
            (Code::ResourceExhausted, true),
            (Code::PermissionDenied, true),
            (Code::Unimplemented, true),
            (Code::InvalidArgument, true),
        ] {
            let failure = failure(&Status::new(code, "no"));
            assert_eq!((failure.is_final, failure.cause.contains("no")), (is_final, true), "{code:?}");
        }
        let busy = Status::with_details(Code::ResourceExhausted, "later", Bytes::from_static(b"x"));
        assert!(!failure(&busy).is_final);
    }
}
