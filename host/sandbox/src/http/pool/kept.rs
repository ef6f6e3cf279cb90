//! A connection that can take a request, whichever HTTP its server chose.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::Instant;
use wasmtime_wasi_http::Error;
use wasmtime_wasi_http::io::TokioIo;

use crate::http::connect::Opened;

/// What the headers of a response may take, in bytes.
const MAX_RESPONSE_HEADERS: usize = 64 << 10;

/// How long a connection is kept that nobody uses.
pub(super) const MAX_IDLE: Duration = Duration::from_secs(15);

/// How long a connection may be used. Then its host is looked up again.
pub(super) const MAX_LIFE: Duration = Duration::from_secs(10 * 60);

/// How often, and for how long, a server of HTTP/2 is asked whether it is still there. Else all
/// requests would wait for one that is not.
const ASK_ALIVE: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(5));

/// How many requests share a connection of HTTP/2. Servers take a hundred or more ([RFC 9113,
/// section 6.5.2](https://www.rfc-editor.org/rfc/rfc9113#section-6.5.2)).
pub(super) const MAX_STREAMS: usize = 64;

/// What a server may send of one body before the guest reads it, in bytes. The connection's own
/// limit is that of all its requests together, so that a guest that reads nothing holds up itself
/// and no neighbour.
const STREAM_WINDOW: u32 = 64 << 10;

/// How much of a request's body waits for the network, in bytes.
const MAX_UNSENT: usize = 64 << 10;

/// The body of a request, however it comes about.
pub(in crate::http) type RequestBody = UnsyncBoxBody<Bytes, Error>;

/// What reads and writes for as long as a connection is open.
pub(super) type Driver = Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>;

/// A connection that can take a request.
pub(super) struct Kept {
    sender: Sender,
    opened: Instant,
    used: Instant,
}

enum Sender {
    Http1(http1::SendRequest<RequestBody>),
    /// Each request that is on its way holds one more of the second.
    Http2(http2::SendRequest<RequestBody>, Arc<()>),
}

/// What becomes of a connection that a request was sent on.
pub(super) enum Sent {
    /// It takes the next request once the response was read.
    Alone(Kept),
    /// It takes others meanwhile. The request is on its way for as long as this lasts.
    BesideOthers(Arc<()>),
}

impl Kept {
    /// Greets the server.
    pub(super) async fn greet(Opened { stream, http2 }: Opened) -> hyper::Result<(Self, Driver)> {
        let stream = TokioIo::new(stream);
        let (sender, driver): (_, Driver) = if http2 {
            let (sender, connection) = http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .keep_alive_interval(ASK_ALIVE.0)
                .keep_alive_timeout(ASK_ALIVE.1)
                .max_header_list_size(MAX_RESPONSE_HEADERS as u32)
                .initial_stream_window_size(STREAM_WINDOW)
                .initial_connection_window_size(STREAM_WINDOW * MAX_STREAMS as u32)
                .max_send_buf_size(MAX_UNSENT)
                .handshake(stream)
                .await?;
            (Sender::Http2(sender, Arc::default()), Box::pin(connection))
        } else {
            let (sender, connection) =
                http1::Builder::new().max_buf_size(MAX_RESPONSE_HEADERS).handshake(stream).await?;
            (Sender::Http1(sender), Box::pin(connection))
        };
        let now = Instant::now();
        Ok((Self { sender, opened: now, used: now }, driver))
    }

    /// Whether a request keeps its scheme and host (HTTP/2), or names its host in a header
    /// (HTTP/1.1).
    pub(super) fn is_http2(&self) -> bool {
        matches!(self.sender, Sender::Http2(..))
    }

    /// How many requests are on their way on it.
    fn streams(&self) -> usize {
        match &self.sender {
            Sender::Http1(_) => 0,
            Sender::Http2(_, streams) => Arc::strong_count(streams) - 1,
        }
    }

    /// Whether it is to be kept.
    pub(super) fn is_good(&self) -> bool {
        let is_open = match &self.sender {
            Sender::Http1(sender) => sender.is_ready(),
            Sender::Http2(sender, _) => sender.is_ready(),
        };
        let is_idle = self.streams() == 0 && self.used.elapsed() >= MAX_IDLE;
        is_open && !is_idle && self.opened.elapsed() < MAX_LIFE
    }

    /// The same for one more request, where it takes several at a time, and has room for it.
    pub(super) fn for_one_more(&mut self) -> Option<Self> {
        if self.streams() >= MAX_STREAMS {
            return None;
        }
        let Sender::Http2(sender, streams) = &self.sender else { return None };
        self.used = Instant::now();
        let sender = Sender::Http2(sender.clone(), Arc::clone(streams));
        Some(Self { sender, opened: self.opened, used: self.used })
    }

    /// Sends a request.
    ///
    /// # Errors
    /// With the request, if nothing of it was sent.
    pub(super) async fn send(
        self,
        request: Request<RequestBody>,
    ) -> Result<(Response<Incoming>, Sent), TrySendError<Request<RequestBody>>> {
        let Self { sender, opened, used } = self;
        match sender {
            Sender::Http2(mut sender, stream) => {
                Ok((sender.try_send_request(request).await?, Sent::BesideOthers(stream)))
            }
            Sender::Http1(mut sender) => {
                let response = sender.try_send_request(request).await?;
                Ok((response, Sent::Alone(Self { sender: Sender::Http1(sender), opened, used })))
            }
        }
    }

    /// Waits until it can take another request; `None` if it cannot any more.
    pub(super) async fn ready(mut self) -> Option<Self> {
        if let Sender::Http1(sender) = &mut self.sender {
            sender.ready().await.ok()?;
        }
        self.used = Instant::now();
        Some(self)
    }
}
