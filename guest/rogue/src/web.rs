//! HTTP, as guests do it: what came back is said in the rejection, what went wrong in the retry.

use longshore_guest::Failure;
use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    ErrorCode, Fields, IncomingResponse, Method, OutgoingBody, OutgoingRequest, RequestOptions, Scheme,
};
use wasip2::io::streams::StreamError;

/// Where a request goes, and what it says.
struct Wish<'a> {
    method: Method,
    url: &'a str,
    /// `None`: it is sent without its body ever being asked for.
    body: Option<Vec<u8>>,
    /// How long the response may pause in its body, in milliseconds.
    pause: Option<u64>,
    /// Names and values.
    headers: Vec<(&'a str, &'a str)>,
}

impl<'a> Wish<'a> {
    fn get(url: &'a str) -> Self {
        Self { method: Method::Get, url, body: Some(Vec::new()), pause: None, headers: Vec::new() }
    }
}

/// Rejects with the status, the headers `location` and `host-seen`, and the start of the body.
pub(crate) fn get(url: &str) -> Result<(), Failure> {
    get_with(url, None)
}

/// Asks for what is there, and looks at no more than that there is an answer.
pub(crate) fn call(url: &str) -> Result<(), Failure> {
    send(&Wish::get(url)).map(drop)
}

/// As `get`, from a server that may not pause for longer than this: `MILLISECONDS@URL`.
pub(crate) fn get_in_time(argument: &str) -> Result<(), Failure> {
    let (pause, url) = argument.split_once('@').unwrap_or(("0", argument));
    get_with(url, pause.parse().ok())
}

fn get_with(url: &str, pause: Option<u64>) -> Result<(), Failure> {
    let response = send(&Wish { pause, ..Wish::get(url) })?;
    let (status, location) = (response.status(), header(&response, "location"));
    let body = read(&response)?;
    let start = String::from_utf8_lossy(&body[..body.len().min(100)]).into_owned();
    Err(Failure::reject(format!("{status} {location} {} bytes {start}", body.len())))
}

/// As `get`, of where the response points.
pub(crate) fn follow(url: &str) -> Result<(), Failure> {
    let response = send(&Wish::get(url))?;
    get(&header(&response, "location"))
}

/// Rejects with the status and the start of what came back, after a body: `SIZE@URL`.
pub(crate) fn post(argument: &str) -> Result<(), Failure> {
    let (size, url) = argument.split_once('@').unwrap_or(("0", argument));
    let body = vec![b'x'; size.parse().unwrap_or_default()];
    let response = send(&Wish { method: Method::Post, body: Some(body), ..Wish::get(url) })?;
    let (status, body) = (response.status(), read(&response)?);
    let start = String::from_utf8_lossy(&body[..body.len().min(300)]).into_owned();
    Err(Failure::reject(format!("{status} {start}")))
}

/// Keeps as much in the host as it lets itself be given: requests that are never sent, with names
/// of this many bytes. Rejects with how many of them were taken.
pub(crate) fn hoard(name: usize) -> Result<(), Failure> {
    let name = "x".repeat(name);
    let (mut kept, mut taken) = (Vec::new(), 0);
    for _ in 0..300 {
        // Nearly as many as the host takes; with one too many it ends the guest.
        let fields = Fields::new();
        let filled = (0..150).filter(|n| fields.append(&format!("f{n}"), b"").is_ok()).count();
        assert_eq!(filled, 150);
        let request = OutgoingRequest::new(fields);
        let method = request.set_method(&Method::Other(name.clone()));
        let authority = request.set_authority(Some(&name));
        let path = request.set_path_with_query(Some(&format!("/{name}")));
        taken += [method, authority, path].iter().filter(|set| set.is_ok()).count();
        let body = request.body();
        kept.push((request, body));
    }
    Err(Failure::reject(format!("{taken} taken")))
}

