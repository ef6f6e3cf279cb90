//! What the adapters make of a service that cannot, and of a host that will not; and what they
//! offer that no example uses.

use longshore_testkit::needs;
use longshore_testkit::web::WebServer;
use serde_json::Value;

use crate::examples::example::{EXAMPLES, Example, LANGUAGES, longshore};
use crate::examples::storage::storage;
use crate::storage::storage_account::SCOPE;

#[tokio::test]
async fn each_sdk_sends_again_what_a_service_could_not_do() {
    let directory = storage().authority.parent().unwrap();
    for language in LANGUAGES {
        let server = WebServer::start_with_tls(directory, &["http/1.1"]).await;
        let example = Example::new("exactly-once", language)
            .with_table(format!("127.0.0.1:{}/status-once/503", server.port));
        example.send(r#"{"account":"c-7","amount_cents":250}"#);
        // The service answers on this test's own thread.
        let ended = tokio::task::spawn_blocking(move || example.run(&["--max-dequeue", "1"])).await.unwrap();
        let seen = server.seen();
        assert_eq!(seen.len(), 2, "{language}: {ended:?}");
        for request in &seen {
            assert!(request.header("authorization").starts_with("Bearer ey"), "{language}: {request:?}");
            assert!(request.body.windows(3).any(|it| it == b"250"), "{language}: {request:?}");
        }
    }
}

#[test]
fn what_the_host_refuses_is_an_error_in_each_language_and_its_log_says_why() {
    for language in LANGUAGES {
        let example = Example::new("exactly-once", language);
        example.send(r#"{"account":"c-7","amount_cents":250}"#);
        let mut worker = example.worker(&["--max-dequeue", "1"]);
        // It takes the place of what the project file grants.
        worker.env("LONGSHORE_HTTP_IDENTITY", format!("other.example.com={SCOPE}"));
        let ended = worker.run().never_panicked();
        ended.says(&["not granted"]);
        let summary = ended.json();
        assert_eq!(summary["poisoned"], 1, "{language}: {ended:?}");
        let poison = example.on("messages", &["poison", "list", "--all"]).run().succeeded().json();
        let detail = poison["detail"].as_str().unwrap();
        assert!(detail.starts_with("retry: booking: "), "{language}: {detail}");
    }
}

#[tokio::test]
async fn each_helper_for_http_sends_what_it_is_given_and_returns_what_is_answered() {
    let probes =
        [("rust", "examples/target/http-probe-rust.wasm"), ("python", "guest/python/target/http-probe.wasm")];
    for (language, probe) in probes {
        let directory = storage().authority.parent().unwrap();
        let server = WebServer::start_with_tls(directory, &["http/1.1"]).await;
        let base = format!("https://127.0.0.1:{}", server.port);
        let probe = needs::file(longshore_testkit::root().join(probe), EXAMPLES);
        let mut invoke = longshore();
        invoke.args(["invoke", &base, "--config=greeting=hello", "--log=debug", "--component"]).arg(probe);
        invoke.env("LONGSHORE_ALLOW_HTTP", &base).env("LONGSHORE_ALLOW_PRIVATE", "127.0.0.0/8");
        invoke.env("SSL_CERT_FILE", &storage().authority);
        // The server answers on this test's own thread.
        let ended = tokio::task::spawn_blocking(move || invoke.run().never_panicked()).await.unwrap();
        let said = ended.json()["detail"].as_str().unwrap().to_owned();
        let said: Vec<(Value, String)> = serde_json::from_str(&said[said.find('[').unwrap()..]).unwrap();
        let answers = ["GET /got?x=1", "POST /posted", "PUT /put", "PATCH /patched", "DELETE /deleted"];
        let mut expected: Vec<(Value, String)> =
            answers.iter().map(|it| (200.into(), (*it).into())).collect();
        expected.push((404.into(), String::new()));
        let refused = "GET never.granted.example: the host refuses it, and its log says why";
        expected.push((true.into(), refused.into()));
        if language == "python" {
            let no_body = "a body is bytes, text, a file or an iterable of bytes, and this is str: json.dumps makes text of a dict";
            expected.push(("TypeError".into(), no_body.into()));
            ended.says(&["a line of the handler's own", "caused by ValueError", "http_probe.py:"]);
            assert!(!ended.stderr.contains("a line of a package"), "{ended:?}");
        }
        assert_eq!(said, expected, "{language}: {ended:?}");
        let seen = server.seen();
        assert_eq!((seen[0].header("x-of-mine"), seen[0].header("content-length")), ("7", ""), "{language}");
        assert_eq!((&*seen[1].body, seen[1].header("content-length")), (&b"text"[..], "4"), "{language}");
        assert_eq!(seen[2].body.len(), 200_000, "{language}");
        assert_eq!(&*seen[3].body, b"in pieces", "{language}");
        assert_eq!(seen[4].header("content-length"), "", "{language}");
    }
}
