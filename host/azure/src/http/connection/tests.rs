use std::io;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex};
use tokio::runtime::Builder;
use tokio::task::unconstrained;
use tokio::time::timeout;

use super::*;

const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// A connection that is ready for its first call, and the server's end of it.
async fn ready() -> (DirectConnection, DuplexStream) {
    let (ours, theirs) = duplex(64 * 1024);
    let mut connection = DirectConnection::new(Box::new(ours)).await.unwrap();
    assert!(connection.is_usable());
    (connection, theirs)
}

fn get() -> DirectCall {
    DirectCall::new(Full::default())
}

/// Carries a call, which must not take long.
async fn carry(connection: &mut DirectConnection, call: DirectCall) -> Result<Response<Bytes>, CallFailed> {
    let carrying = unconstrained(connection.carry(call, 1024));
    timeout(Duration::from_secs(20), carrying).await.expect("the call comes to an end")
}

async fn read_call(server: &mut DuplexStream) {
    let mut call = Vec::new();
    while !call.ends_with(b"\r\n\r\n") {
        assert_ne!(server.read_buf(&mut call).await.unwrap(), 0, "a call");
    }
}

#[tokio::test]
async fn a_call_that_meets_the_end_of_its_connection_is_unsent_at_once() {
    for calls in 0..3 {
        let (mut connection, mut server) = ready().await;
        for _ in 0..calls {
            let (answer, ()) = tokio::join!(carry(&mut connection, get()), async {
                read_call(&mut server).await;
                server.write_all(ANSWER.as_bytes()).await.unwrap();
            });
            assert!(answer.is_ok() && connection.is_usable());
        }
        drop(server);
        assert!(matches!(carry(&mut connection, get()).await, Err(CallFailed::Unsent(_))), "{calls}");
        assert!(!connection.is_usable());
    }
}

#[tokio::test]
async fn an_answer_that_nobody_asked_for_is_no_answer_to_the_next_call() {
    let (mut connection, mut server) = ready().await;
    server.write_all(ANSWER.as_bytes()).await.unwrap();
    assert!(matches!(carry(&mut connection, get()).await, Err(CallFailed::Unsent(_))));

    // Behind an answer, in one piece with it and in a piece of its own.
    for pieces in [&[ANSWER, ANSWER].concat()[..], ANSWER] {
        let (mut connection, mut server) = ready().await;
        let serving = tokio::spawn({
            let pieces = pieces.to_owned();
            async move {
                read_call(&mut server).await;
                server.write_all(pieces.as_bytes()).await.unwrap();
                server
            }
        });
        assert_eq!(carry(&mut connection, get()).await.ok().unwrap().body(), "ok");
        let mut server = serving.await.unwrap();
        if pieces == ANSWER {
            assert!(connection.is_usable());
            server.write_all(ANSWER.as_bytes()).await.unwrap();
        }
        assert!(!connection.is_usable(), "{pieces}");
    }
}

/// What a server sends for one call, and what comes of it: the status and the body, or nothing.
const FORMS: [(&str, Option<(u16, &str)>); 14] = [
    (ANSWER, Some((200, "ok"))),
    (
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
        Some((200, "ok")),
    ),
    ("HTTP/1.0 200 OK\r\n\r\nto the end", Some((200, "to the end"))),
    ("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nto the end", Some((200, "to the end"))),
    ("HTTP/1.1 204 No Content\r\ncontent-length: 2\r\n\r\nok", Some((204, ""))),
    (
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2;x=y\r\nok\r\n0\r\nx-trailer: y\r\n\r\n",
        Some((200, "ok")),
    ),
    (
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        Some((200, "ok")),
    ),
    (
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://192.0.2.1/\r\ncontent-length: 0\r\n\r\n",
        Some((307, "")),
    ),
    ("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok", None),
    ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok!", None),
    ("HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\nok", None),
    ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n", None),
    ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", None),
    ("HTTP/1.1 200", None),
];

#[tokio::test]
async fn an_answer_is_whole_or_it_is_none_however_it_is_framed_and_in_whatever_pieces_it_comes() {
    for (form, expected) in FORMS {
        for size in [1, 7, form.len()] {
            let (mut connection, mut server) = ready().await;
            let serving = tokio::spawn(async move {
                read_call(&mut server).await;
                for piece in form.as_bytes().chunks(size) {
                    // It may have heard enough.
                    let _ = server.write_all(piece).await;
                    tokio::task::yield_now().await;
                }
            });
            let answer = carry(&mut connection, get()).await;
            serving.await.unwrap();
            let answer = match answer {
                Ok(answer) => Some((answer.status().as_u16(), answer.into_body())),
                Err(CallFailed::Sent(NoReply::Broken(_))) => None,
                Err(CallFailed::Sent(error)) => panic!("{form:?}: {error}"),
                Err(CallFailed::Unsent(_)) => panic!("{form:?}: it was sent"),
            };
            let expected = expected.map(|(status, body)| (status, Bytes::from(body)));
            assert_eq!(answer, expected, "{form:?} in pieces of {size}");
        }
    }
}

#[tokio::test]
async fn a_head_without_end_is_not_read_to_its_end() {
    for header in [format!("x: {}\r\n", "y".repeat(1000)), "x: y\r\n".to_owned()] {
        let (mut connection, mut server) = ready().await;
        let serving = tokio::spawn(async move {
            read_call(&mut server).await;
            server.write_all(b"HTTP/1.1 200 OK\r\n").await.unwrap();
            let mut written = 0;
            while server.write_all(header.as_bytes()).await.is_ok() {
                written += header.len();
                assert!(written < 8 << 20, "it is read on and on");
            }
        });
        let failed = carry(&mut connection, get()).await;
        assert!(matches!(failed, Err(CallFailed::Sent(NoReply::Broken(_)))));
        drop(connection);
        serving.await.unwrap();
    }
}

#[tokio::test]
async fn an_answer_before_the_end_of_the_call_is_taken_and_its_connection_is_not() {
    let (mut connection, mut server) = ready().await;
    let serving = tokio::spawn(async move {
        server.write_all(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        server
    });
    // More than the wire takes.
    let mut call = DirectCall::new(Full::new(vec![b'x'; 1 << 20].into()));
    *call.method_mut() = http::Method::POST;
    // The answer must not be there before the call is.
    let (answer, server) = tokio::join!(carry(&mut connection, call), async move {
        tokio::task::yield_now().await;
        serving.await.unwrap()
    });
    assert_eq!(answer.ok().unwrap().status(), 413);
    assert!(!connection.is_usable());
    drop(server);
}

/// A wire on which `100 Continue` comes without end, once something was sent.
#[derive(Default)]
struct Flood {
    has_begun: bool,
    reader: Option<Waker>,
}

impl AsyncRead for Flood {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        const PIECE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
        if !self.has_begun {
            self.reader = Some(context.waker().clone());
            return Poll::Pending;
        }
        while into.remaining() >= PIECE.len() {
            into.put_slice(PIECE);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Flood {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.has_begun = true;
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[test]
fn a_time_limit_holds_also_where_there_is_always_more_to_read() {
    let (ended, end) = mpsc::channel();
    // It would not end where the limit does not hold.
    thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut connection = DirectConnection::new(Box::new(Flood::default())).await.unwrap();
            let carrying = unconstrained(connection.carry(get(), 1024));
            assert!(timeout(Duration::from_millis(100), carrying).await.is_err());
        });
        ended.send(()).unwrap();
    });
    end.recv_timeout(Duration::from_secs(60)).expect("the limit ends the call");
}
