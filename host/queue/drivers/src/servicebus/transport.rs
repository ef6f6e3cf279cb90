//! The bytes below AMQP: TCP, TLS on 5671, or a WebSocket on 443 where only that is open.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, LazyLock, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use fe2o3_amqp_ws::WebSocketStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use longshore_queue::place::Transport;
use longshore_queue::{QueueError, QueueUrl};

use crate::servicebus::proxy::HttpProxy;
use crate::servicebus::silent_ports::{CONNECT, SilentPorts};

/// What the standard library says first where a name cannot be resolved. It has no kind of its own.
const NO_SUCH_NAME: &str = "failed to lookup address information";
/// How long an address may be silent where a host has another one.
const NEXT_AFTER: Duration = Duration::from_secs(2);
/// The path of the WebSocket.
const PATH: &str = "/$servicebus/websocket";

trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A connection of any kind.
pub(super) struct ByteStream(Box<dyn Io>);

impl fmt::Debug for ByteStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ByteStream")
    }
}

impl AsyncRead for ByteStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for ByteStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// Where a transport is spoken unless a port is named
/// ([ports](https://learn.microsoft.com/azure/service-bus-messaging/service-bus-faq#what-ports-do-i-need-to-open-on-the-firewall)).
fn usual_port(transport: Transport) -> u16 {
    match transport {
        Transport::Amqps => 5671,
        Transport::Plain => 5672,
        Transport::WebSockets => 443,
    }
}

/// Opens a connection to a namespace. Where no port is named and the one of AMQP does not answer,
/// that of WebSockets is tried; behind a proxy it is the only one. A port that keeps silent is
/// remembered as long as this process lasts. The queue is for errors.
pub(super) async fn open(
    url: &QueueUrl,
    namespace: &str,
    transport: Transport,
) -> Result<ByteStream, QueueError> {
    static SILENT_PORTS: LazyLock<SilentPorts> = LazyLock::new(SilentPorts::default);
    let (host, port) = match namespace.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok()),
        None => (namespace, None),
    };
    if transport != Transport::Amqps || port.is_some() {
        return dial(url, host, port, transport).await;
    }
    if HttpProxy::for_host(host).is_some() {
        return dial(url, host, None, Transport::WebSockets).await;
    }
    SILENT_PORTS.connect(host, |transport| Box::pin(dial(url, host, None, transport))).await
}

async fn dial(
    url: &QueueUrl,
    host: &str,
    port: Option<u16>,
    transport: Transport,
) -> Result<ByteStream, QueueError> {
    let port = port.unwrap_or(usual_port(transport));
    let dialling = async {
        let proxy = HttpProxy::for_host(host).filter(|_| transport == Transport::WebSockets);
        let stream = match &proxy {
            None => connect(host, port).await?,
            Some(proxy) => through(proxy, &format!("{host}:{port}")).await?,
        };
        if transport == Transport::Plain {
            return Ok(stream);
        }
        let stream = ByteStream(Box::new(secure(host, stream).await?));
        if transport == Transport::Amqps {
            return Ok(stream);
        }
        // TLS is there already, hence `ws` where the address is that of `wss`.
        let address = format!("ws://{host}:{port}{PATH}");
        let stream = WebSocketStream::connect_with_stream(address, stream).await;
        stream.map(|stream| ByteStream(Box::new(stream))).map_err(|error| format!("no WebSocket: {error}"))
    };
    let cause = match timeout(CONNECT, dialling).await {
        Ok(Ok(stream)) => return Ok(stream),
        Ok(Err(cause)) => cause,
        Err(_) => format!("no answer within {} s", CONNECT.as_secs()),
    };
    if cause.contains("certificate") {
        let mend = "is it the namespace's own address? SSL_CERT_FILE names authorities to trust";
        return Err(QueueError::Fault { cause: format!("{host}:{port}: {cause}"), mend: mend.into() });
    }
    let mend = if cause.contains(NO_SUCH_NAME) {
        let name = url.owner().unwrap_or_default();
        format!(
            "; is there a namespace `{name}` (`az servicebus namespace exists --name {name}`), and does this network resolve its name?"
        )
    } else {
        String::new()
    };
    Err(QueueError::busy(url, format!("no connection to {host}:{port}: {cause}{mend}")))
}

async fn connect(host: &str, port: u16) -> Result<ByteStream, String> {
    let connecting = async { first_of(&lookup_host((host, port)).await?.collect::<Vec<_>>()).await };
    let stream = connecting.await.map_err(|error| error.to_string())?;
    // Without it requests wait for each other's acknowledgements; a connection works either way.
    let _ = stream.set_nodelay(true);
    Ok(ByteStream(Box::new(stream)))
}

/// A connection to the first of these addresses that answers. The caller limits how long that
/// takes.
async fn first_of(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut failed = ErrorKind::NotFound.into();
    for (place, address) in addresses.iter().enumerate() {
        let connecting = TcpStream::connect(address);
        let connected = if place + 1 == addresses.len() {
            connecting.await
        } else {
            timeout(NEXT_AFTER, connecting).await.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))
        };
        match connected {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// A connection to an address that the proxy made.
async fn through(proxy: &HttpProxy, address: &str) -> Result<ByteStream, String> {
    let mut stream =
        connect(proxy.host(), proxy.port()).await.map_err(|error| format!("the proxy {proxy:?}: {error}"))?;
    if proxy.is_secure() {
        stream = ByteStream(Box::new(secure(proxy.host(), stream).await?));
    }
    proxy.connect(&mut stream, address).await?;
    Ok(stream)
}

async fn secure(host: &str, stream: ByteStream) -> Result<impl Io + use<>, String> {
    static CONFIG: OnceLock<Result<Arc<ClientConfig>, String>> = OnceLock::new();
    let config = CONFIG.get_or_init(config).clone()?;
    let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
    TlsConnector::from(config).connect(name, stream).await.map_err(|error| error.to_string())
}

/// Trusts the system's authorities, or those in `SSL_CERT_FILE`.
fn config() -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    if roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs).0 == 0 {
        return Err("cannot check certificates: the host has none to trust; install ca-certificates, or name a PEM file in SSL_CERT_FILE".into());
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
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
        let connecting = first_of(&addresses);
        let connected = timeout(CONNECT, connecting).await.expect("a connection in time");
        assert_eq!(connected.unwrap().peer_addr().unwrap(), other);
    }

    #[tokio::test]
    async fn a_namespace_whose_name_is_not_known_is_named_with_what_to_look_at() {
        // Names below `invalid` never exist (RFC 6761, section 6.4).
        let url: QueueUrl = "sb://acme.invalid/orders".parse().unwrap();
        let error = open(&url, "acme.invalid", Transport::Amqps).await.unwrap_err().to_string();
        for words in ["sb://acme.invalid/orders", "acme.invalid:443", "a namespace `acme`", "--name acme`"] {
            assert!(error.contains(words), "{error}");
        }
        assert!(error.ends_with('?'), "{error}");
    }
}
