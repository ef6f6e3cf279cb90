//! A service that is busy, a clock that is wrong, a caller that gives up, and a proxy on the way.

use std::sync::Arc;
use std::time::{Duration, Instant};

use longshore_queue::QueueError;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::servicebus::broker::Broker;
use crate::servicebus::host::Host;
use crate::servicebus::queue::open;
use longshore_testkit::identity::{Identity, Mood};
use longshore_testkit::queue_suite::{MINUTE, text};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_service_that_is_busy_is_left_alone_by_the_whole_queue() {
    let broker = Broker::start(&[]);
    let queue = open(&broker, &broker.queue(60, 10), 20 * SECOND);
    queue.send(text("a")).await.unwrap();
    let held = queue.receive(1, MINUTE).await.unwrap().remove(0);
    broker.order(&json!([{ "at": "send", "do": "busy", "times": 1000 }, { "at": "renew-lock", "do": "busy", "times": 1000 }]));
    let wanted = |answer: Result<(), QueueError>| match answer {
        Err(QueueError::Busy { retry_after: Some(after), .. }) => after,
        other => panic!("{other:?}"),
    };
    assert_eq!(wanted(queue.send(text("b")).await.map(drop)), 10 * SECOND);
    for _ in 0..5 {
        let left = wanted(queue.update("a", &held.receipt, MINUTE).await.map(drop));
        assert!(left > 8 * SECOND && left <= 10 * SECOND, "{left:?}");
        assert!(wanted(queue.send(text("b")).await.map(drop)) <= left);
    }
    assert_eq!(broker.order(&json!([])), json!({ "send busy": 1 }), "nothing more was asked of it");
}

#[test]
fn a_send_goes_on_when_the_service_was_busy_once() {
    let broker = Broker::start(&[]);
    let host = Host::new(&broker, 30);
    broker.order(&json!([{ "at": "send", "do": "busy", "times": 1 }]));
    let lines: String = (0..120).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    let sent = host.program(&["send", "--file", "-"]).input(lines.as_bytes()).run().succeeded();
    assert_eq!(sent.json_lines().len(), 120);
    assert_eq!(host.count(), 120);
}

#[tokio::test]
async fn a_caller_that_gives_up_gives_the_connection_up_as_well() {
    let broker = Broker::start(&[]);
    let queue = open(&broker, &broker.queue(30, 10), 20 * SECOND);
    queue.send(text("a")).await.unwrap();
    broker.order(&json!([{ "at": "peek-message", "do": "silent", "times": 1 }]));
    let (before, _) = broker.state();
    tokio::time::timeout(SECOND / 2, queue.peek(1)).await.unwrap_err();
    assert_eq!(queue.peek(1).await.unwrap().len(), 1);
    assert_eq!(broker.state().0, before + 1, "the next call does not wait for what may be dead");
}

#[test]
fn a_clock_that_is_wrong_is_said_and_costs_no_lock() {
    // The service's clock is 40 s ahead, so that a lock of 4 s looks like one of 44.
    let broker = Broker::start(&["--ahead", "40000"]);
    let host = Host::new(&broker, 4);
    host.send(&["sleep:9000"]);
    let ended = host.run(&[]).run().succeeded();
    let ran = ended.json();
    assert_eq!(
        (&ran["received"], &ran["completed"], &ran["lease_lost"]),
        (&json!(1), &json!(1), &json!(0)),
        "{ran}"
    );
    ended.says(&["s behind the service's", "set this one"]);
}

/// A proxy that connects whatever name it is asked for to a port of this host, and tells the names.
async fn proxy(to: u16) -> (u16, Arc<std::sync::Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::<std::sync::Mutex<Vec<String>>>::default();
    let names = asked.clone();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let names = names.clone();
            tokio::spawn(async move {
                let mut client = BufReader::new(client);
                let mut first = String::new();
                client.read_line(&mut first).await?;
                let mut line = String::new();
                while client.read_line(&mut line).await? > 2 {
                    line.clear();
                }
                names.lock().unwrap().push(first.split(' ').nth(1).unwrap_or_default().to_owned());
                client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
                let mut server = TcpStream::connect(("127.0.0.1", to)).await?;
                tokio::io::copy_bidirectional(&mut client, &mut server).await
            });
        }
    });
    (port, asked)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn web_sockets_and_the_count_go_through_the_proxy() {
    // No name server knows it: only the proxy leads there.
    const NAMESPACE: &str = "ns.servicebus.windows.net";
    let broker = Broker::start_with_tls_for("127.0.0.1:0", &format!("DNS:{NAMESPACE}")).unwrap();
    let (port, asked) = proxy(broker.tls.as_ref().unwrap().0).await;
    let started = Instant::now();
    tokio::task::spawn_blocking(move || {
        let identity = Identity::start(Mood::Tokens(3600));
        let mut host = Host::with_identity(&broker, &identity, NAMESPACE, "");
        host.env.push(("HTTPS_PROXY", format!("http://127.0.0.1:{port}")));
        host.send(&["ok", "ok"]);
        assert_eq!(host.count(), 2);
        let ran = host.run(&[]).run().succeeded().json();
        assert_eq!(ran["completed"], 2, "{ran}");
    })
    .await
    .unwrap();
    let asked = asked.lock().unwrap();
    assert!(asked.len() >= 4 && asked.iter().all(|name| *name == format!("{NAMESPACE}:443")), "{asked:?}");
    println!("{:?}", started.elapsed());
}

#[tokio::test]
async fn what_cannot_be_read_is_shown_with_what_is_known_of_it() {
    let broker = Broker::start(&[]);
    let queue = open(&broker, &broker.queue(30, 10), 20 * SECOND);
    broker.put_raw(queue.url().name(), &[b"\0\x53\x74\xd0no map".to_vec()]);
    let shown = queue.examine(10).await.unwrap();
    assert!(shown[0].damaged.is_some() && shown[0].whole.is_none(), "{shown:?}");
}
