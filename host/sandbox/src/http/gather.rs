//! A request whose body is finished says how long it is.
//!
//! A guest rarely names a length, and writes its body after it has handed over the request. Sent as
//! it comes, such a body goes in chunks, which many servers refuse with 411, Azure's among them.
//! While the connection is opened there is time to wait for its end.

use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderValue, Method, Request};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::time::timeout;
use wasmtime_wasi_http::Error;

use crate::account::Held;

/// The largest body that is waited for, in bytes.
const LONGEST: usize = 1 << 20;

/// How long a body may pause before its end, once the connection is open. A guest that first wants
/// to see the response is answered then.
const PAUSE: Duration = Duration::from_millis(100);

/// Opens the connection, and gathers what comes of the body in the meantime. What is gathered
/// counts as the guest's memory.
///
/// # Errors
/// The connection cannot be opened, or the body is not as long as the request says. On a connection
/// that is kept, the server would take the next request for the rest of it. The engine looks at
/// that as well; one lock is not enough for a token.
pub(super) async fn while_opening<C, B>(
    connection: impl Future<Output = Result<C, Error>>,
    request: Request<B>,
    held: &mut Held,
) -> Result<(C, Request<Gathered<B>>), Error>
where
    B: Body<Data = Bytes, Error = Error> + Unpin,
{
    let (mut parts, body) = request.into_parts();
    let mut body =
        Gathered { gathering: BytesMut::new(), start: Bytes::new(), trailers: None, rest: Some(body) };
    let said = said_length(&parts.headers)?;
    let may_gather = said.is_none_or(|length| length <= LONGEST as u64);
    let mut connection = pin!(connection);
    let mut open = None;
    while may_gather && !body.is_end_stream() && body.rest.is_some() && body.gathering.len() < LONGEST {
        if open.is_none() {
            tokio::select! {
                biased;
                opened = &mut connection => open = Some(opened?),
                frame = body.more() => body.add(frame, held)?,
            }
        } else {
            match timeout(PAUSE, body.more()).await {
                Ok(frame) => body.add(frame, held)?,
                Err(_) => break,
            }
        }
    }
    body.start = body.gathering.split().freeze();
    let open = match open {
        Some(open) => open,
        None => connection.await?,
    };
    if let Some(said) = said
        && body.is_here()
        && said != body.start.len() as u64
    {
        return Err(Error::HttpRequestBodySize(Some(said)));
    }
    // What is empty has no length that the connection would name by itself (RFC 9110, section 8.6).
    let expects_one = [Method::POST, Method::PUT, Method::PATCH].contains(&parts.method);
    if body.is_end_stream() && expects_one && said.is_none() {
        parts.headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    Ok((open, Request::from_parts(parts, body)))
}

/// The length that a request says, if it says one.
fn said_length(headers: &HeaderMap) -> Result<Option<u64>, Error> {
    let mut said = headers.get_all(CONTENT_LENGTH).iter();
    let Some(first) = said.next() else { return Ok(None) };
    let digits = first.to_str().ok().filter(|it| it.bytes().all(|byte| byte.is_ascii_digit()));
    let length = digits.and_then(|it| it.parse().ok()).filter(|_| said.next().is_none());
    length.map(Some).ok_or(Error::HttpRequestBodySize(None))
}

/// A body, of which the start is here, and the rest unless that was all.
pub(super) struct Gathered<B> {
    gathering: BytesMut,
    start: Bytes,
    trailers: Option<HeaderMap>,
    rest: Option<B>,
}

impl<B: Body<Data = Bytes, Error = Error> + Unpin> Gathered<B> {
    /// The next frame. Nothing is lost if this is dropped before it is there.
    async fn more(&mut self) -> Option<Result<Frame<Bytes>, Error>> {
        match &mut self.rest {
            Some(rest) => rest.frame().await,
            None => None,
        }
    }

    /// A body that is here as a whole.
    pub(super) fn of(body: Bytes) -> Self {
        Self { gathering: BytesMut::new(), start: body, trailers: None, rest: None }
    }

    /// All of it, if it is here and has no trailers.
    pub(super) fn whole(&self) -> Option<Bytes> {
        (self.is_here() && self.trailers.is_none()).then(|| self.start.clone())
    }

    fn is_here(&self) -> bool {
        self.rest.as_ref().is_none_or(Body::is_end_stream)
    }

    fn add(&mut self, frame: Option<Result<Frame<Bytes>, Error>>, held: &mut Held) -> Result<(), Error> {
        let Some(frame) = frame else {
            self.rest = None;
            return Ok(());
        };
        match frame?.into_data() {
            Ok(data) => {
                if !held.grow(data.len()) {
                    return Err(Error::HttpRequestBodySize(None));
                }
                self.gathering.extend_from_slice(&data);
            }
            Err(frame) => {
                self.trailers = frame.into_trailers().ok();
                self.rest = None;
            }
        }
        Ok(())
    }
}

impl<B: Body<Data = Bytes, Error = Error> + Unpin> Body for Gathered<B> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if !self.start.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.start)))));
        }
        match &mut self.rest {
            Some(rest) => Pin::new(rest).poll_frame(context),
            None => Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        let rest = self.rest.as_ref().is_none_or(Body::is_end_stream);
        self.gathering.is_empty() && self.start.is_empty() && self.trailers.is_none() && rest
    }

    /// Exact if all of it is here. Trailers need chunks (RFC 9112, section 7.1.2).
    fn size_hint(&self) -> SizeHint {
        match &self.rest {
            None if self.trailers.is_none() => SizeHint::with_exact(self.start.len() as u64),
            None => SizeHint::default(),
            Some(rest) if self.start.is_empty() => rest.size_hint(),
            Some(_) => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::pin::Pin;
    use std::sync::Arc;
    use std::task::{Context, Poll};
    use std::time::Duration;

    use bytes::Bytes;
    use http::header::CONTENT_LENGTH;
    use http::{HeaderMap, HeaderValue, Request};
    use http_body::{Body, Frame};
    use http_body_util::BodyExt;
    use tokio::sync::mpsc;
    use tokio::time::{Instant, sleep, timeout};
    use wasmtime_wasi_http::Error;

    use super::{Gathered, LONGEST, PAUSE, while_opening};
    use crate::account::Account;

    /// A body that is written elsewhere.
    struct Written(mpsc::Receiver<Frame<Bytes>>);

    impl Body for Written {
        type Data = Bytes;
        type Error = Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
            self.0.poll_recv(context).map(|frame| frame.map(Ok))
        }
    }

    fn body() -> (mpsc::Sender<Frame<Bytes>>, Request<Written>) {
        let (sender, receiver) = mpsc::channel(100);
        (sender, Request::new(Written(receiver)))
    }

    fn data(bytes: usize) -> Frame<Bytes> {
        Frame::data(vec![b'x'; bytes].into())
    }

    async fn gather(request: Request<Written>, limit: usize) -> Result<Gathered<Written>, Error> {
        let mut held = Arc::new(Account::new(limit)).hold(0).unwrap();
        let opened = while_opening(ready(Ok(())), request, &mut held).await;
        opened.map(|((), request)| request.into_body())
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_ends_says_how_long_it_is() {
        let (sender, request) = body();
        tokio::spawn(async move {
            for _ in 0..3 {
                sleep(PAUSE / 2).await;
                sender.send(data(5)).await.unwrap();
            }
        });
        let body = gather(request, 100).await.unwrap();
        assert_eq!((body.size_hint().exact(), body.is_end_stream()), (Some(15), false));
        assert_eq!(body.collect().await.unwrap().to_bytes(), "x".repeat(15));

        let (sender, request) = self::body();
        drop(sender);
        let body = gather(request, 100).await.unwrap();
        assert_eq!((body.size_hint().exact(), body.is_end_stream()), (Some(0), true));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_is_not_as_long_as_it_says_is_refused() {
        for (said, written, expected) in [
            (&["5"][..], 5, true),
            (&["0"], 0, true),
            (&["5"], 0, false),
            (&["5"], 4, false),
            (&["5"], 6, false),
            (&["0"], 1, false),
            (&["5", "5"], 5, false),
            (&["+5"], 5, false),
            (&["5,5"], 5, false),
            (&[""], 0, false),
            (&["99999999999999999999"], 5, false),
        ] {
            let (sender, mut request) = body();
            for said in said {
                request.headers_mut().append(CONTENT_LENGTH, HeaderValue::from_str(said).unwrap());
            }
            if written > 0 {
                sender.send(data(written)).await.unwrap();
            }
            drop(sender);
            let gathered = gather(request, 100).await;
            assert_eq!(gathered.is_ok(), expected, "{said:?} {written}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_pauses_is_sent_as_it_comes() {
        let (sender, request) = body();
        sender.send(data(5)).await.unwrap();
        let started = Instant::now();
        let mut body = gather(request, 100).await.unwrap();
        assert!(started.elapsed() <= PAUSE * 2, "{:?}", started.elapsed());
        assert_eq!((body.size_hint().exact(), body.is_end_stream()), (None, false));
        sender.send(data(7)).await.unwrap();
        drop(sender);
        for expected in [5, 7] {
            let frame = body.frame().await.unwrap().unwrap();
            assert_eq!(frame.data_ref().unwrap().len(), expected);
        }
        assert!(body.frame().await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_with_trailers_keeps_them_and_names_no_length() {
        let (sender, request) = body();
        let trailers: HeaderMap = [(http::header::ETAG, HeaderValue::from_static("e"))].into_iter().collect();
        sender.send(data(5)).await.unwrap();
        sender.send(Frame::trailers(trailers.clone())).await.unwrap();
        let body = gather(request, 100).await.unwrap();
        assert_eq!(body.size_hint().exact(), None);
        assert_eq!(body.collect().await.unwrap().trailers(), Some(&trailers));
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_is_gathered_than_the_guest_may_have_and_than_is_worth_it() {
        let (sender, request) = body();
        sender.send(data(101)).await.unwrap();
        assert!(matches!(gather(request, 100).await, Err(Error::HttpRequestBodySize(None))));

        let (sender, request) = body();
        for _ in 0..80 {
            sender.send(data(16 << 10)).await.unwrap();
        }
        let body = gather(request, 100 << 20).await.unwrap();
        assert_eq!(body.start.len(), LONGEST);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_takes_long_does_not_keep_the_body_waiting() {
        let (sender, request) = body();
        let mut held = Arc::new(Account::new(100)).hold(0).unwrap();
        let never = pending::<Result<(), Error>>();
        let opening = timeout(Duration::from_secs(5), while_opening(never, request, &mut held));
        let writing = async {
            for _ in 0..3 {
                sleep(Duration::from_secs(1)).await;
                sender.send(data(5)).await.unwrap();
            }
        };
        let (opened, ()) = tokio::join!(opening, writing);
        assert!(opened.is_err());
    }
}
