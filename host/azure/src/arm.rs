//! Azure Resource Manager: calls that are authorised, read again where that is safe, and explained where they fail
//! ([Azure REST API reference](https://learn.microsoft.com/rest/api/azure/)).

mod error;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use azure_core::http::headers::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName};
use azure_core::http::{Context, Method, Pipeline, PipelineSendOptions, RawResponse, Request};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};
use url::Url;

pub use self::error::{ArmError, Kind};
use super::{Authorize, Azure, client_options, is_this_host};

/// The endpoint of the public cloud.
const PUBLIC: &str = "https://management.azure.com/";
/// How long any call may take: ARM itself gives up on the provider behind it after 60 s.
const LIMIT: Duration = Duration::from_secs(70);
/// The first pause before a read is tried again, doubled each time, and the longest, which is also how long a
/// `Retry-After` is believed.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(60));
/// The shortest pause, whatever is asked: a service that says `Retry-After: 0` is not asked in a tight loop.
pub(super) const PAUSE_AT_LEAST: Duration = Duration::from_millis(50);
/// For how long a read that a person waits for is tried again.
pub const PATIENCE: Duration = Duration::from_secs(30);

const LOCATION: HeaderName = HeaderName::from_static("location");
const RETRY_AFTER: HeaderName = HeaderName::from_static("retry-after");

/// Where ARM is: the public cloud, another one (`https://management.usgovcloudapi.net`, `https://management.chinacloudapi.cn`),
/// or a server on this very host, which may be plain HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(Url);

impl Default for Endpoint {
    fn default() -> Self {
        // The only way to a URL is to parse one, and this one is a constant.
        Self(Url::parse(PUBLIC).expect("the public endpoint is a URL"))
    }
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| format!("{error}; write it as in {PUBLIC}"))?;
        if url.path() != "/" || url.query().is_some() || !url.username().is_empty() {
            return Err(format!("an endpoint is a scheme and a host, as in {PUBLIC}"));
        }
        if url.scheme() != "https" && !(url.scheme() == "http" && is_this_host(&url)) {
            return Err("a token does not travel in the clear; use https".into());
        }
        Ok(Self(url))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

impl Endpoint {
    /// The scope of tokens: each cloud has its own. A server on this host takes those of the public cloud.
    fn scope(&self) -> String {
        let audience = if self.0.scheme() == "https" { self.0.as_str() } else { PUBLIC };
        format!("{audience}.default")
    }

    /// Whether a link in an answer may be followed with our token: to the endpoint itself, or to one of its regions.
    fn owns(&self, link: &Url) -> bool {
        let host = |url: &Url| url.host_str().unwrap_or_default().to_ascii_lowercase();
        let same_port = link.scheme() == self.0.scheme()
            && link.port_or_known_default() == self.0.port_or_known_default();
        let (link, own) = (host(link), host(&self.0));
        same_port && (link == own || link.strip_suffix(&own).is_some_and(|region| region.ends_with('.')))
    }
}

/// What is asked of ARM: how an error names it, the action that a role has to allow, and the least built-in role that does
/// ([Azure built-in roles for containers](https://learn.microsoft.com/azure/role-based-access-control/built-in-roles/containers)).
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// As in "cannot …".
    pub verb: &'static str,
    /// As `Microsoft.App/jobs/read`.
    pub action: &'static str,
    /// As `Reader`.
    pub role: &'static str,
    /// What shows the things that there are, where the one that was named is not.
    pub there_is: &'static str,
}

/// One answer of ARM, of a status below 300.
#[derive(Debug)]
pub struct Answer {
    /// 200, or 202 while it is being done.
    pub status: u16,
    /// Where the result will be.
    pub location: Option<String>,
    /// When to ask again.
    pub retry_after: Option<Duration>,
    /// The body; `null` if there is none.
    pub body: Value,
}

impl Answer {
    /// The body as what it should be.
    pub(super) fn read<T: DeserializeOwned>(self, asked: &Asked<'_>) -> Result<T, ArmError> {
        serde_json::from_value(self.body).map_err(|error| asked.unreadable(&error.to_string()))
    }
}

/// What was asked, and of what: for errors.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// What was asked.
    pub operation: Operation,
    /// Of what: a resource id.
    pub of: &'a str,
}

/// A client of ARM.
#[derive(Debug)]
pub struct Arm {
    endpoint: Endpoint,
    pipeline: Pipeline,
}

impl Arm {
    /// A client with the credential of `azure`. Nothing is asked of anybody yet.
    pub fn new(endpoint: Endpoint, azure: &Azure) -> Self {
        let authorize = Arc::new(Authorize(azure.tokens(endpoint.scope())));
        let (name, version) = (option_env!("CARGO_PKG_NAME"), option_env!("CARGO_PKG_VERSION"));
        let options = client_options(azure.http());
        let pipeline = Pipeline::new(name, version, options, Vec::new(), vec![authorize], None);
        Self { endpoint, pipeline }
    }

    /// The URL of a resource or an action, by its path.
    pub fn url(&self, path: &str, api_version: &str) -> Url {
        let mut url = self.endpoint.0.clone();
        url.set_path(path);
        url.query_pairs_mut().append_pair("api-version", api_version);
        url
    }

