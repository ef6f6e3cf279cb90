//! The platform's own identity: the endpoint of Container Apps and App Service ([REST endpoint
//! reference](https://learn.microsoft.com/azure/container-apps/managed-identity#rest-endpoint-reference)),
//! or that of virtual machines ([Get a token using
//! HTTP](https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token#get-a-token-using-http)).
//!
//! The SDK's own credential is not used. It refuses answers that other clients take (`expires_on`
//! as a number, no `resource`), and repeats whole answers in its errors.

use std::env;
use std::fmt;

use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::error::{Error, ErrorKind};
use azure_core::http::headers::HeaderName;
use azure_core::http::{HttpClient, Method, Request};
use azure_core::time::OffsetDateTime;
use serde_json::Value;
use url::Url;

use crate::cause::cause;
use crate::http::ShortAnswers;
use crate::no_answer::NoAnswer;

/// The version of both endpoints.
const API_VERSION: &str = "2019-08-01";
/// The endpoint of virtual machines, which is the same on each of them.
const VIRTUAL_MACHINE: &str = "http://169.254.169.254";
/// Names another host for it, as the SDKs of other languages read it.
const OTHER_AUTHORITY: &str = "AZURE_POD_IDENTITY_AUTHORITY_HOST";
const VIRTUAL_MACHINE_PATH: &str = "/metadata/identity/oauth2/token";

const METADATA: HeaderName = HeaderName::from_static("metadata");
const IDENTITY_HEADER: HeaderName = HeaderName::from_static("x-identity-header");

/// How much of the endpoint's own words is repeated, in characters.
const MAX_WORDS: usize = 200;

/// A platform's identity endpoint, and which of its identities is meant.
pub(crate) struct ManagedIdentity {
    http: ShortAnswers,
    endpoint: Url,
    /// What proves to the endpoint that the caller is on the same platform. A secret.
    proof: Option<String>,
    client_id: Option<String>,
}

impl fmt::Debug for ManagedIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ManagedIdentity({})", self.endpoint)
    }
}

impl ManagedIdentity {
    /// As this process's environment says, unless a client id says which identity is meant.
    ///
    /// # Errors
    /// The platform's endpoint is one that is not known here, or its URL is none.
    pub(crate) fn here(http: ShortAnswers, client_id: Option<String>) -> Result<Self, Error> {
        Self::new(http, client_id, |name| env::var(name).ok().filter(|value| !value.is_empty()))
    }

