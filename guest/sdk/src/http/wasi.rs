//! One request through `wasi:http`, waited for.

use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, HeaderError, IncomingResponse, Method, OutgoingBody,
    OutgoingRequest, RequestOptions, Scheme,
};
use wasip2::io::streams::{OutputStream, StreamError};

use super::{Request, RequestFailed, Response, Url};

/// How much of a response is asked for at a time, in bytes.
const CHUNK: u64 = 64 << 10;

pub(super) fn send(request: &Request, url: &Url<'_>, who: &str) -> Result<Response, RequestFailed> {
    let outgoing = outgoing(request, url, who)?;
    let body = outgoing.body().map_err(|()| failed(who, "the host offers no body"))?;
    let response =
        outgoing_handler::handle(outgoing, options(request)).map_err(|error| not_answered(who, &error))?;
    write(body, &request.body);
    read(head(&response, who)?, who)
}

fn outgoing(request: &Request, url: &Url<'_>, who: &str) -> Result<OutgoingRequest, RequestFailed> {
    let fields = Fields::new();
    for (name, value) in &request.headers {
        append(&fields, name, value, who)?;
    }
    // A request with one of these says that its body is empty (RFC 9110, section 8.6).
    let takes_body = matches!(request.method.as_str(), "POST" | "PUT" | "PATCH");
    if !fields.has("content-length") && (takes_body || !request.body.is_empty()) {
        append(&fields, "content-length", &request.body.len().to_string(), who)?;
    }
    let outgoing = OutgoingRequest::new(fields);
    let scheme = if url.is_encrypted { Scheme::Https } else { Scheme::Http };
    outgoing
        .set_method(&method(&request.method))
        .and_then(|()| outgoing.set_scheme(Some(&scheme)))
        .and_then(|()| outgoing.set_authority(Some(url.authority)))
        .and_then(|()| outgoing.set_path_with_query(Some(&url.path)))
        .map_err(|()| refused(who, "this is no request that can be sent"))?;
    Ok(outgoing)
}

fn append(fields: &Fields, name: &str, value: &str, who: &str) -> Result<(), RequestFailed> {
    match fields.append(name, value.as_bytes()) {
        // The connection is the host's business, and so are the headers about it.
        Ok(()) | Err(HeaderError::Forbidden) => Ok(()),
        Err(_) => Err(refused(who, &format!("the header {name} cannot be sent"))),
    }
}

fn method(method: &str) -> Method {
    match method {
        "DELETE" => Method::Delete,
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "PATCH" => Method::Patch,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        other => Method::Other(other.to_owned()),
    }
}

fn options(request: &Request) -> Option<RequestOptions> {
    let timeout = u64::try_from(request.timeout?.as_nanos()).unwrap_or(u64::MAX);
    let options = RequestOptions::new();
    // A host that knows no such limit has its own.
    let _ = options.set_connect_timeout(Some(timeout));
    let _ = options.set_first_byte_timeout(Some(timeout));
    let _ = options.set_between_bytes_timeout(Some(timeout));
    Some(options)
}

/// Sends a body, as far as the host takes it.
///
/// It takes no more of a request that has failed, or was answered early. The response says which.
fn write(body: OutgoingBody, bytes: &[u8]) {
    let Ok(stream) = body.write() else { return };
    let is_whole = write_all(&stream, bytes).is_ok();
    drop(stream);
    if is_whole {
        // It fails if the length is not the one that was announced, and so does the request.
        let _ = OutgoingBody::finish(body, None);
    }
}

fn write_all(stream: &OutputStream, mut bytes: &[u8]) -> Result<(), StreamError> {
    while !bytes.is_empty() {
        match usize::try_from(stream.check_write()?).unwrap_or(usize::MAX) {
            0 => stream.subscribe().block(),
            room => {
                let (now, later) = bytes.split_at(room.min(bytes.len()));
                stream.write(now)?;
                bytes = later;
            }
        }
    }
    stream.blocking_flush()
}

fn head(response: &FutureIncomingResponse, who: &str) -> Result<IncomingResponse, RequestFailed> {
    loop {
        match response.get() {
            Some(Ok(Ok(response))) => return Ok(response),
            Some(Ok(Err(error))) => return Err(not_answered(who, &error)),
            Some(Err(())) => return Err(failed(who, "the response has been taken")),
            None => response.subscribe().block(),
        }
    }
}

fn read(response: IncomingResponse, who: &str) -> Result<Response, RequestFailed> {
    let status = response.status();
    // Bytes that are no ASCII are shown as ISO 8859-1, which has a character for each.
    let text = |value: Vec<u8>| value.into_iter().map(char::from).collect::<String>();
    let headers = response.headers().entries().into_iter();
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), text(value))).collect();
    let incoming = response.consume().map_err(|()| failed(who, "the response has no body"))?;
    let stream = incoming.stream().map_err(|()| failed(who, "the response has been read"))?;
    let mut body = Vec::new();
    loop {
        match stream.blocking_read(CHUNK) {
            Ok(bytes) => body.extend_from_slice(&bytes),
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(error)) => {
                return Err(failed(who, &format!("receiving: {}", error.to_debug_string())));
            }
        }
    }
    Ok(Response { headers, ..Response::new(status, body) })
}

/// What the host says of a request that was not answered.
fn not_answered(who: &str, error: &ErrorCode) -> RequestFailed {
    match error {
        ErrorCode::HttpRequestDenied => refused(who, "the host refuses it, and its log says why"),
        ErrorCode::DestinationIpProhibited => {
            refused(who, "its address is not public: --allow-private grants it")
        }
        ErrorCode::HttpRequestMethodInvalid | ErrorCode::HttpRequestUriInvalid => {
            refused(who, &format!("{error:?}"))
        }
        error => failed(who, &format!("{error:?}")),
    }
}

fn failed(who: &str, why: &str) -> RequestFailed {
    RequestFailed { message: format!("{who}: {why}"), refused: false }
}

fn refused(who: &str, why: &str) -> RequestFailed {
    RequestFailed { message: format!("{who}: {why}"), refused: true }
}
