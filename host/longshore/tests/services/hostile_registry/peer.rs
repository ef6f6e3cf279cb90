//! A small server of HTTP that answers as a test says, byte for byte.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How long a silence lasts: longer than any limit of the host's.
const SILENCE: Duration = Duration::from_secs(150);

/// A call, as it came: its first line, its headers and its body.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    pub line: String,
    pub head: String,
    pub body: String,
}

impl Asked {
    /// The method and the path: `GET /v2/`.
    pub fn is(&self, beginning: &str) -> bool {
        self.line.starts_with(beginning)
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.head.lines().filter_map(|line| line.split_once(':'));
        headers.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    /// All of it, to look for what must not be there.
    pub fn whole(&self) -> String {
        format!("{}\n{}\n{}", self.line, self.head, self.body)
    }
}

/// What is answered.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Nothing, for long.
    Silence,
    /// A good head, and a byte of a long body each half second.
    Slow,
    /// This, and then bytes until nobody reads them.
    Endless(&'static str),
    /// These bytes, and the end of the connection.
    Raw(Vec<u8>),
}

impl Reply {
    pub fn raw(text: &str) -> Self {
        Self::Raw(text.as_bytes().to_vec())
    }

    /// An answer with a status, more headers, and a body of the right length.
    pub fn say(status: &str, headers: &str, body: &[u8]) -> Self {
        let head = format!(
            "HTTP/1.1 {status}\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        Self::Raw([head.as_bytes(), body].concat())
    }

    /// 200 with JSON.
    pub fn json(value: &serde_json::Value) -> Self {
        Self::say("200 OK", "content-type: application/json\r\n", value.to_string().as_bytes())
    }
}

type Script = dyn Fn(&Peer, &Asked) -> Reply + Send + Sync;

/// The server, whose threads end with the tests.
#[derive(Clone)]
pub struct Peer {
    port: u16,
    stranger: u16,
    script: Arc<Script>,
    written: Arc<AtomicUsize>,
    asked: Arc<Mutex<Vec<Asked>>>,
    stolen: Arc<Mutex<Vec<Asked>>>,
}

impl Peer {
    pub fn start(script: impl Fn(&Self, &Asked) -> Reply + Send + Sync + 'static) -> Self {
        let (listener, elsewhere) = (listen(), listen());
        let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
        let peer = Self {
            port: port(&listener),
            stranger: port(&elsewhere),
            script: Arc::new(script),
            written: Arc::default(),
            asked: Arc::default(),
            stolen: Arc::default(),
        };
        let (serving, listening) = (peer.clone(), peer.clone());
        serve(listener, move |stream| serving.answer(stream));
        serve(elsewhere, move |stream| listening.listen_in(&stream));
        peer
    }

    /// `127.0.0.1:PORT`.
    pub fn name(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Another server, as far as an origin goes.
    pub fn stranger(&self) -> String {
        format!("127.0.0.1:{}", self.stranger)
    }

    /// How many bytes of answers without an end were taken.
    pub fn written(&self) -> usize {
        self.written.load(Ordering::Relaxed)
    }

    /// What it was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// What the stranger was asked, whole.
    pub fn stolen(&self) -> Vec<String> {
        self.stolen.lock().unwrap().iter().map(Asked::whole).collect()
    }

    /// The stranger sends its callers on to another path of its own, once, and then has nothing.
    fn listen_in(&self, mut stream: &TcpStream) -> Option<()> {
        let asked = read(stream)?;
        let first = !asked.line.contains("/once-more");
        self.stolen.lock().unwrap().push(asked);
        let reply = if first {
            Reply::say("307 On", "location: /once-more\r\n", b"")
        } else {
            Reply::say("404 Nothing", "", b"")
        };
        let Reply::Raw(bytes) = reply else { return None };
        stream.write_all(&bytes).ok()
    }

    fn answer(&self, mut stream: TcpStream) -> Option<()> {
        let asked = read(&stream)?;
        self.asked.lock().unwrap().push(asked.clone());
        match (self.script)(self, &asked) {
            Reply::Silence => std::thread::sleep(SILENCE),
            Reply::Slow => {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n").ok()?;
                loop {
                    stream.write_all(b" ").ok()?;
                    std::thread::sleep(Duration::from_millis(500));
                }
            }
            Reply::Endless(head) => {
                stream.write_all(head.as_bytes()).ok()?;
                let filler = [b' '; 64 << 10];
                loop {
                    let count = stream.write(&filler).ok()?;
                    self.written.fetch_add(count, Ordering::Relaxed);
                }
            }
            Reply::Raw(bytes) => {
                stream.write_all(&bytes).ok()?;
                stream.shutdown(Shutdown::Write).ok()?;
            }
        }
        Some(())
    }
}

fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

fn serve(listener: TcpListener, answer: impl Fn(TcpStream) -> Option<()> + Clone + Send + 'static) {
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let answer = answer.clone();
            std::thread::spawn(move || answer(stream.unwrap()));
        }
    });
}

fn read(stream: &TcpStream) -> Option<Asked> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut asked = Asked::default();
    reader.read_line(&mut asked.line).ok()?;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line.trim_end().is_empty() {
            break;
        }
        asked.head.push_str(&line);
    }
    let length = asked.header("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    asked.body = String::from_utf8_lossy(&body).into_owned();
    Some(asked)
}
