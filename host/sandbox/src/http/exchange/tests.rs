//! With servers at the other end of pipes in memory: one of HTTP/1.1 that is written by hand, and
//! one of HTTP/2 that gives up in each way that its standard has.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex};

use http_body_util::combinators::UnsyncBoxBody;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::sleep;

use super::*;
use crate::http::connect::Opened;
use crate::http::pool::{Place, Pool};

fn pipe() -> (Opened, DuplexStream) {
    let (ours, theirs) = duplex(4096);
    (Opened { stream: Box::new(ours), http2: false }, theirs)
}

/// Reads one request, and answers that there is nothing.
async fn answer(stream: &mut DuplexStream) -> String {
    let mut request = vec![0; 4096];
    let length = stream.read(&mut request).await.unwrap();
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    String::from_utf8_lossy(&request[..length]).into_owned()
}

#[tokio::test]
async fn what_nothing_was_sent_of_goes_over_another_connection_whatever_it_is() {
    let (pool, place) = (Pool::default(), Place { origin: "server.test".parse().unwrap(), signer: None });
    let request = || {
        let body = Gathered::<UnsyncBoxBody<Bytes, Error>>::of("order".into());
        Request::post("/orders").body(body).unwrap()
    };
    let (opened, mut first) = pipe();
    let connection = pool.get(&place, async { Ok(opened) }).await.unwrap();
    let none = async || Err(Error::ConnectionRefused);
    let sending = exchange(connection, &place.origin, request(), RequestOptions::default(), none);
    let (response, _) = tokio::join!(sending, answer(&mut first));
    response.unwrap().into_body().collect().await.unwrap();
    tokio::task::yield_now().await;
    // It closes at the very moment at which the next request is sent.
    let kept = pool.get(&place, async { Err(Error::ConnectionRefused) }).await.unwrap();
    assert!(kept.was_kept);
    drop(first);
    let (opened, mut second) = pipe();
    let open = async || pool.get_new(&place, async { Ok(opened) }).await;
    let sending = exchange(kept, &place.origin, request(), RequestOptions::default(), open);
    let (response, seen) = tokio::join!(sending, answer(&mut second));
    assert_eq!(response.unwrap().status(), 200);
    assert!(seen.starts_with("POST /orders HTTP/1.1") && seen.ends_with("order"), "{seen}");
}

#[test]
fn only_what_may_be_asked_twice_is_repeated() {
    for (method, header, expected) in [
        ("GET", "if-none-match", true),
        ("HEAD", "x-a", true),
        ("PUT", "x-a", true),
        ("DELETE", "x-a", true),
        ("PUT", "if-none-match", false),
        ("DELETE", "if-match", false),
        ("PUT", "x-ms-blob-condition-appendpos", false),
        ("PUT", "x-ms-lease-id", false),
        ("PUT", "x-ms-blob-type", true),
        ("POST", "x-a", false),
        ("PATCH", "x-a", false),
        ("MERGE", "x-a", false),
    ] {
        let request = Request::builder().method(method).header(header, "*").body(()).unwrap();
        assert_eq!(is_repeatable(&request.into_parts().0), expected, "{method} {header}");
    }
    for (query, expected) in [("api-version=1", true), ("comp=appendblock", false), ("a=b&Comp=lease", false)]
    {
        let request = Request::put(format!("/orders/1?{query}")).body(()).unwrap();
        assert_eq!(is_repeatable(&request.into_parts().0), expected, "{query}");
    }
}

#[test]
fn what_http_2_does_not_have_is_not_sent_over_it() {
    let origin: Origin = "server.test".parse().unwrap();
    let sent = |te: &[&str], http2: bool| {
        let mut request = Request::get("/orders").header("http2-settings", "AAA").header("host", "x");
        for value in te {
            request = request.header("te", *value);
        }
        let mut request = request.body(whole(Bytes::new())).unwrap();
        address(&mut request, &origin, http2).unwrap();
        let names = ["te", "http2-settings", "host"];
        names.map(|name| request.headers().get_all(name).iter().count())
    };
    assert_eq!(sent(&["trailers"], true), [1, 0, 0]);
    assert_eq!(sent(&["trailers", "gzip"], true), [0, 0, 0]);
    assert_eq!(sent(&["gzip", "trailers"], true), [0, 0, 0]);
    assert_eq!(sent(&["trailers", "gzip"], false), [2, 1, 1]);
}