/// Copies fields that it owns, and makes each copy one of its own.
pub(crate) fn copy_fields(count: usize) -> Result<(), Failure> {
    let fields = Fields::new();
    assert!((0..14).all(|_| fields.append("name", &[b'x'; 1000]).is_ok()));
    let copies: Vec<_> = (0..count).map(|_| fields.clone()).collect();
    let changed = copies.iter().filter(|copy| copy.delete("other").is_ok()).count();
    Err(Failure::reject(format!("{changed} copies")))
}

/// As many requests as asked for: `COUNT@URL`. Completes if all were answered.
pub(crate) fn get_many(argument: &str) -> Result<(), Failure> {
    let (count, url) = argument.split_once('@').unwrap_or(("0", argument));
    for _ in 0..count.parse::<usize>().unwrap_or_default() {
        read(&send(&Wish::get(url))?)?;
    }
    Ok(())
}

/// A request of any kind: `METHOD URL`, headers as `name: value` on lines of their own, and a body
/// after an empty line, if there is one. Rejects with the status, the headers and the start of the
/// body.
pub(crate) fn ask(argument: &str) -> Result<(), Failure> {
    let (head, body) = match argument.split_once("\n\n") {
        Some((head, body)) => (head, Some(body.into())),
        None => (argument, None),
    };
    let mut lines = head.lines();
    let (method, url) = lines.next().and_then(|line| line.split_once(' ')).unwrap_or_default();
    let method = match method {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "PUT" => Method::Put,
        "POST" => Method::Post,
        "DELETE" => Method::Delete,
        "TRACE" => Method::Trace,
        other => Method::Other(other.to_owned()),
    };
    let headers = lines.filter_map(|line| line.split_once(": ")).collect();
    let response = send(&Wish { method, url, body, pause: None, headers })?;
    let (status, seen) = (response.status(), response.headers().entries());
    let seen = seen.iter().map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value)));
    let seen: Vec<_> = seen.collect();
    let body = read(&response)?;
    let start = String::from_utf8_lossy(&body[..body.len().min(1000)]).into_owned();
    Err(Failure::reject(format!("{status}|{}|{start}", seen.join("|"))))
}

/// Says that a body has 1,000 bytes, sends ten of them, and dies before the rest.
pub(crate) fn die_writing(url: &str) -> Result<(), Failure> {
    let (authority, path) = url.trim_start_matches("http://").split_once('/').unwrap_or_default();
    let fields = Fields::new();
    assert!(fields.append("content-length", b"1000").is_ok());
    let request = OutgoingRequest::new(fields);
    let set = request
        .set_method(&Method::Post)
        .and_then(|()| request.set_scheme(Some(&Scheme::Http)))
        .and_then(|()| request.set_authority(Some(authority)))
        .and_then(|()| request.set_path_with_query(Some(&format!("/{path}"))));
    set.and_then(|()| {
        let body = request.body()?;
        let _response = outgoing_handler::handle(request, None).map_err(drop)?;
        body.write()?.blocking_write_and_flush(b"ten bytes.").map_err(drop)?;
        // Longer than the host waits for the rest.
        std::thread::sleep(std::time::Duration::from_millis(500));
        panic!("in the middle of a body");
    })
    .map_err(|()| Failure::retry("it could not be written"))
}

/// Sends as many requests as asked for at once, reads no body for a second, and then each of them:
/// `COUNT@URL`. Completes if all were answered.
pub(crate) fn let_wait(argument: &str) -> Result<(), Failure> {
    let (count, url) = argument.split_once('@').unwrap_or(("0", argument));
    let responses: Result<Vec<_>, _> =
        (0..count.parse::<usize>().unwrap_or_default()).map(|_| send(&Wish::get(url))).collect();
    let responses = responses?;
    std::thread::sleep(std::time::Duration::from_secs(1));
    responses.iter().try_for_each(|response| read(response).map(drop))
}

