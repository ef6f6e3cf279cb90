//! A web server that keeps its connections, and remembers what it was asked.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A request that arrived, with its body.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    /// Path and query, as they were sent.
    pub path: String,
    pub headers: HashMap<String, String>,
    pub body: Bytes,
    /// The number of its connection, from 1 on.
    pub connection: usize,
    /// When all of it was there.
    pub at: SystemTime,
}

impl Seen {
    /// A header, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// A server that answers by path:
/// - `/echo` repeats the request's headers in its body, `/echo-header` in a header;
/// - `/status/N` answers with this status, `/status-once/N` only the first time, then with 200;
/// - `/to/URL` redirects there;
/// - `/bytes/N` answers with so many bytes, `/slow` after half a second;
/// - `/close` closes the connection behind its answer;
/// - `/vanish` closes without an answer a connection that served a request before;
/// - all else is answered with `METHOD PATH`.
pub struct WebServer {
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    connections: AtomicUsize,
    open: AtomicUsize,
    seen: Mutex<Vec<Seen>>,
    /// Each change closes the connections that are open.
    closing: watch::Sender<u32>,
}

impl WebServer {
    pub async fn start() -> Self {
        Self::start_with(None).await
    }

    /// One that speaks TLS, with the certificate in this directory, and these protocols: `h2`,
    /// `http/1.1`.
    pub async fn start_with_tls(directory: &Path, protocols: &[&str]) -> Self {
        let certificate = CertificateDer::from_pem_file(directory.join("server.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(directory.join("server.key")).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let mut config = config.with_single_cert(vec![certificate], key).unwrap();
        config.alpn_protocols = protocols.iter().map(|it| it.as_bytes().to_vec()).collect();
        Self::start_with(Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn start_with(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State::default());
        let serving = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let number = serving.connections.fetch_add(1, Ordering::SeqCst) + 1;
                tokio::spawn(serve(stream, tls.clone(), number, Arc::clone(&serving)));
            }
        });
        Self { port, state }
    }

    /// How many connections were made.
    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// How many of them are open.
    pub fn open_connections(&self) -> usize {
        self.state.open.load(Ordering::SeqCst)
    }

    /// What it was asked so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().unwrap().clone()
    }

    /// Closes all connections, as servers do with those that nobody uses.
    pub fn close_connections(&self) {
        self.state.closing.send_modify(|closings| *closings += 1);
    }
}

async fn serve(stream: TcpStream, tls: Option<TlsAcceptor>, number: usize, state: Arc<State>) {
    let mut closing = state.closing.subscribe();
    let served = AtomicUsize::new(0);
    state.open.fetch_add(1, Ordering::SeqCst);
    let answer = service_fn(|request: Request<Incoming>| {
        let (state, before) = (Arc::clone(&state), served.fetch_add(1, Ordering::SeqCst));
        async move { answer(request, number, before, &state).await }
    });
    let builder = Builder::new(TokioExecutor::new());
    let serving = async {
        match tls {
            None => drop(builder.serve_connection(TokioIo::new(stream), answer).await),
            Some(tls) => {
                if let Ok(stream) = tls.accept(stream).await {
                    drop(builder.serve_connection(TokioIo::new(stream), answer).await);
                }
            }
        }
    };
    tokio::select! {
        () = serving => {}
        _ = closing.changed() => {}
    }
    state.open.fetch_sub(1, Ordering::SeqCst);
}

/// Why a connection ends without an answer.
#[derive(Debug)]
struct Vanished;

impl std::fmt::Display for Vanished {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("vanished")
    }
}

impl std::error::Error for Vanished {}

async fn answer(
    request: Request<Incoming>,
    connection: usize,
    served_before: usize,
    state: &State,
) -> Result<Response<Full<Bytes>>, Vanished> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Vanished)?.to_bytes();
    let method = parts.method.to_string();
    let path = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let text = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let headers: HashMap<_, _> = parts.headers.iter().map(text).collect();
    let asked_before = {
        let mut seen = state.seen.lock().unwrap();
        let before = seen.iter().any(|it| it.path == path);
        seen.push(Seen {
            method: method.clone(),
            path: path.clone(),
            headers: headers.clone(),
            body,
            connection,
            at: SystemTime::now(),
        });
        before
    };
    let all: Vec<_> = headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    let with = |status: &str, text: String| {
        Response::builder().status(status).body(Full::from(text)).map_err(|_| Vanished)
    };
    let plain_path = parts.uri.path().to_owned();
    match plain_path.split('/').collect::<Vec<_>>()[..] {
        ["", "echo"] => with("200", all.join("\n")),
        ["", "echo-header"] => {
            let seen = headers.get("authorization").cloned().unwrap_or_default();
            Ok(Response::builder().header("x-seen", seen).body(Full::default()).map_err(|_| Vanished)?)
        }
        ["", "status", status] => with(status, String::new()),
        ["", "status-once", status] => {
            with(if asked_before { "200" } else { status }, format!("{method} {path}"))
        }
        ["", "to", ..] => {
            let to = &plain_path["/to/".len()..];
            Ok(Response::builder()
                .status(302)
                .header("location", to)
                .body(Full::default())
                .map_err(|_| Vanished)?)
        }
        ["", "bytes", size] => with("200", "x".repeat(size.parse().unwrap_or_default())),
        ["", "slow"] => {
            tokio::time::sleep(Duration::from_millis(500)).await;
            with("200", format!("{method} {path}"))
        }
        ["", "close"] => {
            let answer = Response::builder().header("connection", "close").body(Full::default());
            Ok(answer.map_err(|_| Vanished)?)
        }
        ["", "vanish"] if served_before > 0 => Err(Vanished),
        _ => with("200", format!("{method} {path}")),
    }
}
