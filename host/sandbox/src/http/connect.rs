//! One connection for one request: looked up once, opened to the very address that was checked.

use std::borrow::Cow;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::header::HOST;
use http::{HeaderValue, Request, Response, Uri};
use http_body::Body;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use wasmtime_wasi_http::io::TokioIo;
use wasmtime_wasi_http::{Error, RequestOptions};

use crate::http::address::{Cidr, allowed};
use crate::http::origin::Origin;

/// What the engine waits for: a request, or what reads its response from the network.
pub(crate) type Task<T> = Box<dyn Future<Output = Result<T, Error>> + Send>;

/// How long a look-up, a connection and its TLS handshake may take together, unless the guest says
/// less.
const MAX_CONNECT: Duration = Duration::from_secs(10);

/// How long the response's first byte may take, unless the guest says less. The message's deadline
/// ends it in any case.
const MAX_FIRST_BYTE: Duration = Duration::from_secs(60);

/// What the headers of a response may take, in bytes.
const MAX_RESPONSE_HEADERS: usize = 64 << 10;

/// A connection, with or without TLS.
pub(crate) trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

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
            Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
        });
        match config {
            Ok(config) => Ok(TlsConnector::from(Arc::clone(config))),
            Err(cause) => Err(Error::InternalError(Some(cause.clone()))),
        }
    }
}

/// Opens a connection to a host whose address is allowed.
pub(crate) async fn open(
    origin: &Origin,
    private: &[Cidr],
    tls: &TlsRoots,
    options: RequestOptions,
) -> Result<Box<dyn Connection>, Error> {
    let limit = options.connect_timeout.map_or(MAX_CONNECT, |asked| asked.min(MAX_CONNECT));
    let opening = async {
        let stream = reach(origin, private).await?;
        if !origin.tls() {
            return Ok(Box::new(stream) as Box<dyn Connection>);
        }
        let name =
            ServerName::try_from(origin.host().to_owned()).map_err(|_| Error::HttpRequestUriInvalid)?;
        match tls.connector()?.connect(name, stream).await {
            Ok(stream) => Ok(Box::new(stream) as Box<dyn Connection>),
            Err(error) if error.to_string().contains("certificate") => Err(Error::TlsCertificateError),
            Err(_) => Err(Error::TlsProtocolError),
        }
    };
    timeout(limit, opening).await.unwrap_or(Err(Error::ConnectionTimeout))
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
    let mut error =
        if found.is_empty() { Error::DestinationNotFound } else { Error::DestinationIpProhibited };
    for address in found.into_iter().filter(|address| allowed(*address, private)) {
        match TcpStream::connect(SocketAddr::new(address, origin.port())).await {
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

/// Sends the request. The task that comes with the response is what reads its body from the
/// network.
pub(crate) async fn exchange<B>(
    stream: Box<dyn Connection>,
    origin: &Origin,
    mut request: Request<B>,
    options: Option<RequestOptions>,
) -> Result<(Response<Incoming>, Task<()>), Error>
where
    B: Body<Data = bytes::Bytes, Error = Error> + Send + 'static,
{
    let asked = options.and_then(|options| options.first_byte_timeout);
    let limit = asked.map_or(MAX_FIRST_BYTE, |asked| asked.min(MAX_FIRST_BYTE));
    let (mut sender, connection) =
        http1::Builder::new().max_buf_size(MAX_RESPONSE_HEADERS).handshake(TokioIo::new(stream)).await?;
    // Scheme and host are for proxies only (RFC 9112, section 3.2.1). The Host header names what
    // was checked, and not how the guest spelled it.
    let host = HeaderValue::try_from(origin.authority()).map_err(|_| Error::HttpRequestUriInvalid)?;
    request.headers_mut().insert(HOST, host);
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    // A path is never empty on the wire (RFC 9112, section 3.2.1).
    let path = if path.starts_with('?') { Cow::from(format!("/{path}")) } else { Cow::from(path) };
    *request.uri_mut() = path.parse::<Uri>().map_err(|_| Error::HttpRequestUriInvalid)?;

    let mut connection = Box::pin(connection);
    let mut response = pin!(timeout(limit, sender.send_request(request)));
    let mut open = true;
    let response = tokio::select! {
        biased;
        response = &mut response => response,
        ended = &mut connection => {
            ended?;
            open = false;
            response.await
        }
    };
    let response = response.map_err(|_| Error::ConnectionReadTimeout)??;
    let driver = async move {
        if open {
            // What goes wrong from here on, the body says.
            let _ = connection.await;
        }
        Ok(())
    };
    Ok((response, Box::new(driver)))
}
