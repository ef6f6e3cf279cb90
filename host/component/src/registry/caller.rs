//! Calls of a registry over HTTP, each with a limit in bytes and in time, and with credentials that
//! go to the registry only.
//!
//! The client in `oci-client` is not used. It follows redirects with what it sent before, reads
//! answers without a limit, shows a login to whatever realm a challenge names, and knows no refresh
//! tokens.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, LOCATION};
use http::{HeaderMap, HeaderValue, Method};
use reqwest::{Client, Response};
use serde::Deserialize;
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::address::Address;
use super::error::{RegistryError, cause_of};

/// How long a connection may take to be made.
const MAX_CONNECT: Duration = Duration::from_secs(5);
/// How long a connection may be silent, and a small answer may take in all.
const MAX_SILENCE: Duration = Duration::from_secs(20);
/// What is slower than that, in bytes a second, is no answer.
const MIN_SPEED: u64 = 32 << 10;
/// The most that is read of a manifest ([distribution
/// spec](https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-manifests)),
/// a token or an error.
pub(super) const MAX_SMALL: usize = 4 << 20;
/// How many redirects are followed, one after the other.
const MAX_REDIRECTS: usize = 5;
/// How much of a registry's own words is repeated.
const MAX_WORDS: usize = 200;

/// One call.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) url: Url,
    /// What may be sent back.
    pub(super) accept: Option<&'static str>,
    /// What is sent, and of which type.
    pub(super) body: Option<(&'static str, Bytes)>,
    /// What shows who calls. It is sent to this call's origin only.
    pub(super) authorization: Option<HeaderValue>,
}

impl Call {
    pub(super) fn new(method: Method, url: Url) -> Self {
        Self { method, url, accept: None, body: None, authorization: None }
    }
}

/// The connections to one registry.
#[derive(Debug)]
pub(super) struct Caller {
    client: Client,
    registry: String,
    is_local: bool,
}

impl Caller {
    pub(super) fn new(address: &Address) -> Result<Self, RegistryError> {
        longshore_azure::choose_cryptography();
        let builder = Client::builder()
            .connect_timeout(MAX_CONNECT)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("longshore/", env!("CARGO_PKG_VERSION")));
        let is_local = address.is_local();
        // A registry on this machine is no business of a proxy's.
        let builder = if is_local { builder.no_proxy() } else { builder };
        let registry = address.registry().to_owned();
        let client = builder.build();
        let client = client.map_err(|error| RegistryError::Other {
            registry: registry.clone(),
            cause: format!(
                "cannot check certificates ({}); install the system's CA certificates",
                cause_of(&error)
            ),
        })?;
        Ok(Self { client, registry, is_local })
    }

    /// Calls, and follows redirects of reads. Returns what was answered, whatever its status.
    pub(super) async fn call(&self, call: Call) -> Result<Answer<'_>, RegistryError> {
        let Call { method, mut url, accept, body, authorization } = call;
        let sent = body.as_ref().map_or(0, |(_, bytes)| bytes.len() as u64);
        let ends = Instant::now() + time_for(sent);
        let mut headers = HeaderMap::new();
        headers.extend(accept.map(|accept| (ACCEPT, HeaderValue::from_static(accept))));
        headers.extend(authorization.map(|value| (AUTHORIZATION, value)));
        let reads = method == Method::GET || method == Method::HEAD;
        for _ in 0..=MAX_REDIRECTS {
            let mut request = self.client.request(method.clone(), url.clone()).headers(headers.clone());
            if let Some((media_type, bytes)) = &body {
                request = request.header(CONTENT_TYPE, *media_type).body(bytes.clone());
            }
            let response = match timeout_at(ends, request.send()).await {
                Ok(Ok(response)) => response,
                Ok(Err(error)) => return Err(self.failed(&error)),
                Err(_) => return Err(self.silent()),
            };
            let location = response.headers().get(LOCATION).and_then(|it| it.to_str().ok());
            let next = match (response.status().as_u16(), location) {
                (301 | 302 | 303 | 307 | 308, Some(location)) if reads => url.join(location).ok(),
                _ => return Ok(Answer { caller: self, response, ends }),
            };
            let next = next.ok_or_else(|| self.other("it redirects to what is no URL".into()))?;
            if !self.may_follow(&next) {
                let to = cut(&next.origin().ascii_serialization());
                return Err(self.other(format!(
                    "it redirects to {to}, which is not followed; look at what stands between, or at the registry's storage"
                )));
            }
            // What is elsewhere once has no credentials for the rest of the way.
            if next.origin() != url.origin() {
                headers.remove(AUTHORIZATION);
            }
            url = next;
        }
        Err(self.other(format!(
            "it redirects more than {MAX_REDIRECTS} times; look at what stands between, or at the registry's storage"
        )))
    }

    /// To TLS from anywhere; in the clear only between servers on this machine.
    fn may_follow(&self, next: &Url) -> bool {
        next.scheme() == "https"
            || (next.scheme() == "http" && self.is_local && longshore_azure::is_this_host(next))
    }

    fn failed(&self, error: &reqwest::Error) -> RegistryError {
        if error.is_timeout() && !error.is_connect() {
            return self.silent();
        }
        RegistryError::Unreachable { registry: self.registry.clone(), cause: cause_of(error), also: "" }
    }

    fn silent(&self) -> RegistryError {
        RegistryError::Silent { registry: self.registry.clone() }
    }

    fn other(&self, cause: String) -> RegistryError {
        RegistryError::Other { registry: self.registry.clone(), cause }
    }
}

