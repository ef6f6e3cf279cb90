//! What requests and responses cost the host, in bytes, as far as it counts as the guest's memory.

use http::{HeaderMap, Method, Request};
use http_body::Body;

/// What a guest may write into a request's body before the network takes it, in bytes.
pub(super) const CHUNK: usize = 16 << 10;

/// A name and a value beside their own bytes: their place in a map that doubles as it grows.
const FIELD: usize = 256;

/// A body that is being written: two chunks wait in its channel.
pub(crate) const BODY: usize = 2 * CHUNK;

/// A request that is on its way, until its response is dropped: buffers for reading and writing,
/// with TLS, and the tasks of both.
pub(super) const CALL: usize = 128 << 10;

/// One field, by the length of its name and of its value.
pub(crate) fn field(name: usize, value: usize) -> usize {
    FIELD.saturating_add(name).saturating_add(value)
}

/// All fields of a map.
pub(crate) fn fields(map: &HeaderMap) -> usize {
    map.iter().map(|(name, value)| field(name.as_str().len(), value.len())).sum()
}

/// What was charged for a request at the least, while the guest made it.
pub(super) fn request<B: Body>(request: &Request<B>) -> usize {
    let method = match *request.method() {
        Method::GET | Method::HEAD | Method::POST | Method::PUT | Method::DELETE => 0,
        Method::CONNECT | Method::OPTIONS | Method::TRACE | Method::PATCH => 0,
        ref other => other.as_str().len(),
    };
    let authority = request.uri().authority().map_or(0, |authority| authority.as_str().len());
    // A path that was not set is shown as `/`.
    let path = request.uri().path_and_query().map_or(0, |path| path.as_str().len() - 1);
    let body = if request.body().is_end_stream() { 0 } else { BODY };
    // The engine added the host.
    let host = request.headers().get(http::header::HOST);
    let host = host.map_or(0, |value| field(http::header::HOST.as_str().len(), value.len()));
    method + authority + path + fields(request.headers()) - host + body
}
