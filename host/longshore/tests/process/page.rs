//! The page of `longshore dev`, by raw requests: whom it answers, and what it shows.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use crate::directory::{Directory, ORDERS, POISON};
use crate::orders::order;
use crate::process::{Process, Program, cache, longshore};
use longshore_testkit::guest;
use longshore_testkit::wait::until;

/// `longshore dev` with its page.
pub(crate) struct Page {
    pub(crate) dev: Process,
    pub(crate) port: u16,
    /// The name and the port that a browser uses.
    pub(crate) host: String,
    token: String,
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// Starts it on the queue of a directory, with little time to wait.
pub(crate) fn page(directory: &Directory, flags: &[&str]) -> Page {
    let mut program = longshore(["dev", "--output=json", "--poll=1s"]);
    if !flags.iter().any(|it| it.starts_with("--start-delay")) {
        program.arg("--start-delay=300ms");
    }
    program.args(["--retry-base=20ms", "--retry-cap=200ms", "--queue", &directory.url(ORDERS)]);
    program.arg("--component").arg(guest::order()).arg("--cache-dir").arg(cache());
    page_of(program.args(flags))
}

/// Starts this `longshore dev`, which prints JSON, with its page.
pub(crate) fn page_of(program: &mut Program) -> Page {
    let dev = program.start();
    let link = until("the link", || {
        let lines = dev.stdout();
        let events = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        events.filter(|it| it["event"] == "page").find_map(|it| it["link"].as_str().map(str::to_owned))
    });
    let (address, token) = link.split_once("/#t=").unwrap();
    let port = address.rsplit(':').next().unwrap().parse().unwrap();
    let host = address.strip_prefix("http://").unwrap().to_owned();
    Page { dev, port, host, token: token.to_owned() }
}

impl Page {
    /// Sends a request as it is, and reads the answer up to the end of the connection.
    pub(crate) fn raw(&self, request: &str) -> Answer {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|it| it.parse().ok()).unwrap_or(0);
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }

    /// A request to this page, with more fields in its head.
    pub(crate) fn request(&self, method: &str, path: &str, fields: &str, body: &str) -> Answer {
        let host = format!("Host: {}\r\n", self.host);
        let names_another = fields.to_ascii_lowercase().lines().any(|it| it.starts_with("host:"));
        let host = if names_another { "" } else { &host };
        let length = if method == "POST" {
            format!("Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n", body.len())
        } else {
            String::new()
        };
        self.raw(&format!(
            "{method} {path} HTTP/1.1\r\n{host}Connection: close\r\n{fields}{length}\r\n{body}"
        ))
    }

    /// Shows the link, and returns the field with the cookie.
    pub(crate) fn sign_in(&self) -> String {
        let answer = self.request("POST", "/session", &self.own_origin(), &format!("t={}", self.token));
        assert_eq!(answer.status, 204, "{}", answer.head);
        let cookie = answer.head.lines().find_map(|it| it.strip_prefix("set-cookie: ")).unwrap();
        assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Strict"), "{cookie}");
        format!("Cookie: {}\r\n", cookie.split(';').next().unwrap())
    }

    pub(crate) fn own_origin(&self) -> String {
        format!("Origin: http://{}\r\nSec-Fetch-Site: same-origin\r\n", self.host)
    }

    pub(crate) fn get(&self, cookie: &str, path: &str) -> Answer {
        self.request("GET", path, cookie, "")
    }

    /// Opens the stream of events.
    pub(crate) fn listen(&self, cookie: &str) -> TcpStream {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let request = format!("GET /events HTTP/1.1\r\nHost: {}\r\n{cookie}\r\n", self.host);
        stream.write_all(request.as_bytes()).unwrap();
        stream
    }

    /// A form that the page itself sends.
    pub(crate) fn post(&self, cookie: &str, path: &str, body: &str) -> Answer {
        self.request("POST", path, &format!("{cookie}{}", self.own_origin()), body)
    }
}

