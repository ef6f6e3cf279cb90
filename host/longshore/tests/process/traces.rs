//! The trace of a message, where nothing is exported: it goes through the handler, its requests and
//! its outputs, and each line of the log is under it.

use longshore_testkit::guest;
use longshore_testkit::web::WebServer;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::directory::{Directory, ORDERS, POISON};
use crate::orders::order;
use crate::process::{Ended, cache, longshore, run};

/// What a sender writes.
pub(crate) const SENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
pub(crate) const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
pub(crate) const SPAN_ID: &str = "00f067aa0ba902b7";

/// Sends a message with these properties, as `NAME=VALUE`.
pub(crate) fn send(directory: &Directory, body: &str, properties: &[&str]) {
    let mut send = longshore(["send", "--queue", &directory.url(ORDERS)]);
    send.args(properties.iter().map(|it| format!("--property={it}"))).arg(body);
    run(&mut send).succeeded();
}

/// What lies in a queue.
pub(crate) fn peek(directory: &Directory, queue: &str) -> Vec<Value> {
    let mut peek = longshore(["peek", "--output=json", "--queue", &directory.url(queue)]);
    run(&mut peek).succeeded().json_lines()
}

/// A property of what `peek` shows, or null.
pub(crate) fn property(message: &Value, name: &str) -> Value {
    let properties = message["properties"].as_array().cloned().unwrap_or_default();
    let named = |it: &&Value| it[0] == name;
    properties.iter().find(named).map(|it| it[1].clone()).unwrap_or_default()
}

/// The lines of a log about a message.
pub(crate) fn lines(ended: &Ended) -> Vec<Value> {
    let lines = ended.stderr.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|it| !it["message_id"].is_null()).collect()
}

/// A server that tells what it was asked, and flags that let the handler reach it and send on.
pub(crate) struct Outside {
    runtime: Runtime,
    server: WebServer,
}

impl Outside {
    pub(crate) fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.unwrap();
        let server = runtime.block_on(WebServer::start());
        Self { runtime, server }
    }

    /// What has the handler call it and send on.
    pub(crate) fn relay(&self) -> String {
        format!("relay:http://127.0.0.1:{}/stock", self.server.port)
    }

    pub(crate) fn flags(&self, directory: &Directory) -> Vec<String> {
        let invoices = directory.url("invoices");
        run(&mut longshore(["queue", "create", "--queue", &invoices])).succeeded();
        vec![
            format!("--outbox=invoices={invoices}"),
            format!("--allow-http=http://127.0.0.1:{}", self.server.port),
            "--allow-private=127.0.0.0/8".to_owned(),
            "--config=greeting=hello".to_owned(),
        ]
    }

    /// A header of the only request that it was asked.
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> String {
        let _runtime = &self.runtime;
        let seen = self.server.seen();
        assert_eq!(seen.len(), 1, "{seen:?}");
        seen[0].header(name).to_owned()
    }
}

/// Has the handler call a server and send on, for a message with this body and these properties.
fn relayed(body: impl Fn(&str) -> String, properties: &[&str], flags: &[&str]) -> (Outside, Ended, Value) {
    let (directory, outside) = (Directory::new(), Outside::start());
    send(&directory, &body(&outside.relay()), properties);
    let mut worker = directory.worker_with(&guest::rogue(), flags);
    let ended = run(worker.args(outside.flags(&directory))).succeeded();
    let mut sent = peek(&directory, "invoices");
    assert_eq!(sent.len(), 1, "{ended:?}");
    (outside, ended, sent.remove(0))
}

#[test]
fn a_trace_goes_through_the_handler_s_requests_and_outputs_and_is_in_each_line() {
    let properties = [format!("traceparent={SENT}"), "tracestate=shop=1".to_owned()];
    let properties: Vec<_> = properties.iter().map(String::as_str).collect();
    let (outside, ended, sent) = relayed(str::to_owned, &properties, &[]);
    assert_eq!((outside.header("traceparent"), outside.header("tracestate")), (SENT.into(), "shop=1".into()));
    for (name, value) in [("traceparent", SENT), ("Diagnostic-Id", SENT), ("tracestate", "shop=1")] {
        assert_eq!(property(&sent, name), value, "{sent}");
    }
    let lines = lines(&ended);
    assert!(lines.iter().any(|it| it["outcome"] == "completed"), "{ended:?}");
    for line in lines {
        assert_eq!((&line["trace_id"], &line["span_id"]), (&json!(TRACE_ID), &json!(SPAN_ID)), "{line}");
    }
}

