//! A header that the host adds to requests: the key of an API, mostly.

use std::fmt;
use std::str::FromStr;

use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderName, HeaderValue, Method};

use crate::http::origin::Origin;
use crate::http::signed::echo;
use crate::http::signed::path::PathPrefix;
use crate::http::signed::services;
use crate::http::signed::signer::{Addition, Signer, methods, write_requests};

/// A header for requests to a host, or a part of it: `[METHOD[,METHOD…]
/// ]HOST[:PORT][/PREFIX]=NAME=@VARIABLE`. The value is what the variable holds on the host that
/// runs the handler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderGrant {
    origin: Origin,
    prefix: PathPrefix,
    methods: Option<Vec<Method>>,
    name: HeaderName,
    variable: String,
}

/// Such a header with its value, which is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretHeader {
    grant: HeaderGrant,
    value: HeaderValue,
}

/// Why a text grants no header. The value is not in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}`: {cause}; write it as in `api.example.com=x-api-key=@API_KEY`")]
pub struct HeaderGrantError {
    text: String,
    cause: String,
}

impl HeaderGrant {
    /// The origin that it grants calls to.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The variable that its value is in.
    pub fn variable(&self) -> &str {
        &self.variable
    }

    /// The header with its value, as its variable holds it.
    ///
    /// # Errors
    /// The variable has no value, or none that a header may have.
    pub fn with_value(self, value: Option<&str>) -> Result<SecretHeader, HeaderGrantError> {
        let refused = |cause: &str| HeaderGrantError {
            text: format!("{self}=@{}", self.variable),
            cause: format!("the variable {} {cause}", self.variable),
        };
        let value = value.map(|it| it.trim_end_matches(['\r', '\n'])).filter(|it| !it.is_empty());
        let value = value.ok_or_else(|| refused("has no value here"))?;
        if echo::pieces(value.as_bytes()).is_empty() {
            return Err(refused("holds less than 8 characters, which an answer may repeat by chance"));
        }
        let mut value = HeaderValue::try_from(value).map_err(|_| refused("holds what no header may have"))?;
        value.set_sensitive(true);
        Ok(SecretHeader { grant: self, value })
    }
}

impl SecretHeader {
    pub(super) fn signer(&self) -> Signer {
        let HeaderGrant { origin, prefix, methods, name, .. } = self.grant.clone();
        let of_azure = services::is_known_service(origin.host());
        let addition = Addition::Header { name, value: self.value.clone() };
        Signer { origin, prefix, methods, has_rows: false, of_azure, addition }
    }
}

impl FromStr for HeaderGrant {
    type Err = HeaderGrantError;

    fn from_str(text: &str) -> Result<Self, HeaderGrantError> {
        // What stands last may be a secret that somebody wrote there, and that has a `=` in it.
        let mut shown: Vec<_> = text.splitn(3, '=').collect();
        shown.pop();
        let refused = |cause: String| HeaderGrantError { text: format!("{}=…", shown.join("=")), cause };
        let (methods, rest) = methods(text).map_err(refused)?;
        let mut parts = rest.splitn(3, '=');
        let (Some(place), Some(name), Some(value)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(refused("it has no host, header and variable".into()));
        };
        let variable = value.strip_prefix('@').filter(|it| !it.is_empty()).ok_or_else(|| {
            refused("the value stands in a variable, so that no list of processes shows it".into())
        })?;
        if place.starts_with("http://") && !is_loopback(place) {
            return Err(refused("a secret does not travel in the clear".into()));
        }
        let (scheme, place) = match place.split_once("://") {
            Some((scheme, place)) => (format!("{scheme}://"), place),
            None => (String::new(), place),
        };
        let (host, path) = place.split_at(place.find('/').unwrap_or(place.len()));
        let origin: Origin =
            format!("{scheme}{host}").parse().map_err(|_| refused(format!("`{host}` is no host")))?;
        let prefix = PathPrefix::new(path).ok_or_else(|| refused(format!("`{path}` is no plain path")))?;
        let name: HeaderName = name.parse().map_err(|_| refused(format!("`{name}` is no header")))?;
        if [HOST, CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION, TE, TRAILER, UPGRADE, EXPECT].contains(&name)
        {
            return Err(refused(format!("{name} says where a request goes, or where it ends")));
        }
        if name.as_str().contains("source") {
            return Err(refused(format!("{name} has the service fetch something")));
        }
        Ok(Self { origin, prefix, methods, name, variable: variable.to_owned() })
    }
}