const ROUTES: [(&str, &str); 17] = [
    ("GET", "/"),
    ("GET", "/executions"),
    ("GET", "/execution?name=a"),
    ("GET", "/messages"),
    ("GET", "/message?id=a"),
    ("GET", "/poison"),
    ("GET", "/events"),
    ("GET", "/alive"),
    ("GET", "/assets/page.js"),
    ("GET", "/nothing"),
    ("POST", "/session"),
    ("POST", "/send"),
    ("POST", "/message/body"),
    ("POST", "/poison/redrive"),
    ("POST", "/poison/purge"),
    ("POST", "/execution/kill"),
    ("POST", "/trouble"),
];

#[test]
fn another_host_name_is_refused_on_every_route_before_anything_else() {
    let directory = Directory::new();
    let page = page(&directory, &[]);
    let cookie = page.sign_in();
    let (port, own) = (page.port, &*page.host);
    for (method, path) in ROUTES {
        // A name of somebody else that leads to 127.0.0.1 for a moment, with the cookie and all.
        for host in [
            format!("Host: rebound.example:{port}\r\n"),
            format!("Host: {}\r\n", own.split(':').next().unwrap()),
            format!("Host: {own}.rebound.example:{port}\r\n"),
            format!("Host: {own}\r\nHost: rebound.example\r\n"),
            format!("Host: {own}@rebound.example\r\n"),
            // Cookies of these would go to every port of this machine.
            format!("Host: 127.0.0.1:{port}\r\n"),
            format!("Host: localhost:{port}\r\n"),
            format!("Host: [::1]:{port}\r\n"),
            format!("Host: another.localhost:{port}\r\n"),
        ] {
            let answer = page.request(method, path, &format!("{host}{cookie}{}", page.own_origin()), "");
            assert!([400, 421].contains(&answer.status), "{method} {path} {host}: {}", answer.head);
            assert!(!answer.body.contains("orders") && !answer.body.contains(own), "{}", answer.body);
        }
    }
    let typed = page.request("GET", "/", &format!("Host: 127.0.0.1:{port}\r\n"), "");
    assert!(typed.body.contains("Open that link"), "{}", typed.body);
    let without = page.raw("GET / HTTP/1.1\r\nConnection: close\r\n\r\n");
    assert!([400, 421].contains(&without.status), "{}", without.head);
    let absolute = format!(
        "GET http://rebound.example:{port}/ HTTP/1.1\r\nHost: {own}\r\nConnection: close\r\n{cookie}\r\n"
    );
    assert_eq!(page.raw(&absolute).status, 421);
    for own in [own, &own.to_ascii_uppercase()] {
        assert_eq!(page.request("GET", "/", &format!("Host: {own}\r\n{cookie}"), "").status, 200, "{own}");
    }
}

#[test]
fn nothing_is_changed_by_a_page_of_somebody_else() {
    let directory = Directory::new();
    let page = page(&directory, &["--start-delay=1h"]);
    let cookie = page.sign_in();
    let (port, own) = (page.port, &*page.host);
    let body = "body=planted&count=1";
    for fields in [
        "Origin: https://evil.example\r\nSec-Fetch-Site: cross-site\r\n".to_owned(),
        format!("Origin: http://{own}\r\nSec-Fetch-Site: cross-site\r\n"),
        format!("Origin: http://{own}1\r\nSec-Fetch-Site: same-site\r\n"),
        format!("Origin: https://{own}\r\n"),
        format!("Origin: http://127.0.0.1:{port}\r\nSec-Fetch-Site: same-origin\r\n"),
        format!("Origin: http://other.localhost:{port}\r\n"),
        "Origin: null\r\nSec-Fetch-Site: same-origin\r\n".to_owned(),
        "Sec-Fetch-Site: none\r\n".to_owned(),
        // A browser that says nothing of where a form comes from.
        String::new(),
    ] {
        for path in ["/send", "/poison/redrive", "/poison/purge", "/execution/kill", "/trouble", "/session"] {
            let answer = page.request("POST", path, &format!("{cookie}{fields}"), body);
            assert_eq!(answer.status, 403, "{path} {fields}");
        }
    }
    assert_eq!(directory.rows(ORDERS), []);
    for method in ["PUT", "DELETE", "OPTIONS", "PATCH"] {
        assert_eq!(page.request(method, "/send", &cookie, "").status, 405, "{method}");
    }
    let read = page.request(
        "GET",
        "/",
        &format!("{cookie}Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: cors\r\n"),
        "",
    );
    assert_eq!(read.status, 403);
    // A link on another page may be followed; without a cookie nothing is seen.
    let followed = page.request("GET", "/", "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\n", "");
    assert!(followed.body.contains("Open the link that the terminal shows"), "{}", followed.body);
    assert_eq!(page.post(&cookie, "/send", body).status, 200);
}

