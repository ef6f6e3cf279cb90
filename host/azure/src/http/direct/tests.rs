use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use http::Method;
use http_body_util::Full;
use longshore_testkit::wait::until_async;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

use super::*;

const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// What a server does with one call.
#[derive(Clone, Copy)]
enum Deed {
    Answer(&'static str),
    /// Answers, and closes the connection.
    AnswerAndClose,
    /// Reads the call, and closes the connection.
    Close,
}

/// A server that does these deeds one after the other, and the last of them from then on.
struct Peer {
    connections: AtomicUsize,
    calls: AtomicUsize,
    open: AtomicUsize,
    deeds: &'static [Deed],
}

impl Peer {
    async fn start(deeds: &'static [Deed]) -> (Arc<Self>, Arc<DirectServer>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let [connections, calls, open] = Default::default();
        let peer = Arc::new(Self { connections, calls, open, deeds });
        let serving = peer.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                serving.connections.fetch_add(1, Ordering::Relaxed);
                let serving = serving.clone();
                tokio::spawn(async move {
                    serving.open.fetch_add(1, Ordering::Relaxed);
                    serving.serve(stream).await;
                    serving.open.fetch_sub(1, Ordering::Relaxed);
                });
            }
        });
        let dial = Dial::new(&Url::parse(&url).unwrap(), None).unwrap();
        (peer, Arc::new(DirectServer::new(dial)))
    }

    async fn serve(&self, mut stream: TcpStream) {
        loop {
            let mut call = Vec::new();
            while !call.ends_with(b"\r\n\r\n") {
                if stream.read_buf(&mut call).await.unwrap_or(0) == 0 {
                    return;
                }
            }
            let at = self.calls.fetch_add(1, Ordering::Relaxed);
            let deed = self.deeds[at.min(self.deeds.len() - 1)];
            if let Deed::Answer(answer) = deed {
                stream.write_all(answer.as_bytes()).await.unwrap();
                continue;
            }
            if let Deed::AnswerAndClose = deed {
                stream.write_all(ANSWER.as_bytes()).await.unwrap();
            }
            return;
        }
    }

    fn counts(&self) -> (usize, usize) {
        (self.connections.load(Ordering::Relaxed), self.calls.load(Ordering::Relaxed))
    }
}

async fn get(server: &Arc<DirectServer>) -> Result<Bytes, NoReply> {
    let mut call = DirectCall::new(Full::default());
    *call.method_mut() = Method::GET;
    server.call(call, 64).await.map(http::Response::into_body)
}

#[tokio::test]
async fn a_connection_is_used_again_and_not_once_the_server_has_closed_it() {
    let (peer, server) =
        Peer::start(&[Deed::Answer(ANSWER), Deed::AnswerAndClose, Deed::Answer(ANSWER)]).await;
    for connections in [1, 1, 2, 2] {
        assert_eq!(get(&server).await.unwrap(), "ok");
        assert_eq!(peer.counts().0, connections);
        if peer.counts().1 == 2 {
            let closed = || (peer.open.load(Ordering::Relaxed) == 0).then_some(());
            until_async("the end of a connection", async || closed()).await;
            // The runtime hears of it.
            sleep(Duration::from_millis(100)).await;
        }
    }
}

#[tokio::test]
async fn a_call_that_was_sent_is_not_sent_again() {
    let (peer, server) = Peer::start(&[Deed::Close]).await;
    assert!(matches!(get(&server).await, Err(NoReply::Broken(_))));
    assert_eq!(peer.counts(), (1, 1));
    // Over a connection that was kept as well.
    let (peer, server) = Peer::start(&[Deed::Answer(ANSWER), Deed::Close]).await;
    assert!(get(&server).await.is_ok());
    assert!(matches!(get(&server).await, Err(NoReply::Broken(_))));
    assert_eq!(peer.counts(), (1, 2));
}