    fn new(
        http: ShortAnswers,
        client_id: Option<String>,
        set: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, Error> {
        let client_id = client_id.or_else(|| set("AZURE_CLIENT_ID"));
        let wrong = |cause: String| NoAnswer::of_endpoint(cause).into_error(ErrorKind::Credential);
        let (name, endpoint, proof) = match set("IDENTITY_ENDPOINT") {
            Some(_) if set("IDENTITY_SERVER_THUMBPRINT").is_some() => {
                return Err(wrong("the managed identity of Service Fabric is not supported".into()));
            }
            Some(endpoint) => {
                let proof = set("IDENTITY_HEADER").ok_or_else(|| {
                    wrong("IDENTITY_ENDPOINT is set and IDENTITY_HEADER is not, as on Azure Arc, which is not supported".into())
                })?;
                ("IDENTITY_ENDPOINT", endpoint, Some(proof))
            }
            None if set("MSI_ENDPOINT").is_some() => {
                return Err(wrong("the managed identity behind MSI_ENDPOINT is not supported".into()));
            }
            None => {
                let host = set(OTHER_AUTHORITY).unwrap_or_else(|| VIRTUAL_MACHINE.into());
                (OTHER_AUTHORITY, format!("{}{VIRTUAL_MACHINE_PATH}", host.trim_end_matches('/')), None)
            }
        };
        let endpoint = Url::parse(&endpoint)
            .map_err(|error| wrong(format!("{name} is not the URL of an endpoint: {error}")))?;
        if !["http", "https"].contains(&endpoint.scheme()) {
            return Err(wrong(format!(
                "{name} is not the URL of an endpoint: it begins with {}:",
                endpoint.scheme()
            )));
        }
        Ok(Self { http, endpoint, proof, client_id })
    }

    fn request(&self, scope: &str) -> Request {
        let mut url = self.endpoint.clone();
        let resource = scope.strip_suffix("/.default").unwrap_or(scope);
        url.query_pairs_mut().append_pair("api-version", API_VERSION).append_pair("resource", resource);
        if let Some(client_id) = &self.client_id {
            url.query_pairs_mut().append_pair("client_id", client_id);
        }
        let mut request = Request::new(url, Method::Get);
        request.insert_header(METADATA, "true");
        if let Some(proof) = &self.proof {
            request.insert_header(IDENTITY_HEADER, proof.clone());
        }
        request
    }

    async fn ask(&self, scope: &str) -> Result<AccessToken, NoAnswer> {
        // Without its query, which a platform may put something into.
        let mut endpoint = self.endpoint.clone();
        endpoint.set_query(None);
        let silent = |error: &Error| NoAnswer::of_endpoint(format!("{endpoint}: {}", cause(error)));
        let answer = self.http.execute_request(&self.request(scope)).await.map_err(|error| silent(&error))?;
        let status = u16::from(answer.status());
        let body = answer.into_body().collect().await;
        if !(200..300).contains(&status) {
            let said = body.map(|body| words(&body, self.proof.as_deref())).unwrap_or_default();
            let cause = format!("{endpoint} answered HTTP {status}{said}");
            // It is known there who may have a token. Anything else says nothing of the identity.
            return Err(if [400, 401, 403, 404, 410].contains(&status) {
                NoAnswer::of_identity(cause)
            } else {
                NoAnswer::of_endpoint(cause)
            });
        }
        let body = body.map_err(|error| silent(&error))?;
        read(&body, OffsetDateTime::now_utc()).map_err(|cause| {
            NoAnswer::of_endpoint(format!(
                "{endpoint} answered HTTP {status}, and the answer cannot be read: {cause}"
            ))
        })
    }
}

#[async_trait::async_trait]
impl TokenCredential for ManagedIdentity {
    async fn get_token(
        &self,
        scopes: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let [scope] = scopes else {
            return Err(Error::with_message(ErrorKind::Credential, "a token is for one scope"));
        };
        self.ask(scope).await.map_err(|error| error.into_error(ErrorKind::Credential))
    }
}

/// The token in an answer. The error repeats nothing of it.
///
/// Endpoints differ in how they write the time of expiry: seconds of the Unix epoch, as a text or
/// as a number; some say only for how many seconds the token is valid.
fn read(body: &[u8], now: OffsetDateTime) -> Result<AccessToken, String> {
    let answer: Value = serde_json::from_slice(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        format!("it is no JSON (line {line}, column {column})")
    })?;
    let Some(token) = answer["access_token"].as_str().filter(|token| !token.is_empty()) else {
        return Err("it has no access_token".into());
    };
    let at = match (&answer["expires_on"], &answer["expires_in"]) {
        (Value::Null, Value::Null) => return Err("it does not say when the token expires".into()),
        (Value::Null, within) => {
            let within = seconds(within).ok_or("its expires_in is no number of seconds")?;
            (now.unix_timestamp() as f64) + within
        }
        (at, _) => seconds(at).ok_or("its expires_on is no time in seconds")?,
    };
    // Saturates. What cannot be a time is one that is over, or far away.
    let at = OffsetDateTime::from_unix_timestamp(at as i64).unwrap_or(if at < 0.0 {
        OffsetDateTime::UNIX_EPOCH
    } else {
        now + FAR
    });
    Ok(AccessToken::new(token.to_owned(), at))
}

/// Longer than any token is believed to be valid.
const FAR: azure_core::time::Duration = azure_core::time::Duration::days(365);

/// A number, or a text of one.
fn seconds(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.filter(|number| number.is_finite())
}

