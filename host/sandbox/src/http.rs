//! Outbound `wasi:http`: requests to the hosts that were granted, and to no other place.
//!
//! Whether a request may be sent is decided here; [`connect`] decides which addresses its host may have. No proxy
//! variables are read, no redirect is followed (the guest sees it, and what it requests next is checked like anything
//! else), and no connection outlives its request.

mod address;
mod body;
mod connect;
mod target;

use std::sync::Arc;

use http::{Method, Request, Response};
use http_body_util::BodyExt;
use wasmtime::component::ResourceTable;
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks};

pub use self::address::{Cidr, CidrError};
use self::body::{Budget, Counted, Timed};
pub(super) use self::connect::Tls;
pub use self::target::{Target, TargetError};
use super::engine::Shared;
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
        self.hooks.budget.as_ref()?.exceeded(&self.hooks.shared.limits)
    }
}

struct Hooks {
    output: Arc<Output>,
    shared: Arc<Shared>,
    /// Made for the first request: most handlers send none.
    budget: Option<Arc<Budget>>,
}

impl Hooks {
    /// Whether a request may be sent at all: where to, and on which budget.
    fn admit(&mut self, request: &Request<WasiBody>) -> Result<(Target, Arc<Budget>), Error> {
        let budget = self.budget.get_or_insert_with(|| Arc::new(Budget::new(&self.shared.limits)));
        // Refused requests count, so that nobody can flood the log with them.
        if !budget.take_call() {
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
            let counted = |body| {
                let body = Timed::new(body, options);
                Counted { body, budget, sent: false }.boxed_unsync()
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
