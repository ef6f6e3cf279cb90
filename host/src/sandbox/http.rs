//! Outbound `wasi:http`: requests to the hosts that were granted, and to no other place.
//!
//! Whether a request may be sent is decided here; [`connect`] decides which addresses its host may have. No proxy
//! variables are read, no redirect is followed (the guest sees it, and what it requests next is checked like anything
//! else), and no connection outlives its request.

mod address;
mod connect;
mod target;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use wasmtime::component::ResourceTable;
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks};

pub use self::address::{Cidr, CidrError};
pub(super) use self::connect::Tls;
pub use self::target::{Target, TargetError};
use super::engine::Shared;
use super::limits::Limits;
use super::output::Output;

/// What the headers of one request or response may take of the host's memory, in bytes. A guest can hold hundreds.
const FIELDS: usize = 16 << 10;

/// What a guest may write into a request's body before the network takes it, in bytes.
const CHUNK: usize = 16 << 10;

/// How much of a host's name is logged.
const LONGEST_HOST: usize = 253;

type Task<T> = Box<dyn Future<Output = Result<T, Error>> + Send>;

/// One guest's way out.
pub(super) struct Http {
    context: WasiHttpCtx,
    hooks: Hooks,
}

impl Http {
    pub(super) fn new(output: &Arc<Output>, shared: &Arc<Shared>) -> Self {
        let mut context = WasiHttpCtx::new();
        context.set_field_size_limit(FIELDS);
        Self {
            context,
            hooks: Hooks { output: Arc::clone(output), shared: Arc::clone(shared), budget: None },
        }
    }

    pub(super) fn view<'a>(&'a mut self, table: &'a mut ResourceTable) -> WasiHttpCtxView<'a> {
        WasiHttpCtxView { hooks: &mut self.hooks, table, ctx: &mut self.context }
    }

    /// The limit that the guest ran into, in words, if it did.
    pub(super) fn exceeded(&self) -> Option<String> {
        let budget = self.hooks.budget.as_ref().filter(|budget| budget.exceeded.load(Ordering::Relaxed))?;
        let Limits { http_calls, http_bytes, .. } = self.hooks.shared.limits;
        Some(match budget.calls.load(Ordering::Relaxed) {
            0 => format!("more than {http_calls} HTTP requests"),
            _ => format!("more than {http_bytes} bytes in HTTP bodies"),
        })
    }
}

struct Hooks {
    output: Arc<Output>,
    shared: Arc<Shared>,
    /// Made for the first request: most handlers send none.
    budget: Option<Arc<Budget>>,
}

/// What one message may still send and receive.
#[derive(Debug)]
struct Budget {
    calls: AtomicUsize,
    bytes: AtomicUsize,
    exceeded: AtomicBool,
}

impl Budget {
    fn take(&self, of: &AtomicUsize, amount: usize) -> bool {
        let left = of.try_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(amount));
        if left.is_err() {
            self.exceeded.store(true, Ordering::Relaxed);
        }
        left.is_ok()
    }
}

impl Hooks {
    /// Whether a request may be sent at all: where to, and on which budget.
    fn admit(&mut self, request: &Request<WasiBody>) -> Result<(Target, Arc<Budget>), Error> {
        let Limits { http_calls, http_bytes, .. } = self.shared.limits;
        let budget = self.budget.get_or_insert_with(|| {
            let (calls, bytes) = (AtomicUsize::new(http_calls), AtomicUsize::new(http_bytes));
            Arc::new(Budget { calls, bytes, exceeded: AtomicBool::new(false) })
        });
        // Refused requests count, so that nobody can flood the log with them.
        if !budget.take(&budget.calls, 1) {
            return Err(Error::ConnectionLimitReached);
        }
        if *request.method() == Method::CONNECT {
            return Err(Error::HttpRequestMethodInvalid);
        }
        let target = Target::of(request.uri()).ok_or(Error::HttpRequestUriInvalid)?;
        if !self.shared.grants.http.contains(&target) {
            let host = target.host();
            let host = &host[..host.floor_char_boundary(LONGEST_HOST)];
            self.output.refused(host, &format!("not granted; --allow-http {target} would grant it"));
            return Err(Error::HttpRequestDenied);
        }
        Ok((target, Arc::clone(budget)))
    }
}

impl WasiHttpHooks for Hooks {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _processed: Task<()>,
    ) -> Task<(Response<WasiBody>, Task<()>)> {
        let admitted = self.admit(&request);
        let (shared, output) = (Arc::clone(&self.shared), Arc::clone(&self.output));
        Box::new(async move {
            let (target, budget) = admitted?;
            let request = request.map(|body| Counted { body, budget: Arc::clone(&budget), sent: true });
            let connection =
                connect::open(&target, &shared.grants.private, &shared.tls, options.unwrap_or_default());
            let connection = connection.await.inspect_err(|error| {
                if matches!(error, Error::DestinationIpProhibited) {
                    output.refused(
                        target.host(),
                        "its addresses are not public; --allow-private CIDR would grant them",
                    );
                }
            })?;
            let (response, driver) = connect::exchange(connection, request, options).await?;
            let counted = |body: hyper::body::Incoming| {
                Counted { body: body.map_err(Error::from).boxed_unsync(), budget, sent: false }.boxed_unsync()
            };
            Ok((response.map(counted), driver))
        })
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        CHUNK
    }

    fn p2_error_from_hyper(&mut self, _: &hyper::Error) -> ErrorCode {
        ErrorCode::HttpProtocolError
    }

    fn p2_error_from_connect(&mut self, _: &std::io::Error) -> ErrorCode {
        ErrorCode::ConnectionRefused
    }

    fn p2_error_from_tls(&mut self, _: &std::io::Error) -> ErrorCode {
        ErrorCode::TlsProtocolError
    }
}

/// A body whose bytes count against the budget.
struct Counted<B> {
    body: B,
    budget: Arc<Budget>,
    /// By the guest, and not to it.
    sent: bool,
}

impl<B: Body<Data = Bytes, Error = Error> + Unpin> Body for Counted<B> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
            && !self.budget.take(&self.budget.bytes, data.len())
        {
            let error =
                if self.sent { Error::HttpRequestBodySize(None) } else { Error::HttpResponseBodySize(None) };
            return Poll::Ready(Some(Err(error)));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
