//! Opens connections: a host is looked up once, and reached at the very address that was checked.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use wasmtime_wasi_http::Error;

use crate::http::address::{Cidr, allowed};
use crate::http::origin::Origin;

/// How HTTP/2 and HTTP/1.1 are named in a TLS handshake ([RFC
/// 7301](https://www.rfc-editor.org/rfc/rfc7301), [IANA's
/// registry](https://www.iana.org/assignments/tls-extensiontype-values/)).
const HTTP_2: &[u8] = b"h2";
const HTTP_1: &[u8] = b"http/1.1";
/// How long an address may be silent where a host has another one.
const NEXT_AFTER: Duration = Duration::from_secs(2);

/// Bytes in both directions, with or without TLS.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A stream to a server, and which HTTP it chose.
pub(super) struct Opened {
    pub(super) stream: Box<dyn Duplex>,
    pub(super) http2: bool,
}

/// How servers prove who they are: by the system's root certificates, read when they are first
/// needed.
#[derive(Debug, Default)]
pub(crate) struct TlsRoots(OnceLock<Result<Arc<ClientConfig>, String>>);

impl TlsRoots {
    fn connector(&self) -> Result<TlsConnector, Error> {
        let config = self.0.get_or_init(|| {
            let found = rustls_native_certs::load_native_certs();
            let mut roots = RootCertStore::empty();
            if roots.add_parsable_certificates(found.certs).0 == 0 {
                tracing::error!(errors = ?found.errors, "no root certificates: install ca-certificates, or name a file in SSL_CERT_FILE");
                return Err("the host has no root certificates".to_owned());
            }
            let provider = Arc::new(ring::default_provider());
            let config = ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .map_err(|error| error.to_string())?;
            let mut config = config.with_root_certificates(roots).with_no_client_auth();
            config.alpn_protocols = [HTTP_2, HTTP_1].map(<[u8]>::to_vec).into();
            Ok(Arc::new(config))
        });
        match config {
            Ok(config) => Ok(TlsConnector::from(Arc::clone(config))),
            Err(cause) => Err(Error::InternalError(Some(cause.clone()))),
        }
    }
}

/// Opens a connection to a host whose address is allowed.
pub(super) async fn open(origin: &Origin, private: &[Cidr], tls: &TlsRoots) -> Result<Opened, Error> {
    let stream = reach(origin, private).await?;
    if !origin.tls() {
        return Ok(Opened { stream: Box::new(stream), http2: false });
    }
    let name = ServerName::try_from(origin.host().to_owned()).map_err(|_| Error::HttpRequestUriInvalid)?;
    match tls.connector()?.connect(name, stream).await {
        Ok(stream) => {
            let http2 = stream.get_ref().1.alpn_protocol() == Some(HTTP_2);
            Ok(Opened { stream: Box::new(stream), http2 })
        }
        Err(error) if error.to_string().contains("certificate") => Err(Error::TlsCertificateError),
        Err(_) => Err(Error::TlsProtocolError),
    }
}

/// Looks the host up once, and connects to the first of its allowed addresses that answers.
async fn reach(origin: &Origin, private: &[Cidr]) -> Result<TcpStream, Error> {
    let found: Vec<IpAddr> = match origin.address() {
        Some(address) => vec![address],
        None => match lookup_host((origin.host(), origin.port())).await {
            Ok(found) => found.map(|address| address.ip()).collect(),
            Err(_) => return Err(Error::DnsError { rcode: None, info_code: None }),
        },
    };
    if found.is_empty() {
        return Err(Error::DestinationNotFound);
    }
    let allowed = found.into_iter().filter(|address| allowed(*address, private));
    connect(&allowed.map(|address| SocketAddr::new(address, origin.port())).collect::<Vec<_>>()).await
}

/// Connects to the first of these addresses that answers. The caller limits how long that takes.
async fn connect(addresses: &[SocketAddr]) -> Result<TcpStream, Error> {
    let mut error = Error::DestinationIpProhibited;
    for (place, address) in addresses.iter().enumerate() {
        let connecting = TcpStream::connect(address);
        let connected = if place + 1 == addresses.len() {
            connecting.await
        } else {
            timeout(NEXT_AFTER, connecting).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        };
        match connected {
            Ok(stream) => {
                // Without it requests wait for each other's acknowledgements; a connection works
                // either way.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(refused) if refused.kind() == io::ErrorKind::ConnectionRefused => {
                error = Error::ConnectionRefused
            }
            Err(_) => error = Error::DestinationUnavailable,
        }
    }
    Err(error)
}

#[cfg(test)]
mod tests {
    use longshore_testkit::silent::SilentServer;

    use super::*;

    #[tokio::test]
    async fn an_address_that_is_silent_leaves_time_for_the_next_one() {
        let silent = SilentServer::start().await;
        let neighbour = silent.neighbour().await;
        let other = neighbour.local_addr().unwrap();
        let addresses = [silent.address, other];
        let connecting = connect(&addresses);
        let connected = timeout(Duration::from_secs(20), connecting).await.expect("a connection in time");
        assert_eq!(connected.unwrap().peer_addr().unwrap(), other);
    }
}
