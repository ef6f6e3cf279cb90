//! What a guest still writes to a request that has failed.
//!
//! A guest writes its body after it has handed over the request. Where the request is refused, or
//! its server is gone, the guest is told by its response. Were the body closed at the same moment,
//! a write could fail first: JavaScript's engine gives up over that, instead of throwing the error.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use wasmtime_wasi_http::Error;

/// How much of a body is still read, in bytes.
const LONGEST: usize = 1 << 20;
/// For how long.
const PATIENCE: Duration = Duration::from_secs(1);
/// How many such bodies are read at once, of all guests. Others are closed.
static ROOM: Semaphore = Semaphore::const_new(256);

/// A body that is read to its end, within limits, although nobody wants it any more.
pub(super) struct Unwanted<B>(Option<B>)
where
    B: Body<Data = Bytes, Error = Error> + Send + Unpin + 'static;

impl<B: Body<Data = Bytes, Error = Error> + Send + Unpin + 'static> Unwanted<B> {
    pub(super) fn once_dropped(body: B) -> Self {
        Self(Some(body))
    }
}

impl<B: Body<Data = Bytes, Error = Error> + Send + Unpin + 'static> Drop for Unwanted<B> {
    fn drop(&mut self) {
        let Some(mut body) = self.0.take().filter(|body| !body.is_end_stream()) else { return };
        let (Ok(runtime), Ok(place)) = (Handle::try_current(), ROOM.try_acquire()) else { return };
        runtime.spawn(async move {
            let _place = place;
            let reading = async {
                let mut read = 0;
                while let Some(Ok(frame)) = body.frame().await {
                    read += frame.data_ref().map_or(0, Bytes::len);
                    if read > LONGEST {
                        break;
                    }
                }
            };
            let _ = timeout(PATIENCE, reading).await;
        });
    }
}

impl<B: Body<Data = Bytes, Error = Error> + Send + Unpin + 'static> Body for Unwanted<B> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let Some(body) = &mut self.0 else { return Poll::Ready(None) };
        let polled = Pin::new(body).poll_frame(context);
        if let Poll::Ready(None | Some(Err(_))) = polled {
            self.0 = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
