//! Where a signal is exported to, as its variables name it. They may have a password or a key in
//! them, so that no refusal repeats a value.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;
use url::Url;

/// A receiver's address, and the headers that it is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OtlpEndpoint {
    /// Without a user and a password.
    pub(super) url: Url,
    /// Each value is marked as sensitive, and shown by nobody.
    pub(super) headers: HeaderMap,
}

impl OtlpEndpoint {
    /// Reads a URL, and moves the user and the password in it to a header.
    ///
    /// # Errors
    /// What is wrong with it, to be said behind the variable's name.
    pub(super) fn read(url: &str) -> Result<Self, String> {
        // The parser's words repeat nothing of what it read.
        let mut url = Url::parse(url).map_err(|error| format!("is no URL: {error}"))?;
        if !["http", "https"].contains(&url.scheme()) {
            return Err("begins with neither http:// nor https://".into());
        }
        let mut headers = HeaderMap::new();
        if !url.username().is_empty() || url.password().is_some() {
            let decoded = |text| percent_decode_str(text).decode_utf8_lossy();
            let pair = format!("{}:{}", decoded(url.username()), decoded(url.password().unwrap_or_default()));
            let value = format!("Basic {}", STANDARD.encode(pair));
            headers.insert(
                AUTHORIZATION,
                sensitive(value.as_bytes()).ok_or("has a user that no header can name")?,
            );
            // A URL of HTTP has a host, and so can have none of both.
            let _ = (url.set_username(""), url.set_password(None));
        }
        Ok(Self { url, headers })
    }

    /// Adds headers that are written as `NAME=VALUE,NAME=VALUE`, with values encoded as in URLs
    /// ([Baggage](https://www.w3.org/TR/baggage/#header-content)). Returns the places of those that
    /// cannot be read, counted from 1.
    pub(super) fn add_headers(&mut self, text: &str) -> Vec<usize> {
        let mut unread = Vec::new();
        let pairs = text.split(',').enumerate().filter(|(_, pair)| !pair.trim().is_empty());
        for (index, pair) in pairs {
            let header = pair.split_once('=').and_then(|(name, value)| {
                // What is encoded is bytes, and need not be UTF-8.
                let value: Vec<u8> = percent_decode_str(value.trim()).collect();
                Some((HeaderName::try_from(name.trim()).ok()?, sensitive(&value)?))
            });
            match header {
                Some((name, value)) => drop(self.headers.insert(name, value)),
                None => unread.push(index + 1),
            }
        }
        unread
    }

    /// The host, and its port where the URL names one: how messages call the receiver.
    pub(super) fn host(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        self.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }
}

fn sensitive(value: &[u8]) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_bytes(value).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_refusal_repeats_what_stands_in_the_url_and_nobody_shows_a_password() {
        for (url, words) in [
            ("http://ann:SECRET@[::1", "is no URL: invalid IPv6 address"),
            ("http://ann:SECRET@host:99999", "is no URL: invalid port number"),
            ("ann:SECRET@host:4318", "begins with neither http:// nor https://"),
            ("SECRET", "is no URL: relative URL without a base"),
            ("http://", "is no URL: empty host"),
        ] {
            assert_eq!(OtlpEndpoint::read(url), Err(words.to_owned()));
        }
        let endpoint = OtlpEndpoint::read("https://someone:p%40ss@host:4318/v1/traces").unwrap();
        assert_eq!(endpoint.url.as_str(), "https://host:4318/v1/traces");
        assert_eq!(endpoint.host(), "host:4318");
        assert_eq!(endpoint.headers[AUTHORIZATION], format!("Basic {}", STANDARD.encode("someone:p@ss")));
        let shown = format!("{endpoint:?}");
        assert!(!shown.contains("someone") && !shown.contains("Basic"), "{shown}");
    }

    #[test]
    fn headers_are_read_as_the_specification_writes_them() {
        let mut endpoint = OtlpEndpoint::read("http://host:4318").unwrap();
        let unread = endpoint.add_headers("api-key=a%3Db, x-team = blue,broken,bad name=1,,a=b\u{7}");
        assert_eq!(unread, [3, 4, 6]);
        assert_eq!(
            (&endpoint.headers["api-key"], &endpoint.headers["x-team"]),
            (&"a=b".parse().unwrap(), &"blue".parse().unwrap())
        );
        assert!(!format!("{endpoint:?}").contains("blue"));
        assert_eq!(endpoint.add_headers("caf=%C3%A9,raw=%FF,evil=x%0D%0Ay: z"), [3]);
        assert_eq!(
            (endpoint.headers["caf"].as_bytes(), endpoint.headers["raw"].as_bytes()),
            ("\u{e9}".as_bytes(), &[0xff][..])
        );
    }
}
