//! The one transport that credentials and clients share.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use azure_core::error::{Error, ErrorKind};
use azure_core::http::{AsyncRawResponse, HttpClient, Method, Request};
use futures_util::StreamExt;
use tokio_rustls::rustls::crypto::ring;
use url::{Host, Url};

use crate::cause::{cause, innermost};
use crate::retry_after::retry_after;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a connection may be silent in the middle of a call. Each caller has a limit for the
/// whole of it.
const SILENCE: Duration = Duration::from_secs(60);
/// How long a connection is kept for the next call. Some servers close theirs after 5 s, and a call
/// that meets the closing has no clear answer.
const IDLE: Duration = Duration::from_secs(4);
/// As many as there may be calls at once: a worker handles up to a thousand messages.
const IDLE_CONNECTIONS: usize = 1024;

/// The longest body of an answer that is read, in bytes. Thirty-two messages of 64 KiB are half of
/// it.
const MAX_ANSWER: usize = 4 * 1024 * 1024;

/// HTTP over connections that are kept and shared.
///
/// What goes over plain HTTP goes directly: that is the platform's identity endpoint, or an
/// emulator, and no business of a proxy's. So does what goes to this very host. All else honours
/// `HTTPS_PROXY` and `NO_PROXY`. Certificates are checked against the system's authorities, or
/// those in `SSL_CERT_FILE`.
#[derive(Debug, Default)]
pub struct SharedHttp {
    plain: OnceLock<reqwest::Client>,
    local: OnceLock<reqwest::Client>,
    remote: OnceLock<reqwest::Client>,
}

impl SharedHttp {
    /// The client for a URL, made when it is first needed: an image without certificates can still
    /// use plain HTTP.
    fn client(&self, url: &Url) -> Result<&reqwest::Client, Error> {
        let (cell, builder) = match url.scheme() {
            "http" => (&self.plain, reqwest::Client::builder().no_proxy().tls_certs_only([])),
            _ if is_this_host(url) => (&self.local, reqwest::Client::builder().no_proxy()),
            _ => (&self.remote, reqwest::Client::builder()),
        };
        if let Some(client) = cell.get() {
            return Ok(client);
        }
        choose_cryptography();
        let client = builder
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| Error::with_message(ErrorKind::Other, no_tls(&error)))?;
        Ok(cell.get_or_init(|| client))
    }

    /// Whether calls to this URL can be made at all: over TLS, certificates have to be there.
    ///
    /// # Errors
    /// The cause and the mend, in words.
    pub fn ready(&self, url: &Url) -> Result<(), String> {
        self.client(url).map(drop).map_err(|error| error.to_string())
    }
}

/// The longest answer to a post that is read, in bytes.
const MAX_POST_ANSWER: usize = 64 * 1024;

/// What a server answered to a post.
#[derive(Debug)]
pub struct PostAnswer {
    /// The status of HTTP.
    pub status: u16,
    /// When it wants to be asked again, as [`retry_after`] reads it.
    pub retry_after: Option<Duration>,
    /// What it said.
    pub body: azure_core::Bytes,
}

impl SharedHttp {
    /// Posts a body to a URL. No redirect is followed.
    ///
    /// # Errors
    /// No answer came, or one longer than 64 KiB: the cause in words, without the URL.
    pub async fn post(
        &self,
        url: Url,
        headers: &http::HeaderMap,
        body: impl Into<azure_core::Bytes>,
    ) -> Result<PostAnswer, String> {
        let mut request = Request::new(url, Method::Post);
        for (name, value) in headers {
            if let Ok(value) = value.to_str() {
                request.insert_header(name.as_str().to_owned(), value.to_owned());
            }
        }
        request.set_body(body.into());
        let client = self.client(request.url()).map_err(|error| cause(&error))?;
        let answer = client.execute_request(&request).await.map_err(|error| cause(&error))?;
        let (status, headers, body) = no_longer_than(MAX_POST_ANSWER, answer).deconstruct();
        let body = body.collect().await.map_err(|error| cause(&error))?;
        Ok(PostAnswer { status: u16::from(status), retry_after: retry_after(&headers), body })
    }
}

