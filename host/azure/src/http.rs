//! The one transport that credentials and clients share.

use std::sync::OnceLock;
use std::time::Duration;

use azure_core::error::{Error, ErrorKind};
use azure_core::http::{AsyncRawResponse, HttpClient, Request};
use futures_util::StreamExt as _;
use url::{Host, Url};

use crate::cause::innermost;

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

/// The most that is read of any answer: ten times what the largest of them take, which are 32
/// messages of 64 KiB as XML.
const MAX_ANSWER: usize = 4 << 20;

/// HTTP over connections that are kept and shared. An answer that is longer than 4 MiB ends in an
/// error.
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

#[async_trait::async_trait]
impl HttpClient for SharedHttp {
    async fn execute_request(&self, request: &Request) -> Result<AsyncRawResponse, Error> {
        let response = self.client(request.url())?.execute_request(request).await?;
        Ok(no_longer_than(MAX_ANSWER, response))
    }
}

/// The answer, which ends in an error where it is longer than so many bytes: one without an end
/// must not fill the memory.
pub(crate) fn no_longer_than(limit: usize, response: AsyncRawResponse) -> AsyncRawResponse {
    let (status, headers, body) = response.deconstruct();
    let mut left = limit;
    let body = body.map(move |chunk| {
        let chunk = chunk?;
        left = left.checked_sub(chunk.len()).ok_or_else(|| {
            Error::with_message(
                ErrorKind::Io,
                format!("the answer is longer than {} KiB, which none is", limit >> 10),
            )
        })?;
        Ok(chunk)
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
    use azure_core::http::Method;

    use super::*;
    use crate::cause::cause;

    #[tokio::test]
    async fn the_cause_of_a_failed_call_does_not_repeat_its_url() {
        let url = Url::parse("http://127.0.0.1:1/account/orders?sig=secret&popreceipt=secret").unwrap();
        let request = Request::new(url, Method::Get);
        let error = SharedHttp::default().execute_request(&request).await.err().unwrap();
        let cause = cause(&error);
        assert!(cause.contains("refused") && !cause.contains("secret"), "{cause}");
    }
}
