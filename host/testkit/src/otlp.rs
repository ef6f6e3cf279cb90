//! A receiver of OTLP, over gRPC and HTTP, on the published protobuf types: it keeps what it was
//! sent, and can be as bad a receiver as there are ([OTLP
//! specification](https://opentelemetry.io/docs/specs/otlp/)).

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::HeaderValue;
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{Metric, metric, number_data_point};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use serde_json::Value;

use crate::semconv::{Attributes, faults_of_metric, faults_of_span};

/// The status `UNAVAILABLE` of gRPC.
const UNAVAILABLE: u32 = 14;
/// The status `PERMISSION_DENIED` of gRPC.
const PERMISSION_DENIED: u32 = 7;

/// How the receiver behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiverMood {
    /// It takes what it is sent.
    Takes,
    /// It takes the connection, and never answers.
    Hangs,
    /// It is not to be had for now: 503, or `UNAVAILABLE`.
    Refuses,
    /// The same for so long after it was first asked. It names these seconds as the pause that it
    /// wants, if any.
    Busy(Duration, Option<u8>),
    /// It takes what it is sent, after a while.
    Slow(Duration),
    /// It takes what it is sent but for this many, and says so.
    Rejects(i64),
    /// It is not allowed: 403, or `PERMISSION_DENIED`.
    Denies,
    /// It is not to be had for now, with details over gRPC that are no base64: among the headers,
    /// or behind an answer.
    Garbles { behind: bool },
    /// It is no receiver: it shows a page with so many spaces, whatever it is sent.
    Page(usize),
    /// It takes what it is sent without a look at it: what is measured beside it is the sender.
    Swallows,
}

/// What a receiver says of what it rejected.
pub const REJECTION: &str = "these are too old";

/// A span, and what made it.
#[derive(Clone, Debug)]
pub struct SeenSpan {
    pub span: Span,
    pub resource: Arc<Attributes>,
}

impl SeenSpan {
    /// An attribute, or null.
    pub fn attribute(&self, name: &str) -> Value {
        attributes(&self.span.attributes).get(name).cloned().unwrap_or_default()
    }

    /// All attributes.
    pub fn attributes(&self) -> Attributes {
        attributes(&self.span.attributes)
    }

    /// The trace as 32 hexadecimal digits.
    pub fn trace_id(&self) -> String {
        hex(&self.span.trace_id)
    }

    /// The span as 16 hexadecimal digits.
    pub fn span_id(&self) -> String {
        hex(&self.span.span_id)
    }

    /// The parent as 16 hexadecimal digits, or nothing.
    pub fn parent_id(&self) -> String {
        hex(&self.span.parent_span_id)
    }

    /// The spans that it is linked with.
    pub fn links(&self) -> Vec<String> {
        self.span.links.iter().map(|it| hex(&it.span_id)).collect()
    }
}

/// One value of a metric: the number, or for a histogram how many there were.
#[derive(Clone, Debug, PartialEq)]
pub struct SeenPoint {
    pub attributes: Attributes,
    pub value: f64,
    /// The upper bounds of a histogram's buckets.
    pub bounds: Vec<f64>,
}

#[derive(Default)]
struct State {
    mood: Option<ReceiverMood>,
    first_asked: Option<Instant>,
    spans: Vec<SeenSpan>,
    /// The newest of each name.
    metrics: BTreeMap<String, Metric>,
    requests: Vec<(String, HeaderMap)>,
    /// All that arrived, as it arrived.
    raw: Vec<Bytes>,
}

/// The receiver, on a thread that ends with the tests.
#[derive(Clone)]
pub struct OtlpReceiver {
    pub port: u16,
    state: Arc<Mutex<State>>,
}

