//! The page of `longshore dev`, by raw requests: its limits, and its address.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::directory::{Directory, ORDERS};
use crate::page::page;
use crate::process::longshore;
use longshore_testkit::guest;
use longshore_testkit::wait::until;

#[test]
fn whatever_somebody_sends_has_a_limit() {
    let directory = Directory::new();
    let page = page(&directory, &[]);
    let cookie = page.sign_in();
    let large = format!("body={}", "x".repeat(300 * 1024));
    let answer = page.post(&cookie, "/send", &large);
    assert!([413, 0].contains(&answer.status), "{}", answer.head);
    let answer = page.get(&format!("X-Long: {}\r\n{cookie}", "x".repeat(64 * 1024)), "/");
    assert!([431, 0].contains(&answer.status), "{}", answer.head);
    let many: String = (0..200).map(|n| format!("X-{n}: 1\r\n")).collect();
    assert!([431, 0].contains(&page.get(&format!("{many}{cookie}"), "/").status));
    // As many listen as may, and the next one is told so; the page answers as before.
    let listening: Vec<_> = (0..16)
        .map(|_| {
            let mut stream = page.listen(&cookie);
            let mut head = [0; 15];
            stream.read_exact(&mut head).unwrap();
            assert_eq!(&head, b"HTTP/1.1 200 OK");
            stream
        })
        .collect();
    assert_eq!(page.get(&cookie, "/events").status, 503);
    assert_eq!(page.get(&cookie, "/").status, 200);
    drop(listening);
    until("room for another listener", || {
        let mut head = [0; 12];
        page.listen(&cookie).read_exact(&mut head).unwrap();
        (&head == b"HTTP/1.1 200").then_some(())
    });
}

#[test]
fn connections_without_number_keep_nobody_out_and_nobody_who_was_let_in_has_to_leave() {
    let directory = Directory::new();
    let page = page(&directory, &[]);
    let cookie = page.sign_in();
    let mut listener = page.listen(&cookie);
    let mut head = [0; 15];
    listener.read_exact(&mut head).unwrap();
    let connect = || TcpStream::connect(("127.0.0.1", page.port)).unwrap();
    let _silent: Vec<_> = (0..100).map(|_| connect()).collect();
    // These ask again and again, and read none of the answers.
    let ask = format!("GET /assets/page.css HTTP/1.1\r\nHost: {}\r\n\r\n", page.host);
    let deaf: Vec<_> = (0..64)
        .map(|_| {
            let mut stream = connect();
            stream.set_nonblocking(true).unwrap();
            // Until neither side has room for more.
            while stream.write(ask.repeat(50).as_bytes()).is_ok_and(|it| it > 0) {}
            stream
        })
        .collect();
    let begun = Instant::now();
    assert_eq!(page.get(&cookie, "/").status, 200);
    assert_eq!(page.get("", "/executions").status, 401);
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    // Whoever was let in still hears of changes.
    page.post(&cookie, "/send", "body=x");
    let mut heard = String::new();
    let mut bytes = [0; 65_536];
    until("an event", || {
        let read = listener.read(&mut bytes).unwrap();
        heard.push_str(&String::from_utf8_lossy(&bytes[..read]));
        heard.contains("event: parts").then_some(())
    });
    drop(deaf);
}

#[test]
fn requests_that_never_end_and_answers_that_nobody_reads_end_by_themselves() {
    let directory = Directory::new();
    let page = page(&directory, &[]);
    let ended = |mut stream: TcpStream| {
        stream.set_nonblocking(true).unwrap();
        let mut bytes = vec![0; 1 << 20];
        // What was answered before the end is read, and then nothing.
        until("the end of a connection", || match stream.read(&mut bytes) {
            Ok(0) => Some(()),
            Ok(_) => None,
            Err(error) => (error.kind() != std::io::ErrorKind::WouldBlock).then_some(()),
        });
    };
    let mut slow = TcpStream::connect(("127.0.0.1", page.port)).unwrap();
    slow.write_all(b"GET / HTTP/1.1\r\nHost: ").unwrap();
    let mut deaf = TcpStream::connect(("127.0.0.1", page.port)).unwrap();
    deaf.set_nonblocking(true).unwrap();
    let ask = format!("GET /assets/page.css HTTP/1.1\r\nHost: {}\r\n\r\n", page.host).repeat(100);
    let begun = Instant::now();
    let mut last = Instant::now();
    // It is full once nothing was taken for two seconds.
    while last.elapsed() < Duration::from_secs(2) {
        match deaf.write(ask.as_bytes()) {
            Ok(1..) => last = Instant::now(),
            Ok(0) | Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
    until("the end of one that reads nothing", || {
        // A closed connection takes no more; what it had is reset.
        matches!(deaf.write(b"x"), Err(error) if error.kind() != std::io::ErrorKind::WouldBlock).then_some(())
    });
    ended(slow);
    assert!(begun.elapsed() < Duration::from_secs(40), "{:?}", begun.elapsed());
    assert_eq!(page.get("", "/executions").status, 401);
}

#[test]
fn a_page_whose_other_address_somebody_else_has_is_not_served() {
    let Ok(other) = TcpListener::bind(("::1", 0)) else {
        // This machine has no second loopback.
        return;
    };
    let directory = Directory::new();
    let port = format!("--port={}", other.local_addr().unwrap().port());
    let component = guest::order();
    let component = component.to_str().unwrap();
    let url = directory.url(ORDERS);
    let mut program = longshore(["dev", &port, "--queue", &url, "--component", component]);
    program.run().ends_with(1).says(&["another program has port", "or of [::1]"]);
}

#[test]
fn a_browser_that_knows_no_names_below_localhost_has_a_numeric_address() {
    let directory = Directory::new();
    let page = page(&directory, &["--numeric-address"]);
    assert_eq!(page.host, format!("127.0.0.1:{}", page.port));
    let cookie = page.sign_in();
    assert_eq!(page.get(&cookie, "/").status, 200);
    let named = format!("Host: localhost:{}\r\n{cookie}", page.port);
    assert_eq!(page.request("GET", "/", &named, "").status, 421);
}