/// How a server of HTTP/2 ends a request without an answer, or a connection with one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It answers all requests.
    Never,
    /// RST_STREAM: it says that it has not looked at the request, and answers those after it.
    Refused,
    /// GOAWAY, sent before it saw the request.
    GoneBefore(Reason),
    /// GOAWAY, and the connection closes, while it works on the request.
    GoneMeanwhile,
    /// GOAWAY, and it answers what it has.
    GoneInPeace,
    /// The connection closes.
    Broken,
}

/// How long a server waits for whatever arrives.
const MOMENT: Duration = Duration::from_millis(10);

/// A server of HTTP/2, and what calls it.
#[derive(Default)]
struct Server {
    pool: Pool,
    /// How each connection ends that will be opened, and with which of its requests. Then none
    /// does.
    ends: Mutex<VecDeque<(usize, End)>>,
    opened: Mutex<usize>,
    /// The connection and the method of each request that it saw.
    seen: Arc<Mutex<Vec<(usize, Method)>>>,
}

impl Server {
    /// A server whose connections end with the request of this number.
    fn ending(ends: impl Into<VecDeque<(usize, End)>>) -> Self {
        Self { ends: Mutex::new(ends.into()), ..Self::default() }
    }

    async fn open(&self) -> Result<Opened, Error> {
        let (ours, theirs) = duplex(64 << 10);
        let (after, end) = self.ends.lock().unwrap().pop_front().unwrap_or((0, End::Never));
        let mut opened = self.opened.lock().unwrap();
        *opened += 1;
        tokio::spawn(serve(theirs, *opened, after, end, Arc::clone(&self.seen)));
        Ok(Opened { stream: Box::new(ours), http2: true })
    }

    /// The status of the answer.
    async fn ask(&self, method: &str) -> Result<u16, Error> {
        let place = Place { origin: "server.test".parse().unwrap(), signer: None };
        let connection = self.pool.get(&place, self.open()).await?;
        let again = async || self.pool.get_new(&place, self.open()).await;
        let body = Gathered::<UnsyncBoxBody<Bytes, Error>>::of("order".into());
        let request = Request::builder().method(method).uri("/orders").body(body).unwrap();
        let response = exchange(connection, &place.origin, request, RequestOptions::default(), again).await?;
        let status = response.status().as_u16();
        response.into_body().collect().await?;
        Ok(status)
    }

    /// Which connections saw requests of this method.
    fn saw(&self, method: &str) -> Vec<usize> {
        let seen = self.seen.lock().unwrap();
        seen.iter().filter(|it| it.1 == method).map(|it| it.0).collect()
    }

    fn opened(&self) -> usize {
        *self.opened.lock().unwrap()
    }
}

/// Answers so many requests of one connection, and ends with the next one.
async fn serve(
    stream: DuplexStream,
    number: usize,
    after: usize,
    end: End,
    seen: Arc<Mutex<Vec<(usize, Method)>>>,
) {
    let mut connection = h2::server::handshake(stream).await.unwrap();
    let mut served = 0;
    loop {
        if served == after && matches!(end, End::GoneBefore(_)) {
            // Its last answer is sent, and what comes then is not read.
            assert!(tokio::time::timeout(MOMENT, connection.accept()).await.is_err());
            sleep(MOMENT * 10).await;
        } else {
            let Some(Ok((request, mut respond))) = connection.accept().await else { return };
            seen.lock().unwrap().push((number, request.method().clone()));
            served += 1;
            if served != after + 1 || end == End::Never {
                respond.send_response(Response::new(()), true).unwrap();
                continue;
            }
            // The request's body arrives.
            assert!(tokio::time::timeout(MOMENT, connection.accept()).await.is_err());
            match end {
                End::Refused => {
                    respond.send_reset(Reason::REFUSED_STREAM);
                    continue;
                }
                End::GoneInPeace => {
                    connection.graceful_shutdown();
                    assert!(tokio::time::timeout(MOMENT, connection.accept()).await.is_err());
                    respond.send_response(Response::new(()), true).unwrap();
                    continue;
                }
                End::Broken => return,
                End::GoneMeanwhile | End::GoneBefore(_) | End::Never => {}
            }
        }
        let reason = if let End::GoneBefore(reason) = end { reason } else { Reason::INTERNAL_ERROR };
        connection.abrupt_shutdown(reason);
        let _ = poll_fn(|context| connection.poll_closed(context)).await;
        return;
    }
}

