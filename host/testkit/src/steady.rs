//! A web server that costs next to nothing itself, for measurements of those who call it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// What is answered: as long as a small record of a service.
const BODY: &str = r#"{"order_id":"o-000001","state":"accepted","by":"a service on this machine"}"#;

/// A server over TLS, of HTTP/1.1, on a thread of its own that ends with the process. It answers
/// POST with 204 and all else with a small record. Bodies have to say how long they are. It closes
/// the connection behind its answer to `/close`.
pub struct SteadyServer {
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    connections: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
}

impl SteadyServer {
    /// One with the certificate in this directory.
    pub fn start(directory: &Path) -> Self {
        let certificate = CertificateDer::from_pem_file(directory.join("server.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(directory.join("server.key")).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let tls = TlsAcceptor::from(Arc::new(config.with_single_cert(vec![certificate], key).unwrap()));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = Self { port, connections: Arc::default(), requests: Arc::default() };
        let (connections, requests) = (Arc::clone(&server.connections), Arc::clone(&server.requests));
        std::thread::spawn(move || {
            Builder::new_current_thread().enable_all().build().unwrap().block_on(async move {
                let listener = TcpListener::from_std(listener).unwrap();
                while let Ok((stream, _)) = listener.accept().await {
                    connections.fetch_add(1, Ordering::Relaxed);
                    let _ = stream.set_nodelay(true);
                    let (tls, requests) = (tls.clone(), Arc::clone(&requests));
                    tokio::spawn(async move {
                        if let Ok(stream) = tls.accept(stream).await {
                            serve(stream, &requests).await;
                        }
                    });
                }
            });
        });
        server
    }

    /// How many connections were made, and how many requests were answered, since this was asked
    /// last.
    pub fn counted(&self) -> (usize, usize) {
        (self.connections.swap(0, Ordering::Relaxed), self.requests.swap(0, Ordering::Relaxed))
    }
}

/// Answers until the other side, or `/close`, ends the connection.
async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, requests: &AtomicUsize) -> Option<()> {
    let (mut read, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        let end = loop {
            if let Some(at) = read.windows(4).position(|it| it == b"\r\n\r\n") {
                break at + 4;
            }
            let length = stream.read(&mut chunk).await.ok().filter(|length| *length > 0)?;
            read.extend_from_slice(&chunk[..length]);
        };
        let closes = read.starts_with(b"GET /close");
        let is_post = read.starts_with(b"POST ");
        let whole = end + content_length(&read[..end]);
        while read.len() < whole {
            let length = stream.read(&mut chunk).await.ok().filter(|length| *length > 0)?;
            read.extend_from_slice(&chunk[..length]);
        }
        read.drain(..whole);
        requests.fetch_add(1, Ordering::Relaxed);
        let connection = if closes { "close" } else { "keep-alive" };
        let length = BODY.len();
        let answer = if is_post {
            // As a table answers that has taken a row (Insert Entity).
            "HTTP/1.1 204 No Content\r\netag: W/\"1\"\r\n\r\n".to_owned()
        } else {
            format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: {connection}\r\n\r\n{BODY}"
            )
        };
        stream.write_all(answer.as_bytes()).await.ok()?;
        stream.flush().await.ok()?;
        if closes {
            return stream.shutdown().await.ok();
        }
    }
}

/// How long the body is that a request's head announces.
fn content_length(head: &[u8]) -> usize {
    let head = String::from_utf8_lossy(head);
    let fields = head.lines().filter_map(|line| line.split_once(':'));
    let mut lengths = fields.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    lengths.next().map_or(0, |(_, length)| length.trim().parse().unwrap())
}
