//! One connection, and a call over it.
//!
//! The task whose call it is drives the connection itself. A task for each connection, as clients
//! usually have it, costs two wakes for each call.

#[cfg(test)]
mod tests;

use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_util::future::poll_fn;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Body, Frame, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use super::bounded::BoundedBody;
use super::dial::HttpStream;
use super::fair::Fair;
use super::no_reply::NoReply;

/// What goes to a server.
pub(super) type DirectCall = Request<Full<Bytes>>;

/// A connection that carries one call after the other.
pub(super) struct DirectConnection {
    sender: http1::SendRequest<Full<Bytes>>,
    driver: ConnectionDriver,
}

/// What moves bytes, until it has ended. A call that it has not taken up by then comes back when it
/// is dropped.
struct ConnectionDriver(Option<http1::Connection<Wire, Full<Bytes>>>);

/// What hyper reads from and writes to.
type Wire = TokioIo<Fair<Box<dyn HttpStream>>>;

/// A call that was not carried out.
pub(super) enum CallFailed {
    /// The connection was closed before anything of the call was sent.
    Unsent(Box<DirectCall>),
    /// Some of it was sent.
    Sent(NoReply),
}

impl ConnectionDriver {
    /// Moves what can be moved. Whoever waits for more is woken.
    fn turn(&mut self, context: &mut Context<'_>) {
        let Some(connection) = &mut self.0 else { return };
        // An error goes to the caller of the call that it ended.
        if Pin::new(connection).poll(context).is_ready() {
            self.0 = None;
        }
    }
}

/// For what the driver moves: it is polled after each turn, and has nobody to wake.
fn unheard() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

impl DirectConnection {
    /// A connection over this wire.
    ///
    /// # Errors
    /// [`NoReply::Unreached`].
    pub(super) async fn new(wire: Box<dyn HttpStream>) -> Result<Self, NoReply> {
        let wire = TokioIo::new(Fair::new(wire));
        let (sender, connection) =
            http1::handshake(wire).await.map_err(|error| NoReply::unreached(&error))?;
        Ok(Self { sender, driver: ConnectionDriver(Some(connection)) })
    }

    /// Whether it can carry the next call, as far as is known.
    pub(super) fn is_usable(&mut self) -> bool {
        // What has come meanwhile is its end.
        self.driver.turn(&mut unheard());
        self.driver.0.is_some() && self.sender.is_ready()
    }

    /// Carries a call, and reads up to `max` bytes of the answer's body.
    ///
    /// Its future must not be under tokio's budget of a task ([`tokio::task::unconstrained`]):
    /// what is moved between the driver and the call would then wait for a wake that nobody gives.
    pub(super) async fn carry(
        &mut self,
        call: DirectCall,
        max: usize,
    ) -> Result<Response<Bytes>, CallFailed> {
        let Self { sender, driver } = self;
        let mut answer = pin!(sender.try_send_request(call));
        let answer = poll_fn(|context| {
            driver.turn(context);
            answer.as_mut().poll(&mut unheard())
        });
        let answer = answer.await.map_err(|mut failed| match failed.take_message() {
            Some(call) => CallFailed::Unsent(Box::new(call)),
            None => CallFailed::Sent(NoReply::broken(failed.error())),
        })?;
        let (head, mut body) = answer.into_parts();
        let too_long = |body| CallFailed::Sent(NoReply::too_long(body, &head));
        let mut read = BoundedBody::new(max, body.size_hint().lower()).map_err(too_long)?;
        while let Some(frame) = poll_fn(|context| driver.frame(&mut body, context)).await {
            let frame = frame.map_err(|error| CallFailed::Sent(NoReply::broken(&error)))?;
            if let Ok(piece) = frame.into_data() {
                read.push(piece).map_err(too_long)?;
            }
        }
        Ok(Response::from_parts(head, read.into_bytes()))
    }
}

impl ConnectionDriver {
    /// The next piece of an answer's body.
    fn frame(
        &mut self,
        body: &mut Incoming,
        context: &mut Context<'_>,
    ) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        let mut frame = Pin::new(body);
        // The first look tells the driver that a piece is wanted.
        for _ in 0..2 {
            if let Poll::Ready(frame) = frame.as_mut().poll_frame(&mut unheard()) {
                return Poll::Ready(frame);
            }
            self.turn(context);
        }
        frame.poll_frame(&mut unheard())
    }
}
