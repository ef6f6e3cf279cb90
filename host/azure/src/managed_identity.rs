//! The platform's identity endpoint: that of Container Apps and App Service, and that of virtual
//! machines ([REST endpoint
//! reference](https://learn.microsoft.com/azure/container-apps/managed-identity#rest-endpoint-reference),
//! [IMDS](https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token#get-a-token-using-http)).
//!
//! The SDK's credential is not used. It refuses a time of expiry that is a number and an answer
//! without `resource`, both of which platforms send, hides the status of a refusal, and reads
//! answers without a limit.

use std::sync::Arc;

use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::error::{Error, ErrorKind};
use azure_core::http::{HttpClient, Method, Request};
use azure_core::time::{Duration, OffsetDateTime};
use serde_json::Value;
use url::Url;

use crate::credential::set;
use crate::http::{SharedHttp, no_longer_than};

/// The version of both protocols.
const API_VERSION: &str = "2019-08-01";
/// Where virtual machines have it.
const IMDS: &str = "http://169.254.169.254";
/// The most that is read of an answer: a token takes a few KiB.
const MAX_ANSWER: usize = 64 << 10;
/// How much of a refusal's own words is repeated.
const WORDS: usize = 300;
/// The longest that a token is taken to live, whatever its answer says. The platform's live for a
/// day.
const MAX_LIFE: Duration = Duration::hours(24);

/// An identity that the platform gives tokens to.
pub(crate) struct ManagedIdentity {
    http: Arc<SharedHttp>,
    endpoint: Url,
    /// What shows that the caller is on this host: a secret of the platform's.
    header: Option<String>,
    client_id: Option<String>,
}

impl std::fmt::Debug for ManagedIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ManagedIdentity({})", self.endpoint)
    }
}

impl ManagedIdentity {
    /// The one that the environment names; else that of a virtual machine. There,
    /// AZURE_POD_IDENTITY_AUTHORITY_HOST names another host, as it does for other SDKs.
    pub(crate) fn here(http: Arc<SharedHttp>, client_id: Option<String>) -> Result<Self, Error> {
        let (name, text, header) = match (set("IDENTITY_ENDPOINT"), set("IDENTITY_HEADER")) {
            (Some(endpoint), Some(header)) => ("IDENTITY_ENDPOINT", endpoint, Some(header)),
            (Some(_), None) => {
                return Err(error(
                    "IDENTITY_ENDPOINT is set and IDENTITY_HEADER is not, as on Azure Arc, which is not supported".into(),
                ));
            }
            (None, _) => {
                let host = set("AZURE_POD_IDENTITY_AUTHORITY_HOST");
                let host = host.as_deref().unwrap_or(IMDS).trim_end_matches('/');
                ("AZURE_POD_IDENTITY_AUTHORITY_HOST", format!("{host}/metadata/identity/oauth2/token"), None)
            }
        };
        let endpoint = Url::parse(&text).map_err(|cause| error(format!("{name} is no URL: {cause}")))?;
        Ok(Self { http, endpoint, header, client_id })
    }

    fn request(&self, scope: &str) -> Request {
        let mut url = self.endpoint.clone();
        url.query_pairs_mut()
            .append_pair("api-version", API_VERSION)
            .append_pair("resource", scope.strip_suffix("/.default").unwrap_or(scope))
            .extend_pairs(self.client_id.iter().map(|id| ("client_id", id)));
        let mut request = Request::new(url, Method::Get);
        match &self.header {
            Some(header) => request.insert_header("x-identity-header", header.clone()),
            None => request.insert_header("metadata", "true"),
        }
        request
    }
}

