//! One request through `wasi:http`.

use std::collections::HashMap;

use azure_core::error::ErrorKind;
use azure_core::http::headers::{HeaderName, HeaderValue, Headers};
use azure_core::http::response::PinnedStream;
use azure_core::http::{AsyncRawResponse, Body, Method, Request};
use azure_core::{Bytes, Error, Result};
use futures::{StreamExt, stream};
use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    self, ErrorCode, Fields, FutureIncomingResponse, HeaderError, IncomingBody, IncomingResponse,
    OutgoingBody, OutgoingRequest, Scheme,
};
use wasip2::io::streams::{InputStream, OutputStream, StreamError};

use super::reactor::ready;

/// How much of a response is asked for at a time, in bytes.
const CHUNK: u64 = 64 << 10;

/// Sends a request, and returns when the response's head is there.
pub(super) async fn send(request: &Request) -> Result<AsyncRawResponse> {
    let outgoing = outgoing(request)?;
    let body = outgoing.body().map_err(|()| other("the host offers no body for this request".into()))?;
    let response = outgoing_handler::handle(outgoing, None).map_err(|error| failed(request, &error))?;
    write(body, request.body()).await?;
    read(head(request, &response).await?)
}

fn outgoing(request: &Request) -> Result<OutgoingRequest> {
    let url = request.url();
    let fields = Fields::new();
    for (name, value) in request.headers().iter() {
        append(&fields, name.as_str(), value.as_str())?;
    }
    let says_itself = fields.has("content-length");
    let takes_body = matches!(request.method(), Method::Post | Method::Put | Method::Patch);
    if let Some(length) = request.body().len()
        && !says_itself
        && (takes_body || length > 0)
    {
        append(&fields, "content-length", &length.to_string())?;
    }
    let outgoing = OutgoingRequest::new(fields);
    let scheme = if url.scheme() == "http" { Scheme::Http } else { Scheme::Https };
    let set = outgoing
        .set_method(&method(request.method()))
        .and_then(|()| outgoing.set_scheme(Some(&scheme)))
        .and_then(|()| outgoing.set_authority(Some(url.authority())))
        .and_then(|()| outgoing.set_path_with_query(Some(&request.path_and_query())));
    set.map_err(|()| other(format!("{}: this is no URL that can be called", url.authority())))?;
    Ok(outgoing)
}

fn append(fields: &Fields, name: &str, value: &str) -> Result<()> {
    match fields.append(name, value.as_bytes()) {
        // The connection is the host's business, and so are the headers about it.
        Ok(()) | Err(HeaderError::Forbidden) => Ok(()),
        Err(error) => Err(other(format!("the header {name} cannot be sent: {error:?}"))),
    }
}

fn method(method: Method) -> types::Method {
    match method {
        Method::Delete => types::Method::Delete,
        Method::Get => types::Method::Get,
        Method::Head => types::Method::Head,
        Method::Patch => types::Method::Patch,
        Method::Post => types::Method::Post,
        Method::Put => types::Method::Put,
        other => types::Method::Other(other.to_string()),
    }
}

/// Sends a body, as far as the host takes it.
///
/// It takes no more of a request that has failed, or was answered early. The response says which.
///
/// # Errors
/// If the content cannot be read.
async fn write(body: OutgoingBody, content: &Body) -> Result<()> {
    let Ok(stream) = body.write() else { return Ok(()) };
    let written = match content {
        Body::Bytes(bytes) => write_all(&stream, bytes).await,
        Body::SeekableStream(content) => {
            let (mut content, mut written) = (content.clone(), Ok(()));
            while written.is_ok()
                && let Some(bytes) = content.next().await
            {
                written = write_all(&stream, &bytes?).await;
            }
            written
        }
    };
    let is_whole = written.is_ok() && stream.flush().is_ok() && room(&stream).await.is_ok();
    drop(stream);
    if is_whole {
        // It fails if the length is not the one that was announced, and so does the request.
        let _ = OutgoingBody::finish(body, None);
    }
    Ok(())
}