#[test]
fn a_link_lets_one_browser_in_and_nobody_without_it_sees_anything() {
    let directory = Directory::new();
    let page = page(&directory, &[]);
    for (method, path) in
        ROUTES.into_iter().filter(|(_, path)| !["/session", "/assets/page.js"].contains(path))
    {
        let answer = page.request(method, path, &page.own_origin(), "");
        // What the link leads to is no error.
        assert_eq!(answer.status, if path == "/" { 200 } else { 401 }, "{method} {path}");
        assert!(!answer.body.contains("orders"), "{}", answer.body);
    }
    // Nothing but the files themselves is there for everybody.
    for path in ["/assets/a/b", "/assets/", "/assets/page.js/x", "/assets/..", "/assets//page.js", "/session"]
    {
        let answer = page.get("", path);
        assert!(answer.status == 401 && !answer.body.contains("orders"), "{path}: {}", answer.body);
    }
    assert_eq!(page.request("POST", "/assets/page.js", &page.own_origin(), "").status, 401);
    let cookie = page.sign_in();
    let again = page.request("POST", "/session", &page.own_origin(), &format!("t={}", page.token));
    assert_eq!(again.status, 403, "a link is good once");
    assert!(page.get(&cookie, "/").body.contains("orders"));
    let guessed = format!("Cookie: longshore-{}={}\r\n", page.port, "0".repeat(22));
    assert_eq!(page.get(&guessed, "/executions").status, 401);
    let token_in_address = page.get("", &format!("/?t={}", page.token));
    assert!(token_in_address.body.contains("Open the link"), "{}", token_in_address.body);
    // Only loopback listens.
    let listening = fs::read_to_string("/proc/net/tcp").unwrap();
    let own = format!(":{:04X} ", page.port);
    let addresses: Vec<_> = listening.lines().filter_map(|it| it.split_whitespace().nth(1)).collect();
    let ours: Vec<_> = addresses.iter().filter(|it| format!("{it} ").ends_with(&own)).collect();
    assert!(!ours.is_empty() && ours.iter().all(|it| it.starts_with("0100007F")), "{ours:?}");
}

#[test]
fn a_browser_without_javascript_is_let_in_by_the_whole_link() {
    let directory = Directory::new();
    let page = page(&directory, &[]);
    let form = format!("t={}", url_encoded(&format!("http://{}/#t={}", page.host, page.token)));
    let fields = format!("{}Sec-Fetch-Mode: navigate\r\n", page.own_origin());
    let answer = page.request("POST", "/session", &fields, &form);
    assert!(answer.status == 303 && answer.head.contains("location: /\r\n"), "{}", answer.head);
    assert!(answer.head.contains("set-cookie: longshore-"), "{}", answer.head);
    let again = page.request("POST", "/session", &fields, &form);
    assert_eq!(again.status, 403, "a link is good once");
}

#[test]
fn every_answer_tells_the_browser_to_be_strict() {
    let directory = Directory::new();
    let page = page(&directory, &[]);
    let cookie = page.sign_in();
    for answer in [
        page.get(&cookie, "/"),
        page.get("", "/"),
        page.get(&cookie, "/nothing"),
        page.get("", "/assets/page.css"),
        page.request("GET", "/", "Host: rebound.example\r\n", ""),
    ] {
        let head = answer.head.to_ascii_lowercase();
        for field in [
            "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self';",
            "frame-ancestors 'none'",
            "x-content-type-options: nosniff",
            "referrer-policy: same-origin",
            "cache-control: no-store",
            "cross-origin-resource-policy: same-origin",
        ] {
            assert!(head.contains(field), "{field} is not in {head}");
        }
        assert!(!head.contains("access-control-allow"), "{head}");
    }
    // The policy holds for what the page itself has.
    let shown = page.get(&cookie, "/").body;
    assert!(
        !shown.contains("<script>") && !shown.contains(" style=") && !shown.contains(" onclick"),
        "{shown}"
    );
}

