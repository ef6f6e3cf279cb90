//! Azure Resource Manager: calls that are authorised, read again where that is safe, and explained
//! where they fail ([Azure REST API reference](https://learn.microsoft.com/rest/api/azure/)).

mod asked;
mod endpoint;
mod error;
mod reply;

use std::sync::Arc;
use std::time::Duration;

use azure_core::http::headers::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName};
use azure_core::http::{Context, Method, Pipeline, PipelineSendOptions, Request};
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};
use url::Url;

pub use self::asked::{ArmOperation, Asked};
pub use self::endpoint::Endpoint;
pub use self::error::{ArmError, ArmErrorKind};
pub use self::reply::ArmReply;
use crate::authorize::Authorize;
use crate::azure::Azure;
use crate::credential::client_options;
use crate::patience::no_longer_than;
use crate::retry_after::retry_after;

/// How long a call may take that has something done: ARM itself gives up on the provider behind it
/// after 60 s.
const LIMIT: Duration = Duration::from_secs(70);
/// How long a read may take, which can be repeated.
const READ_LIMIT: Duration = Duration::from_secs(30);
/// The first pause before a read is tried again, doubled each time, and the longest, which is also
/// how long a `Retry-After` is believed.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(60));
/// The shortest pause, also where the service asks for less: a service that says `Retry-After: 0`
/// is not asked in a tight loop.
pub(super) const PAUSE_AT_LEAST: Duration = Duration::from_millis(50);
/// For how long a read that a person waits for is tried again.
pub const PATIENCE: Duration = Duration::from_secs(30);

const LOCATION: HeaderName = HeaderName::from_static("location");

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

    /// Reads; again after a pause when the service is busy or does not answer, until `patience` is
    /// used up.
    ///
    /// # Errors
    /// What ARM refused, or that it did not answer.
    pub async fn get(&self, url: &Url, asked: &Asked<'_>, patience: Duration) -> Result<ArmReply, ArmError> {
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
    /// What ARM refused; or [`ArmErrorKind::Unclear`] when it did not answer, and may or may not
    /// have done it.
    pub async fn post(
        &self,
        url: Url,
        body: Option<&Value>,
        asked: &Asked<'_>,
    ) -> Result<ArmReply, ArmError> {
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

    /// Changes a resource by a JSON merge patch ([RFC
    /// 7396](https://www.rfc-editor.org/rfc/rfc7396)): what is not in `body` stays, and an array in
    /// it takes the place of the whole array. Sent once.
    ///
    /// # Errors
    /// What ARM refused; or [`ArmErrorKind::Unclear`] when it did not answer, and may or may not
    /// have done it.
    pub async fn patch(&self, url: Url, body: &Value, asked: &Asked<'_>) -> Result<ArmReply, ArmError> {
        let mut request = Request::new(url, Method::Patch);
        request.insert_header(CONTENT_TYPE, "application/json");
        request.set_body(body.to_string().into_bytes());
        self.send(request, asked).await
    }

    async fn send(&self, mut request: Request, asked: &Asked<'_>) -> Result<ArmReply, ArmError> {
        let method = request.method();
        // A refusal is an answer as well: its body says why.
        let options = PipelineSendOptions { skip_checks: true, ..Default::default() };
        let limit = if method == Method::Get { READ_LIMIT } else { LIMIT };
        let endpoint = &self.endpoint;
        let sent = timeout(limit, self.pipeline.send(&Context::new(), &mut request, Some(options))).await;
        let response = match sent {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(asked.failed(method, endpoint, &error)),
            Err(_) => {
                let cause = format!("no answer from {endpoint} within {} s", limit.as_secs());
                return Err(asked.silent(method, &cause));
            }
        };
        let (status, retry_after) = (u16::from(response.status()), retry_after(response.headers()));
        let body: &[u8] = response.body().as_ref();
        if !(200..300).contains(&status) {
            return Err(asked.refused(method, status, body, retry_after));
        }
        if status > 204 {
            let cause = format!("{endpoint} answered HTTP {status}, as Resource Manager does not");
            return Err(asked.silent(method, &cause));
        }
        let body = match body {
            [] => Value::Null,
            body => serde_json::from_slice(body).map_err(|error| {
                asked.silent(method, &format!("the answer is no JSON: {error} (from {endpoint})"))
            })?,
        };
        let location = response.headers().get_optional_str(&LOCATION).map(str::to_owned);
        Ok(ArmReply { status, location, retry_after, body })
    }
}