impl OtlpReceiver {
    pub fn start(mood: ReceiverMood) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State { mood: Some(mood), ..State::default() }));
        let serving = Arc::clone(&state);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                while let Ok((stream, _)) = listener.accept().await {
                    let state = Arc::clone(&serving);
                    tokio::spawn(async move {
                        let answer = service_fn(|request| answer(request, Arc::clone(&state)));
                        let builder = Builder::new(TokioExecutor::new());
                        let _ = builder.serve_connection(TokioIo::new(stream), answer).await;
                    });
                }
            });
        });
        Self { port, state }
    }

    /// Where it listens, for both protocols.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// How it behaves from now on.
    pub fn turn(&self, mood: ReceiverMood) {
        self.state.lock().unwrap().mood = Some(mood);
    }

    /// The spans that it took so far.
    pub fn spans(&self) -> Vec<SeenSpan> {
        self.state.lock().unwrap().spans.clone()
    }

    /// Those of this name.
    pub fn spans_named(&self, name: &str) -> Vec<SeenSpan> {
        self.spans().into_iter().filter(|it| it.span.name == name).collect()
    }

    /// The only one of this name.
    #[track_caller]
    pub fn span(&self, name: &str) -> SeenSpan {
        let mut found = self.spans_named(name);
        assert_eq!(found.len(), 1, "{name}: {found:?}");
        found.remove(0)
    }

    /// The names of the metrics that it took so far, each with its unit.
    pub fn metrics(&self) -> BTreeMap<String, String> {
        let state = self.state.lock().unwrap();
        state.metrics.iter().map(|(name, metric)| (name.clone(), metric.unit.clone())).collect()
    }

    /// What is wrong with the spans and metrics that it took, by the conventions' own model.
    pub fn faults(&self) -> Vec<String> {
        let spans = self.spans();
        let of_span = |it: &SeenSpan| {
            faults_of_span(&it.span, &it.attributes())
                .into_iter()
                .map(|fault| format!("{}: {fault}", it.span.name))
                .collect::<Vec<_>>()
        };
        let mut faults: Vec<_> = spans.iter().flat_map(of_span).collect();
        let state = self.state.lock().unwrap();
        for (name, found) in &state.metrics {
            let attributes: Vec<_> = points(found).into_iter().map(|it| it.attributes).collect();
            faults
                .extend(faults_of_metric(found, &attributes).iter().map(|fault| format!("{name}: {fault}")));
        }
        faults
    }

    /// The newest values of a metric.
    pub fn points(&self, name: &str) -> Vec<SeenPoint> {
        let state = self.state.lock().unwrap();
        state.metrics.get(name).map(points).unwrap_or_default()
    }

    /// The paths that it was asked for, with their headers, whatever became of them.
    pub fn requests(&self) -> Vec<(String, HeaderMap)> {
        self.state.lock().unwrap().requests.clone()
    }

    /// Whether these bytes arrived anywhere.
    pub fn has_seen(&self, bytes: &[u8]) -> bool {
        let state = self.state.lock().unwrap();
        state.raw.iter().any(|it| it.windows(bytes.len()).any(|window| window == bytes))
    }
}

type OtlpAnswer = Response<BoxBody<Bytes, std::convert::Infallible>>;

async fn answer(
    request: Request<Incoming>,
    state: Arc<Mutex<State>>,
) -> Result<OtlpAnswer, Box<dyn std::error::Error + Send + Sync>> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let path = parts.uri.path().to_owned();
    let is_grpc = parts.headers.get("content-type").is_some_and(|it| it == "application/grpc");
    let (mood, since_first) = {
        let mut state = state.lock().unwrap();
        state.requests.push((path.clone(), parts.headers));
        let first = *state.first_asked.get_or_insert_with(Instant::now);
        (state.mood.unwrap_or(ReceiverMood::Takes), first.elapsed())
    };
    match mood {
        ReceiverMood::Busy(time, pause) if since_first < time => return Ok(busy(is_grpc, pause)),
        ReceiverMood::Takes | ReceiverMood::Rejects(_) | ReceiverMood::Busy(..) => {}
        ReceiverMood::Hangs => std::future::pending::<()>().await,
        ReceiverMood::Slow(pause) => tokio::time::sleep(pause).await,
        ReceiverMood::Refuses => return Ok(refusal(is_grpc, 503, UNAVAILABLE)),
        ReceiverMood::Denies => return Ok(refusal(is_grpc, 403, PERMISSION_DENIED)),
        ReceiverMood::Garbles { behind } => return Ok(garbled(is_grpc, behind)),
        ReceiverMood::Page(length) => {
            let page = format!("<!doctype html><p>Welcome{}", " ".repeat(length));
            return Ok(plain(200, "text/html", page.into()));
        }
        ReceiverMood::Swallows => return Ok(reply(is_grpc, Vec::new())),
    }
    // A message of gRPC is behind a flag and its length.
    let message = if is_grpc { body.slice(5..) } else { body };
    let mut state = state.lock().unwrap();
    state.raw.push(message.clone());
    if path.contains("race") {
        take_spans(&mut state, &message)?;
    } else {
        take_metrics(&mut state, &message)?;
    }
    let answer = match mood {
        ReceiverMood::Rejects(rejected_spans) => {
            ExportTracePartialSuccess { rejected_spans, error_message: REJECTION.into() }
        }
        _ => ExportTracePartialSuccess::default(),
    };
    // The answers for traces and for metrics differ in names only.
    Ok(reply(is_grpc, ExportTraceServiceResponse { partial_success: Some(answer) }.encode_to_vec()))
}

fn take_spans(state: &mut State, message: &Bytes) -> Result<(), prost::DecodeError> {
    for of_resource in ExportTraceServiceRequest::decode(message.clone())?.resource_spans {
        let resource = of_resource.resource.map(|it| attributes(&it.attributes)).unwrap_or_default();
        let resource = Arc::new(resource);
        let spans = of_resource.scope_spans.into_iter().flat_map(|it| it.spans);
        state.spans.extend(spans.map(|span| SeenSpan { span, resource: Arc::clone(&resource) }));
    }
    Ok(())
}

fn take_metrics(state: &mut State, message: &Bytes) -> Result<(), prost::DecodeError> {
    for of_resource in ExportMetricsServiceRequest::decode(message.clone())?.resource_metrics {
        let metrics = of_resource.scope_metrics.into_iter().flat_map(|it| it.metrics);
        state.metrics.extend(metrics.map(|metric| (metric.name.clone(), metric)));
    }
    Ok(())
}

