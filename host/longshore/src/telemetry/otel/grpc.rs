//! OTLP over gRPC. Exports are encoded already, so that their bytes are passed on as they are.

use std::error::Error;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes};
use http::uri::PathAndQuery;
use prost::Message;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::MetadataMap;
use tonic::transport::{ClientTlsConfig, Endpoint as ChannelEndpoint};
use tonic::{Code, Extensions, Request, Status};

use super::answer::{OtlpFailure, OtlpTaken, shortened, taken};
use super::asked::Signal;
use super::checked::CheckedChannel;
use super::encoded::EncodedExport;
use super::endpoint::OtlpEndpoint;

/// A connection to a receiver, made when the first export goes out.
#[derive(Debug)]
pub(super) struct OtlpGrpc {
    channel: CheckedChannel,
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
        let channel = channel.user_agent(user_agent).map_err(|error| innermost(&error))?;
        let channel = CheckedChannel(channel.connect_lazy());
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
    pub(super) async fn send(&self, export: EncodedExport) -> Result<OtlpTaken, OtlpFailure> {
        let mut client = Grpc::new(self.channel.clone());
        client.ready().await.map_err(|error| OtlpFailure::passing(innermost(&error)))?;
        let request = Request::from_parts(self.metadata.clone(), Extensions::new(), export);
        let answer = client.unary(request, self.method.clone(), EncodedMessages).await;
        taken(answer.map_err(|status| failure(&status))?.into_inner())
    }
}

/// What a status other than OK means
/// ([Failures](https://opentelemetry.io/docs/specs/otlp/#failures)).
fn failure(status: &Status) -> OtlpFailure {
    let pause = retry_delay(status.details());
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
        Code::ResourceExhausted => pause.is_none(),
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
    OtlpFailure { cause, is_final, pause }
}

/// What stands beside a status: `google.rpc.Status`, as far as it is looked at
/// ([status.proto](https://github.com/googleapis/googleapis/blob/master/google/rpc/status.proto)).
#[derive(Clone, PartialEq, prost::Message)]
struct StatusDetails {
    #[prost(message, repeated, tag = "3")]
    details: Vec<StatusDetail>,
}

/// One detail, `google.protobuf.Any`: a message of any type.
#[derive(Clone, PartialEq, prost::Message)]
struct StatusDetail {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
}

/// `google.rpc.RetryInfo`: when to come back.
#[derive(Clone, PartialEq, prost::Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<RetryDelay>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, PartialEq, prost::Message)]
struct RetryDelay {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

/// How long a receiver wants to be left alone, if it says so. An hour is the most that is believed.
fn retry_delay(details: &[u8]) -> Option<Duration> {
    let StatusDetails { details } = StatusDetails::decode(details).ok()?;
    let info = details.into_iter().find(|it| it.type_url.ends_with("/google.rpc.RetryInfo"))?;
    let RetryDelay { seconds, nanos } = RetryInfo::decode(info.value).ok()?.retry_delay?;
    let seconds = u64::try_from(seconds).ok()?.min(60 * 60);
    Some(Duration::from_secs(seconds) + Duration::from_nanos(u64::try_from(nanos).ok()?))
}

/// The words of the error that no other error stands behind: *connection refused*, or what is wrong
/// with a certificate.
fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    // A certificate has words of the receiver in it.
    shortened(&inner.to_string())
}

/// Messages that are encoded, and stay so.
#[derive(Debug)]
struct EncodedMessages;

impl Codec for EncodedMessages {
    type Encode = EncodedExport;
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

impl Encoder for EncodedMessages {
    type Item = EncodedExport;
    type Error = Status;

    fn encode(&mut self, export: EncodedExport, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        let EncodedExport { head, rest } = export;
        buffer.reserve(head.len() + rest.len());
        buffer.put(head);
        buffer.put(rest);
        Ok(())
    }
}

impl Decoder for EncodedMessages {
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
        let full = |details: Bytes| failure(&Status::with_details(Code::ResourceExhausted, "full", details));
        assert!(full(Bytes::from_static(b"x")).is_final);
        let busy = full(retry_info(1, 500_000_000));
        assert_eq!((busy.is_final, busy.pause), (false, Some(Duration::from_millis(1500))));
    }

    fn retry_info(seconds: i64, nanos: i32) -> Bytes {
        let retry_delay = Some(RetryDelay { seconds, nanos });
        let value = RetryInfo { retry_delay }.encode_to_vec().into();
        let detail = StatusDetail { type_url: "type.googleapis.com/google.rpc.RetryInfo".into(), value };
        StatusDetails { details: vec![StatusDetail::default(), detail] }.encode_to_vec().into()
    }

    #[test]
    fn no_pause_that_a_receiver_names_is_negative_or_longer_than_an_hour() {
        for (seconds, nanos, pause) in [
            (0, 0, Some(Duration::ZERO)),
            (i64::MAX, 0, Some(Duration::from_secs(3600))),
            (-1, 0, None),
            (1, -1, None),
        ] {
            assert_eq!(retry_delay(&retry_info(seconds, nanos)), pause, "{seconds} {nanos}");
        }
        assert_eq!(retry_delay(b""), None);
    }
}
