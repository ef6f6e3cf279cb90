//! A web server that repeats requests, for handlers that make them.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A server that answers by path, and counts the connections that reach it.
pub struct Server {
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    connections: Arc<AtomicUsize>,
}

impl Server {
    pub async fn start() -> Self {
        Self::start_with(None).await
    }

    /// One that speaks TLS, with the certificate in this directory.
    pub async fn start_with_tls(directory: &Path) -> Self {
        let certificate = CertificateDer::from_pem_file(directory.join("server.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(directory.join("server.key")).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let config = config.with_single_cert(vec![certificate], key).unwrap();
        Self::start_with(Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn start_with(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                match tls.clone() {
                    None => tokio::spawn(answer(stream)),
                    Some(tls) => tokio::spawn(async move {
                        if let Ok(stream) = tls.accept(stream).await {
                            answer(stream).await;
                        }
                    }),
                };
            }
        });
        Self { port, connections }
    }

    /// How many connections were made.
    pub fn reached(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// Whether all of a request's body is there.
fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    match head.lines().find_map(|line| line.strip_prefix("content-length: ")) {
        Some(length) => body.len() >= length.parse().unwrap(),
        None => body.ends_with("0\r\n\r\n"),
    }
}

/// `/to/HOST:PORT` redirects there, `/bytes/N` is N bytes long, `/slow` never answers, `/pause`
/// stops in its body, all else repeats the request.
async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut request = Vec::new();
    while !request.windows(4).any(|it| it == b"\r\n\r\n") {
        // A TLS handshake begins with 0x16 (RFC 8446, section 5.1), and is nothing that this server
        // understands.
        if stream.read_buf(&mut request).await.unwrap_or_default() == 0 || request[0] == 0x16 {
            return;
        }
    }
    // A body ends where its announced length says, or with an empty chunk.
    while request.starts_with(b"POST") && !is_whole(&request) {
        if stream.read_buf(&mut request).await.unwrap_or_default() == 0 {
            return;
        }
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    let path = request.split(' ').nth(1).unwrap().to_owned();
    let answer = match path.split('/').collect::<Vec<_>>()[..] {
        ["", "to", host] => {
            format!("HTTP/1.1 302 Found\r\nlocation: http://{host}/\r\ncontent-length: 0\r\n\r\n")
        }
        ["", "bytes", size] => {
            let size: usize = size.parse().unwrap();
            format!("HTTP/1.1 200 OK\r\ncontent-length: {size}\r\n\r\n{}", "x".repeat(size))
        }
        ["", "slow"] => return std::future::pending().await,
        ["", "pause"] => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await;
            return std::future::pending().await;
        }
        _ => {
            let first: Vec<_> = request.lines().filter(|line| !line.is_empty()).collect();
            let body = first.join("|");
            format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
        }
    };
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}
