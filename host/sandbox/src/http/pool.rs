//! Connections that are kept between requests, of all guests of one sandbox.
//!
//! A connection is kept for one place: a scheme, host and port, and what the host adds to requests
//! there. So none that was opened under one grant serves another. Its address was checked when it
//! was opened, and it is not kept for ever: a name may come to mean another address.

use std::collections::HashMap;
use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};
use wasmtime_wasi_http::Error;
use wasmtime_wasi_http::io::TokioIo;

use crate::http::connect::Opened;
use crate::http::origin::Origin;

/// What the headers of a response may take, in bytes.
const MAX_RESPONSE_HEADERS: usize = 64 << 10;

/// How long a connection is kept that nobody uses.
const MAX_IDLE: Duration = Duration::from_secs(15);

/// How long a connection may be used. Then its host is looked up again.
const MAX_LIFE: Duration = Duration::from_secs(10 * 60);

/// How often, and for how long, a server of HTTP/2 is asked whether it is still there. Else all
/// requests would wait for one that is not.
const ASK_ALIVE: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(5));

/// How many connections that nobody uses are kept for one place.
const MAX_KEPT: usize = 64;

/// How long a connection that is just being given back is awaited. To open one takes as long.
const GIVING_BACK: Duration = Duration::from_millis(2);

/// The body of a request, however it comes about.
pub(super) type RequestBody = UnsyncBoxBody<Bytes, Error>;

/// For whom a connection is kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) origin: Origin,
    /// Which of the grants adds something to requests there.
    pub(super) signer: Option<usize>,
}

/// The connections of one sandbox. The places are those that were granted, so that they are few.
#[derive(Debug, Default)]
pub(crate) struct Pool(Mutex<HashMap<Place, Arc<Connections>>>);

impl Pool {
    /// A connection that is kept for a place, or one that `open` opens.
    pub(super) async fn get(
        &self,
        place: &Place,
        open: impl Future<Output = Result<Opened, Error>>,
    ) -> Result<Connection, Error> {
        let connections = Arc::clone(lock(&self.0).entry(place.clone()).or_default());
        if let Some(kept) = connections.kept_soon().await {
            return Ok(kept);
        }
        connections.open(open).await
    }

    /// A connection that `open` opens, whatever is kept.
    pub(super) async fn get_new(
        &self,
        place: &Place,
        open: impl Future<Output = Result<Opened, Error>>,
    ) -> Result<Connection, Error> {
        let connections = Arc::clone(lock(&self.0).entry(place.clone()).or_default());
        connections.open(open).await
    }
}

/// Those of one place.
#[derive(Default)]
struct Connections {
    state: Mutex<State>,
    /// Something changed that somebody may wait for.
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// With HTTP/1.1, one for each request at a time; the last used is the last.
    idle: Vec<Idle>,
    /// With HTTP/2, one for all requests.
    shared: Option<Shared>,
    /// How many are open, in use or not.
    open: usize,
    /// The first one is being opened: nobody knows yet whether one is enough.
    first: bool,
    /// Somebody looks after those that nobody uses.
    swept: bool,
}

struct Idle {
    sender: http1::SendRequest<RequestBody>,
    opened: Instant,
    used: Instant,
}

struct Shared {
    sender: http2::SendRequest<RequestBody>,
    opened: Instant,
    used: Instant,
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = lock(&self.state);
        f.debug_struct("Connections").field("open", &state.open).field("idle", &state.idle.len()).finish()
    }
}

impl Connections {
    /// One that is kept, or is given back within a moment.
    async fn kept_soon(self: &Arc<Self>) -> Option<Connection> {
        let waiting = async {
            loop {
                let mut changed = pin!(self.changed.notified());
                changed.as_mut().enable();
                if let Some(kept) = self.kept() {
                    return Some(kept);
                }
                let State { open, first, .. } = *lock(&self.state);
                match (first, open) {
                    // Whoever opens it says so, in time.
                    (true, _) => changed.await,
                    (false, 0) => return None,
                    (false, _) => timeout(GIVING_BACK, changed).await.ok()?,
                }
            }
        };
        waiting.await
    }

    fn kept(self: &Arc<Self>) -> Option<Connection> {
        let mut state = lock(&self.state);
        let now = Instant::now();
        let fresh = |opened, used| now - used < MAX_IDLE && now - opened < MAX_LIFE;
        if let Some(Shared { sender, opened, used }) = &mut state.shared {
            if sender.is_ready() && fresh(*opened, *used) {
                *used = now;
                return Some(self.connection(Sender::Http2(sender.clone()), *opened, true));
            }
            state.shared = None;
        }
        while let Some(Idle { sender, opened, used }) = state.idle.pop() {
            if sender.is_ready() && fresh(opened, used) {
                return Some(self.connection(Sender::Http1(sender), opened, true));
            }
        }
        None
    }

    fn connection(self: &Arc<Self>, sender: Sender, opened: Instant, was_kept: bool) -> Connection {
        Connection { sender, opened, was_kept, of: Arc::clone(self) }
    }

