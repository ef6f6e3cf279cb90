//! HTTP requests over `wasi:http`, which the host checks, and signs where the operator said so.
//!
//! ```
//! use longshore_guest::testing::Attempt;
//! use longshore_guest::{Failure, Message, http, outbox};
//! use serde::Deserialize;
//!
//! #[derive(Deserialize)]
//! struct Rate {
//!     cents: u32,
//! }
//!
//! fn handle(day: String, _: &Message) -> Result<(), Failure> {
//!     let answer = http::get(&format!("https://api.example.com/rates?day={day}"))?;
//!     if answer.status == 404 {
//!         return Err(Failure::reject("day: there is no rate"));
//!     }
//!     let rate: Rate = answer.json()?;
//!     outbox::send_json("rates", &rate.cents)
//! }
//!
//! // Natively a test answers.
//! let attempt = Attempt::new("\"2026-11-26\"").answering(|request| {
//!     assert_eq!(request.url, "https://api.example.com/rates?day=2026-11-26");
//!     Ok(http::Response::new(200, r#"{"cents": 250}"#))
//! });
//! assert_eq!(attempt.handle(handle).sent[0].text(), "250");
//! ```
//!
//! A response of any status is a response: look at [`status`](Response::status). [`RequestFailed`]
//! means that there is none, and `?` makes it a retry. Redirects are not followed. Headers that are
//! the connection's business (`host`, `connection` and their like) are the host's: they are left
//! out. The operator grants a host with `--allow-http`, or `--http-identity`.

#[cfg(target_family = "wasm")]
mod wasi;

use std::error::Error;
use std::fmt;
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::Failure;

/// GET: see [`Request`].
///
/// # Errors
/// When there is no response.
pub fn get(url: &str) -> Result<Response, RequestFailed> {
    Request::new("GET", url).send()
}

/// HEAD: see [`Request`].
///
/// # Errors
/// When there is no response.
pub fn head(url: &str) -> Result<Response, RequestFailed> {
    Request::new("HEAD", url).send()
}

/// DELETE: see [`Request`].
///
/// # Errors
/// When there is no response.
pub fn delete(url: &str) -> Result<Response, RequestFailed> {
    Request::new("DELETE", url).send()
}

/// POST: see [`Request`].
///
/// # Errors
/// When there is no response.
pub fn post(url: &str, body: impl Into<Vec<u8>>) -> Result<Response, RequestFailed> {
    Request::new("POST", url).body(body).send()
}

/// PUT: see [`Request`].
///
/// # Errors
/// When there is no response.
pub fn put(url: &str, body: impl Into<Vec<u8>>) -> Result<Response, RequestFailed> {
    Request::new("PUT", url).body(body).send()
}

/// PATCH: see [`Request`].
///
/// # Errors
/// When there is no response.
pub fn patch(url: &str, body: impl Into<Vec<u8>>) -> Result<Response, RequestFailed> {
    Request::new("PATCH", url).body(body).send()
}

/// A request, with headers and a time limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The method, in capitals.
    pub method: String,
    /// The whole URL.
    pub url: String,
    /// Names in small letters, and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// How long the connection, the response and each pause in it may take. Without a limit it is
    /// the host's.
    pub timeout: Option<Duration>,
}

impl Request {
    /// A request without headers and without a body.
    #[must_use]
    pub fn new(method: &str, url: &str) -> Self {
        let (method, url) = (method.to_owned(), url.to_owned());
        Self { method, url, headers: Vec::new(), body: Vec::new(), timeout: None }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_ascii_lowercase(), value.to_owned()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Limits the connection, the response and each pause in it.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sends it, and reads the whole response.
    ///
    /// # Errors
    /// When there is no response.
    pub fn send(self) -> Result<Response, RequestFailed> {
        let url = Url::parse(&self.url).ok_or_else(|| {
            // The URL may hold a signature.
            let words = "this is no URL that can be called: it begins with https:// and a host";
            RequestFailed { message: format!("{}: {words}", self.method), refused: true }
        })?;
        let who = format!("{} {}", self.method, url.authority);
        #[cfg(target_family = "wasm")]
        let answered = wasi::send(&self, &url, &who);
        #[cfg(not(target_family = "wasm"))]
        let answered = crate::testing::answer(&self).unwrap_or_else(|| {
            let words = "there is no wasi:http outside of a component: let the attempt answer in tests";
            Err(RequestFailed { message: format!("{who}: {words}"), refused: true })
        });
        answered.map(|response| Response { who, ..response })
    }
}

/// The parts of a URL that a request is made of.
struct Url<'a> {
    #[cfg_attr(not(target_family = "wasm"), allow(dead_code, reason = "natively nothing is sent"))]
    is_encrypted: bool,
    authority: &'a str,
    /// With the query.
    #[cfg_attr(not(target_family = "wasm"), allow(dead_code, reason = "natively nothing is sent"))]
    path: String,
}