/// The beginning of an answer.
#[derive(Debug)]
pub(super) struct Answer<'a> {
    caller: &'a Caller,
    response: Response,
    ends: Instant,
}

impl Answer<'_> {
    pub(super) fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    /// A header, if it is there and is text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    /// Where the registry wants to be asked next.
    pub(super) fn location(&self) -> Result<Url, RegistryError> {
        let url = self.header("location").and_then(|location| self.response.url().join(location).ok());
        let url = url.filter(|url| self.caller.may_follow(url));
        url.ok_or_else(|| {
            self.caller.other("it does not say where to upload to, or not where one may".into())
        })
    }

    /// Reads the answer, in the time that a small one may take.
    ///
    /// # Errors
    /// It is longer than `limit`, or does not come.
    pub(super) async fn small(self) -> Result<Bytes, RegistryError> {
        let caller = self.caller;
        let bytes = self.read(MAX_SMALL).await?;
        bytes.ok_or_else(|| {
            caller.other(format!(
                "its answer is longer than {} MiB; is it a registry, or something between?",
                MAX_SMALL >> 20
            ))
        })
    }

    /// Reads an answer of a known length; `None` if it is longer.
    pub(super) async fn sized(mut self, length: usize) -> Result<Option<Bytes>, RegistryError> {
        self.ends += time_for(length as u64);
        self.read(length).await
    }

    async fn read(mut self, limit: usize) -> Result<Option<Bytes>, RegistryError> {
        let mut bytes = BytesMut::new();
        loop {
            let ends = self.ends.min(Instant::now() + MAX_SILENCE);
            match timeout_at(ends, self.response.chunk()).await {
                Ok(Ok(Some(chunk))) if bytes.len() + chunk.len() > limit => return Ok(None),
                Ok(Ok(Some(chunk))) => bytes.extend_from_slice(&chunk),
                Ok(Ok(None)) => return Ok(Some(bytes.freeze())),
                Ok(Err(error)) => return Err(self.caller.failed(&error)),
                Err(_) => return Err(self.caller.silent()),
            }
        }
    }

    /// What a refusal means; `who` names the credentials that were sent.
    pub(super) async fn refusal(self, who: &'static str) -> RegistryError {
        let (caller, status) = (self.caller, self.status());
        let refusal = match self.small().await {
            Ok(body) => Refusal::read(&body),
            Err(error @ RegistryError::Silent { .. }) => return error,
            Err(_) => Refusal::default(),
        };
        let registry = caller.registry.clone();
        match refusal.code.as_str() {
            "UNAUTHORIZED" => RegistryError::Unauthorized { registry, who },
            "DENIED" => RegistryError::Denied { registry, who },
            "TOOMANYREQUESTS" => RegistryError::Busy { registry, status: "429".into() },
            "MANIFEST_UNKNOWN" | "NAME_UNKNOWN" | "BLOB_UNKNOWN" | "NOT_FOUND" => {
                RegistryError::NotFound { registry }
            }
            _ => RegistryError::status(registry, status, &refusal.words(), who),
        }
    }
}

/// What a registry says of an error ([distribution
/// spec](https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes)).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Refusal {
    code: String,
    message: String,
}

impl Refusal {
    fn read(body: &[u8]) -> Self {
        #[derive(Deserialize)]
        struct Envelope {
            errors: Vec<Refusal>,
        }
        let read = serde_json::from_slice::<Envelope>(body);
        read.ok().and_then(|it| it.errors.into_iter().next()).unwrap_or_default()
    }

    fn words(&self) -> String {
        cut(format!("{} {}", self.code, self.message).trim())
    }
}

/// The beginning of somebody else's words.
pub(super) fn cut(text: &str) -> String {
    text.chars().take(MAX_WORDS).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// How long so many bytes may take.
fn time_for(bytes: u64) -> Duration {
    MAX_SILENCE + Duration::from_secs(bytes / MIN_SPEED)
}
