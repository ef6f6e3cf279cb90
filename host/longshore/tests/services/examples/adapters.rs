//! What the adapters make of a service that cannot, and of a host that will not.

use longshore_testkit::web::WebServer;

use crate::examples::example::{Example, LANGUAGES};
use crate::examples::storage::storage;

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
        worker.env("LONGSHORE_HTTP_IDENTITY", "");
        let ended = worker.run().never_panicked();
        ended.says(&["not granted"]);
        let summary = ended.json();
        assert_eq!(summary["poisoned"], 1, "{language}: {ended:?}");
        let poison = example.on("messages", &["poison", "list"]).run().succeeded().json();
        let detail = poison["detail"].as_str().unwrap();
        assert!(detail.starts_with("retry: booking: "), "{language}: {detail}");
    }
}