#[tokio::test]
async fn an_answer_is_read_to_its_end_in_whatever_form_it_comes_and_no_further_than_its_limit() {
    const CHUNKS: &str =
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    const EMPTY: &str = "HTTP/1.1 204 No Content\r\n\r\n";
    const LONG: &str = "HTTP/1.1 200 OK\r\ncontent-length: 65\r\n\r\n";
    const ENDLESS: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n41\r\n00000000000000000000000000000000000000000000000000000000000000000\r\n";
    let deeds = &[Deed::Answer(CHUNKS), Deed::Answer(EMPTY), Deed::Answer(LONG), Deed::Answer(ENDLESS)];
    let (peer, server) = Peer::start(deeds).await;
    assert_eq!(get(&server).await.unwrap(), "abcde");
    assert_eq!(get(&server).await.unwrap(), "");
    for connections in [1, 2] {
        assert!(matches!(get(&server).await, Err(NoReply::TooLong(_))));
        // What is left of such an answer is nobody's.
        assert_eq!(peer.counts().0, connections);
    }
}

#[tokio::test]
async fn calls_side_by_side_have_a_connection_each_and_the_next_ones_have_the_same() {
    let (peer, server) = Peer::start(&[Deed::Answer(ANSWER)]).await;
    for _ in 0..3 {
        assert!(join_all((0..8).map(|_| get(&server))).await.iter().all(Result::is_ok));
    }
    assert_eq!(peer.counts().1, 24);
    assert!(peer.counts().0 <= 8, "{:?}", peer.counts());
}

/// Each call has its own answer: what is left of the answer to a call that nobody waits for any
/// more is nobody's.
#[tokio::test]
async fn a_call_that_is_given_up_anywhere_leaves_nothing_for_the_next_one() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    // Repeats what was asked for, in small pieces.
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                loop {
                    let mut call = Vec::new();
                    while !call.ends_with(b"\r\n\r\n") {
                        if stream.read_buf(&mut call).await.unwrap_or(0) == 0 {
                            return;
                        }
                    }
                    let asked = String::from_utf8(call).unwrap().split(' ').nth(1).unwrap().to_owned();
                    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{asked}", asked.len());
                    for piece in answer.as_bytes().chunks(9) {
                        if stream.write_all(piece).await.is_err() {
                            return;
                        }
                        sleep(Duration::from_micros(200)).await;
                    }
                }
            });
        }
    });
    let server = Arc::new(DirectServer::new(Dial::new(&Url::parse(&url).unwrap(), None).unwrap()));
    let mut answered = 0;
    for number in 0..400 {
        let mut call = DirectCall::new(Full::default());
        *call.uri_mut() = format!("/{number}").parse().unwrap();
        let patience = Duration::from_micros(number * 53 % 20_000);
        if let Ok(answer) = tokio::time::timeout(patience, server.call(call, 64)).await {
            assert_eq!(answer.unwrap().body(), &format!("/{number}"));
            answered += 1;
        }
    }
    assert!((1..400).contains(&answered), "{answered} calls were answered");
}

/// tokio lets a task do so much before it has to wait. A connection that lost its wake then would
/// hang.
#[tokio::test]
async fn a_task_that_calls_and_calls_is_never_left_waiting() {
    let (peer, server) = Peer::start(&[Deed::Answer(ANSWER)]).await;
    for _ in 0..2_000 {
        get(&server).await.unwrap();
    }
    assert_eq!(peer.counts(), (1, 2_000));
}

#[tokio::test]
async fn a_connection_that_nobody_uses_is_closed() {
    let (peer, server) = Peer::start(&[Deed::Answer(ANSWER)]).await;
    get(&server).await.unwrap();
    let kept = Instant::now();
    until_async("the end of the connection", async || (peer.open.load(Ordering::Relaxed) == 0).then_some(()))
        .await;
    assert!(kept.elapsed() >= IDLE - Duration::from_millis(500), "{:?}", kept.elapsed());
    get(&server).await.unwrap();
    assert_eq!(peer.counts().0, 2);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_not_reached() {
    let dial = Dial::new(&Url::parse("http://127.0.0.1:1").unwrap(), None).unwrap();
    let unreached = get(&Arc::new(DirectServer::new(dial))).await.unwrap_err();
    assert!(matches!(&unreached, NoReply::Unreached(cause) if cause.contains("refused")), "{unreached:?}");
}
