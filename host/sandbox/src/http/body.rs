//! Bodies on their way: counted against what one message may send and receive, and ended when
//! nothing arrives.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Sleep, sleep};
use wasmtime_wasi_http::{Error, RequestOptions};

use crate::account::Held;
use crate::http::pool::Answered;
use crate::limits::Limits;

/// How long a response may pause in its body, unless the guest says less. The message's deadline
/// ends it in any case.
const BETWEEN_BYTES: Duration = Duration::from_secs(60);

/// What one message may still send and receive.
#[derive(Debug)]
pub(super) struct Budget {
    calls: AtomicUsize,
    bytes: AtomicUsize,
    exceeded: AtomicBool,
}

impl Budget {
    pub(super) fn new(limits: &Limits) -> Self {
        let (calls, bytes) = (AtomicUsize::new(limits.http_calls), AtomicUsize::new(limits.http_bytes));
        Self { calls, bytes, exceeded: AtomicBool::new(false) }
    }

    /// Takes one request; `false` if none is left.
    pub(super) fn take_call(&self) -> bool {
        self.take(&self.calls, 1)
    }

    /// The limit that the guest ran into, in words, if it did.
    pub(super) fn exceeded(&self, limits: &Limits) -> Option<String> {
        let Limits { http_calls, http_bytes, .. } = limits;
        self.exceeded.load(Ordering::Relaxed).then(|| match self.calls.load(Ordering::Relaxed) {
            0 => format!("more than {http_calls} HTTP requests"),
            _ => format!("more than {http_bytes} bytes in HTTP bodies"),
        })
    }

    fn take(&self, of: &AtomicUsize, amount: usize) -> bool {
        let left = of.try_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(amount));
        if left.is_err() {
            self.exceeded.store(true, Ordering::Relaxed);
        }
        left.is_ok()
    }
}

/// A body whose bytes count against the budget.
pub(super) struct Counted<B> {
    pub(super) body: B,
    pub(super) budget: Arc<Budget>,
    pub(super) way: Way,
}

/// Which way a body goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// From the guest to a server. What the host signs has no trailers: nobody checks them, and
    /// some servers read them as headers.
    Out { is_signed: bool },
    /// From a server to the guest.
    In,
}

impl<B: Body<Data = Bytes, Error = Error> + Unpin> Body for Counted<B> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        let Poll::Ready(Some(Ok(frame))) = &polled else { return polled };
        match (frame.data_ref(), self.way) {
            (None, Way::Out { is_signed: true }) => {
                Poll::Ready(Some(Err(Error::HttpRequestTrailerSectionSize(None))))
            }
            (Some(data), way) if !self.budget.take(&self.budget.bytes, data.len()) => {
                Poll::Ready(Some(Err(match way {
                    Way::Out { .. } => Error::HttpRequestBodySize(None),
                    Way::In => Error::HttpResponseBodySize(None),
                })))
            }
            _ => polled,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A response's body that ends with an error when it pauses for too long.
pub(super) struct Timed {
    body: Answered,
    /// What the call costs, for as long as the guest has the response.
    _held: Held,
    limit: Duration,
    /// When the pause gets too long; `None` while there is none.
    due: Option<Pin<Box<Sleep>>>,
}

impl Timed {
    pub(super) fn new(body: Answered, options: Option<RequestOptions>, held: Held) -> Self {
        let asked = options.and_then(|options| options.between_bytes_timeout);
        let limit = asked.map_or(BETWEEN_BYTES, |asked| asked.min(BETWEEN_BYTES));
        Self { body, _held: held, limit, due: None }
    }
}

impl Body for Timed {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            self.due = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(Error::from)));
        }
        let limit = self.limit;
        let due = self.due.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(due.as_mut().poll(context));
        Poll::Ready(Some(Err(Error::ConnectionReadTimeout)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, StreamBody};

    use super::*;

    #[tokio::test]
    async fn a_signed_request_has_no_trailers() {
        for (way, passes) in
            [(Way::Out { is_signed: true }, false), (Way::Out { is_signed: false }, true), (Way::In, true)]
        {
            let frames = [Frame::data(Bytes::from("body")), Frame::trailers(http::HeaderMap::new())];
            let body = StreamBody::new(futures_util::stream::iter(frames.map(Ok::<_, Error>)));
            let budget = Arc::new(Budget::new(&Limits::default()));
            assert_eq!(Counted { body, budget, way }.collect().await.is_ok(), passes, "{way:?}");
        }
    }
}
