//! Calls through a proxy, with a client that knows proxies of every kind.

use bytes::Bytes;
use http::Response;
use reqwest::RequestBuilder;

use super::bounded::BoundedBody;
use super::no_reply::NoReply;

/// Calls a server as its client is set up, and reads up to `max` bytes of the answer's body.
///
/// # Errors
/// No answer came.
pub(super) async fn through_proxy(call: RequestBuilder, max: usize) -> Result<Response<Bytes>, NoReply> {
    let failed = |error: &reqwest::Error| {
        if error.is_connect() { NoReply::unreached_by_proxy(error) } else { NoReply::broken(error) }
    };
    let mut answer = call.send().await.map_err(|error| failed(&error))?;
    let mut head = Response::new(()).into_parts().0;
    head.status = answer.status();
    head.headers = std::mem::take(answer.headers_mut());
    let too_long = |body| NoReply::too_long(body, &head);
    let mut read = BoundedBody::new(max, answer.content_length().unwrap_or(0)).map_err(too_long)?;
    while let Some(piece) = answer.chunk().await.map_err(|error| failed(&error))? {
        read.push(piece).map_err(too_long)?;
    }
    Ok(Response::from_parts(head, read.into_bytes()))
}
