//! Outbound `wasi:http`: requests to the hosts that were granted, and to no other place.
//!
//! Whether a request may be sent is decided here. [`connect`] decides which addresses its host may
//! have, and [`pool`] keeps connections for the next request. No proxy variables are read. No
//! redirect is followed: the guest sees it, and its next request is checked like any other.

pub(crate) mod address;
pub(crate) mod body;
pub(crate) mod connect;
pub(crate) mod cost;
mod exchange;
pub(crate) mod gather;
pub(crate) mod origin;
pub(crate) mod pool;
pub(crate) mod signed;
mod traced;
mod unwanted;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::BodyExt;
use tokio::time::timeout;
use wasmtime::component::ResourceTable;
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks};

use crate::account::Account;
use crate::guest_log::GuestLog;
use crate::http::body::{Budget, Counted, Timed};
use crate::http::connect::Opened;
use crate::http::exchange::exchange;
use crate::http::gather::Gathered;
use crate::http::origin::Origin;
use crate::http::pool::{Answered, Connection, Place};
use crate::http::signed::{Decision, HeldUp, Unechoed, echoed};
use crate::http::unwanted::Unwanted;
use crate::policy::Policy;
use longshore_handler::trace_context::TraceContext;

/// What the engine waits for: a request, or what reads its response from the network.
type Task<T> = Box<dyn Future<Output = Result<T, Error>> + Send>;

/// How long a look-up, a connection and its TLS handshake may take together, unless the guest says
/// less.
const MAX_CONNECT: Duration = Duration::from_secs(10);

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
        let hooks = Hooks { log, policy, account, budget: None, held_up: Arc::default(), trace: None };
        Self { context, hooks }
    }

    /// Has the guest's requests continue a trace.
    pub(crate) fn continues(&mut self, trace: Option<TraceContext>) {
        self.hooks.trace = trace;
    }

    pub(crate) fn view<'a>(&'a mut self, table: &'a mut ResourceTable) -> WasiHttpCtxView<'a> {
        WasiHttpCtxView { hooks: &mut self.hooks, table, ctx: &mut self.context }
    }

    /// Why the host had no token for a request of the guest's, if it had none.
    pub(crate) fn without_token(&self) -> Option<String> {
        self.hooks.policy.signers.was_held_up(&self.hooks.held_up)
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
    held_up: Arc<HeldUp>,
    /// The trace that requests belong to.
    trace: Option<TraceContext>,
}

