//! Where a request goes, and where one may go: scheme, host and port.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use http::Uri;
use http::uri::{Authority, Scheme};

/// A scheme, a host and a port, as a flag names them. It has TLS unless `http://` stands before it:
/// `api.example.com`, `api.example.com:8443`, `http://10.1.2.3:8080`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    tls: bool,
    /// In lower case; an IPv6 address without its brackets.
    host: String,
    port: u16,
}

/// Why a text names no host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no host; write it as in api.example.com, api.example.com:8443 or, without TLS, http://host:8080"
)]
pub struct OriginError(String);

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let (tls, rest) = match text.split_once("://") {
            None => (true, text),
            Some(("https", rest)) => (true, rest),
            Some(("http", rest)) => (false, rest),
            Some(_) => return Err(OriginError(text.to_owned())),
        };
        let authority: Authority = rest.parse().map_err(|_| OriginError(text.to_owned()))?;
        Self::new(tls, &authority).ok_or_else(|| OriginError(text.to_owned()))
    }
}

impl Origin {
    /// Where a request goes; `None` if its address cannot be one.
    pub(crate) fn of(uri: &Uri) -> Option<Self> {
        let tls = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => return None,
        };
        Self::new(tls, uri.authority()?)
    }

    fn new(tls: bool, authority: &Authority) -> Option<Self> {
        let host = authority.host();
        // A port that is written and cannot be read is not the default one. A user's name is
        // refused, too.
        let port = match authority.as_str().strip_prefix(host)? {
            "" if tls => 443,
            "" => 80,
            _ => authority.port_u16().filter(|port| *port != 0)?,
        };
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(address) => address.parse::<Ipv6Addr>().ok()?.to_string(),
            None => host.to_ascii_lowercase(),
        };
        (!host.is_empty() && !host.contains(['*', '%'])).then_some(Self { tls, host, port })
    }

    pub(crate) fn tls(&self) -> bool {
        self.tls
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Whether the host is an address, or a name that the public DNS has not: an emulator, mostly.
    pub(crate) fn is_local(&self) -> bool {
        let host = self.host();
        self.address().is_some() || !host.contains('.') || host.ends_with(".localhost")
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The host, if it is an address and needs no looking up.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

impl Origin {
    /// Host and port as a `Host` header has them (RFC 9110, section 7.2).
    pub(crate) fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        match (self.tls, self.port) {
            (true, 443) | (false, 80) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.tls {
            f.write_str("http://")?;
        }
        f.write_str(&self.authority())
    }
}

#[cfg(test)]
mod tests {
    use http::Uri;

    use super::Origin;

    #[test]
    fn a_grant_is_for_one_scheme_host_and_port() {
        for (grant, request, expected) in [
            ("api.example.com", "https://api.example.com/orders?x=1", true),
            ("api.example.com", "https://API.example.com:443/", true),
            ("https://api.example.com:443", "https://api.example.com/", true),
            ("api.example.com:8443", "https://api.example.com:8443/", true),
            ("http://api.example.com", "http://api.example.com:80/", true),
            ("[::1]:8443", "https://[0:0::1]:8443/", true),
            ("api.example.com", "http://api.example.com/", false),
            ("api.example.com", "http://api.example.com:443/", false),
            ("http://api.example.com", "https://api.example.com:80/", false),
            ("api.example.com", "https://api.example.com:8443/", false),
            ("api.example.com", "https://api.example.com.evil.test/", false),
            ("api.example.com", "https://api.example.com./", false),
            ("api.example.com", "https://evil.api.example.com/", false),
            ("api.example.com", "https://api.example.com@evil.test/", false),
            ("api.example.com", "https://evil.test@api.example.com/", false),
            ("127.0.0.1", "https://127.1/", false),
        ] {
            let origin = Origin::of(&request.parse::<Uri>().unwrap());
            let granted = origin.is_some_and(|origin| grant.parse::<Origin>().unwrap() == origin);
            assert_eq!(granted, expected, "{grant} and {request}");
        }
    }

    #[test]
    fn what_is_shown_grants_the_same() {
        for (text, shown) in [
            ("Api.Example.com", "api.example.com"),
            ("https://api.example.com:8443", "api.example.com:8443"),
            ("http://[::1]:80", "http://[::1]"),
            ("http://host:443", "http://host:443"),
            ("host:80", "host:80"),
        ] {
            let origin: Origin = text.parse().unwrap();
            assert_eq!(origin.to_string(), shown);
            assert_eq!(shown.parse(), Ok(origin));
        }
    }

    #[test]
    fn an_origin_is_a_scheme_a_host_and_a_port() {
        for (text, tls, host, port, is_address) in [
            ("Api.example.com", true, "api.example.com", 443, false),
            ("http://10.1.2.3", false, "10.1.2.3", 80, true),
            ("[0:0::1]:8443", true, "::1", 8443, true),
        ] {
            let origin: Origin = text.parse().unwrap();
            assert_eq!((origin.tls(), origin.host(), origin.port()), (tls, host, port));
            assert_eq!(origin.address(), is_address.then(|| host.parse().unwrap()));
        }
    }

    #[test]
    fn a_request_without_a_scheme_or_with_another_one_goes_nowhere() {
        for text in ["/path", "ftp://api.example.com/", "api.example.com"] {
            assert_eq!(Origin::of(&text.parse::<Uri>().unwrap()), None, "{text}");
        }
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for text in [
            "",
            ":443",
            "ftp://host",
            "host/path",
            "host:",
            "host:x",
            "host:0",
            "user@host",
            "[::1",
            "[host]",
            "a%25b",
            "*.example.com",
            "*",
        ] {
            assert!(text.parse::<Origin>().is_err(), "{text}");
        }
    }
}
