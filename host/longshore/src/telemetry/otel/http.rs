//! OTLP over HTTP, with the transport that all calls of the host share.

use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{HeaderValue, Request, Response};
use longshore_azure::{Azure, is_this_host};
use opentelemetry_http::{Bytes, HttpClient, HttpError};
use tokio::runtime::Handle;
use tokio::time::timeout;
use url::Url;

/// How the hosts of Azure Monitor's data collection endpoints end.
const INGESTION: &str = ".ingest.monitor.azure.com";
/// What the paths of data collection rules begin with, there and in tests on this host.
const RULES: &str = "/datacollectionRules/";
/// What a token for Azure Monitor is asked for ([Logs ingestion
/// API](https://learn.microsoft.com/azure/azure-monitor/logs/logs-ingestion-api-overview)).
const SCOPE: &str = "https://monitor.azure.com/.default";

/// Sends exports. The SDK polls it on threads of its own, which are no threads of the runtime: so
/// each export is a task.
#[derive(Debug)]
pub(super) struct OtlpHttp {
    runtime: Handle,
    limit: Duration,
}

impl OtlpHttp {
    /// A client whose calls last no longer than `limit`. Must be made on the runtime.
    pub(super) fn new(limit: Duration) -> Self {
        Self { runtime: Handle::current(), limit }
    }
}

#[async_trait::async_trait]
impl HttpClient for OtlpHttp {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let limit = self.limit;
        let sending = self.runtime.spawn(async move {
            let no_answer = || format!("no answer within {} ms", limit.as_millis());
            timeout(limit, send(request)).await.map_err(|_| no_answer())?
        });
        Ok(sending.await??)
    }
}

/// Sends a request, with a token of the identity where it goes to Azure Monitor.
///
/// # Errors
/// The cause and the mend, in words.
async fn send(request: Request<Bytes>) -> Result<Response<Bytes>, String> {
    let (mut parts, body) = request.into_parts();
    let url = Url::parse(&parts.uri.to_string()).map_err(|error| format!("{}: {error}", parts.uri))?;
    let azure = Azure::shared();
    // Whoever has named a header of their own means that.
    let tokens =
        (takes_token(&url) && !parts.headers.contains_key(AUTHORIZATION)).then(|| azure.tokens(SCOPE));
    let mut token = None;
    if let Some(tokens) = &tokens {
        let fetched = token.insert(tokens.token().await.map_err(|error| error.to_string())?);
        let value = HeaderValue::try_from(format!("Bearer {}", fetched.secret()));
        let mut value = value.map_err(|_| "the token is no text that a header may have")?;
        value.set_sensitive(true);
        parts.headers.insert(AUTHORIZATION, value);
    }
    let (status, answer) = azure.http().post(url, &parts.headers, body).await?;
    if let (401, Some(tokens), Some(token)) = (status, tokens, token) {
        tokens.refused(&token);
    }
    Response::builder().status(status).body(answer).map_err(|error| error.to_string())
}

/// Whether exports to a URL get a token of the identity: to a data collection endpoint of Azure
/// Monitor over TLS, and to what looks like one on this very host.
fn takes_token(url: &Url) -> bool {
    let is_own = url.scheme() == "https" && url.host_str().is_some_and(|it| it.ends_with(INGESTION));
    is_own || is_this_host(url) && url.path().starts_with(RULES)
}

#[cfg(test)]
mod tests {
    use super::takes_token;

    #[test]
    fn a_token_goes_to_azure_monitor_over_tls_and_to_this_very_host_only() {
        let path = "/datacollectionRules/dcr-1/streams/Microsoft-OTLP-Traces/otlp/v1/traces";
        for (origin, takes) in [
            ("https://orders-x1.westeurope-1.ingest.monitor.azure.com", true),
            ("http://orders-x1.westeurope-1.ingest.monitor.azure.com", false),
            ("https://orders.ingest.monitor.azure.com.example.org", false),
            ("https://ingest.monitor.azure.com", false),
            ("https://evil-ingest.monitor.azure.com", false),
            ("https://orders.ingest.monitor.azure.com@example.org", false),
            ("http://127.0.0.1:4318", true),
            ("http://192.0.2.1:4318", false),
        ] {
            let url = format!("{origin}{path}").parse().unwrap();
            assert_eq!(takes_token(&url), takes, "{url}");
        }
        assert!(!takes_token(&"http://127.0.0.1:4318/v1/traces".parse().unwrap()), "any collector");
    }
}