/// Has all clients of HTTP in this process take their cryptography from *ring*. A client that is
/// made before panics, since the libraries bring none along: *ring* is built in a quarter of the
/// time of their own choice.
pub fn choose_cryptography() {
    // An error says that it is chosen already.
    let _ = ring::default_provider().install_default();
}

#[async_trait::async_trait]
impl HttpClient for SharedHttp {
    async fn execute_request(&self, request: &Request) -> Result<AsyncRawResponse, Error> {
        Ok(no_longer_than(MAX_ANSWER, self.client(request.url())?.execute_request(request).await?))
    }
}

/// The same transport for answers that are short.
#[derive(Clone, Debug)]
pub(crate) struct ShortAnswers {
    pub(crate) http: Arc<SharedHttp>,
    /// The longest body that is read, in bytes.
    pub(crate) max: usize,
}

#[async_trait::async_trait]
impl HttpClient for ShortAnswers {
    async fn execute_request(&self, request: &Request) -> Result<AsyncRawResponse, Error> {
        Ok(no_longer_than(self.max, self.http.execute_request(request).await?))
    }
}

/// An answer that is longer than what is read of one. The next one will be as well.
#[derive(Debug, thiserror::Error)]
#[error("the answer is longer than {max} bytes, and was not read any further")]
pub(crate) struct TooLongAnswer {
    max: usize,
}

impl TooLongAnswer {
    /// Whether it is why a call failed.
    pub(crate) fn is_behind(error: &Error) -> bool {
        let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
        while let Some(error) = next {
            if error.is::<Self>() {
                return true;
            }
            next = error.source();
        }
        false
    }
}

/// The answer, whose body breaks off with an error where it is longer than `max` bytes. Whoever
/// gets it keeps no more than that.
fn no_longer_than(max: usize, answer: AsyncRawResponse) -> AsyncRawResponse {
    let (status, headers, body) = answer.deconstruct();
    let mut read = 0_usize;
    let body = body.map(move |piece| {
        let piece = piece?;
        read = read.saturating_add(piece.len());
        if read > max {
            return Err(Error::new(ErrorKind::Io, TooLongAnswer { max }));
        }
        Ok(piece)
    });
    AsyncRawResponse::new(status, headers, Box::pin(body))
}

/// Whether a URL leads back to this very host.
pub fn is_this_host(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

fn no_tls(error: &reqwest::Error) -> String {
    format!(
        "cannot check certificates ({}); install the system's CA certificates (Debian: `ca-certificates`), or name a PEM file in SSL_CERT_FILE",
        innermost(error)
    )
}

#[cfg(test)]
mod tests {
    use azure_core::http::StatusCode;
    use azure_core::http::headers::Headers;

    use super::*;

    #[tokio::test]
    async fn the_cause_of_a_failed_call_does_not_repeat_its_url() {
        let url = Url::parse("http://127.0.0.1:1/account/orders?sig=secret&popreceipt=secret").unwrap();
        let request = Request::new(url, Method::Get);
        let error = SharedHttp::default().execute_request(&request).await.err().unwrap();
        let cause = cause(&error);
        assert!(cause.contains("refused") && !cause.contains("secret"), "{cause}");
    }

    #[tokio::test]
    async fn an_answer_is_read_up_to_its_limit_and_no_further() {
        for (length, pieces, is_read) in [(10, 6, true), (10, 7, false), (61, 1, false)] {
            let stream = futures_util::stream::iter(0..).map(move |_| Ok(vec![b'x'; length].into()));
            let body = Box::pin(stream.take(pieces));
            let answer = AsyncRawResponse::new(StatusCode::Ok, Headers::new(), body);
            let read = no_longer_than(60, answer).into_body().collect().await;
            assert_eq!(read.is_ok(), is_read, "{length} {pieces}");
            let Err(error) = read else { continue };
            assert!(cause(&error).contains("longer than 60 bytes"), "{error}");
        }
    }
}
