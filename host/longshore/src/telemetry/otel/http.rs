//! OTLP over HTTP, with the transport that all calls of the host share.

use http::header::{AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderValue};
use longshore_azure::{Azure, PostAnswer, is_this_host};
use url::Url;

use super::answer::{OtlpFailure, OtlpTaken, taken, words_of_refusal};
use super::encoded::EncodedExport;
use super::endpoint::OtlpEndpoint;

/// How the hosts of Azure Monitor's data collection endpoints end.
const INGESTION: &str = ".ingest.monitor.azure.com";
/// What the paths of data collection rules begin with, there and in tests on this host.
const RULES: &str = "/datacollectionRules/";
/// What a token for Azure Monitor is asked for ([Logs ingestion
/// API](https://learn.microsoft.com/azure/azure-monitor/logs/logs-ingestion-api-overview)).
const SCOPE: &str = "https://monitor.azure.com/.default";
/// The statuses of a receiver that may take the same export later
/// ([Failures](https://opentelemetry.io/docs/specs/otlp/#failures-1)).
const MAY_PASS: [u16; 4] = [429, 502, 503, 504];

/// A receiver's URL, and what each request to it carries.
#[derive(Debug)]
pub(super) struct OtlpHttp {
    url: Url,
    headers: HeaderMap,
    gets_token: bool,
}

impl OtlpHttp {
    pub(super) fn new(endpoint: &OtlpEndpoint) -> Self {
        let user_agent = concat!("longshore/", env!("CARGO_PKG_VERSION"));
        let mut headers = HeaderMap::from_iter([
            (CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf")),
            (USER_AGENT, HeaderValue::from_static(user_agent)),
        ]);
        headers.extend(endpoint.headers.clone());
        Self { url: endpoint.url.clone(), headers, gets_token: gets_token(endpoint) }
    }

    /// Sends one export, with a token of the identity where it goes to Azure Monitor.
    ///
    /// # Errors
    /// It was not taken: the cause and the mend, in words.
    pub(super) async fn send(
        &self,
        EncodedExport { head, rest }: EncodedExport,
    ) -> Result<OtlpTaken, OtlpFailure> {
        let passing = OtlpFailure::passing;
        let azure = Azure::shared();
        let mut headers = self.headers.clone();
        let tokens = self.gets_token.then(|| azure.tokens(SCOPE));
        let mut token = None;
        if let Some(tokens) = &tokens {
            let fetched = tokens.token().await.map_err(|error| passing(error.to_string()))?;
            let value = HeaderValue::try_from(format!("Bearer {}", token.insert(fetched).secret()));
            let no_header = |_| passing("the token is no text that a header may have".to_owned());
            let mut value = value.map_err(no_header)?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let message = if head.is_empty() { rest } else { [head, rest].concat().into() };
        let answer = azure.http().post(self.url.clone(), &headers, message).await.map_err(passing)?;
        let PostAnswer { status, retry_after, body } = answer;
        if (200..300).contains(&status) {
            // It may have taken what it would be sent again.
            let too_long = || OtlpFailure::lasting("the answer is longer than that of a receiver".to_owned());
            return taken(body.ok_or_else(too_long)?);
        }
        if let (401, Some(tokens), Some(token)) = (status, &tokens, &token) {
            tokens.refused(token);
        }
        let words = body.as_ref().map(words_of_refusal).unwrap_or_default();
        let refusal = refusal(status, tokens.is_some(), &words);
        Err(OtlpFailure { pause: retry_after, ..refusal })
    }
}

/// What a status other than success means to an export, which may have carried a token of the
/// identity.
fn refusal(status: u16, had_token: bool, words: &str) -> OtlpFailure {
    let mend = match (status, had_token) {
        (401 | 403, true) => {
            "; give the job's identity the role Monitoring Metrics Publisher on the data collection rule, and wait for some minutes"
        }
        (401 | 403, false) => "; look at OTEL_EXPORTER_OTLP_HEADERS",
        (300..=399 | 404 | 405, _) => "; look at the endpoint's path",
        _ => "",
    };
    let colon = if words.is_empty() { "" } else { ": " };
    // A newer token may do better.
    let may_pass = MAY_PASS.contains(&status) || had_token && status == 401;
    let failure = if may_pass { OtlpFailure::passing } else { OtlpFailure::lasting };
    failure(format!("it answered {status}{colon}{words}{mend}"))
}

/// Whether exports to an endpoint over HTTP get a token of the identity. Whoever has named a header
/// of their own means that.
pub(super) fn gets_token(endpoint: &OtlpEndpoint) -> bool {
    takes_token(&endpoint.url) && !endpoint.headers.contains_key(AUTHORIZATION)
}

/// Whether exports to a URL get a token of the identity: to a data collection endpoint of Azure
/// Monitor over TLS, and to what looks like one on this very host.
fn takes_token(url: &Url) -> bool {
    let is_own = url.scheme() == "https" && url.host_str().is_some_and(|it| it.ends_with(INGESTION));
    is_own || is_this_host(url) && url.path().starts_with(RULES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_refused_for_ever_is_not_sent_again_and_a_missing_role_is_named() {
        for (status, had_token, is_final) in [
            (400, false, true),
            (401, false, true),
            (404, true, true),
            (413, false, true),
            (500, false, true),
            (302, false, true),
            (429, false, false),
            (503, false, false),
            (403, true, true),
            (401, true, false),
        ] {
            let refusal = refusal(status, had_token, "no");
            assert_eq!(refusal.is_final, is_final, "{refusal:?}");
            assert!(refusal.cause.starts_with(&format!("it answered {status}: no")), "{refusal:?}");
            let names_role = refusal.cause.contains("Monitoring Metrics Publisher");
            assert_eq!(names_role, had_token && status != 404, "{refusal:?}");
        }
    }

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
