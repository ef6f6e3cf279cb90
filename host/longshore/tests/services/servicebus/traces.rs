//! A trace that begins in the official client's own span, goes through the handler, its requests
//! and what it sends, and is read by the official client again.

use std::process::Command;

use longshore_testkit::guest;
use longshore_testkit::otlp::{OtlpReceiver, ReceiverMood};
use longshore_testkit::web::WebServer;
use serde_json::Value;

use crate::servicebus::broker::{calm, installed};
use crate::servicebus::host::Host;

/// Has the official client send this body within a span, or receive; and returns what it says.
fn client(host: &Host, body: Option<&str>) -> Value {
    let mut python = Command::new(installed(".venv/bin/python"));
    python.arg(installed("python/traced.py")).args([&host.connection, &host.name]).args(body);
    let told = python.output().unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    serde_json::from_slice(&told.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_trace_goes_all_the_way_from_the_official_client_to_the_official_client() {
    let server = WebServer::start().await;
    let relay = format!("relay:http://127.0.0.1:{}/stock", server.port);
    let seen = tokio::task::spawn_blocking(move || {
        let receiver = OtlpReceiver::start(ReceiverMood::Takes);
        let (host, invoices) = (Host::new(calm(), 30), Host::new(calm(), 30));
        let trace = client(&host, Some(&relay));
        let flags = [
            format!("--outbox=invoices={}", invoices.url),
            format!("--allow-http=http://127.0.0.1:{}", server.port),
            "--allow-private=127.0.0.0/8".to_owned(),
            "--config=greeting=hello".to_owned(),
        ];
        let mut run = host.program(&["run", "--max-messages=1", "--component"]);
        run.arg(guest::rogue()).args(flags);
        run.env("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url()).env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
        let ended = run.run().succeeded();
        assert_eq!(ended.json()["completed"], 1, "{ended:?}");
        let received = client(&invoices, None);
        (trace, ended, received, receiver, server)
    });
    let (trace, ended, received, receiver, server) = seen.await.unwrap();
    let process = receiver.spans().into_iter().find(|it| it.span.name.starts_with("process ")).unwrap();
    let sending = receiver.spans().into_iter().find(|it| it.span.name.starts_with("send ")).unwrap();
    assert_eq!(
        (&process.trace_id(), &sending.trace_id()),
        (&trace.as_str().unwrap().to_owned(), &process.trace_id())
    );
    assert_eq!(process.attribute("messaging.system"), "servicebus");
    assert!(process.attribute("messaging.servicebus.message.enqueued_time").is_i64());
    let header = server.seen()[0].header("traceparent").to_owned();
    // The flags behind it are the sender's.
    let parent = format!("00-{}-{}-", process.trace_id(), process.span_id());
    assert!(header.starts_with(&parent), "{header} {parent}");
    assert_eq!(
        (&received["trace"], received["span"].as_str()),
        (&trace, Some(&*sending.span_id())),
        "{received}"
    );
    assert_eq!(received["properties"]["Diagnostic-Id"], received["properties"]["traceparent"]);
    let lines: Vec<Value> = ended.stderr.lines().filter_map(|it| serde_json::from_str(it).ok()).collect();
    let of_message = lines.iter().filter(|it| !it["message_id"].is_null());
    assert!(
        of_message.clone().count() > 0 && of_message.clone().all(|it| it["trace_id"] == trace),
        "{ended:?}"
    );
}
