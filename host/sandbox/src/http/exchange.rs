//! Sends a request, and once more where that changes nothing.

use std::borrow::Cow;
use std::error::Error as _;
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use http::header::{HOST, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Request, Response, Uri};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::TrySendError;
use tokio::time::timeout;
use wasmtime_wasi_http::{Error, RequestOptions};

use crate::http::gather::Gathered;
use crate::http::origin::Origin;
use crate::http::pool::{Answered, Connection, RequestBody};

/// How long the response's first byte may take, unless the guest says less. The message's deadline
/// ends it in any case.
const MAX_FIRST_BYTE: Duration = Duration::from_secs(60);

/// What makes a request one that may succeed the first time only.
const CONDITIONS: [HeaderName; 5] =
    [IF_MATCH, IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_UNMODIFIED_SINCE, IF_RANGE];

/// Sends a request. A server may have closed a connection that was kept: then the request goes over
/// one that `open` opens, if nothing of it was sent, or if it may be repeated.
pub(super) async fn exchange<B>(
    connection: Connection,
    origin: &Origin,
    request: Request<Gathered<B>>,
    options: RequestOptions,
    open: impl AsyncFnOnce() -> Result<Connection, Error>,
) -> Result<Response<Answered>, Error>
where
    B: Body<Data = Bytes, Error = Error> + Send + Unpin + 'static,
{
    let limit = options.first_byte_timeout.map_or(MAX_FIRST_BYTE, |asked| asked.min(MAX_FIRST_BYTE));
    let (parts, body) = request.into_parts();
    let is_repeatable = is_repeatable(&parts);
    let again = body.whole().filter(|_| connection.was_kept);
    let again = again.map(|body| Request::from_parts(parts.clone(), whole(body)));
    let sending = async {
        let was_kept = connection.was_kept;
        let first = Request::from_parts(parts, body.boxed_unsync());
        let mut failed = match send(connection, first, origin).await? {
            Ok(response) => return Ok(response),
            Err(failed) => failed,
        };
        let unsent = failed.take_message().filter(|_| was_kept);
        let repeated = again.filter(|_| is_undone(failed.error(), is_repeatable));
        let Some(request) = unsent.or(repeated) else { return Err(failed.into_error().into()) };
        send(open().await?, request, origin).await?.map_err(|failed| failed.into_error().into())
    };
    timeout(limit, sending).await.unwrap_or(Err(Error::ConnectionReadTimeout))
}

fn whole(body: Bytes) -> RequestBody {
    Full::new(body).map_err(|never| match never {}).boxed_unsync()
}

/// Whether a server may be asked twice: what such requests do is the same however often they are
/// sent (RFC 9110, section 9.2.2).
fn is_repeatable(request: &Parts) -> bool {
    match request.method {
        Method::GET | Method::HEAD | Method::OPTIONS => true,
        Method::PUT | Method::DELETE => !CONDITIONS.iter().any(|it| request.headers.contains_key(it)),
        _ => false,
    }
}

/// Whether a request that failed on a kept connection may be sent once more.
fn is_undone(error: &hyper::Error, is_repeatable: bool) -> bool {
    let of_http2 = error.source().and_then(|it| it.downcast_ref::<h2::Error>());
    // The server says that it has not looked at this request (RFC 9113, section 8.7): it has
    // refused it, or has closed the connection for all requests behind another one.
    let is_refused = of_http2.is_some_and(|it| {
        let reason = it.reason().unwrap_or(Reason::INTERNAL_ERROR);
        let is_refused = it.is_reset() && reason == Reason::REFUSED_STREAM;
        it.is_remote() && (is_refused || it.is_go_away() && reason == Reason::NO_ERROR)
    });
    // What was answered, however badly, was looked at.
    is_refused || is_repeatable && !(error.is_parse() || error.is_user() || error.is_timeout())
}

type Sent = Result<Response<Answered>, TrySendError<Request<RequestBody>>>;

