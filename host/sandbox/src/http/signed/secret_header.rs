//! A header that the host adds to requests: the key of an API, mostly.

use std::fmt;
use std::str::FromStr;

use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderName, HeaderValue, Method};

use crate::http::origin::Origin;
use crate::http::signed::path::PathPrefix;
use crate::http::signed::{Addition, Signer, methods};

/// A header for requests to a host, or a part of it: `[METHOD[,METHOD…]
/// ]HOST[:PORT][/PREFIX]=NAME=@VARIABLE`. The value is what the variable holds on this host.
#[derive(Clone, PartialEq, Eq)]
pub struct HeaderGrant {
    origin: Origin,
    prefix: PathPrefix,
    methods: Option<Vec<Method>>,
    name: HeaderName,
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

    pub(super) fn signer(&self) -> Signer {
        Signer {
            origin: self.origin.clone(),
            prefix: self.prefix.clone(),
            methods: self.methods.clone(),
            addition: Addition::Header { name: self.name.clone(), value: self.value.clone() },
        }
    }

    /// Reads a grant, with the values of variables from this function.
    ///
    /// # Errors
    /// It names no host, header or variable, or the variable has no value that a header may have.
    pub fn parse(text: &str, variable: impl Fn(&str) -> Option<String>) -> Result<Self, HeaderGrantError> {
        // What stands after the last `=` may be a secret that somebody wrote there.
        let shown = text.rsplit_once('=').map_or(text, |(before, _)| before);
        let refused = |cause: String| HeaderGrantError { text: format!("{shown}=…"), cause };
        let (methods, rest) = methods(text).map_err(refused)?;
        let mut parts = rest.splitn(3, '=');
        let (Some(place), Some(name), Some(value)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(refused("it has no host, header and variable".into()));
        };
        let variable_name = value.strip_prefix('@').ok_or_else(|| {
            refused("the value stands in a variable, so that no list of processes shows it".into())
        })?;
        let value =
            variable(variable_name).ok_or_else(|| refused(format!("{variable_name} has no value here")))?;
        let mut value = HeaderValue::try_from(value.trim_end_matches(['\r', '\n']))
            .map_err(|_| refused(format!("{variable_name} holds what no header may have")))?;
        value.set_sensitive(true);
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
        if [HOST, CONTENT_LENGTH, TRANSFER_ENCODING].contains(&name) {
            return Err(refused(format!("{name} says where a request goes, or where it ends")));
        }
        Ok(Self { origin, prefix, methods, name, value })
    }
}

fn is_loopback(place: &str) -> bool {
    let host = place.trim_start_matches("http://").split(['/', ':']).next().unwrap_or_default();
    host == "localhost" || host.parse().is_ok_and(|it: std::net::Ipv4Addr| it.is_loopback())
}

impl FromStr for HeaderGrant {
    type Err = HeaderGrantError;

    fn from_str(text: &str) -> Result<Self, HeaderGrantError> {
        Self::parse(text, |name| std::env::var(name).ok())
    }
}

/// Without the value.
impl fmt::Display for HeaderGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, prefix, methods, name, .. } = self;
        if let Some(methods) = methods {
            let names: Vec<_> = methods.iter().map(Method::as_str).collect();
            write!(f, "{} ", names.join(","))?;
        }
        write!(f, "{origin}")?;
        if !prefix.is_whole_host() {
            write!(f, "{prefix}")?;
        }
        write!(f, "={name}")
    }
}

impl fmt::Debug for HeaderGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HeaderGrant({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::HeaderGrant;

    fn parse(text: &str) -> Result<HeaderGrant, String> {
        let variable = |name: &str| match name {
            "KEY" => Some("swordfish\n".to_owned()),
            "BAD" => Some("sword\r\nfish".to_owned()),
            _ => None,
        };
        HeaderGrant::parse(text, variable).map_err(|error| error.to_string())
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
            ("api.example.com=x-api-key=@NONE", "has no value here"),
            ("api.example.com=x-api-key=@BAD", "no header may have"),
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