#[test]
fn what_others_wrote_is_text_wherever_it_is_shown() {
    let directory = Directory::new();
    let hostile = "<script>alert(1)</script><img src=x onerror=alert(2)>\u{1b}]0;x\u{7}\u{202e}gpj.exe";
    let envelope = json!({
        "longshore": "poison/1", "reason": hostile, "detail": hostile, "id": hostile, "queue": "orders",
        "dequeue_count": 5, "inserted": "2026-11-26T12:00:00Z", "poisoned": "2026-11-26T12:00:00Z",
        "component": hostile, "encoding": "text", "body": hostile,
    });
    directory.create(POISON);
    directory.send_to(POISON, &envelope.to_string());
    // A handler's own words about a body: an unknown word of the order is in its log.
    directory.send([order(hostile, "reject")]);
    let page = page(&directory, &[]);
    let cookie = page.sign_in();
    until("the execution's end", || page.get(&cookie, "/").body.contains("✓</span> succeeded").then_some(()));
    let rows = directory.rows(POISON);
    let main = page.get(&cookie, "/").body;
    let name = main.split("/execution?name=").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let form = |id: &str| format!("id={}", url_encoded(id));
    let shown = [
        main,
        page.get(&cookie, "/poison").body,
        page.get(&cookie, "/messages").body,
        page.get(&cookie, &format!("/message?id={}", url_encoded(&rows[0].id))).body,
        page.get(&cookie, &format!("/message?id={}", url_encoded(hostile))).body,
        page.get(&cookie, &format!("/execution?name={name}")).body,
        page.get(&cookie, &format!("/execution?name={}", url_encoded(hostile))).body,
        page.get(&cookie, &format!("/messages?outcome={}", url_encoded(hostile))).body,
        page.post(&cookie, "/message/body", &form(&rows[0].id)).body,
        page.post(&cookie, "/poison/redrive", &format!("group={}", url_encoded(hostile))).body,
        page.post(&cookie, "/execution/kill", &format!("name={}", url_encoded(hostile))).body,
    ];
    for text in &shown {
        for planted in ["<script>alert", "<img", "\u{1b}", "\u{7}", "\u{202e}"] {
            assert!(!text.contains(planted), "{planted:?} is in {text}");
        }
    }
    assert!(
        shown[1].contains("&lt;script&gt;alert(1)") && shown[8].contains("\\u{202e}gpj.exe"),
        "{}",
        shown[8]
    );
}

#[test]
fn a_body_is_shown_on_a_click_only_and_never_where_that_is_forbidden() {
    let directory = Directory::new();
    directory.create(POISON);
    directory.send_to(POISON, "the secret of the message");
    let id = directory.rows(POISON)[0].id.clone();
    let looked = |page: &Page, cookie: &str| {
        [
            page.get(cookie, "/").body,
            page.get(cookie, "/poison").body,
            page.get(cookie, &format!("/message?id={id}")).body,
        ]
    };
    let open = page(&directory, &[]);
    let cookie = open.sign_in();
    assert!(looked(&open, &cookie).iter().all(|it| !it.contains("secret of the message")));
    assert!(open.get(&cookie, "/message/body").status == 405, "no link shows a body");
    let clicked = open.post(&cookie, "/message/body", &format!("id={id}"));
    assert!(clicked.status == 200 && clicked.body.contains("the secret of the message"), "{}", clicked.body);
    open.dev.kill();
    let shut = page(&directory, &["--no-bodies"]);
    let cookie = shut.sign_in();
    let clicked = shut.post(&cookie, "/message/body", &format!("id={id}"));
    assert!(clicked.status == 422 && !clicked.body.contains("secret of the message"), "{}", clicked.body);
}

pub(crate) fn url_encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