fn points(found: &Metric) -> Vec<SeenPoint> {
    let numbers = |points: &[opentelemetry_proto::tonic::metrics::v1::NumberDataPoint]| {
        let point = |it: &opentelemetry_proto::tonic::metrics::v1::NumberDataPoint| {
            let value = match it.value {
                Some(number_data_point::Value::AsDouble(value)) => value,
                Some(number_data_point::Value::AsInt(value)) => value as f64,
                None => f64::NAN,
            };
            SeenPoint { attributes: attributes(&it.attributes), value, bounds: Vec::new() }
        };
        points.iter().map(point).collect::<Vec<_>>()
    };
    match &found.data {
        Some(metric::Data::Gauge(gauge)) => numbers(&gauge.data_points),
        Some(metric::Data::Sum(sum)) => numbers(&sum.data_points),
        Some(metric::Data::Histogram(histogram)) => {
            let point = |it: &opentelemetry_proto::tonic::metrics::v1::HistogramDataPoint| SeenPoint {
                attributes: attributes(&it.attributes),
                value: it.count as f64,
                bounds: it.explicit_bounds.clone(),
            };
            histogram.data_points.iter().map(point).collect()
        }
        _ => Vec::new(),
    }
}

fn plain(status: u16, kind: &str, body: Bytes) -> OtlpAnswer {
    let answer = Response::builder().status(status).header("content-type", kind);
    answer.body(Full::from(body).boxed()).unwrap()
}

fn grpc(reply: Vec<u8>) -> OtlpAnswer {
    let mut framed = BytesMut::new();
    framed.put_u8(0);
    framed.put_u32(u32::try_from(reply.len()).unwrap());
    framed.put_slice(&reply);
    let trailers = async { Some(Ok(HeaderMap::from_iter([("grpc-status".parse().unwrap(), 0.into())]))) };
    let body = Full::from(framed.freeze()).with_trailers(trailers).boxed();
    Response::builder().header("content-type", "application/grpc").body(body).unwrap()
}

fn reply(is_grpc: bool, reply: Vec<u8>) -> OtlpAnswer {
    if is_grpc { grpc(reply) } else { plain(200, "application/x-protobuf", reply.into()) }
}

fn refusal(is_grpc: bool, http: u16, grpc: u32) -> OtlpAnswer {
    let mut answer = plain(if is_grpc { 200 } else { http }, "application/grpc", Bytes::new());
    if is_grpc {
        answer.headers_mut().insert("grpc-status", grpc.into());
    }
    answer
}

/// A refusal whose details are none.
fn garbled(is_grpc: bool, behind: bool) -> OtlpAnswer {
    let mut answer = refusal(is_grpc, 503, UNAVAILABLE);
    answer.headers_mut().insert("grpc-status-details-bin", HeaderValue::from_static("!!!!"));
    if !behind {
        return answer;
    }
    let (head, _) = answer.into_parts();
    let (headers, trailers) = (head.headers.clone(), async move { Some(Ok(head.headers)) });
    let mut answer = Response::new(Full::default().with_trailers(trailers).boxed());
    answer.headers_mut().insert("content-type", headers["content-type"].clone());
    answer
}

/// A refusal that may pass, with the pause that is wanted: as a header, or as `RetryInfo` among the
/// details of the status
/// ([error_details.proto](https://github.com/googleapis/googleapis/blob/master/google/rpc/error_details.proto)).
fn busy(is_grpc: bool, pause: Option<u8>) -> OtlpAnswer {
    let mut answer = refusal(is_grpc, 503, UNAVAILABLE);
    let Some(seconds) = pause.filter(|it| *it < 0x80) else { return answer };
    if is_grpc {
        // Messages within messages: RetryInfo, Any, Status.
        let within = |tag: u8, inner: &[u8]| [&[tag << 3 | 2, inner.len() as u8], inner].concat();
        let info = within(1, &[1 << 3, seconds]);
        let any = [within(1, b"type.googleapis.com/google.rpc.RetryInfo"), within(2, &info)].concat();
        let details = STANDARD_NO_PAD.encode(within(3, &any));
        answer.headers_mut().insert("grpc-status-details-bin", details.parse().unwrap());
    } else {
        answer.headers_mut().insert("retry-after", u16::from(seconds).into());
    }
    answer
}

fn attributes(pairs: &[KeyValue]) -> Attributes {
    let value = |it: &Option<AnyValue>| match it.as_ref().and_then(|it| it.value.as_ref()) {
        Some(any_value::Value::StringValue(text)) => text.clone().into(),
        Some(any_value::Value::IntValue(number)) => (*number).into(),
        Some(any_value::Value::DoubleValue(number)) => (*number).into(),
        Some(any_value::Value::BoolValue(is)) => (*is).into(),
        other => format!("{other:?}").into(),
    };
    pairs.iter().map(|pair| (pair.key.clone(), value(&pair.value))).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