fn is_loopback(place: &str) -> bool {
    let host = place.trim_start_matches("http://").split(['/', ':']).next().unwrap_or_default();
    host == "localhost" || host.parse().is_ok_and(|it: std::net::Ipv4Addr| it.is_loopback())
}

/// Without the value.
impl fmt::Display for HeaderGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, prefix, methods, name, .. } = self;
        write_requests(f, methods.as_deref(), origin, prefix)?;
        write!(f, "={name}")
    }
}

/// The same.
impl fmt::Display for SecretHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.grant.fmt(f)
    }
}

impl fmt::Debug for SecretHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretHeader({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::{HeaderGrant, SecretHeader};

    fn parse(text: &str) -> Result<SecretHeader, String> {
        let grant: HeaderGrant = text.parse().map_err(|error: super::HeaderGrantError| error.to_string())?;
        let value = match grant.variable() {
            "KEY" => Some("swordfish\n"),
            "BAD" => Some("sword\r\nfish"),
            "EMPTY" => Some(""),
            "SHORT" => Some("pin1234"),
            _ => None,
        };
        grant.with_value(value).map_err(|error| error.to_string())
    }

    #[test]
    fn a_header_comes_from_a_variable_and_is_never_shown() {
        let grant = parse("GET,POST api.example.com:8443/v1=x-api-key=@KEY").unwrap();
        assert_eq!(grant.to_string(), "GET,POST api.example.com:8443/v1=x-api-key");
        assert!(!format!("{grant:?}").contains("swordfish"));
        assert!(!format!("{:?}", grant.signer()).contains("swordfish"));
    }

    #[test]
    fn a_header_that_cannot_be_granted_is_refused_and_its_value_is_not_shown() {
        for (text, word) in [
            ("api.example.com=x-api-key=swordfish", "stands in a variable"),
            ("api.example.com=x-api-key=swordfish==", "stands in a variable"),
            ("api.example.com=swordfish", "no host, header and variable"),
            ("swordfish", "no host, header and variable"),
            ("api.example.com=x-api-key=@", "stands in a variable"),
            ("api.example.com=x-api-key=@NONE", "NONE has no value here"),
            ("api.example.com=x-api-key=@EMPTY", "EMPTY has no value here"),
            ("api.example.com=x-api-key=@BAD", "no header may have"),
            ("api.example.com=x-api-key=@SHORT", "less than 8"),
            ("api.example.com=connection=@KEY", "where it ends"),
            ("api.example.com=te=@KEY", "where it ends"),
            ("api.example.com=x-ms-copy-source=@KEY", "fetch something"),
            ("api.example.com=x:key=@KEY", "is no header"),
            ("api.example.com=host=@KEY", "where a request goes"),
            ("http://api.example.com=x-api-key=@KEY", "in the clear"),
            ("api.example.com/../x=x-api-key=@KEY", "no plain path"),
            ("x-api-key=@KEY", "no host, header and variable"),
            ("*=x-api-key=@KEY", "is no host"),
        ] {
            let refused = parse(text).unwrap_err();
            assert!(refused.contains(word) && !refused.contains("fish"), "{text}: {refused}");
        }
        assert!(parse("http://127.0.0.1:8080=x-api-key=@KEY").is_ok(), "this very host");
    }
}