#[async_trait::async_trait]
impl TokenCredential for ManagedIdentity {
    async fn get_token(
        &self,
        scopes: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> Result<AccessToken, Error> {
        let scope = scopes.first().copied().unwrap_or_default();
        let response = self.http.execute_request(&self.request(scope)).await?;
        let status = u16::from(response.status());
        let body = no_longer_than(MAX_ANSWER, response).into_body().collect().await?;
        if status != 200 {
            return Err(error(format!("HTTP {status}{}", words(&body))));
        }
        read(&body, OffsetDateTime::now_utc())
            .map_err(|cause| error(format!("HTTP {status}, and the answer is no token: {cause}")))
    }
}

fn error(cause: String) -> Error {
    Error::with_message(ErrorKind::Credential, cause)
}

/// What a refusal says: its `message`, `error_description` or `error`.
fn words(body: &[u8]) -> String {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let said = ["message", "error_description", "error"].iter().find_map(|name| body[name].as_str());
    let line = said.unwrap_or_default().chars().take(WORDS).map(|c| if c.is_control() { ' ' } else { c });
    let line: String = line.collect();
    if line.trim().is_empty() { String::new() } else { format!(": {}", line.trim()) }
}

/// Reads a token. Nothing of the answer may be in the error.
fn read(body: &[u8], now: OffsetDateTime) -> Result<AccessToken, &'static str> {
    let answer: Value = serde_json::from_slice(body).map_err(|_| "it is no JSON")?;
    let token = answer["access_token"].as_str().filter(|token| !token.is_empty());
    let token = token.ok_or("it has no access_token")?;
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("its access_token has characters that no token has");
    }
    let left = match (seconds(&answer["expires_on"]), seconds(&answer["expires_in"])) {
        (Some(at), _) => at.saturating_sub(now.unix_timestamp()),
        (None, Some(left)) => left,
        (None, None) => return Err("it does not say when it expires, as expires_on in seconds since 1970"),
    };
    let left = left.clamp(0, MAX_LIFE.whole_seconds());
    Ok(AccessToken::new(token.to_owned(), now + Duration::seconds(left)))
}

/// Whole seconds, as a number or as a text. What is too large for a number is the largest.
fn seconds(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().map(|it| it as i64)),
        Value::String(text) => match text.trim() {
            "" => None,
            text => text.parse::<i64>().ok().or_else(|| {
                let finite = text.parse::<f64>().ok().filter(|it| !it.is_nan());
                finite.map(|it| it as i64)
            }),
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_expiry_is_a_number_or_a_text_and_never_more_than_a_day_away() {
        let now = OffsetDateTime::from_unix_timestamp(1_700_000_000).unwrap();
        let left = |fields: &str| {
            let body = format!("{{\"access_token\":\"secret\"{fields}}}");
            read(body.as_bytes(), now).map(|token| (token.expires_on - now).whole_seconds())
        };
        const DAY: i64 = 24 * 60 * 60;
        for (fields, expected) in [
            (r#","expires_on":"1700003600","resource":"r","token_type":"Bearer""#, 3600),
            (r#","expires_on":1700003600"#, 3600),
            (r#","expires_on":1700003600.5"#, 3600),
            (r#","expires_on":"","expires_in":"60""#, 60),
            (r#","expires_in":60"#, 60),
            (r#","expires_on":"1""#, 0),
            (r#","expires_on":-9223372036854775808"#, 0),
            (r#","expires_on":"9223372036854775807""#, DAY),
            (r#","expires_on":"99999999999999999999999999""#, DAY),
            (r#","expires_on":1e300"#, DAY),
        ] {
            assert_eq!(left(fields), Ok(expected), "{fields}");
        }
        for fields in ["", r#","expires_on":null"#, r#","expires_on":"soon""#, r#","expires_on":[1]"#] {
            assert!(left(fields).unwrap_err().contains("does not say when it expires"), "{fields}");
        }
    }

    #[test]
    fn what_is_no_token_is_said_without_a_word_of_it() {
        let now = OffsetDateTime::now_utc();
        for (body, cause) in [
            (&b"<html>secret</html>"[..], "it is no JSON"),
            (b"", "it is no JSON"),
            (b"[]", "it has no access_token"),
            (br#"{"access_token":"","expires_on":"1"}"#, "it has no access_token"),
            (br#"{"access_token":"a\r\nsecret: b","expires_on":"1"}"#, "characters that no token has"),
        ] {
            assert!(read(body, now).unwrap_err().contains(cause));
        }
    }
}
