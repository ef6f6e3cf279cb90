//! A queue service on loopback that has so many messages, and answers each call after a while, as
//! one at some distance would. It takes no load to speak of itself.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

/// The server, which ends with this value.
pub(super) struct SlowServer {
    address: SocketAddr,
    queue: Arc<Queue>,
    _runtime: Runtime,
}

struct Queue {
    messages: usize,
    body: &'static str,
    /// How long each call takes.
    delay: Duration,
    /// How many messages were asked for.
    received: AtomicUsize,
    deleted: AtomicUsize,
    /// How many receives brought something.
    receives: AtomicUsize,
    /// How many calls came, of any kind.
    calls: AtomicUsize,
}

impl SlowServer {
    pub(super) fn start(messages: usize, body: &'static str, delay: Duration) -> Self {
        let threads = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = threads.expect("a thread");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let queue = Arc::new(Queue {
            messages,
            body,
            delay,
            received: AtomicUsize::new(0),
            deleted: AtomicUsize::new(0),
            receives: AtomicUsize::new(0),
            calls: AtomicUsize::new(0),
        });
        let serving = queue.clone();
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let serving = serving.clone();
                tokio::spawn(async move { serving.serve(stream).await });
            }
        });
        Self { address, queue, _runtime: runtime }
    }

    /// With a signature, which nobody checks.
    pub(super) fn url(&self) -> String {
        format!("http://{}/account/orders?sig=x", self.address)
    }

    pub(super) fn deleted(&self) -> usize {
        self.queue.deleted.load(Ordering::Relaxed)
    }

    /// How many receives brought something.
    pub(super) fn receives(&self) -> usize {
        self.queue.receives.load(Ordering::Relaxed)
    }

    /// How many calls came, of any kind.
    pub(super) fn calls(&self) -> usize {
        self.queue.calls.load(Ordering::Relaxed)
    }
}

impl Queue {
    /// Call after call, until the client is done. The calls of a worker have no body.
    async fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut request = Vec::new();
        loop {
            while !request.ends_with(b"\r\n\r\n") {
                if stream.read_buf(&mut request).await? == 0 {
                    return Ok(());
                }
            }
            let answer = self.answer(&String::from_utf8_lossy(&request));
            request.clear();
            tokio::time::sleep(self.delay).await;
            stream.write_all(answer.as_bytes()).await?;
        }
    }

    fn answer(&self, request: &str) -> String {
        self.calls.fetch_add(1, Ordering::Relaxed);
        match request.split(' ').next() {
            Some("GET") => {
                let asked = request.split("numofmessages=").nth(1);
                let digits = asked.and_then(|it| it.split(|c: char| !c.is_ascii_digit()).next());
                let count = digits.and_then(|it| it.parse().ok()).unwrap_or(1);
                let first = self.received.fetch_add(count, Ordering::Relaxed);
                self.receives.fetch_add(usize::from(first < self.messages), Ordering::Relaxed);
                let messages: String =
                    (first..self.messages.min(first + count)).map(|it| self.message(it)).collect();
                let list = format!("<QueueMessagesList>{messages}</QueueMessagesList>");
                format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{list}", list.len())
            }
            Some("DELETE") => {
                self.deleted.fetch_add(1, Ordering::Relaxed);
                "HTTP/1.1 204 No Content\r\n\r\n".into()
            }
            // Whether messages may be updated: they may, but there is none of that name.
            _ => "HTTP/1.1 404 Not Found\r\nx-ms-error-code: MessageNotFound\r\ncontent-length: 0\r\n\r\n"
                .into(),
        }
    }

    fn message(&self, number: usize) -> String {
        format!(
            "<QueueMessage><MessageId>{number:08}-0000-0000-0000-000000000000</MessageId>\
             <InsertionTime>Sun, 22 Nov 2026 20:00:00 GMT</InsertionTime>\
             <ExpirationTime>Fri, 31 Dec 9999 23:59:59 GMT</ExpirationTime>\
             <PopReceipt>AgAAAAMAAAAAAAAA{number:08}</PopReceipt>\
             <TimeNextVisible>Sun, 22 Nov 2026 20:01:00 GMT</TimeNextVisible>\
             <DequeueCount>1</DequeueCount><MessageText>{}</MessageText></QueueMessage>",
            self.body.replace('"', "&quot;")
        )
    }
}
