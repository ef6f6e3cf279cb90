//! Connections that are kept from one message to the next: what one handler does to one is no
//! business of the next handler's.

use std::path::Path;
use std::time::Duration;

use longshore_handler::{Invocation, RetryReason, Verdict};
use longshore_sandbox::{Component, Grants, Limits, Sandbox, Settings};
use longshore_testkit::web::WebServer;
use longshore_testkit::{guest, sample};

/// A server, and a handler that may call it.
struct Scene {
    server: WebServer,
    rogue: Component,
}

impl Scene {
    async fn start() -> Self {
        Self::limited(Limits::default()).await
    }

    async fn limited(limits: Limits) -> Self {
        let server = WebServer::start().await;
        let grants = Grants {
            config: vec![("greeting".into(), "hello".into())],
            http: vec![format!("http://127.0.0.1:{}", server.port).parse().unwrap()],
            private: vec!["127.0.0.1".parse().unwrap()],
            outbox: vec!["invoices".into()],
            ..Grants::default()
        };
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled");
        let settings =
            Settings { concurrency: 16, grants, limits, cache: Some(cache), ..Settings::default() };
        let rogue = std::fs::read(guest::rogue()).unwrap();
        Self { server, rogue: Sandbox::new(&settings).unwrap().load(&rogue).unwrap() }
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.server.port)
    }

    /// What a handler of its own says of one message.
    async fn ask(&self, verb: &str, path: &str) -> String {
        self.say(format!("{verb}{}", self.url(path))).await.1
    }

    async fn say(&self, body: String) -> (RetryReason, String) {
        let deadline = Duration::from_secs(10);
        let invocation = Invocation { deadline, ..sample::invocation("kept", body) };
        match self.rogue.invoke(invocation).await.verdict {
            Verdict::Completed => (RetryReason::Requested, "completed".into()),
            Verdict::Reject { detail } => (RetryReason::Requested, detail),
            Verdict::Retry { reason, detail, .. } => (reason, detail),
        }
    }

    /// How often a path was asked for.
    fn asked(&self, path: &str) -> usize {
        self.server.seen().iter().filter(|it| it.path == path).count()
    }
}

#[tokio::test]
async fn messages_share_connections_and_keep_limits_of_their_own() {
    let scene = Scene::limited(Limits { http_calls: 3, ..Limits::default() }).await;
    for _ in 0..5 {
        assert_eq!(scene.ask("gets:3@", "/").await, "completed");
    }
    let (reason, said) = scene.say(format!("gets:4@{}", scene.url("/"))).await;
    assert!(reason == RetryReason::HttpLimit && said.starts_with("more than 3 HTTP requests"), "{said}");
    assert_eq!(scene.ask("gets:3@", "/").await, "completed");
    assert_eq!((scene.server.connections(), scene.asked("/")), (1, 21));
}

#[tokio::test]
async fn there_are_no_more_connections_than_requests_at_a_time() {
    let scene = Scene::start().await;
    let asking = (0..16).map(|_| async {
        for _ in 0..20 {
            assert_eq!(scene.ask("gets:1@", "/").await, "completed");
        }
    });
    futures_util::future::join_all(asking).await;
    let connections = scene.server.connections();
    assert!((1..=16).contains(&connections), "{connections}");
    assert_eq!(scene.asked("/"), 320);
}

