//! Outbound HTTP, with a real handler and a real server: what is granted is reached, and nothing else.

#![allow(clippy::unwrap_used, reason = "tests fail by it")]

mod common;

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::{certificates, guest};
use jiff::Timestamp;
use longshore::sandbox::{Component, Grants, Invocation, Limits, RetryReason, Sandbox, Settings, Verdict};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A server that answers by path, and counts the connections that reach it.
struct Server {
    port: u16,
    connections: Arc<AtomicUsize>,
}

impl Server {
    async fn start() -> Self {
        Self::start_with(None).await
    }

    /// One that speaks TLS, with the certificate in this directory.
    async fn start_with_tls(directory: &Path) -> Self {
        let certificate = CertificateDer::from_pem_file(directory.join("server.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(directory.join("server.key")).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
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

    fn reached(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// `/to/HOST:PORT` redirects there, `/bytes/N` is N bytes long, `/slow` never answers, `/pause` stops in its body, all
/// else repeats the request.
async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut request = Vec::new();
    while !request.windows(4).any(|it| it == b"\r\n\r\n") {
        // A TLS handshake begins with 0x16 (RFC 8446, section 5.1), and is nothing that this server understands.
        if stream.read_buf(&mut request).await.unwrap_or_default() == 0 || request[0] == 0x16 {
            return;
        }
    }
    // The handler's bodies have no announced length, and end with an empty chunk.
    while request.starts_with(b"POST") && !request.ends_with(b"0\r\n\r\n") {
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

fn rogue(http: &[String], private: &[&str], limits: Limits) -> Component {
    let grants = Grants {
        config: vec![("greeting".into(), "hello".into())],
        http: http.iter().map(|it| it.parse().unwrap()).collect(),
        private: private.iter().map(|it| it.parse().unwrap()).collect(),
        outputs: vec!["invoices".into()],
        ..Grants::default()
    };
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled");
    let settings = Settings { concurrency: 2, grants, limits, cache: Some(cache), ..Settings::default() };
    Sandbox::new(&settings).unwrap().load(&std::fs::read(guest::rogue()).unwrap()).unwrap()
}

async fn ask(component: &Component, body: String) -> (RetryReason, String) {
    let invocation = Invocation {
        id: "http".into(),
        queue: "orders".into(),
        body: body.into(),
        dequeue_count: 1,
        inserted: Timestamp::UNIX_EPOCH,
        deadline: Duration::from_secs(5),
        properties: Vec::new(),
    };
    match component.invoke(invocation).await.verdict {
        Verdict::Completed => (RetryReason::Requested, "completed".into()),
        // The guest rejects with what it was answered.
        Verdict::Reject { detail } => (RetryReason::Requested, detail),
        Verdict::Retry { reason, detail, .. } => (reason, detail),
    }
}

#[tokio::test]
async fn a_granted_host_is_reached_by_the_address_that_was_checked() {
    let server = Server::start().await;
    let host = format!("localhost:{}", server.port);
    let component = rogue(&[format!("http://{host}")], &["127.0.0.0/8"], Limits::default());
    let (_, said) = ask(&component, format!("get:http://{host}/orders?x=1")).await;
    assert!(said.starts_with("200 ") && said.contains("GET /orders?x=1 HTTP/1.1|"), "{said}");
    assert!(said.contains(&format!("host: {host}")), "{said}");
    assert_eq!(server.reached(), 1);
}

#[tokio::test]
async fn a_private_address_is_refused_unless_it_is_named() {
    let server = Server::start().await;
    for host in ["localhost", "127.0.0.1"] {
        let host = format!("{host}:{}", server.port);
        for private in [&[][..], &["10.0.0.0/8"]] {
            let component = rogue(&[format!("http://{host}")], private, Limits::default());
            let (_, said) = ask(&component, format!("get:http://{host}/")).await;
            assert_eq!(said, "ErrorCode::DestinationIpProhibited");
        }
    }
    assert_eq!(server.reached(), 0);
}

#[tokio::test]
async fn a_redirect_is_the_guest_s_to_follow_and_checked_like_any_request() {
    let (granted, other) = (Server::start().await, Server::start().await);
    let host = format!("127.0.0.1:{}", granted.port);
    let component = rogue(&[format!("http://{host}")], &["127.0.0.1"], Limits::default());
    let elsewhere = format!("127.0.0.1:{}", other.port);
    let (_, said) = ask(&component, format!("get:http://{host}/to/{elsewhere}")).await;
    assert!(said.starts_with(&format!("302 http://{elsewhere}/")), "{said}");
    let (_, said) = ask(&component, format!("get:http://{elsewhere}/")).await;
    assert_eq!(said, "ErrorCode::HttpRequestDenied");
    assert_eq!((granted.reached(), other.reached()), (1, 0));
}

#[tokio::test]
async fn a_host_granted_with_tls_is_not_asked_without_it() {
    let server = Server::start().await;
    let host = format!("127.0.0.1:{}", server.port);
    let component = rogue(std::slice::from_ref(&host), &["127.0.0.1"], Limits::default());
    let (_, said) = ask(&component, format!("get:http://{host}/")).await;
    assert_eq!(said, "ErrorCode::HttpRequestDenied");
    assert_eq!(server.reached(), 0);
    // Nor is anything said to a server that does not speak it.
    let (_, said) = ask(&component, format!("get:https://{host}/")).await;
    assert!(said.starts_with("ErrorCode::Tls") || said.starts_with("ErrorCode::Connection"), "{said}");
}

#[tokio::test]
async fn calls_and_bytes_are_counted_over_the_whole_message() {
    let server = Server::start().await;
    let host = format!("127.0.0.1:{}", server.port);
    let limits = Limits { http_calls: 3, http_bytes: 100_000, ..Limits::default() };
    let component = rogue(&[format!("http://{host}")], &["127.0.0.1"], limits);
    let ask = |body: String| ask(&component, body);
    assert_eq!(ask(format!("gets:3@http://{host}/")).await.1, "completed");
    let (reason, said) = ask(format!("gets:4@http://{host}/")).await;
    assert!(reason == RetryReason::HttpLimit && said.starts_with("more than 3 HTTP requests"), "{said}");
    assert!(ask(format!("get:http://{host}/bytes/99999")).await.1.contains("99999 bytes"));
    for too_much in [
        format!("get:http://{host}/bytes/100001"),
        format!("gets:2@http://{host}/bytes/50001"),
        format!("post:100001@http://{host}/"),
    ] {
        let (reason, said) = ask(too_much.clone()).await;
        assert!(
            reason == RetryReason::HttpLimit && said.starts_with("more than 100000 bytes"),
            "{too_much}: {said}"
        );
    }
}

#[tokio::test]
async fn a_server_that_never_answers_costs_a_deadline_and_no_tunnel_is_opened() {
    let server = Server::start().await;
    let host = format!("127.0.0.1:{}", server.port);
    let component = rogue(&[format!("http://{host}")], &["127.0.0.1"], Limits::default());
    assert_eq!(ask(&component, format!("get:http://{host}/slow")).await.0, RetryReason::Deadline);
    assert_eq!(
        ask(&component, format!("connect:http://{host}/")).await.1,
        "ErrorCode::HttpRequestMethodInvalid"
    );
    assert_eq!(server.reached(), 1);
}

#[tokio::test]
async fn a_response_that_stops_half_way_is_given_up_as_soon_as_the_handler_says() {
    let server = Server::start().await;
    let host = format!("127.0.0.1:{}", server.port);
    let component = rogue(&[format!("http://{host}")], &["127.0.0.1"], Limits::default());
    let (reason, said) = ask(&component, format!("get-in-time:100@http://{host}/pause")).await;
    assert!(reason == RetryReason::Requested && said.contains("connection read timeout"), "{reason}: {said}");
    let (_, said) = ask(&component, format!("get-in-time:1000@http://{host}/bytes/100000")).await;
    assert!(said.contains("100000 bytes"), "{said}");
}

#[tokio::test]
async fn a_server_is_trusted_by_the_authorities_of_ssl_cert_file_and_by_its_name_only() {
    let [ours, others] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    certificates::make(ours.path(), "DNS:localhost");
    certificates::make(others.path(), "DNS:localhost");
    let server = Server::start_with_tls(ours.path()).await;
    let (named, unnamed) = (format!("localhost:{}", server.port), format!("127.0.0.1:{}", server.port));
    // By the binary: which authorities it trusts is a variable of its process.
    let invoke = async |host: &str, authority: &Path| {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_longshore"));
        command.args([
            "invoke",
            "--output=invoices=file:./invoices",
            "--config=greeting=hello",
            "--cache-dir",
        ]);
        command.arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled"));
        command
            .args(["--allow-private=127.0.0.0/8", "--allow-http", host, "--component"])
            .arg(guest::rogue());
        command.arg(format!("get:https://{host}/orders")).stdin(Stdio::null());
        command.env("SSL_CERT_FILE", authority.join("ca.pem")).env_remove("SSL_CERT_DIR");
        let ended = command.output().await.unwrap();
        String::from_utf8_lossy(&[ended.stdout, ended.stderr].concat()).into_owned()
    };
    let said = invoke(&named, ours.path()).await;
    assert!(said.contains("200 ") && said.contains("GET /orders HTTP/1.1|"), "{said}");
    for (host, authority) in [(&named, others.path()), (&unnamed, ours.path())] {
        let said = invoke(host, authority).await;
        assert!(said.contains("TlsCertificateError") && !said.contains("200 "), "{host}: {said}");
    }
    assert_eq!(server.reached(), 3);
}
