//! Under paused time, with servers at the other end of pipes in memory.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::duplex;
use tokio::time::timeout;

use super::*;
use crate::http::pool::kept::{MAX_LIFE, MAX_STREAMS};

/// How long a connection takes to be opened, and a request to be answered.
const ROUND_TRIP: Duration = Duration::from_millis(10);

/// A server that answers with as many bytes as a request's path says.
#[derive(Clone)]
struct Server {
    http2: bool,
    /// How many connections were opened, and how many are open.
    opened: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
    pool: Arc<Pool>,
}

impl Server {
    fn new(http2: bool) -> Self {
        Self { http2, opened: Arc::default(), open: Arc::default(), pool: Arc::default() }
    }

    /// What is called for each connection, and checks its address.
    async fn open(&self) -> Result<Opened, Error> {
        self.opened.fetch_add(1, Ordering::SeqCst);
        sleep(ROUND_TRIP).await;
        let (ours, theirs) = duplex(64 << 10);
        let (open, http2) = (Arc::clone(&self.open), self.http2);
        tokio::spawn(async move {
            open.fetch_add(1, Ordering::SeqCst);
            let answer = service_fn(async |request: Request<Incoming>| {
                sleep(ROUND_TRIP).await;
                let size = request.uri().path()[1..].parse().unwrap_or_default();
                Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(vec![b'x'; size]))))
            });
            let stream = TokioIo::new(theirs);
            if http2 {
                let serving = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                    .timer(TokioTimer::new())
                    .serve_connection(stream, answer);
                let _ = serving.await;
            } else {
                let _ = hyper::server::conn::http1::Builder::new().serve_connection(stream, answer).await;
            }
            open.fetch_sub(1, Ordering::SeqCst);
        });
        Ok(Opened { stream: Box::new(ours), http2 })
    }

    fn opened(&self) -> usize {
        self.opened.load(Ordering::SeqCst)
    }

    async fn ask(&self, signer: Option<usize>, size: usize) -> Response<Answered> {
        let place = Place { origin: "server.test".parse().unwrap(), signer };
        let connection = self.pool.get(&place, self.open()).await.unwrap();
        let uri = if self.http2 { format!("https://server.test/{size}") } else { format!("/{size}") };
        let empty = http_body_util::Empty::new().map_err(|never: Infallible| match never {});
        let request = Request::builder().uri(uri).body(empty.boxed_unsync()).unwrap();
        connection.send(request).await.map_err(TrySendError::into_error).unwrap()
    }

    /// Asks, and reads the answer to its end.
    async fn exchange(&self, signer: Option<usize>) {
        self.ask(signer, 100).await.into_body().collect().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn there_are_as_many_connections_as_requests_at_a_time_and_with_http_2_one() {
    for (http2, expected) in [(false, 16), (true, 1)] {
        let server = Server::new(http2);
        join_all((0..16).map(|_| async {
            for _ in 0..20 {
                server.exchange(None).await;
            }
        }))
        .await;
        assert_eq!(server.opened(), expected, "HTTP/2: {http2}");
        // Who has waited for a connection has waited for a moment only.
        let started = Instant::now();
        server.exchange(None).await;
        assert!(started.elapsed() <= ROUND_TRIP * 2, "{:?}", started.elapsed());
        assert_eq!(server.opened(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn one_request_after_the_other_needs_one_connection() {
    for http2 in [false, true] {
        let server = Server::new(http2);
        for _ in 0..50 {
            server.exchange(None).await;
        }
        assert_eq!(server.opened(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_of_one_grant_never_serves_another() {
    for http2 in [false, true] {
        let server = Server::new(http2);
        for _ in 0..3 {
            for signer in [None, Some(0), Some(1)] {
                server.exchange(signer).await;
            }
        }
        assert_eq!((server.opened(), server.pool.places()), (3, 3));
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_nobody_uses_ends_and_so_does_the_pool() {
    for http2 in [false, true] {
        let server = Server::new(http2);
        join_all((0..4).map(|_| server.exchange(None))).await;
        assert!(server.open.load(Ordering::SeqCst) >= 1);
        sleep(MAX_IDLE * 2).await;
        assert_eq!(server.open.load(Ordering::SeqCst), 0, "HTTP/2: {http2}");
        server.exchange(None).await;
        let Server { pool, open, .. } = server;
        drop(pool);
        sleep(ROUND_TRIP).await;
        assert_eq!(open.load(Ordering::SeqCst), 0, "HTTP/2: {http2}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_in_use_is_looked_up_again_now_and_then() {
    for http2 in [false, true] {
        let server = Server::new(http2);
        let started = Instant::now();
        while started.elapsed() < MAX_LIFE * 2 {
            server.exchange(None).await;
            sleep(MAX_IDLE / 2).await;
        }
        assert_eq!(server.opened(), 2, "HTTP/2: {http2}");
    }
}

#[tokio::test(start_paused = true)]
async fn with_http_2_a_guest_that_reads_nothing_holds_up_no_neighbour() {
    let server = Server::new(true);
    let mut unread = Vec::new();
    for _ in 0..MAX_STREAMS - 1 {
        unread.push(server.ask(None, 1 << 20).await);
    }
    // What they were sent fills their windows.
    sleep(Duration::from_secs(1)).await;
    let neighbour = async { server.ask(None, 1 << 20).await.into_body().collect().await.unwrap() };
    let read = timeout(Duration::from_secs(5), neighbour).await.expect("it is not held up");
    assert_eq!((read.to_bytes().len(), server.opened()), (1 << 20, 1));
    unread.push(server.ask(None, 1 << 20).await);
    server.exchange(None).await;
    assert_eq!(server.opened(), 2, "a connection takes no more at a time than it has room for");
}

#[tokio::test(start_paused = true)]
async fn where_no_connection_can_be_opened_everybody_is_told_and_later_ones_try_again() {
    let pool = Pool::default();
    let place = Place { origin: "server.test".parse().unwrap(), signer: None };
    let tried = AtomicUsize::new(0);
    let refused = || async {
        tried.fetch_add(1, Ordering::SeqCst);
        sleep(ROUND_TRIP).await;
        Err(Error::ConnectionRefused)
    };
    let asking = join_all((0..16).map(|_| pool.get(&place, refused())));
    let answers = timeout(ROUND_TRIP * 3, asking).await.expect("nobody waits for one that will not be");
    assert!(answers.iter().all(|it| matches!(it, Err(Error::ConnectionRefused))));
    assert_eq!(tried.load(Ordering::SeqCst), 16);
    // Whoever opens it may be interrupted.
    let never = timeout(ROUND_TRIP, pool.get(&place, std::future::pending())).await;
    assert!(never.is_err());
    let server = Server { pool: Arc::new(pool), ..Server::new(false) };
    server.exchange(None).await;
    assert_eq!(server.opened(), 1);
}