impl Hooks {
    /// Whether a request may be sent at all: where to, and on which budget.
    fn admit(&mut self, request: &Parts) -> Result<(Place, Arc<Budget>), Error> {
        let budget = self.budget.get_or_insert_with(|| Arc::new(Budget::new(&self.policy.limits)));
        // Refused requests count, so that no guest can flood the log with them.
        if !budget.take_call() {
            return Err(Error::ConnectionLimitReached);
        }
        if request.method == Method::CONNECT {
            return Err(Error::HttpRequestMethodInvalid);
        }
        let origin = Origin::of(&request.uri).ok_or(Error::HttpRequestUriInvalid)?;
        let Policy { grants, signers, .. } = &*self.policy;
        let refusal = match signers.decide(&origin, request, |it| grants.http.contains(it)) {
            Decision::Signed(signer) => {
                return Ok((Place { origin, signer: Some(signer) }, Arc::clone(budget)));
            }
            Decision::NoneApplies if grants.http.contains(&origin) => {
                return Ok((Place { origin, signer: None }, Arc::clone(budget)));
            }
            Decision::NoneApplies => format!("not granted; --allow-http {origin} would grant it"),
            Decision::Refused(refusal) => refusal,
        };
        let host = origin.host();
        let host = &host[..host.floor_char_boundary(LONGEST_HOST)];
        self.log.refused(host, &refusal);
        Err(Error::HttpRequestDenied)
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

/// How one request gets to its server.
struct Way {
    place: Place,
    policy: Arc<Policy>,
    log: Arc<GuestLog>,
    held_up: Arc<HeldUp>,
    /// How long a connection may take.
    limit: Duration,
    /// What the guest asked for.
    asked: RequestOptions,
}

impl Way {
    /// Sends a request, with what its grant adds. No answer repeats what was added to any.
    async fn send<B>(
        &self,
        connection: Connection,
        token: Option<String>,
        request: Request<Gathered<B>>,
    ) -> Result<Response<Answered>, Error>
    where
        B: Body<Data = Bytes, Error = Error> + Send + Unpin + 'static,
    {
        let (mut parts, body) = request.into_parts();
        self.policy.signers.prepare(&self.place.origin, &mut parts.headers);
        let request = Request::from_parts(parts, body);
        let response = match self.place.signer {
            Some(signer) => self.send_signed(signer, connection, token, request).await?,
            None => self.exchange(connection, request).await?,
        };
        if self.policy.signers.secrecy().is_in(response.headers()) {
            return Err(echoed());
        }
        if self.policy.signers.hides(&self.place.origin, response.headers()) {
            self.log.refused(
                self.place.origin.host(),
                "its answer is encoded, and nobody can see what it repeats",
            );
            return Err(Error::HttpProtocolError);
        }
        Ok(response)
    }

    async fn send_signed<B>(
        &self,
        signer: usize,
        connection: Connection,
        token: Option<String>,
        request: Request<Gathered<B>>,
    ) -> Result<Response<Answered>, Error>
    where
        B: Body<Data = Bytes, Error = Error> + Send + Unpin + 'static,
    {
        let (mut parts, body) = request.into_parts();
        // A service that refuses a token has done nothing, so that it may be asked with a new one.
        let unsigned = token.as_ref().and_then(|_| Some((parts.clone(), body.whole()?)));
        self.said(self.policy.signers.sign(signer, &mut parts, token.as_deref()))?;
        let again = token.zip(unsigned);
        let response = self.exchange(connection, Request::from_parts(parts, body)).await?;
        if response.status() == StatusCode::UNAUTHORIZED
            && let Some((token, (mut parts, body))) = again
            && self.policy.signers.sign_again(signer, &mut parts, &token).await.is_some()
        {
            drop(response);
            let body = Gathered::<B>::of(body);
            return self.exchange(self.connection().await?, Request::from_parts(parts, body)).await;
        }
        Ok(response)
    }

    /// What the log and the handler are told where there is no token.
    fn said<T>(&self, signed: Result<T, String>) -> Result<T, Error> {
        signed.map_err(|cause| {
            let host = self.place.origin.host();
            tracing::warn!(host, "no token for a handler's request: {cause}");
            // What it says may name the identity, which is no business of a handler's.
            Error::InternalError(Some("the host has no token for this request".into()))
        })
    }

    async fn exchange<B>(
        &self,
        connection: Connection,
        request: Request<Gathered<B>>,
    ) -> Result<Response<Answered>, Error>
    where
        B: Body<Data = Bytes, Error = Error> + Send + Unpin + 'static,
    {
        let again = async || self.new_connection().await;
        exchange(connection, &self.place.origin, request, self.asked, again).await
    }

    /// A connection, once there is what the request is to have: a server may not wait for a token.
    async fn opened(&self) -> Result<(Connection, Option<String>), Error> {
        let token = match self.place.signer {
            Some(signer) => self.said(self.policy.signers.token_for(signer, &self.held_up).await)?,
            None => None,
        };
        Ok((self.connection().await?, token))
    }

    /// One that is kept, or a new one.
    async fn connection(&self) -> Result<Connection, Error> {
        self.within(self.policy.pool.get(&self.place, self.open())).await
    }

    async fn new_connection(&self) -> Result<Connection, Error> {
        self.within(self.policy.pool.get_new(&self.place, self.open())).await
    }

    async fn open(&self) -> Result<Opened, Error> {
        let Self { place: Place { origin, .. }, policy, log, .. } = self;
        let opened = connect::open(origin, &policy.grants.private, &policy.tls).await;
        if matches!(opened, Err(Error::DestinationIpProhibited)) {
            log.refused(origin.host(), "its addresses are not public; --allow-private CIDR would grant them");
        }
        opened
    }

    async fn within(
        &self,
        got: impl Future<Output = Result<Connection, Error>>,
    ) -> Result<Connection, Error> {
        timeout(self.limit, got).await.unwrap_or(Err(Error::ConnectionTimeout))
    }
}

impl WasiHttpHooks for Hooks {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _processed: Task<()>,
    ) -> Task<(Response<WasiBody>, Task<()>)> {
        let (parts, body) = request.into_parts();
        let admitted = self.admit(&parts);
        let request = Request::from_parts(parts, body);
        // From here on the request is a call, which costs the same whatever is in it.
        let asked = cost::request(&request);
        let held = self.account.hold(cost::CALL.saturating_add(asked));
        self.account.give_back(asked);
        let request = match &self.trace {
            Some(trace) => traced::traced(request, trace),
            None => request,
        };
        let (policy, log) = (Arc::clone(&self.policy), Arc::clone(&self.log));
        let (account, held_up) = (Arc::clone(&self.account), Arc::clone(&self.held_up));
        Box::new(async move {
            let request = request.map(Unwanted::once_dropped);
            let (place, budget) = admitted?;
            let mut held = held.ok_or(Error::ConnectionLimitReached)?;
            let out = body::Way::Out { is_signed: place.signer.is_some() };
            let request = request.map(|body| Counted { body, budget: Arc::clone(&budget), way: out });
            let asked = options.unwrap_or_default();
            let limit = asked.connect_timeout.map_or(MAX_CONNECT, |asked| asked.min(MAX_CONNECT));
            let way = Way { place, policy: Arc::clone(&policy), log, held_up, limit, asked };
            let opening = gather::while_opening(way.opened(), request, &mut held);
            let ((connection, token), request) = opening.await?;
            let response = way.send(connection, token, request).await?;
            let response = owned(response);
            // The guest may keep them for as long as it lives.
            if !account.take(cost::fields(response.headers())) {
                return Err(Error::HttpResponseHeaderSectionSize(None));
            }
            let counted = |body| {
                let body = Timed::new(body, options, held);
                let body = Unechoed::new(body, move || policy.signers.secrecy());
                Counted { body, budget, way: body::Way::In }.boxed_unsync()
            };
            // The connection is driven by a task of its own, for those that come after this one.
            let driven: Task<()> = Box::new(async { Ok(()) });
            Ok((response.map(counted), driven))
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