    /// Opens one more.
    async fn open(
        self: &Arc<Self>,
        open: impl Future<Output = Result<Opened, Error>>,
    ) -> Result<Connection, Error> {
        let opening = Opening::new(self);
        let Opened { stream, http2 } = open.await?;
        let stream = TokioIo::new(stream);
        let opened = Instant::now();
        let sender = if http2 {
            let (sender, connection) = http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .keep_alive_interval(ASK_ALIVE.0)
                .keep_alive_timeout(ASK_ALIVE.1)
                .max_header_list_size(MAX_RESPONSE_HEADERS as u32)
                .handshake(stream)
                .await?;
            self.drive(connection);
            let mut state = lock(&self.state);
            state.shared = Some(Shared { sender: sender.clone(), opened, used: opened });
            self.swept(&mut state);
            drop(state);
            Sender::Http2(sender)
        } else {
            let (sender, connection) =
                http1::Builder::new().max_buf_size(MAX_RESPONSE_HEADERS).handshake(stream).await?;
            self.drive(connection);
            Sender::Http1(sender)
        };
        drop(opening);
        Ok(self.connection(sender, opened, false))
    }

    /// Reads and writes for as long as the connection is open. It ends with the pool.
    fn drive(self: &Arc<Self>, connection: impl Future<Output = hyper::Result<()>> + Send + 'static) {
        lock(&self.state).open += 1;
        let of = Arc::downgrade(self);
        tokio::spawn(async move {
            // What goes wrong, requests and bodies say.
            let _ = connection.await;
            if let Some(of) = of.upgrade() {
                lock(&of.state).open -= 1;
                of.changed.notify_waiters();
            }
        });
    }

    fn give_back(self: &Arc<Self>, sender: http1::SendRequest<RequestBody>, opened: Instant) {
        let mut state = lock(&self.state);
        if state.idle.len() < MAX_KEPT {
            state.idle.push(Idle { sender, opened, used: Instant::now() });
            self.swept(&mut state);
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Has somebody look after connections that nobody uses.
    fn swept(self: &Arc<Self>, state: &mut State) {
        if !std::mem::replace(&mut state.swept, true) {
            tokio::spawn(sweep(Arc::downgrade(self)));
        }
    }
}

/// Closes connections that nobody has used for long, until there are none.
async fn sweep(of: Weak<Connections>) {
    loop {
        sleep(MAX_IDLE / 2).await;
        let Some(of) = of.upgrade() else { return };
        let mut state = lock(&of.state);
        state.idle.retain(|idle| idle.used.elapsed() < MAX_IDLE && !idle.sender.is_closed());
        // Requests that are on their way have senders of their own.
        state.shared =
            state.shared.take().filter(|it| it.used.elapsed() < MAX_IDLE && !it.sender.is_closed());
        if state.idle.is_empty() && state.shared.is_none() {
            state.swept = false;
            return;
        }
    }
}

/// Says that the first connection is being opened, for as long as this lasts.
struct Opening<'a> {
    of: &'a Connections,
    first: bool,
}

impl<'a> Opening<'a> {
    fn new(of: &'a Connections) -> Self {
        let mut state = lock(&of.state);
        let first = state.open == 0 && !state.first;
        state.first |= first;
        Self { of, first }
    }
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        if self.first {
            lock(&self.of.state).first = false;
            self.of.changed.notify_waiters();
        }
    }
}

enum Sender {
    Http1(http1::SendRequest<RequestBody>),
    Http2(http2::SendRequest<RequestBody>),
}

/// A connection for one request.
pub(super) struct Connection {
    sender: Sender,
    opened: Instant,
    /// It served a request before. Its server may have closed it since.
    pub(super) was_kept: bool,
    of: Arc<Connections>,
}

impl Connection {
    /// Whether a request keeps its scheme and host (HTTP/2), or names its host in a header
    /// (HTTP/1.1).
    pub(super) fn is_http2(&self) -> bool {
        matches!(self.sender, Sender::Http2(_))
    }

    /// Sends a request. The connection is kept for others as soon as the response was read.
    ///
    /// # Errors
    /// With the request, if nothing of it was sent.
    pub(super) async fn send(
        self,
        request: Request<RequestBody>,
    ) -> Result<Response<Incoming>, TrySendError<Request<RequestBody>>> {
        match self.sender {
            Sender::Http2(mut sender) => sender.try_send_request(request).await,
            Sender::Http1(mut sender) => {
                let response = sender.try_send_request(request).await?;
                let (of, opened) = (self.of, self.opened);
                if sender.is_ready() {
                    of.give_back(sender, opened);
                } else {
                    let of = Arc::downgrade(&of);
                    tokio::spawn(async move {
                        if sender.ready().await.is_ok()
                            && let Some(of) = of.upgrade()
                        {
                            of.give_back(sender, opened);
                        }
                    });
                }
                Ok(response)
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What it guards is valid after every statement.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