    /// A link that an answer held.
    ///
    /// # Errors
    /// It leads away from ARM, where our token must not go.
    pub fn follow(&self, link: &str, asked: &Asked<'_>) -> Result<Url, ArmError> {
        // A relative link is one to where the answer came from.
        match self.endpoint.0.join(link) {
            Ok(url) if self.endpoint.owns(&url) => Ok(url),
            Ok(url) => Err(asked.unreadable(&format!(
                "the answer links to {}, where a token for {} must not go",
                url.origin().ascii_serialization(),
                self.endpoint
            ))),
            Err(error) => Err(asked.unreadable(&format!("the answer has a link that is none: {error}"))),
        }
    }

    /// Reads; again after a pause when the service is busy or does not answer, until `patience` is used up.
    ///
    /// # Errors
    /// What ARM refused, or that it did not answer.
    pub async fn get(&self, url: &Url, asked: &Asked<'_>, patience: Duration) -> Result<Answer, ArmError> {
        let (started, patience) = (Instant::now(), no_longer_than(patience));
        let (mut pause, longest) = PAUSES;
        loop {
            let error = match self.send(Request::new(url.clone(), Method::Get), asked).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let wait = error.retry_after.unwrap_or(pause).clamp(PAUSE_AT_LEAST, longest);
            if !error.is_passing() || started.elapsed() + wait > patience {
                return Err(error);
            }
            tracing::debug!(cause = %error.cause, wait_ms = wait.as_millis(), "reading again");
            sleep(wait).await;
            pause = (pause * 2).min(longest);
        }
    }

    /// Asks for something to be done. Never repeated: what was asked twice may be done twice.
    ///
    /// # Errors
    /// What ARM refused; or [`Kind::Unclear`] when it did not answer, and may or may not have done it.
    pub async fn post(&self, url: Url, body: Option<&Value>, asked: &Asked<'_>) -> Result<Answer, ArmError> {
        let mut request = Request::new(url, Method::Post);
        match body {
            Some(body) => {
                request.insert_header(CONTENT_TYPE, "application/json");
                request.set_body(body.to_string().into_bytes());
            }
            // Without it a POST is answered with 411.
            None => request.insert_header(CONTENT_LENGTH, "0"),
        }
        self.send(request, asked).await
    }

    async fn send(&self, mut request: Request, asked: &Asked<'_>) -> Result<Answer, ArmError> {
        let method = request.method();
        // A refusal is an answer as well: its body says why.
        let options = PipelineSendOptions { skip_checks: true, ..Default::default() };
        let sent = timeout(LIMIT, self.pipeline.send(&Context::new(), &mut request, Some(options))).await;
        let response = match sent {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(asked.failed(method, &self.endpoint, &error)),
            Err(_) => return Err(asked.silent(method, &format!("no answer within {} s", LIMIT.as_secs()))),
        };
        let (status, retry_after) = (u16::from(response.status()), retry_after(&response));
        let body: &[u8] = response.body().as_ref();
        if !(200..300).contains(&status) {
            return Err(asked.refused(method, status, body, retry_after));
        }
        let body = match body {
            [] => Value::Null,
            body => serde_json::from_slice(body)
                .map_err(|error| asked.silent(method, &format!("the answer is no JSON: {error}")))?,
        };
        let location = response.headers().get_optional_str(&LOCATION).map(str::to_owned);
        Ok(Answer { status, location, retry_after, body })
    }
}

/// How long something may take: `limit`, but in tests of what comes after it.
pub(super) fn no_longer_than(limit: Duration) -> Duration {
    if longshore_failpoint::is_on("out-of-patience") { Duration::ZERO } else { limit }
}

/// Seconds. The other form, a date, is not used by ARM.
fn retry_after(response: &RawResponse) -> Option<Duration> {
    response.headers().get_optional_str(&RETRY_AFTER)?.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_to_arm_and_its_regions_and_nowhere_else() {
        let public = Endpoint::default();
        for (link, owned) in [
            ("https://management.azure.com/subscriptions/s", true),
            ("https://westeurope.management.azure.com/subscriptions/s", true),
            ("https://MANAGEMENT.azure.com:443/x", true),
            ("http://management.azure.com/x", false),
            ("https://management.azure.com:8443/x", false),
            ("https://evilmanagement.azure.com/x", false),
            ("https://management.azure.com.evil.example/x", false),
        ] {
            assert_eq!(public.owns(&Url::parse(link).unwrap()), owned, "{link}");
        }
    }

    #[test]
    fn an_endpoint_is_https_or_on_this_host() {
        for (text, good) in [
            ("https://management.usgovcloudapi.net", true),
            ("http://127.0.0.1:8080", true),
            ("http://management.azure.com", false),
            ("https://management.azure.com/subscriptions", false),
            ("management.azure.com", false),
        ] {
            assert_eq!(text.parse::<Endpoint>().is_ok(), good, "{text}");
        }
        let china: Endpoint = "https://management.chinacloudapi.cn".parse().unwrap();
        assert_eq!(china.scope(), "https://management.chinacloudapi.cn/.default");
    }
}