/// What a refusal says in the fields that are known, and nothing else of it. An endpoint may repeat
/// what it was asked with, so that the proof is left out.
fn words(body: &[u8], proof: Option<&str>) -> String {
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    let fields =
        [&answer["error_description"], &answer["message"], &answer["error"]["message"], &answer["error"]];
    let Some(said) = fields.into_iter().find_map(Value::as_str).filter(|said| !said.is_empty()) else {
        return String::new();
    };
    let said = match proof.filter(|proof| !proof.is_empty()) {
        Some(proof) => said.replace(proof, "…"),
        None => said.to_owned(),
    };
    let said: String = said.chars().take(MAX_WORDS).collect();
    format!(" ({})", said.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn now() -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(1_790_000_000).unwrap()
    }

    #[test]
    fn a_time_of_expiry_is_read_however_an_endpoint_writes_it() {
        for (fields, expires) in [
            (r#""expires_on":"1790003600","token_type":"Bearer","resource":"r""#, 3600),
            (r#""expires_on":1790003600"#, 3600),
            (r#""expires_on":1790003600.9"#, 3600),
            (r#""expires_on":" 1790003600 ","expires_in":"1""#, 3600),
            (r#""expires_in":"3600""#, 3600),
            (r#""expires_in":3600"#, 3600),
            (r#""expires_on":"0""#, -1_790_000_000),
            (r#""expires_on":"-99999999999999999999""#, -1_790_000_000),
            (r#""expires_on":18446744073709551615"#, FAR.whole_seconds()),
            (r#""expires_on":"1e300""#, FAR.whole_seconds()),
            (r#""expires_in":1e300"#, FAR.whole_seconds()),
        ] {
            let body = format!(r#"{{"access_token":"secret",{fields}}}"#);
            let token = read(body.as_bytes(), now()).unwrap_or_else(|error| panic!("{fields}: {error}"));
            assert_eq!((token.expires_on - now()).whole_seconds(), expires, "{fields}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_named_and_never_repeated() {
        for (body, cause) in [
            ("", "no JSON"),
            ("<html>secret</html>", "no JSON (line 1, column 1)"),
            (r#"{"access_token":"secret""#, "no JSON"),
            ("[]", "no access_token"),
            (r#"{"access_token":["secret"],"expires_on":1}"#, "no access_token"),
            (r#"{"access_token":"","expires_on":1}"#, "no access_token"),
            (r#"{"access_token":"secret"}"#, "does not say when"),
            (r#"{"access_token":"secret","expires_on":"secret"}"#, "no time in seconds"),
            (r#"{"access_token":"secret","expires_on":{"secret":1}}"#, "no time in seconds"),
            (r#"{"access_token":"secret","expires_on":"inf"}"#, "no time in seconds"),
            (r#"{"access_token":"secret","expires_in":true}"#, "no number of seconds"),
        ] {
            let error = read(body.as_bytes(), now()).unwrap_err();
            assert!(error.contains(cause) && !error.contains("secret"), "{body}: {error}");
        }
        let refusal = r#"{"statusCode":400,"message":"No  identity\nfound","secret":"secret"}"#;
        assert_eq!(words(refusal.as_bytes(), None), " (No identity found)");
        assert_eq!(words(b"secret", None), "");
        let echo = br#"{"error_description":"asked with x-identity-header: secret"}"#;
        assert_eq!(words(echo, Some("secret")), " (asked with x-identity-header: \u{2026})");
    }

    #[test]
    fn the_environment_says_which_endpoint_and_the_proof_is_never_shown() {
        let http = ShortAnswers { http: Arc::default(), max: 1 };
        let made = |variables: &[(&str, &str)]| {
            let set = |name: &str| variables.iter().find(|it| it.0 == name).map(|it| it.1.to_owned());
            ManagedIdentity::new(http.clone(), None, set)
        };
        let app = [("IDENTITY_ENDPOINT", "http://127.0.0.1:42/msi/token"), ("IDENTITY_HEADER", "secret")];
        let identity = made(&[&app[..], &[("AZURE_CLIENT_ID", "a b")]].concat()).unwrap();
        assert_eq!(format!("{identity:?}"), "ManagedIdentity(http://127.0.0.1:42/msi/token)");
        let request = identity.request("https://storage.azure.com/.default");
        assert_eq!(
            request.url().as_str(),
            "http://127.0.0.1:42/msi/token?api-version=2019-08-01&resource=https%3A%2F%2Fstorage.azure.com&client_id=a+b"
        );
        assert_eq!(request.headers().get_optional_str(&IDENTITY_HEADER), Some("secret"));
        let variables = [&app[..], &[("AZURE_CLIENT_ID", "a b")]].concat();
        let set = |name: &str| variables.iter().find(|it| it.0 == name).map(|it| it.1.to_owned());
        let named = ManagedIdentity::new(http.clone(), Some("other".into()), set).unwrap();
        let asked = named.request("x").url().to_string();
        assert!(asked.ends_with("resource=x&client_id=other"), "{asked}");

        let machine = made(&[]).unwrap();
        assert_eq!(machine.endpoint.as_str(), "http://169.254.169.254/metadata/identity/oauth2/token");
        assert_eq!(machine.request("x").headers().get_optional_str(&METADATA), Some("true"));
        let moved = made(&[(OTHER_AUTHORITY, "http://127.0.0.1:42/")]).unwrap();
        assert_eq!(moved.endpoint.as_str(), "http://127.0.0.1:42/metadata/identity/oauth2/token");

        let wrong: [(&[(&str, &str)], &str); 5] = [
            (&app[..1], "IDENTITY_HEADER is not"),
            (&[("IDENTITY_ENDPOINT", "nonsense"), app[1]], "not the URL"),
            (&[("IDENTITY_ENDPOINT", "file:///secret"), app[1]], "not the URL"),
            (&[app[0], app[1], ("IDENTITY_SERVER_THUMBPRINT", "t")], "Service Fabric"),
            (&[("MSI_ENDPOINT", "http://127.0.0.1/")], "MSI_ENDPOINT"),
        ];
        for (variables, words) in wrong {
            let error = made(variables).unwrap_err().to_string();
            assert!(error.contains(words) && !error.contains("secret"), "{error}");
        }
    }
}