#[tokio::test(start_paused = true)]
async fn with_http_2_a_request_is_repeated_once_where_nobody_looked_at_it_or_that_changes_nothing() {
    use End::{Broken, GoneBefore, GoneMeanwhile, Refused};
    for (end, method, is_repeated) in [
        (Refused, "GET", true),
        (Refused, "POST", true),
        (GoneBefore(Reason::NO_ERROR), "GET", true),
        (GoneBefore(Reason::NO_ERROR), "POST", true),
        (GoneBefore(Reason::ENHANCE_YOUR_CALM), "GET", true),
        (GoneBefore(Reason::ENHANCE_YOUR_CALM), "POST", false),
        (GoneMeanwhile, "PUT", true),
        (GoneMeanwhile, "POST", false),
        (Broken, "DELETE", true),
        (Broken, "POST", false),
    ] {
        let server = Server::ending([(1, end)]);
        assert_eq!(server.ask("HEAD").await.unwrap(), 200);
        sleep(MOMENT * 3).await;
        let answer = server.ask(method).await;
        // What was gone before it came was never seen.
        let first = if matches!(end, GoneBefore(_)) { vec![] } else { vec![1] };
        if is_repeated {
            assert_eq!(answer.unwrap(), 200, "{end:?} {method}");
            assert_eq!(server.saw(method), [first, vec![2]].concat(), "{end:?} {method}");
        } else {
            let error = answer.expect_err("the guest is told");
            assert!(matches!(error, Error::Hyper(_)), "{end:?} {method}: {error:?}");
            assert_eq!(server.saw(method), first, "{end:?} {method}");
        }
        // The next message has nothing of it.
        assert_eq!(server.ask("OPTIONS").await.unwrap(), 200, "{end:?} {method}");
        assert!(server.opened() <= 2, "{end:?} {method}: {}", server.opened());
    }
}

#[tokio::test(start_paused = true)]
async fn with_http_2_a_request_is_not_sent_a_third_time() {
    for end in [End::Refused, End::GoneMeanwhile, End::Broken] {
        let server = Server::ending([(1, end), (0, end)]);
        assert_eq!(server.ask("HEAD").await.unwrap(), 200);
        let error = server.ask("GET").await.expect_err("the guest is told");
        assert!(matches!(error, Error::Hyper(_)), "{end:?}: {error:?}");
        assert_eq!(server.saw("GET"), [1, 2], "{end:?}");
        assert_eq!(server.ask("OPTIONS").await.unwrap(), 200, "{end:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn with_http_2_a_server_that_goes_in_peace_answers_what_it_has_and_gets_no_more() {
    let server = Server::ending([(1, End::GoneInPeace)]);
    assert_eq!(server.ask("HEAD").await.unwrap(), 200);
    // A POST, which nobody could send again.
    let (answer, meanwhile) = tokio::join!(server.ask("POST"), async {
        // It has said that it goes, and still works on the other.
        sleep(MOMENT * 3 / 2).await;
        server.ask("PUT").await
    });
    assert_eq!((answer.unwrap(), meanwhile.unwrap()), (200, 200));
    assert_eq!(server.ask("POST").await.unwrap(), 200);
    assert_eq!((server.saw("POST"), server.saw("PUT"), server.opened()), (vec![1, 2], vec![2], 2));
}
