//! The proxy that a WebSocket goes through, as `HTTPS_PROXY` and `NO_PROXY` name it, and its
//! `CONNECT` ([RFC 9110, section 9.3.6](https://www.rfc-editor.org/rfc/rfc9110#section-9.3.6)).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use url::Url;

use longshore_azure::is_this_host;

/// The longest answer that a proxy may give, in bytes.
const MAX_ANSWER: usize = 8 * 1024;

/// A proxy. Its address may hold a password, hence `Debug` shows none of it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct HttpProxy(Url);

impl fmt::Debug for HttpProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpProxy({}:{})", self.host(), self.port())
    }
}

impl HttpProxy {
    /// The proxy for a host, by this process's environment.
    pub(super) fn for_host(host: &str) -> Option<Self> {
        Self::chosen(host, |name| std::env::var(name).ok())
    }

    /// As clients of HTTP choose it: what is written in lower case first, and none for this very
    /// host.
    fn chosen(host: &str, variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let set = |names: [&str; 2]| names.into_iter().find_map(&variable).filter(|it| !it.is_empty());
        let url = Url::parse(&format!("https://{host}/")).ok()?;
        let excepted = set(["no_proxy", "NO_PROXY"]).unwrap_or_default();
        if is_this_host(&url) || excepted.split(',').any(|exception| excepts(exception.trim(), host)) {
            return None;
        }
        let proxy = set(["https_proxy", "HTTPS_PROXY"]).or_else(|| set(["all_proxy", "ALL_PROXY"]))?;
        let proxy = if proxy.contains("://") { proxy } else { format!("http://{proxy}") };
        Url::parse(&proxy)
            .ok()
            .filter(|it| ["http", "https"].contains(&it.scheme()) && it.has_host())
            .map(Self)
    }

    pub(super) fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    pub(super) fn port(&self) -> u16 {
        self.0.port_or_known_default().unwrap_or(80)
    }

    /// Whether it is spoken to over TLS.
    pub(super) fn is_secure(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Has the proxy connect a stream to an address. The error is a cause in words.
    pub(super) async fn connect(
        &self,
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
        address: &str,
    ) -> Result<(), String> {
        let mut request = format!("CONNECT {address} HTTP/1.1\r\nhost: {address}\r\n");
        if !self.0.username().is_empty() {
            let decoded = |text: &str| {
                let pair = format!("a={}", text.replace('+', "%2B"));
                url::form_urlencoded::parse(pair.as_bytes()).next().map(|(_, it)| it.into_owned())
            };
            let (user, password) =
                (decoded(self.0.username()), decoded(self.0.password().unwrap_or_default()));
            let login = format!("{}:{}", user.unwrap_or_default(), password.unwrap_or_default());
            request += &format!("proxy-authorization: Basic {}\r\n", STANDARD.encode(login));
        }
        let failed = |error: std::io::Error| format!("the proxy {self:?}: {error}");
        stream.write_all(format!("{request}\r\n").as_bytes()).await.map_err(failed)?;
        stream.flush().await.map_err(failed)?;
        let mut answer = Vec::new();
        // Byte by byte: what follows is the other end's.
        while !answer.ends_with(b"\r\n\r\n") {
            if answer.len() == MAX_ANSWER {
                return Err(format!("the proxy {self:?} gives an answer without end"));
            }
            answer.push(stream.read_u8().await.map_err(failed)?);
        }
        let status = String::from_utf8_lossy(&answer).split_whitespace().nth(1).map(str::to_owned);
        match status.as_deref() {
            Some(status) if status.len() == 3 && status.starts_with('2') => Ok(()),
            status => Err(format!(
                "the proxy {self:?} does not connect: HTTP {}",
                status.unwrap_or("without a status")
            )),
        }
    }
}

/// Whether an entry of `NO_PROXY` stands for a host: the host itself, or a domain that it is in.
fn excepts(exception: &str, host: &str) -> bool {
    let (exception, host) = (exception.to_ascii_lowercase(), host.to_ascii_lowercase());
    let domain = exception.trim_start_matches("*.").trim_start_matches('.');
    let within = || host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
    exception == "*" || !domain.is_empty() && (host == domain || within())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_says_which_proxy_and_for_whom() {
        const HOST: &str = "ns.servicebus.windows.net";
        for (variables, host, expected) in [
            (&[][..], HOST, None),
            (&[("HTTPS_PROXY", "http://proxy:3128")], HOST, Some("HttpProxy(proxy:3128)")),
            (&[("HTTPS_PROXY", "proxy:3128")], HOST, Some("HttpProxy(proxy:3128)")),
            (
                &[("https_proxy", "http://u:p@one"), ("HTTPS_PROXY", "http://two")],
                HOST,
                Some("HttpProxy(one:80)"),
            ),
            (&[("ALL_PROXY", "https://all")], HOST, Some("HttpProxy(all:443)")),
            (&[("HTTP_PROXY", "http://proxy")], HOST, None),
            (&[("HTTPS_PROXY", "")], HOST, None),
            (&[("HTTPS_PROXY", "http://proxy")], "127.0.0.1", None),
            (&[("HTTPS_PROXY", "http://proxy")], "localhost", None),
            (&[("HTTPS_PROXY", "http://proxy"), ("NO_PROXY", "a.b, .windows.net")], HOST, None),
            (&[("HTTPS_PROXY", "http://proxy"), ("NO_PROXY", HOST)], HOST, None),
            (&[("HTTPS_PROXY", "http://proxy"), ("NO_PROXY", "*")], HOST, None),
            (&[("HTTPS_PROXY", "http://proxy"), ("NO_PROXY", "ows.net")], HOST, Some("HttpProxy(proxy:80)")),
        ] {
            let variable =
                |name: &str| variables.iter().find(|(it, _)| *it == name).map(|it| it.1.to_owned());
            let chosen = HttpProxy::chosen(host, variable).map(|it| format!("{it:?}"));
            assert_eq!(chosen.as_deref(), expected, "{variables:?} {host}");
        }
    }

    #[tokio::test]
    async fn a_proxy_is_told_who_asks_and_believed_only_when_it_agrees() {
        for (answer, connected) in [
            ("HTTP/1.1 200 Connection established\r\nvia: x\r\n\r\nrest", true),
            ("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", false),
            ("HTTP/1.1 2\r\n\r\n", false),
            ("HTTP/1.1 200", false),
        ] {
            let proxy = HttpProxy(Url::parse("http://us%40er:p%3Ass@proxy").unwrap());
            let (mut ours, mut theirs) = tokio::io::duplex(4096);
            theirs.write_all(answer.as_bytes()).await.unwrap();
            theirs.shutdown().await.unwrap();
            let done = proxy.connect(&mut ours, "ns.servicebus.windows.net:443").await;
            assert_eq!(done.is_ok(), connected, "{done:?}");
            let mut asked = vec![0; 1000];
            let read = theirs.read(&mut asked).await.unwrap();
            let asked = String::from_utf8_lossy(&asked[..read]).into_owned();
            assert!(asked.starts_with("CONNECT ns.servicebus.windows.net:443 HTTP/1.1\r\n"), "{asked}");
            let login = STANDARD.encode("us@er:p:ss");
            assert!(asked.contains(&format!("proxy-authorization: Basic {login}\r\n")), "{asked}");
            assert!(!format!("{done:?}").contains("p:ss"), "{done:?}");
        }
    }
}