#[tokio::test]
async fn a_connection_that_its_server_closed_is_no_failure_of_the_next_message() {
    let scene = Scene::start().await;
    for (round, (verb, path)) in [("get:", "/a"), ("post:5@", "/b"), ("get:", "/c")].into_iter().enumerate() {
        assert!(scene.ask(verb, path).await.starts_with("200 "));
        assert_eq!(scene.server.connections(), round + 1);
        scene.server.close_connections();
        // Until both sides know.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // It says so itself, and nobody tries it again.
    for _ in 0..2 {
        assert!(scene.ask("get:", "/close").await.starts_with("200 "));
    }
    assert_eq!(scene.server.connections(), 5);
    assert_eq!(scene.server.seen().len(), 5);
}

#[tokio::test]
async fn a_request_whose_answer_was_lost_is_sent_again_only_where_that_changes_nothing() {
    for (request, times) in [
        ("GET", 2),
        ("HEAD", 2),
        ("PUT", 2),
        ("DELETE", 2),
        ("POST", 1),
        ("MERGE", 1),
        ("PUT if-none-match: *", 1),
        ("DELETE if-match: \"e\"", 1),
    ] {
        let scene = Scene::start().await;
        assert!(scene.ask("get:", "/").await.starts_with("200 "));
        let (method, header) = request.split_once(' ').unwrap_or((request, "x-a: b"));
        let said = scene.say(format!("ask:{method} {}\n{header}\n\nbody", scene.url("/vanish"))).await.1;
        assert_eq!(scene.asked("/vanish"), times, "{request}: {said}");
        assert_eq!(said.starts_with("200|"), times == 2, "{request}: {said}");
        assert!(scene.ask("get:", "/next").await.contains("GET /next"));
    }
}

#[tokio::test]
async fn a_body_that_is_not_as_long_as_it_says_never_takes_in_the_next_request() {
    let scene = Scene::start().await;
    let smuggled = "GET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n";
    assert!(scene.ask("get:", "/").await.starts_with("200 "));
    for request in [
        // No body at all: it is never asked for.
        "PUT /a\ncontent-length: 500".to_owned(),
        "GET /a\ncontent-length: 500".to_owned(),
        "PUT /a\ncontent-length: 500\n\n".to_owned(),
        "PUT /a\ncontent-length: 500\n\nshort".to_owned(),
        format!("PUT /a\ncontent-length: 1\n\n{smuggled}"),
        format!("PUT /a\ncontent-length: 0\n\n{smuggled}"),
        format!("PUT /a\ncontent-length: 1\ncontent-length: {}\n\n{smuggled}", smuggled.len()),
        format!("PUT /a\ncontent-length: +1\n\n{smuggled}"),
        format!("PUT /a\ncontent-length: 1,1\n\n{smuggled}"),
        format!("PUT /a\ntransfer-encoding: chunked\n\n{smuggled}"),
        format!("PUT /a\nconnection: upgrade\n\n{smuggled}"),
        format!("PUT /a HTTP/1.1\r\nx: y\r\n\r\n{smuggled}\n\nbody"),
    ] {
        let (first, rest) = request.split_once('\n').unwrap();
        let (method, path) = first.split_once(' ').unwrap();
        let said = scene.say(format!("ask:{method} {}\n{rest}", scene.url(path))).await.1;
        let next = scene.ask("get:", "/next").await;
        assert!(next.contains("GET /next"), "{request}: {said}, then {next}");
    }
    let seen = scene.server.seen();
    assert!(seen.iter().all(|it| !it.path.contains("smuggled")), "{seen:?}");
    assert!(seen.iter().all(|it| !String::from_utf8_lossy(&it.body).contains("/next")), "{seen:?}");
    assert_eq!(scene.asked("/next"), 12);
}

#[tokio::test]
async fn a_handler_that_dies_in_the_middle_of_a_body_leaves_nothing_of_it_to_the_next() {
    let scene = Scene::start().await;
    assert!(scene.ask("get:", "/").await.starts_with("200 "));
    assert_eq!(scene.say(format!("die-writing:{}", scene.url("/half"))).await.0, RetryReason::Trap);
    assert!(scene.ask("get:", "/next").await.contains("GET /next"));
    assert_eq!(scene.asked("/half"), 0, "the server never had all of it");
}

#[tokio::test]
async fn a_response_that_nobody_reads_costs_its_connection_and_no_message() {
    let scene = Scene::start().await;
    // It takes the status and goes.
    for _ in 0..3 {
        let (_, said) = scene.say(format!("ask:HEAD {}", scene.url("/bytes/100"))).await;
        assert!(said.starts_with("200|"), "{said}");
    }
    assert_eq!(scene.server.connections(), 1, "the answer to HEAD has no body");
    let (waits, others) =
        tokio::join!(scene.say(format!("let-wait:8@{}", scene.url("/bytes/200000"))), async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            scene.ask("get:", "/bytes/100000").await
        });
    assert_eq!(waits.1, "completed");
    assert!(others.contains("100000 bytes"), "{others}");
}
