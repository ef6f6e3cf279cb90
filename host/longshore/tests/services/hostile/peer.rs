//! A server that answers every call in one hostile way.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::hostile::answers::Hostile;

/// The pause between two pieces of an answer without end.
const BETWEEN: Duration = Duration::from_millis(1);
/// The pause between two bytes of a slow answer.
const SLOW: Duration = Duration::from_millis(100);

/// The server, whose thread ends with the tests.
#[derive(Clone, Debug)]
pub struct Peer {
    pub url: String,
    calls: Arc<AtomicUsize>,
}

impl Peer {
    /// Answers in this way, and redirects to `elsewhere` where it redirects.
    pub fn start(answer: Hostile, elsewhere: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let peer = Self { url, calls: Arc::default() };
        let (serving, elsewhere) = (peer.clone(), elsewhere.to_owned());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (serving, answer, elsewhere) = (serving.clone(), answer.clone(), elsewhere.clone());
                std::thread::spawn(move || serving.serve(&stream.ok()?, &answer, &elsewhere));
            }
        });
        peer
    }

    /// How many calls came.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    fn serve(&self, mut stream: &TcpStream, answer: &Hostile, elsewhere: &str) -> Option<()> {
        let mut reader = BufReader::new(stream);
        let (mut request, mut length) = (String::new(), 0);
        reader.read_line(&mut request).ok().filter(|read| *read > 0)?;
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).ok()?;
            let Some((name, value)) = header.trim().split_once(':') else { break };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().ok()?;
            }
        }
        reader.read_exact(&mut vec![0; length]).ok()?;
        self.calls.fetch_add(1, Ordering::Relaxed);
        match answer {
            Hostile::Silence => self.wait_for_the_end(stream),
            Hostile::Bytes(bytes) => stream.write_all(bytes).ok(),
            Hostile::Endless(first, more) => {
                stream.write_all(first).ok()?;
                loop {
                    stream.write_all(more).ok()?;
                    // Large pieces fill what the other end may read. Small ones would keep both
                    // ends busy, and all other cases waiting.
                    std::thread::sleep(BETWEEN);
                }
            }
            Hostile::Slow(bytes) => {
                for byte in bytes.iter().chain(std::iter::repeat(bytes.last()?)) {
                    stream.write_all(&[*byte]).ok()?;
                    std::thread::sleep(SLOW);
                }
                Some(())
            }
            Hostile::RedirectToItself => {
                let target = request.split(' ').nth(1)?;
                redirect(stream, &format!("{}{target}", self.url))
            }
            Hostile::RedirectElsewhere => {
                let target = request.split(' ').nth(1)?;
                redirect(stream, &format!("{elsewhere}{target}"))
            }
        }
    }

    fn wait_for_the_end(&self, mut stream: &TcpStream) -> Option<()> {
        while stream.read(&mut [0; 1024]).ok()? > 0 {}
        Some(())
    }
}

fn redirect(mut stream: &TcpStream, location: &str) -> Option<()> {
    write!(
        stream,
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: {location}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    )
    .ok()
}