impl<'a> Url<'a> {
    fn parse(url: &'a str) -> Option<Self> {
        let (is_encrypted, rest) = match url.strip_prefix("https://") {
            Some(rest) => (true, rest),
            None => (false, url.strip_prefix("http://")?),
        };
        let rest = rest.split('#').next()?;
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        // What is neither is written in percent (RFC 3986, section 2.1).
        let is_plain = rest.bytes().all(|byte| byte.is_ascii_graphic());
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        // What stands before an `@` is a password, and errors name the authority.
        let is_host = !authority.is_empty() && !authority.contains('@');
        (is_plain && is_host).then_some(Self { is_encrypted, authority, path })
    }
}

/// A response, with its whole body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status, such as 200.
    pub status: u16,
    /// Names in small letters, and values. What was given twice is there twice.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// Method and host, for errors.
    who: String,
}

impl Response {
    /// A response without headers, for tests.
    #[must_use]
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into(), who: String::new() }
    }

    /// The first header of that name, in small letters.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str())
    }

    /// The body as text. Bytes that are no UTF-8 are shown as `�`.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// What the body holds, as JSON.
    ///
    /// # Errors
    /// When it does not fit: a retry that names the field and the cause, and holds nothing of the
    /// body.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        crate::json::parse(&self.body).map_err(|reason| {
            Failure::retry(format!("{}: the response, {} ({reason})", self.who, self.status))
        })
    }
}

/// There is no response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestFailed {
    message: String,
    refused: bool,
}

impl RequestFailed {
    /// An error of a connection, for tests.
    #[must_use]
    pub fn new(message: &str) -> Self {
        Self { message: message.to_owned(), refused: false }
    }

    /// Whether the host refuses the request, and would again: its log says why, and which flag would
    /// grant it.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.refused
    }
}

impl fmt::Display for RequestFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for RequestFailed {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Message;
    use crate::testing::Attempt;

    fn fetch(url: String, _: &Message) -> Result<(), Failure> {
        let answer = Request::new("POST", &url).header("X-Of-Mine", "7").body("{}").send()?;
        answer.json::<u32>().map(drop)
    }

    #[test]
    fn a_test_answers_each_request_of_its_attempt_and_sees_it_whole() {
        let outcome = Attempt::new("\"http://a.example\"")
            .answering(|request| {
                let sent = Request::new("POST", "http://a.example").header("x-of-mine", "7").body("{}");
                assert_eq!(*request, sent);
                Ok(Response::new(200, "7"))
            })
            .handle(fetch);
        assert_eq!(outcome.name(), "completed");
    }

    #[test]
    fn a_request_that_fails_is_a_retry_and_says_nothing_of_a_body_or_a_query() {
        let body = "\"https://a.example:8443/b?sig=secret\"";
        let reason = |attempt: Attempt| attempt.handle(fetch).reason().to_owned();
        let words = "there is no wasi:http outside of a component: let the attempt answer in tests";
        assert_eq!(reason(Attempt::new(body)), format!("POST a.example:8443: {words}"));
        let answered = Attempt::new(body).answering(|_| Ok(Response::new(500, "\"secret\"")));
        let words = "the response, 500 (body: expected u32, got string)";
        assert_eq!(reason(answered), format!("POST a.example:8443: {words}"));
        let broken = Attempt::new(body).answering(|_| Err(RequestFailed::new("the connection was refused")));
        assert_eq!(reason(broken), "the connection was refused");
    }

    #[test]
    fn what_is_no_url_is_refused_before_anything_is_sent() {
        for url in [
            "ftp://a.example",
            "/secret",
            "https://",
            "https://a.example/a secret",
            "https:///secret",
            "https://a:secret@b",
        ] {
            let failed = get(url).unwrap_err();
            assert!(failed.is_refused() && !failed.to_string().contains("secret"), "{failed}");
        }
        let parts = |url| Url::parse(url).map(|it| (it.is_encrypted, it.authority.to_owned(), it.path));
        assert_eq!(parts("https://a:1?x=1#f"), Some((true, "a:1".to_owned(), "/?x=1".to_owned())));
        assert_eq!(parts("http://a"), Some((false, "a".to_owned(), "/".to_owned())));
    }
}
