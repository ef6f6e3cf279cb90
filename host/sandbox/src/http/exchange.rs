//! Sends a request, and once more where that changes nothing.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::error::Error as _;
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use http::header::{HOST, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, TE};
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

/// A part of the upgrade from HTTP/1.1, which is no more ([RFC 7540, section
/// 3.2.1](https://www.rfc-editor.org/rfc/rfc7540#section-3.2.1)).
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");

/// What makes a request one that may succeed the first time only.
const CONDITIONS: [HeaderName; 5] =
    [IF_MATCH, IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_UNMODIFIED_SINCE, IF_RANGE];

/// The same of Azure Storage, as their names begin ([Specifying conditional
/// headers](https://learn.microsoft.com/rest/api/storageservices/specifying-conditional-headers-for-blob-service-operations)).
const AZURE_CONDITIONS: [&str; 4] = ["x-ms-if-", "x-ms-blob-condition-", "x-ms-lease-", "x-ms-source-if-"];

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
        let first = Request::from_parts(parts, body.boxed_unsync());
        let mut failed = match send(connection, first, origin).await? {
            Ok(response) => return Ok(response),
            Err(failed) => failed,
        };
        // It may have waited longer for its token than the server did for it.
        let unsent = failed.take_message();
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
        Method::PUT | Method::DELETE => {
            let has_condition = |name: &HeaderName| {
                CONDITIONS.contains(name) || AZURE_CONDITIONS.iter().any(|it| name.as_str().starts_with(it))
            };
            !request.headers.keys().any(has_condition) && !names_operation(&request.uri)
        }
        _ => false,
    }
}

/// Whether it says in its query what is to be done, as with Azure Storage. It may add something
/// each time, as [Append Block](https://learn.microsoft.com/rest/api/storageservices/append-block)
/// does with PUT.
fn names_operation(uri: &Uri) -> bool {
    let pairs = uri.query().unwrap_or_default().split('&');
    pairs.map(|pair| pair.split('=').next().unwrap_or_default()).any(|name| name.eq_ignore_ascii_case("comp"))
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
        // What HTTP/2 does not have is an error of the connection to some servers, and so of all
        // requests on it (RFC 9113, section 8.2.2).
        if request.headers().get_all(TE).iter().any(|it| it != "trailers") {
            request.headers_mut().remove(TE);
        }
        request.headers_mut().remove(HTTP2_SETTINGS);
        *request.uri_mut() = uri.build().ok()?;
    } else {
        // Scheme and host are for proxies only (RFC 9112, section 3.2.1).
        let uri = path.parse().ok()?;
        request.headers_mut().insert(HOST, HeaderValue::try_from(origin.authority()).ok()?);
        *request.uri_mut() = uri;
    }
    Some(())
}
