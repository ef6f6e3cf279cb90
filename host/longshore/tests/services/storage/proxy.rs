//! A proxy between the worker and the service, which does to each call what a test tells it to.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::storage::azurite::Azurite;
use crate::storage::tls::Tls;

/// What becomes of one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It goes through.
    Pass,
    /// The connection is cut before the service sees the call.
    CutBefore,
    /// The connection is cut when the service has acted.
    CutAfter,
    /// The call is late at the service.
    LateBefore(Duration),
    /// The answer is late.
    LateAfter(Duration),
    /// From now on, calls with this one's token are answered with 401, this one first.
    Revoke,
    /// The service is not asked, and this is the answer: the status line's end, and more headers.
    Answer(&'static str, &'static str),
    /// The service acts, and this is the answer.
    AnswerAfter(&'static str),
    /// The answer's body breaks off in the middle, as if that were its length.
    Truncated,
    /// A piece of the answer's body is replaced with another.
    Replace(&'static str, &'static str),
}

/// Decides by method and path, with its query.
pub type Decide = Arc<dyn Fn(&str, &str) -> Fate + Send + Sync>;

/// A proxy. It ends when dropped.
pub struct Proxy {
    pub address: SocketAddr,
    scheme: &'static str,
    way: Arc<Way>,
    serving: JoinHandle<()>,
}

/// Where calls go, and what becomes of them.
struct Way {
    upstream: u16,
    tls: Option<Tls>,
    decide: Decide,
    /// `Authorization` headers that are refused.
    revoked: Mutex<HashSet<String>>,
    /// How many calls came, and how many were refused for their token.
    calls: AtomicUsize,
    refused: AtomicUsize,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Proxy {
    /// In front of this server; over TLS, with its certificate, if it has one.
    pub async fn start(server: &Azurite, decide: Decide) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let tls = server.authority.as_deref().map(Tls::of);
        let scheme = if tls.is_some() { "https" } else { "http" };
        let way = Way {
            upstream: server.port,
            tls,
            decide,
            revoked: Mutex::default(),
            calls: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
        };
        let way = Arc::new(way);
        let serving = tokio::spawn({
            let way = way.clone();
            async move {
                while let Ok((client, _)) = listener.accept().await {
                    let way = way.clone();
                    tokio::spawn(async move {
                        match &way.tls {
                            Some(tls) => way.serve(tls.accept(client).await?).await,
                            None => way.serve(client).await,
                        }
                    });
                }
            }
        });
        Self { address, scheme, way, serving }
    }

    /// The same URL, by way of the proxy.
    pub fn url(&self, url: &str) -> String {
        let (_, rest) = url.split_once("127.0.0.1:").unwrap();
        let path = rest.find('/').unwrap();
        format!("{}://{}{}", self.scheme, self.address, &rest[path..])
    }

    /// How many calls came.
    pub fn calls(&self) -> usize {
        self.way.calls.load(Ordering::Relaxed)
    }

    /// How many calls were answered with 401 for a token that was revoked.
    pub fn refused(&self) -> usize {
        self.way.refused.load(Ordering::Relaxed)
    }
}

impl Way {
    /// Call after call, until one side is done.
    async fn serve(&self, mut client: impl AsyncRead + AsyncWrite + Unpin) -> Option<()> {
        loop {
            let request = Message::read(&mut client).await?;
            let mut fate = self.fate(&request)?;
            if fate == Fate::Revoke {
                self.refused.fetch_add(1, Ordering::Relaxed);
                fate = Fate::Answer("401 Unauthorized", "x-ms-error-code: InvalidAuthenticationInfo\r\n");
            }
            match fate {
                Fate::CutBefore => return None,
                Fate::LateBefore(late) => sleep(late).await,
                Fate::Answer(status, headers) => {
                    let answer = format!("HTTP/1.1 {status}\r\n{headers}content-length: 0\r\n\r\n");
                    client.write_all(answer.as_bytes()).await.ok()?;
                    continue;
                }
                _ => {}
            }
            let mut answer = self.ask(&request).await?;
            match fate {
                Fate::CutAfter => return None,
                Fate::LateAfter(late) => sleep(late).await,
                Fate::AnswerAfter(status) => {
                    answer = Message { head: format!("HTTP/1.1 {status}\r\n\r\n"), body: Vec::new() };
                }
                Fate::Truncated => answer.body.truncate(answer.body.len() / 2),
                Fate::Replace(from, to) => {
                    answer.body = String::from_utf8(answer.body).ok()?.replace(from, to).into_bytes();
                }
                _ => {}
            }
            client.write_all(&answer.bytes()).await.ok()?;
        }
    }

