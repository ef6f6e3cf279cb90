//! Connections that are kept between requests, of all guests of one sandbox.
//!
//! A connection is kept for one place: a scheme, host and port, and what the host adds to requests
//! there. So none that was opened under one grant serves another. Its address was checked when it
//! was opened, and it is not kept for ever: a name may come to mean another address.

mod kept;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout_at};
use wasmtime_wasi_http::Error;

use crate::http::connect::Opened;
use crate::http::origin::Origin;
pub(super) use crate::http::pool::kept::RequestBody;
use crate::http::pool::kept::{Driver, Kept, MAX_IDLE, Sent};

/// How many connections that nobody uses are kept for one place.
const MAX_KEPT: usize = 256;

/// How long a connection is awaited that is about to be given back: there are as many as requests,
/// so that one of them is just being read to its end.
const GIVING_BACK: Duration = Duration::from_millis(50);

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
        let request = InUse::new(self.of(place));
        match request.of.kept_soon().await {
            Some(kept) => Ok(Connection { kept, was_kept: true, request }),
            None => Connections::open(request, open).await,
        }
    }

    /// A connection that `open` opens, whatever is kept.
    pub(super) async fn get_new(
        &self,
        place: &Place,
        open: impl Future<Output = Result<Opened, Error>>,
    ) -> Result<Connection, Error> {
        Connections::open(InUse::new(self.of(place)), open).await
    }

    fn of(&self, place: &Place) -> Arc<Connections> {
        Arc::clone(lock(&self.0).entry(place.clone()).or_default())
    }

    /// How many places anybody has asked for.
    #[cfg(test)]
    pub(crate) fn places(&self) -> usize {
        lock(&self.0).len()
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
    idle: Vec<Kept>,
    /// With HTTP/2, for many requests at a time.
    shared: Vec<Kept>,
    /// How many are open or being opened, whether in use or not.
    open: usize,
    /// How many requests have a connection, or want one.
    requests: usize,
    /// The first one is being opened, and by which attempt: nobody knows yet whether one is enough.
    first: Option<u64>,
    /// How often that was attempted.
    attempts: u64,
    /// Somebody looks after those that nobody uses.
    swept: bool,
}

impl State {
    fn kept(&mut self) -> Option<Kept> {
        self.shared.retain(Kept::is_good);
        if let Some(kept) = self.shared.iter_mut().find_map(Kept::for_one_more) {
            return Some(kept);
        }
        while let Some(kept) = self.idle.pop() {
            if kept.is_good() {
                return Some(kept);
            }
        }
        None
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = lock(&self.state);
        f.debug_struct("Connections").field("open", &state.open).field("idle", &state.idle.len()).finish()
    }
}

impl Connections {
    /// One that is kept, or is given back within a moment.
    async fn kept_soon(&self) -> Option<Kept> {
        let until = Instant::now() + GIVING_BACK;
        let mut awaited = None;
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            let (first, is_enough) = {
                let mut state = lock(&self.state);
                if let Some(kept) = state.kept() {
                    return Some(kept);
                }
                (state.first, state.open >= state.requests)
            };
            // Only one attempt is awaited: where the first has failed, each tries for itself.
            if first.is_some() && *awaited.get_or_insert(first) == first {
                changed.await;
            } else if is_enough {
                timeout_at(until, changed).await.ok()?;
            } else {
                return None;
            }
        }
    }

    /// Opens one more.
    async fn open(
        request: InUse,
        open: impl Future<Output = Result<Opened, Error>>,
    ) -> Result<Connection, Error> {
        let of = Arc::clone(&request.of);
        let opening = Opening::new(&of);
        let counted = Open::new(&of);
        let (mut kept, driver) = Kept::greet(open.await?).await?;
        counted.drive(driver);
        if let Some(taken) = kept.for_one_more() {
            let mut state = lock(&of.state);
            state.shared.push(kept);
            of.swept(&mut state);
            kept = taken;
        }
        drop(opening);
        Ok(Connection { kept, was_kept: false, request })
    }

    fn give_back(self: &Arc<Self>, kept: Kept) {
        let mut state = lock(&self.state);
        if state.idle.len() < MAX_KEPT {
            state.idle.push(kept);
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
        // Requests that are on their way have senders of their own.
        state.idle.retain(Kept::is_good);
        state.shared.retain(Kept::is_good);
        if state.idle.is_empty() && state.shared.is_empty() {
            state.swept = false;
            return;
        }
    }
}

/// Says that the first connection is being opened, for as long as this lasts.
struct Opening<'a> {
    of: &'a Connections,
    is_first: bool,
}

impl<'a> Opening<'a> {
    fn new(of: &'a Connections) -> Self {
        let mut state = lock(&of.state);
        let is_first = state.open == 0 && state.first.is_none();
        if is_first {
            state.attempts += 1;
            state.first = Some(state.attempts);
        }
        Self { of, is_first }
    }
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        if self.is_first {
            lock(&self.of.state).first = None;
            self.of.changed.notify_waiters();
        }
    }
}

/// A connection that is open or being opened, for as long as this lasts.
struct Open(Weak<Connections>);

impl Open {
    fn new(of: &Arc<Connections>) -> Self {
        lock(&of.state).open += 1;
        Self(Arc::downgrade(of))
    }

    /// Reads and writes for as long as the connection is open. It ends with the pool.
    fn drive(self, driver: Driver) {
        tokio::spawn(async move {
            // What goes wrong, requests and bodies say.
            let _ = driver.await;
            drop(self);
        });
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(of) = self.0.upgrade() {
            lock(&of.state).open -= 1;
            of.changed.notify_waiters();
        }
    }
}

/// A request that has a connection, or wants one, for as long as this lasts.
struct InUse {
    of: Arc<Connections>,
}

impl InUse {
    fn new(of: Arc<Connections>) -> Self {
        lock(&of.state).requests += 1;
        Self { of }
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        lock(&self.of.state).requests -= 1;
    }
}

/// A connection for one request.
pub(super) struct Connection {
    kept: Kept,
    /// It served a request before. Its server may have closed it since.
    pub(super) was_kept: bool,
    request: InUse,
}

impl Connection {
    /// Whether a request keeps its scheme and host (HTTP/2), or names its host in a header
    /// (HTTP/1.1).
    pub(super) fn is_http2(&self) -> bool {
        self.kept.is_http2()
    }

    /// Sends a request. The connection is kept for others as soon as the response was read.
    ///
    /// # Errors
    /// With the request, if nothing of it was sent.
    pub(super) async fn send(
        self,
        request: Request<RequestBody>,
    ) -> Result<Response<Answered>, TrySendError<Request<RequestBody>>> {
        let Self { kept, request: in_use, .. } = self;
        let (response, sent) = kept.send(request).await?;
        let stream = match sent {
            Sent::BesideOthers(stream) => Some(stream),
            Sent::Alone(kept) => {
                let of = Arc::downgrade(&in_use.of);
                tokio::spawn(async move {
                    if let Some(kept) = kept.ready().await
                        && let Some(of) = of.upgrade()
                    {
                        of.give_back(kept);
                    }
                });
                None
            }
        };
        Ok(response.map(|body| Answered { body, _in_use: in_use, _stream: stream }))
    }
}

/// A response's body. Its request is on its way for as long as it is there.
pub(super) struct Answered {
    body: Incoming,
    _in_use: InUse,
    _stream: Option<Arc<()>>,
}

impl Body for Answered {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What it guards is valid after every statement.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
