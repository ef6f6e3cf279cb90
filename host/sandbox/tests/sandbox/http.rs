//! Outbound HTTP, with a real handler and a real server: what is granted is reached, and nothing
//! else.

use std::path::Path;
use std::time::Duration;

use longshore_handler::{Invocation, RetryReason, Verdict};
use longshore_sandbox::{Component, Grants, Limits, Sandbox, Settings};
use longshore_testkit::echo::Server;
use longshore_testkit::{guest, sample};

fn rogue(http: &[String], private: &[&str], limits: Limits) -> Component {
    let grants = Grants {
        config: vec![("greeting".into(), "hello".into())],
        http: http.iter().map(|it| it.parse().unwrap()).collect(),
        private: private.iter().map(|it| it.parse().unwrap()).collect(),
        outbox: vec!["invoices".into()],
        ..Grants::default()
    };
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled");
    let settings = Settings { concurrency: 2, grants, limits, cache: Some(cache), ..Settings::default() };
    Sandbox::new(&settings).unwrap().load(&std::fs::read(guest::rogue()).unwrap()).unwrap()
}

async fn ask(component: &Component, body: String) -> (RetryReason, String) {
    let deadline = Duration::from_secs(5);
    let invocation = Invocation { deadline, ..sample::invocation("http", body) };
    match component.invoke(invocation).await.verdict {
        Verdict::Completed => (RetryReason::Requested, "completed".into()),
        // The guest rejects with what it was answered.
        Verdict::Reject { detail } => (RetryReason::Requested, detail),
        Verdict::Retry { reason, detail, .. } => (reason, detail),
    }
}

#[tokio::test]
async fn a_granted_host_is_reached_by_the_address_that_was_checked() {
    let server = Server::start().await;
    let host = format!("localhost:{}", server.port);
    let component = rogue(&[format!("http://{host}")], &["127.0.0.0/8"], Limits::default());
    let (_, said) = ask(&component, format!("get:http://{host}/orders?x=1")).await;
    assert!(said.starts_with("200 ") && said.contains("GET /orders?x=1 HTTP/1.1|"), "{said}");
    assert!(said.contains(&format!("host: {host}")), "{said}");
    assert_eq!(server.reached(), 1);
}

#[tokio::test]
async fn a_request_names_the_host_that_was_checked_and_has_a_path() {
    let server = Server::start().await;
    let host = format!("127.0.0.1:{}", server.port);
    let component = rogue(&[format!("http://{host}")], &["127.0.0.0/8"], Limits::default());
    for (spelled, path) in [
        (format!("127.0.0.1:+{}", server.port), "/"),
        (format!("127.0.0.1:0{}", server.port), "/"),
        (format!("{host}?x=1"), "/?x=1"),
        (host.clone(), "/"),
    ] {
        let (_, said) = ask(&component, format!("get:http://{spelled}")).await;
        let sent = said.starts_with("200 ") && said.contains(&format!("GET {path} HTTP/1.1|"));
        assert!(sent && said.contains(&format!("host: {host}")), "{spelled}: {said}");
    }
}

#[tokio::test]
async fn a_body_that_is_finished_goes_with_its_length_and_a_long_one_in_chunks() {
    let server = Server::start().await;
    let host = format!("127.0.0.1:{}", server.port);
    let component = rogue(&[format!("http://{host}")], &["127.0.0.0/8"], Limits::default());
    for size in [0, 1, 5_000, 500_000] {
        let (_, said) = ask(&component, format!("post:{size}@http://{host}/")).await;
        let names_length = said.contains(&format!("content-length: {size}"));
        assert!(names_length && !said.contains("transfer-encoding"), "{size}: {said}");
    }
    let (_, said) = ask(&component, format!("post:3000000@http://{host}/")).await;
    assert!(said.contains("transfer-encoding: chunked"), "{said}");
}

#[tokio::test]
async fn a_private_address_is_refused_unless_it_is_named() {
    let server = Server::start().await;
    for host in ["localhost", "127.0.0.1"] {
        let host = format!("{host}:{}", server.port);
        for private in [&[][..], &["10.0.0.0/8"]] {
            let component = rogue(&[format!("http://{host}")], private, Limits::default());
            let (_, said) = ask(&component, format!("get:http://{host}/")).await;
            assert_eq!(said, "ErrorCode::DestinationIpProhibited");
        }
    }
    assert_eq!(server.reached(), 0);
}