    fn fate(&self, request: &Message) -> Option<Fate> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let mut words = request.head.split(' ');
        let (method, path) = (words.next()?, words.next()?);
        let token = header(&request.head, "authorization").unwrap_or_default();
        let mut revoked = self.revoked.lock().unwrap();
        if revoked.contains(token) {
            return Some(Fate::Revoke);
        }
        let fate = (self.decide)(method, path);
        if fate == Fate::Revoke {
            revoked.insert(token.to_owned());
        }
        Some(fate)
    }

    async fn ask(&self, request: &Message) -> Option<Message> {
        let server = TcpStream::connect(("127.0.0.1", self.upstream)).await.ok()?;
        match &self.tls {
            Some(tls) => request.exchange(tls.connect(server).await?).await,
            None => request.exchange(server).await,
        }
    }
}

/// A request or an answer: its head, with the empty line, and its body.
struct Message {
    head: String,
    body: Vec<u8>,
}

impl Message {
    async fn exchange(&self, mut server: impl AsyncRead + AsyncWrite + Unpin) -> Option<Self> {
        server.write_all(&self.bytes()).await.ok()?;
        Self::read(&mut server).await
    }

    async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Self> {
        let mut bytes = Vec::new();
        let end = loop {
            if let Some(at) = bytes.windows(4).position(|it| it == b"\r\n\r\n") {
                break at + 4;
            }
            if stream.read_buf(&mut bytes).await.ok()? == 0 {
                return None;
            }
        };
        let head = String::from_utf8(bytes[..end].to_vec()).ok()?;
        let mut body = bytes.split_off(end);
        if header(&head, "transfer-encoding").is_some() {
            while !body.ends_with(b"0\r\n\r\n") {
                if stream.read_buf(&mut body).await.ok()? == 0 {
                    return None;
                }
            }
            return Some(Self { head, body: unchunked(&body)? });
        }
        let length = header(&head, "content-length").and_then(|it| it.parse().ok()).unwrap_or(0);
        while body.len() < length {
            if stream.read_buf(&mut body).await.ok()? == 0 {
                return None;
            }
        }
        Some(Self { head, body })
    }

    /// With the length that the body has now.
    fn bytes(&self) -> Vec<u8> {
        let framing = ["transfer-encoding:", "content-length:"];
        let framed = |line: &&str| framing.iter().any(|it| line.to_ascii_lowercase().starts_with(it));
        let lines = self.head.trim_end().split("\r\n").filter(|line| !framed(line));
        let mut head: String = lines.flat_map(|line| [line, "\r\n"]).collect();
        if !head.contains(" 204 ") {
            head.push_str(&format!("content-length: {}\r\n", self.body.len()));
        }
        head.push_str("\r\n");
        [head.as_bytes(), &self.body].concat()
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let lines = head.split("\r\n").filter_map(|line| line.split_once(':'));
    lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
}

fn unchunked(mut chunks: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = chunks.windows(2).position(|it| it == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&chunks[..line]).ok()?, 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(chunks.get(line + 2..line + 2 + size)?);
        chunks = chunks.get(line + 2 + size + 2..)?;
    }
}
