//! Outbound `wasi:http`: requests to the hosts that were granted, and to no other place.
//!
//! Whether a request may be sent is decided here. [`connect`] decides which addresses its host may
//! have. No proxy variables are read. No redirect is followed: the guest sees it, and its next
//! request is checked like any other. No connection outlives its request.

pub(crate) mod address;
pub(crate) mod body;
pub(crate) mod connect;
pub(crate) mod cost;
pub(crate) mod gather;
pub(crate) mod origin;

use std::sync::Arc;

use http::{HeaderValue, Method, Request, Response};
use http_body_util::BodyExt;
use wasmtime::component::ResourceTable;
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks};

use crate::account::Account;
use crate::guest_log::GuestLog;
use crate::http::body::{Budget, Counted, Timed};
use crate::http::connect::Task;
use crate::http::origin::Origin;
use crate::policy::Policy;

/// What the headers of one request or response may take of the host's memory, in bytes. A guest can
/// hold hundreds.
const MAX_HEADERS: usize = 16 << 10;

/// How much of a host's name is logged, in bytes: the longest name that DNS allows (RFC 1035).
const LONGEST_HOST: usize = 253;

/// One guest's way out.
pub(crate) struct GuestHttp {
    context: WasiHttpCtx,
    hooks: Hooks,
}

impl GuestHttp {
    pub(crate) fn new(log: &Arc<GuestLog>, policy: &Arc<Policy>, account: &Arc<Account>) -> Self {
        let mut context = WasiHttpCtx::new();
        context.set_field_size_limit(MAX_HEADERS);
        let (log, policy, account) = (Arc::clone(log), Arc::clone(policy), Arc::clone(account));
        Self { context, hooks: Hooks { log, policy, account, budget: None } }
    }

    pub(crate) fn view<'a>(&'a mut self, table: &'a mut ResourceTable) -> WasiHttpCtxView<'a> {
        WasiHttpCtxView { hooks: &mut self.hooks, table, ctx: &mut self.context }
    }

    /// The limit that the guest ran into, in words, if it did.
    pub(crate) fn exceeded(&self) -> Option<String> {
        self.hooks.budget.as_ref()?.exceeded(&self.hooks.policy.limits)
    }
}

struct Hooks {
    log: Arc<GuestLog>,
    policy: Arc<Policy>,
    account: Arc<Account>,
    /// Made for the first request: most handlers send none.
    budget: Option<Arc<Budget>>,
}

impl Hooks {
    /// Whether a request may be sent at all: where to, and on which budget.
    fn admit(&mut self, request: &Request<WasiBody>) -> Result<(Origin, Arc<Budget>), Error> {
        let budget = self.budget.get_or_insert_with(|| Arc::new(Budget::new(&self.policy.limits)));
        // Refused requests count, so that no guest can flood the log with them.
        if !budget.take_call() {
            return Err(Error::ConnectionLimitReached);
        }
        if *request.method() == Method::CONNECT {
            return Err(Error::HttpRequestMethodInvalid);
        }
        let origin = Origin::of(request.uri()).ok_or(Error::HttpRequestUriInvalid)?;
        if !self.policy.grants.http.contains(&origin) {
            let host = origin.host();
            let host = &host[..host.floor_char_boundary(LONGEST_HOST)];
            self.log.refused(host, &format!("not granted; --allow-http {origin} would grant it"));
            return Err(Error::HttpRequestDenied);
        }
        Ok((origin, Arc::clone(budget)))
    }
}

/// The response with fields of its own. As they arrive, each of them keeps the whole buffer that it
/// was read into.
fn owned<B>(mut response: Response<B>) -> Response<B> {
    for value in response.headers_mut().values_mut() {
        // What was a value is one.
        if let Ok(copy) = HeaderValue::from_bytes(value.as_bytes()) {
            *value = copy;
        }
    }
    response
}

impl WasiHttpHooks for Hooks {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _processed: Task<()>,
    ) -> Task<(Response<WasiBody>, Task<()>)> {
        let admitted = self.admit(&request);
        // From here on the request is a call, which costs the same whatever is in it.
        let asked = cost::request(&request);
        let held = self.account.hold(cost::CALL.saturating_add(asked));
        self.account.give_back(asked);
        let (policy, log) = (Arc::clone(&self.policy), Arc::clone(&self.log));
        let account = Arc::clone(&self.account);
        Box::new(async move {
            let (origin, budget) = admitted?;
            let mut held = held.ok_or(Error::ConnectionLimitReached)?;
            let request = request.map(|body| Counted { body, budget: Arc::clone(&budget), sent: true });
            let connection = async {
                let options = options.unwrap_or_default();
                connect::open(&origin, &policy.grants.private, &policy.tls, options).await.inspect_err(
                    |error| {
                        if matches!(error, Error::DestinationIpProhibited) {
                            log.refused(
                                origin.host(),
                                "its addresses are not public; --allow-private CIDR would grant them",
                            );
                        }
                    },
                )
            };
            let (connection, request) = gather::while_opening(connection, request, &mut held).await?;
            let (response, driver) = connect::exchange(connection, &origin, request, options).await?;
            let response = owned(response);
            // The guest may keep them for as long as it lives.
            if !account.take(cost::fields(response.headers())) {
                return Err(Error::HttpResponseHeaderSectionSize(None));
            }
            let counted = |body| {
                let body = Timed::new(body, options, held);
                Counted { body, budget, sent: false }.boxed_unsync()
            };
            Ok((response.map(counted), driver))
        })
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        cost::CHUNK
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