async fn write_all(stream: &OutputStream, mut bytes: &[u8]) -> std::result::Result<(), StreamError> {
    while !bytes.is_empty() {
        let room = room(stream).await?.min(bytes.len());
        let (now, later) = bytes.split_at(room);
        stream.write(now)?;
        bytes = later;
    }
    Ok(())
}

/// Waits until something may be written, and says how many bytes.
async fn room(stream: &OutputStream) -> std::result::Result<usize, StreamError> {
    loop {
        match stream.check_write()? {
            0 => ready(stream.subscribe()).await,
            room => return Ok(usize::try_from(room).unwrap_or(usize::MAX)),
        }
    }
}

async fn head(request: &Request, response: &FutureIncomingResponse) -> Result<IncomingResponse> {
    loop {
        match response.get() {
            Some(Ok(Ok(response))) => return Ok(response),
            Some(Ok(Err(error))) => return Err(failed(request, &error)),
            Some(Err(())) => return Err(other("the response has been taken".into())),
            None => ready(response.subscribe()).await,
        }
    }
}

/// A response while it is read. Each belongs to the one after it, and has to go before it.
struct Reading {
    stream: InputStream,
    _body: IncomingBody,
    _response: IncomingResponse,
}

fn read(response: IncomingResponse) -> Result<AsyncRawResponse> {
    let status = response.status().into();
    let mut headers: HashMap<HeaderName, HeaderValue> = HashMap::new();
    for (name, value) in response.headers().entries() {
        // A value that is no text is none that the SDK reads.
        if let Ok(value) = String::from_utf8(value) {
            headers.insert(name.into(), value.into());
        }
    }
    let body = response.consume().map_err(|()| other("the response has no body".into()))?;
    let stream = body.stream().map_err(|()| other("the response has been read".into()))?;
    let reading = Reading { stream, _body: body, _response: response };
    let chunks: PinnedStream = Box::pin(stream::try_unfold(reading, |reading| async move {
        Ok(next(&reading.stream).await?.map(|bytes| (bytes, reading)))
    }));
    Ok(AsyncRawResponse::new(status, Headers::from(headers), chunks))
}

async fn next(stream: &InputStream) -> Result<Option<Bytes>> {
    loop {
        match stream.read(CHUNK) {
            Ok(bytes) if bytes.is_empty() => ready(stream.subscribe()).await,
            Ok(bytes) => return Ok(Some(bytes.into())),
            Err(StreamError::Closed) => return Ok(None),
            Err(StreamError::LastOperationFailed(error)) => {
                let message = format!("receiving: {}", error.to_debug_string());
                return Err(Error::with_message(ErrorKind::Io, message));
            }
        }
    }
}

/// What the host says of a request that was not answered.
fn failed(request: &Request, error: &ErrorCode) -> Error {
    let kind = match error {
        ErrorCode::HttpRequestDenied
        | ErrorCode::DestinationIpProhibited
        | ErrorCode::HttpRequestMethodInvalid
        | ErrorCode::HttpRequestUriInvalid
        | ErrorCode::TlsCertificateError => ErrorKind::Other,
        // None of these requests was sent.
        ErrorCode::DnsError(_)
        | ErrorCode::DnsTimeout
        | ErrorCode::DestinationNotFound
        | ErrorCode::DestinationUnavailable
        | ErrorCode::ConnectionRefused
        | ErrorCode::TlsProtocolError => ErrorKind::Connection,
        _ => ErrorKind::Io,
    };
    let host = request.url().authority();
    let why = match error {
        ErrorCode::HttpRequestDenied => "the host refuses it, and its log says why".to_owned(),
        ErrorCode::DestinationIpProhibited => {
            "its address is not public: --allow-private grants it".to_owned()
        }
        error => format!("{error:?}"),
    };
    Error::with_message(kind, format!("{} {host}: {why}", request.method()))
}

fn other(message: String) -> Error {
    Error::with_message(ErrorKind::Other, message)
}