#[test]
fn the_older_name_of_service_bus_begins_the_same_trace() {
    let (outside, _, sent) = relayed(str::to_owned, &[&format!("Diagnostic-Id={SENT}")], &[]);
    assert_eq!(outside.header("traceparent"), SENT);
    assert_eq!(property(&sent, "traceparent"), SENT);
}

#[test]
fn without_a_trace_none_is_made() {
    for properties in [&[][..], &["traceparent=00-forged"]] {
        let (outside, ended, sent) = relayed(str::to_owned, properties, &["--outbox-format=cloudevents"]);
        assert_eq!(outside.header("traceparent"), "");
        assert!(!sent["body"].to_string().contains("traceparent"), "{sent}");
        assert!(!ended.stderr.contains("trace_id") && !lines(&ended).is_empty(), "{ended:?}");
    }
}

#[test]
fn a_cloud_event_says_its_trace_in_its_body_and_hands_it_on_there() {
    let event = json!({
        "specversion": "1.0", "id": "1", "source": "/shop", "type": "ordered", "data": {}, "traceparent": SENT,
    });
    let directory = Directory::new();
    directory.send([event.to_string()]);
    // It is no order, and is rejected.
    let ended = run(&mut directory.worker(&[])).succeeded();
    let lines = lines(&ended);
    assert!(lines.iter().any(|it| it["outcome"] == "poisoned"), "{ended:?}");
    assert!(lines.iter().all(|it| it["trace_id"] == TRACE_ID), "{ended:?}");

    let (_, _, sent) =
        relayed(str::to_owned, &[&format!("traceparent={SENT}")], &["--outbox-format=cloudevents"]);
    let body: Value = serde_json::from_str(sent["body"].as_str().unwrap()).unwrap();
    assert_eq!((&body["specversion"], &body["traceparent"]), (&json!("1.0"), &json!(SENT)), "{sent}");
}

#[test]
fn poison_copies_and_redriven_messages_keep_their_trace() {
    for format in ["envelope", "raw"] {
        let directory = Directory::new();
        send(&directory, &order("o-1", "reject"), &[&format!("traceparent={SENT}"), "tracestate=shop=1"]);
        run(&mut directory.worker(&[&format!("--poison-format={format}")])).succeeded();
        let poisoned = peek(&directory, POISON);
        assert_eq!(property(&poisoned[0], "traceparent"), SENT, "{format}: {poisoned:?}");
        let mut redrive =
            longshore(["poison", "redrive", "--output=json", "--queue", &directory.url(ORDERS)]);
        assert_eq!(run(&mut redrive).succeeded().json()["messages"], 1);
        let back = peek(&directory, ORDERS);
        let names: Vec<_> = back[0]["properties"].as_array().unwrap().iter().map(|it| &it[0]).collect();
        assert_eq!(names, ["traceparent", "tracestate"], "{format}: {back:?}");
        assert_eq!(property(&back[0], "tracestate"), "shop=1", "{format}");
    }
}

#[test]
fn a_replay_and_an_invocation_are_under_the_trace_that_a_run_would_be_under() {
    let directory = Directory::new();
    let event = json!({
        "specversion": "1.0", "id": "1", "source": "/shop", "type": "ordered", "traceparent": SENT,
        "order_id": "o-1", "msg": "ok",
    });
    directory.create(ORDERS);
    directory.create(POISON);
    let send = ["send", "--queue", &directory.url(POISON), "--id=o-1", &event.to_string()];
    run(&mut longshore(send)).succeeded();
    let queue = format!("--queue={}", directory.url(ORDERS));
    let replay = ["poison", "replay", &queue, "--log-format=json", "o-1"].map(str::to_owned);
    let invoke = ["invoke", "--log-format=json", &event.to_string()].map(str::to_owned);
    for words in [&replay[..], &invoke] {
        let mut program = longshore(words);
        program.arg("--component").arg(guest::order()).arg("--cache-dir").arg(cache());
        let ended = program.run().succeeded();
        let line = ended.stderr.lines().find(|line| line.contains("handled order o-1"));
        let line: Value = serde_json::from_str(line.unwrap_or_else(|| panic!("{ended:?}"))).unwrap();
        assert_eq!((&line["trace_id"], &line["span_id"]), (&json!(TRACE_ID), &json!(SPAN_ID)), "{line}");
    }
}