async fn send(
    connection: Connection,
    mut request: Request<RequestBody>,
    origin: &Origin,
) -> Result<Sent, Error> {
    address(&mut request, origin, connection.is_http2()).ok_or(Error::HttpRequestUriInvalid)?;
    Ok(connection.send(request).await)
}

/// Writes down where a request goes, as each version of HTTP has it. The host is the one that was
/// checked, and not how the guest spelled it.
fn address(request: &mut Request<RequestBody>, origin: &Origin, http2: bool) -> Option<()> {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    // A path is never empty on the wire (RFC 9112, section 3.2.1).
    let path = if path.starts_with('?') { Cow::from(format!("/{path}")) } else { Cow::from(path) };
    if http2 {
        let scheme = if origin.tls() { "https" } else { "http" };
        let uri = Uri::builder().scheme(scheme).authority(origin.authority()).path_and_query(&*path);
        request.headers_mut().remove(HOST);
        *request.uri_mut() = uri.build().ok()?;
    } else {
        // Scheme and host are for proxies only (RFC 9112, section 3.2.1).
        let uri = path.parse().ok()?;
        request.headers_mut().insert(HOST, HeaderValue::try_from(origin.authority()).ok()?);
        *request.uri_mut() = uri;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;
    use crate::http::connect::Opened;
    use crate::http::pool::{Place, Pool};

    fn pipe() -> (Opened, DuplexStream) {
        let (ours, theirs) = duplex(4096);
        (Opened { stream: Box::new(ours), http2: false }, theirs)
    }

    /// Reads one request, and answers that there is nothing.
    async fn answer(stream: &mut DuplexStream) -> String {
        let mut request = vec![0; 4096];
        let length = stream.read(&mut request).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        String::from_utf8_lossy(&request[..length]).into_owned()
    }

    #[tokio::test]
    async fn what_nothing_was_sent_of_goes_over_another_connection_whatever_it_is() {
        let (pool, place) = (Pool::default(), Place { origin: "server.test".parse().unwrap(), signer: None });
        let request = || {
            let body =
                Gathered::<http_body_util::combinators::UnsyncBoxBody<Bytes, Error>>::of("order".into());
            Request::post("/orders").body(body).unwrap()
        };
        let (opened, mut first) = pipe();
        let connection = pool.get(&place, async { Ok(opened) }).await.unwrap();
        let none = async || Err(Error::ConnectionRefused);
        let sending = exchange(connection, &place.origin, request(), RequestOptions::default(), none);
        let (response, _) = tokio::join!(sending, answer(&mut first));
        response.unwrap().into_body().collect().await.unwrap();
        tokio::task::yield_now().await;
        // It closes at the very moment at which the next request is sent.
        let kept = pool.get(&place, async { Err(Error::ConnectionRefused) }).await.unwrap();
        assert!(kept.was_kept);
        drop(first);
        let (opened, mut second) = pipe();
        let open = async || pool.get_new(&place, async { Ok(opened) }).await;
        let sending = exchange(kept, &place.origin, request(), RequestOptions::default(), open);
        let (response, seen) = tokio::join!(sending, answer(&mut second));
        assert_eq!(response.unwrap().status(), 200);
        assert!(seen.starts_with("POST /orders HTTP/1.1") && seen.ends_with("order"), "{seen}");
    }

    #[test]
    fn only_what_may_be_asked_twice_is_repeated() {
        for (method, header, expected) in [
            ("GET", "if-none-match", true),
            ("HEAD", "x-a", true),
            ("PUT", "x-a", true),
            ("DELETE", "x-a", true),
            ("PUT", "if-none-match", false),
            ("DELETE", "if-match", false),
            ("POST", "x-a", false),
            ("PATCH", "x-a", false),
            ("MERGE", "x-a", false),
        ] {
            let request = Request::builder().method(method).header(header, "*").body(()).unwrap();
            assert_eq!(is_repeatable(&request.into_parts().0), expected, "{method} {header}");
        }
    }
}
