//! How a connection to a server is made.

use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use rustls_platform_verifier::Verifier;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tower_service::Service;
use url::Url;

use super::lookup::Lookup;
use super::no_reply::NoReply;

/// How long a connection may take to be made, TLS included.
pub(super) const CONNECT: Duration = Duration::from_secs(5);
/// The same without TLS.
const CONNECT_TCP: Duration = Duration::from_secs(4);
/// After how long without a word the kernel asks whether the other side is still there, and how
/// long it waits between two questions. Load balancers drop what is quiet for four minutes.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// After how many such questions without an answer a connection is given up.
const KEEPALIVE_RETRIES: u32 = 3;
/// For how long what was sent may stay unacknowledged.
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);

/// What bytes go over.
pub(super) trait HttpStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> HttpStream for T {}

/// The way to one server.
pub(super) struct Dial {
    /// Scheme, host and port.
    server: Uri,
    tcp: HttpConnector<Lookup>,
    /// `None` over plain HTTP.
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Dial {
    /// The way to the server of a URL. Certificates are checked as `tls` says, where it is HTTPS.
    ///
    /// # Errors
    /// The cause in words.
    pub(super) fn new(url: &Url, tls: Option<Arc<ClientConfig>>) -> Result<Self, String> {
        let server = url.origin().ascii_serialization();
        let server = server.parse().map_err(|error| format!("{server}: {error}"))?;
        let name = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let tls = match tls {
            Some(tls) => {
                let name = ServerName::try_from(name).map_err(|error| error.to_string())?;
                Some((TlsConnector::from(tls), name))
            }
            None => None,
        };
        Ok(Self { server, tcp: connector(Lookup::new()), tls })
    }

    /// A new connection.
    ///
    /// # Errors
    /// [`NoReply::Unreached`].
    pub(super) async fn connect(&self) -> Result<Box<dyn HttpStream>, NoReply> {
        let connecting = async {
            let mut tcp = self.tcp.clone();
            let tcp = tcp.call(self.server.clone()).await.map_err(|error| NoReply::unreached(&error))?;
            let tcp = tcp.into_inner();
            Ok::<Box<dyn HttpStream>, NoReply>(match &self.tls {
                Some((tls, name)) => {
                    let secured = tls.connect(name.clone(), tcp).await;
                    Box::new(secured.map_err(|error| NoReply::unreached(&error))?)
                }
                None => Box::new(tcp),
            })
        };
        let late = |_| NoReply::Unreached(format!("no connection within {} s", CONNECT.as_secs()));
        timeout(CONNECT, connecting).await.map_err(late)?
    }
}

/// What connects to the addresses that `lookup` gives, one after the other.
fn connector<L>(lookup: L) -> HttpConnector<L> {
    let mut tcp = HttpConnector::new_with_resolver(lookup);
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    // Each address of a host has its share of it, so that a silent one leaves time for the next.
    tcp.set_connect_timeout(Some(CONNECT_TCP));
    tcp.set_keepalive(Some(KEEPALIVE));
    tcp.set_keepalive_interval(Some(KEEPALIVE));
    tcp.set_keepalive_retries(Some(KEEPALIVE_RETRIES));
    #[cfg(target_os = "linux")]
    tcp.set_tcp_user_timeout(Some(UNACKNOWLEDGED));
    tcp
}

/// TLS that checks certificates against the authorities of the system, or those in
/// `SSL_CERT_FILE`. Connections made with it resume each other's sessions.
///
/// # Errors
/// There are none: the cause in words.
pub(super) fn tls() -> Result<Arc<ClientConfig>, String> {
    let cryptography = Arc::new(ring::default_provider());
    let verifier = Verifier::new(cryptography.clone()).map_err(|error| error.to_string())?;
    let mut tls = ClientConfig::builder_with_provider(cryptography)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(tls))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::{Ready, ready};
    use std::net::SocketAddr;
    use std::task::{Context, Poll};
    use std::vec;

    use hyper_util::client::legacy::connect::dns::Name;
    use longshore_testkit::silent::SilentServer;

    use super::*;

    /// Gives these addresses for each name.
    #[derive(Clone)]
    struct These(Vec<SocketAddr>);

    impl Service<Name> for These {
        type Response = vec::IntoIter<SocketAddr>;
        type Error = Infallible;
        type Future = Ready<Result<Self::Response, Infallible>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Name) -> Self::Future {
            ready(Ok(self.0.clone().into_iter()))
        }
    }

    #[tokio::test]
    async fn an_address_that_is_silent_leaves_time_for_the_next_one() {
        let silent = SilentServer::start().await;
        let neighbour = silent.neighbour().await;
        let other = neighbour.local_addr().unwrap();
        let mut tcp = connector(These(vec![silent.address, other]));
        let server = format!("http://two.example:{}", other.port()).parse().unwrap();
        let connected = timeout(CONNECT, tcp.call(server)).await.expect("a connection in time").unwrap();
        assert_eq!(connected.inner().peer_addr().unwrap(), other);

        let url = Url::parse(&format!("http://{}", silent.address)).unwrap();
        let unreached = Dial::new(&url, None).unwrap().connect().await.err().unwrap();
        assert!(matches!(&unreached, NoReply::Unreached(cause) if cause == "timed out"), "{unreached:?}");
    }
}