#[tokio::test]
async fn a_redirect_is_the_guest_s_to_follow_and_checked_like_any_request() {
    let (granted, other) = (Server::start().await, Server::start().await);
    let host = format!("127.0.0.1:{}", granted.port);
    let component = rogue(&[format!("http://{host}")], &["127.0.0.1"], Limits::default());
    let elsewhere = format!("127.0.0.1:{}", other.port);
    let (_, said) = ask(&component, format!("get:http://{host}/to/{elsewhere}")).await;
    assert!(said.starts_with(&format!("302 http://{elsewhere}/")), "{said}");
    let (_, said) = ask(&component, format!("get:http://{elsewhere}/")).await;
    assert_eq!(said, "ErrorCode::HttpRequestDenied");
    assert_eq!((granted.reached(), other.reached()), (1, 0));
}

#[tokio::test]
async fn a_host_granted_with_tls_is_not_asked_without_it() {
    let server = Server::start().await;
    let host = format!("127.0.0.1:{}", server.port);
    let component = rogue(std::slice::from_ref(&host), &["127.0.0.1"], Limits::default());
    let (_, said) = ask(&component, format!("get:http://{host}/")).await;
    assert_eq!(said, "ErrorCode::HttpRequestDenied");
    assert_eq!(server.reached(), 0);
    // Nor is anything said to a server that does not speak it.
    let (_, said) = ask(&component, format!("get:https://{host}/")).await;
    assert!(said.starts_with("ErrorCode::Tls") || said.starts_with("ErrorCode::Connection"), "{said}");
}

#[tokio::test]
async fn calls_and_bytes_are_counted_over_the_whole_message() {
    let server = Server::start().await;
    let host = format!("127.0.0.1:{}", server.port);
    let limits = Limits { http_calls: 3, http_bytes: 100_000, ..Limits::default() };
    let component = rogue(&[format!("http://{host}")], &["127.0.0.1"], limits);
    let ask = |body: String| ask(&component, body);
    assert_eq!(ask(format!("gets:3@http://{host}/")).await.1, "completed");
    let (reason, said) = ask(format!("gets:4@http://{host}/")).await;
    assert!(reason == RetryReason::HttpLimit && said.starts_with("more than 3 HTTP requests"), "{said}");
    assert!(ask(format!("get:http://{host}/bytes/99999")).await.1.contains("99999 bytes"));
    for too_much in [
        format!("get:http://{host}/bytes/100001"),
        format!("gets:2@http://{host}/bytes/50001"),
        format!("post:100001@http://{host}/"),
    ] {
        let (reason, said) = ask(too_much.clone()).await;
        assert!(
            reason == RetryReason::HttpLimit && said.starts_with("more than 100000 bytes"),
            "{too_much}: {said}"
        );
    }
}

#[tokio::test]
async fn a_server_that_never_answers_costs_a_deadline_and_no_tunnel_is_opened() {
    let server = Server::start().await;
    let host = format!("127.0.0.1:{}", server.port);
    let component = rogue(&[format!("http://{host}")], &["127.0.0.1"], Limits::default());
    assert_eq!(ask(&component, format!("get:http://{host}/slow")).await.0, RetryReason::Deadline);
    assert_eq!(
        ask(&component, format!("connect:http://{host}/")).await.1,
        "ErrorCode::HttpRequestMethodInvalid"
    );
    assert_eq!(server.reached(), 1);
}

#[tokio::test]
async fn a_response_that_stops_half_way_is_given_up_as_soon_as_the_handler_says() {
    let server = Server::start().await;
    let host = format!("127.0.0.1:{}", server.port);
    let component = rogue(&[format!("http://{host}")], &["127.0.0.1"], Limits::default());
    let (reason, said) = ask(&component, format!("get-in-time:100@http://{host}/pause")).await;
    assert!(reason == RetryReason::Requested && said.contains("connection read timeout"), "{reason}: {said}");
    let (_, said) = ask(&component, format!("get-in-time:1000@http://{host}/bytes/100000")).await;
    assert!(said.contains("100000 bytes"), "{said}");
}