/// Asks for a tunnel.
pub(crate) fn connect(url: &str) -> Result<(), Failure> {
    let response = send(&Wish { method: Method::Connect, ..Wish::get(url) })?;
    Err(Failure::reject(format!("{}", response.status())))
}

fn send(wish: &Wish<'_>) -> Result<IncomingResponse, Failure> {
    let failed = |error: ErrorCode| Failure::retry(format!("{error:?}"));
    let (scheme, rest) = match wish.url.split_once("://") {
        Some(("http", rest)) => (Some(Scheme::Http), rest),
        Some((_, rest)) => (Some(Scheme::Https), rest),
        None => (None, wish.url),
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let fields = Fields::new();
    for (name, value) in &wish.headers {
        fields
            .append(name, value.as_bytes())
            .map_err(|error| Failure::retry(format!("{name}: {error:?}")))?;
    }
    let request = OutgoingRequest::new(fields);
    // What the host adds later shall not be seen here.
    let seen = request.headers();
    let set = request
        .set_method(&wish.method)
        .and_then(|()| request.set_scheme(scheme.as_ref()))
        .and_then(|()| request.set_authority(Some(authority)))
        .and_then(|()| request.set_path_with_query(Some(if path.is_empty() { "/" } else { path })));
    set.map_err(|()| Failure::retry("no such request"))?;
    let body = wish.body.as_ref().map(|bytes| Ok((request.body()?, bytes)));
    let body = body.transpose().map_err(|()| Failure::retry("no body"))?;
    let options = wish.pause.map(|pause| {
        let options = RequestOptions::new();
        options.set_between_bytes_timeout(Some(pause * 1_000_000)).map(|()| options)
    });
    let options = options.transpose().map_err(|()| Failure::retry("no such option"))?;
    let future = outgoing_handler::handle(request, options).map_err(failed)?;
    let sent = body.map_or(Ok(()), |(body, bytes)| write(body, bytes));
    future.subscribe().block();
    let response = future.get().and_then(Result::ok).ok_or_else(|| Failure::retry("no answer"))?;
    let response = response.map_err(failed)?;
    let own =
        |name: &str, value: &[u8]| wish.headers.iter().any(|it| it.0 == name && it.1.as_bytes() == value);
    if seen.entries().iter().any(|(name, value)| !own(name, value)) {
        return Err(Failure::reject("escaped: what the host added is seen"));
    }
    sent.map(|()| response)
}

fn write(body: OutgoingBody, bytes: &[u8]) -> Result<(), Failure> {
    {
        let stream = body.write().map_err(|()| Failure::retry("no stream"))?;
        for chunk in bytes.chunks(4096) {
            stream
                .blocking_write_and_flush(chunk)
                .map_err(|error| Failure::retry(format!("sending: {error:?}")))?;
        }
    }
    OutgoingBody::finish(body, None).map_err(|error| Failure::retry(format!("{error:?}")))
}

fn read(response: &IncomingResponse) -> Result<Vec<u8>, Failure> {
    let body = response.consume().map_err(|()| Failure::retry("no body"))?;
    let stream = body.stream().map_err(|()| Failure::retry("no stream"))?;
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(64 << 10) {
            Ok(mut read) => bytes.append(&mut read),
            Err(StreamError::Closed) => return Ok(bytes),
            Err(error) => return Err(Failure::retry(format!("receiving: {}", error.to_debug()))),
        }
    }
}

fn header(response: &IncomingResponse, name: &str) -> String {
    let found = response.headers().get(name);
    found.iter().map(|value| String::from_utf8_lossy(value).into_owned()).collect()
}

/// What can be said of a stream's error.
trait ToDebug {
    fn to_debug(&self) -> String;
}

impl ToDebug for StreamError {
    fn to_debug(&self) -> String {
        match self {
            Self::LastOperationFailed(error) => error.to_debug_string(),
            Self::Closed => "closed".to_owned(),
        }
    }
}
