//! What a receiver of OpenTelemetry is sent: names, kinds, links and attributes as the messaging
//! conventions have them, over both protocols.

use std::collections::BTreeMap;

use longshore_testkit::guest;
use longshore_testkit::identity::{CLIENT_ID, HEADER, Identity, Mood};
use longshore_testkit::otlp::{OtlpReceiver, ReceiverMood};
use serde_json::{Value, json};

use crate::directory::Directory;
use crate::orders::order;
use crate::process::{Program, run};
use crate::traces::{Outside, SENT, SPAN_ID, TRACE_ID, lines, peek, property, send};

/// What the kinds of spans are on the wire.
const INTERNAL: i32 = 1;
const CLIENT: i32 = 3;
const PRODUCER: i32 = 4;
const CONSUMER: i32 = 5;

const PROTOCOLS: [&str; 2] = ["grpc", "http/protobuf"];

/// Has a worker export to a receiver.
pub(crate) fn exporting<'a>(
    worker: &'a mut Program,
    receiver: &OtlpReceiver,
    protocol: &str,
) -> &'a mut Program {
    worker.env("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url()).env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
}

#[test]
fn each_attempt_is_a_span_of_its_sender_s_trace_and_what_it_sends_is_in_it() {
    for protocol in PROTOCOLS {
        let (directory, outside) = (Directory::new(), Outside::start());
        let receiver = OtlpReceiver::start(ReceiverMood::Takes);
        send(&directory, &outside.relay(), &[&format!("traceparent={SENT}"), "tracestate=shop=1"]);
        let mut worker = directory.worker_with(&guest::rogue(), &[]);
        worker.args(outside.flags(&directory)).env("OTEL_SERVICE_NAME", "shop");
        worker.env("CONTAINER_APP_JOB_NAME", "orders-job").env("OTEL_RESOURCE_ATTRIBUTES", "team=blue");
        worker.env("CONTAINER_APP_JOB_EXECUTION_NAME", "orders-job-x1");
        worker.env("CONTAINER_APP_REPLICA_NAME", "orders-job-x1-abc");
        let ended = run(exporting(&mut worker, &receiver, protocol)).succeeded();
        assert!(!ended.stderr.contains("dropped"), "{protocol}: {ended:?}");

        let (process, receive) = (receiver.span("process orders"), receiver.span("receive orders"));
        let (sending, whole) = (receiver.span("send invoices"), receiver.span("run"));
        assert_eq!((process.span.kind, receive.span.kind), (CONSUMER, CLIENT));
        assert_eq!((sending.span.kind, whole.span.kind), (PRODUCER, INTERNAL));
        assert_eq!((process.trace_id(), process.parent_id()), (TRACE_ID.into(), SPAN_ID.into()));
        assert_eq!(process.links(), [whole.span_id()]);
        assert_eq!(receive.links(), [whole.span_id(), SPAN_ID.to_owned()]);
        assert_ne!(receive.trace_id(), TRACE_ID);
        assert_eq!((sending.trace_id(), sending.parent_id()), (TRACE_ID.into(), process.span_id()));
        assert_eq!(process.span.trace_state, "shop=1");

        let written = |span: &str| json!(format!("00-{TRACE_ID}-{span}-01"));
        assert_eq!(outside.header("traceparent"), written(&process.span_id()));
        let sent = peek(&directory, "invoices");
        assert_eq!(property(&sent[0], "traceparent"), written(&sending.span_id()), "{sent:?}");
        assert_eq!(property(&sent[0], "tracestate"), "shop=1");
        for line in lines(&ended) {
            let ids = (&line["trace_id"], &line["span_id"]);
            assert_eq!(ids, (&json!(TRACE_ID), &json!(process.span_id())), "{line}");
        }

        let expected = json!({
            "messaging.system": "file", "messaging.destination.name": "orders",
            "messaging.operation.name": "process", "messaging.operation.type": "process",
            "longshore.dequeue_count": 1, "longshore.outcome": "completed",
        });
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(process.attribute(name), *value, "{name}");
        }
        assert!(process.attribute("messaging.message.id").is_string());
        assert!(process.attribute("longshore.cpu_us").as_u64() > Some(0));
        assert!(process.attribute("longshore.peak_memory_bytes").as_u64() > Some(0));
        assert_eq!(receive.attribute("messaging.batch.message_count"), 1);
        assert_eq!(
            (whole.attribute("longshore.completed"), whole.attribute("longshore.ended")),
            (json!(1), json!("drained"))
        );
        assert!(whole.attribute("longshore.component.digest").as_str().unwrap().starts_with("sha256:"));
        let resource = json!({
            "service.name": "shop", "service.instance.id": "orders-job-x1-abc", "team": "blue",
            "longshore.execution": "orders-job-x1", "cloud.platform": "azure.container_apps",
            "cloud.provider": "azure", "telemetry.sdk.language": "rust",
        });
        for (name, value) in resource.as_object().unwrap() {
            assert_eq!(process.resource.get(name), Some(value), "{name}: {:?}", process.resource);
        }
        assert_eq!(receiver.faults(), [""; 0], "{protocol}");
    }
}

#[test]
fn a_message_without_a_trace_begins_one_that_its_calls_and_outputs_continue() {
    let (directory, outside) = (Directory::new(), Outside::start());
    let receiver = OtlpReceiver::start(ReceiverMood::Takes);
    send(&directory, &outside.relay(), &["tenant=7"]);
    let mut worker = directory.worker_with(&guest::rogue(), &[]);
    worker.args(outside.flags(&directory));
    run(exporting(&mut worker, &receiver, "grpc")).succeeded();
    let (process, sending) = (receiver.span("process orders"), receiver.span("send invoices"));
    let written = |span: &str| json!(format!("00-{}-{span}-01", process.trace_id()));
    assert_eq!(process.parent_id(), "");
    assert_eq!(outside.header("traceparent"), written(&process.span_id()));
    let sent = peek(&directory, "invoices");
    assert_eq!(property(&sent[0], "traceparent"), written(&sending.span_id()), "{sent:?}");

    // What the message carries is all that the handler sees.
    send(&directory, "echo:1", &["tenant=7"]);
    let mut worker = directory.worker_with(&guest::rogue(), &["--max-messages=1"]);
    worker.args(outside.flags(&directory));
    let ended = run(exporting(&mut worker, &receiver, "grpc"));
    ended.says(&["tenant"]);
    assert!(!ended.stderr.contains("traceparent"), "{ended:?}");
}

#[test]
fn what_failed_says_why_and_is_counted_by_its_reason_without_any_id() {
    for protocol in PROTOCOLS {
        let (directory, receiver) = (Directory::new(), OtlpReceiver::start(ReceiverMood::Takes));
        let bodies =
            [order("o-1", "ok"), order("o-2", "reject"), order("o-3", "retry-until:2"), "{".to_owned()];
        directory.send(bodies);
        run(exporting(&mut directory.worker(&[]), &receiver, protocol)).succeeded();
        let spans = receiver.spans_named("process orders");
        let mut reasons: Vec<_> = spans.iter().map(|it| it.attribute("error.type")).collect();
        reasons.sort_by_key(Value::to_string);
        assert_eq!(spans.len(), 5, "{spans:?}");
        assert!(reasons.contains(&json!("rejected")) && reasons.contains(&json!("retry")), "{reasons:?}");
        for span in &spans {
            let is_error = span.span.status.as_ref().is_some_and(|it| it.code == 2);
            assert_eq!(is_error, span.attribute("longshore.outcome") != "completed", "{span:?}");
            // A trace of its own, since nobody has begun one.
            assert_eq!(span.parent_id(), "");
        }
        let settled = receiver.spans_named("settle orders");
        // A file queue has no dispositions.
        assert!(settled.iter().all(|it| it.attribute("messaging.servicebus.disposition_status").is_null()));
        assert_eq!(settled.len(), 2, "{settled:?}");
        assert_eq!(receiver.faults(), [""; 0], "{protocol}");

        let units = receiver.metrics();
        let expected = [
            ("longshore.breaker.state", "1"),
            ("longshore.message.age", "s"),
            ("longshore.messages", "{message}"),
            ("longshore.queue.depth", "{message}"),
            ("messaging.client.consumed.messages", "{message}"),
            ("messaging.client.operation.duration", "s"),
            ("messaging.process.duration", "s"),
        ];
        let expected: BTreeMap<_, _> = expected.iter().map(|it| (it.0.to_owned(), it.1.to_owned())).collect();
        assert_eq!(units, expected);
        let by_outcome: BTreeMap<_, _> = receiver
            .points("longshore.messages")
            .into_iter()
            .map(|it| {
                let word = |name: &str| it.attributes.get(name).and_then(Value::as_str).unwrap_or_default();
                ([word("longshore.outcome"), word("longshore.reason")].join(" ").trim().to_owned(), it.value)
            })
            .collect();
        assert_eq!(by_outcome["completed"], 2.0, "{by_outcome:?}");
        assert_eq!(by_outcome["retried retry"], 1.0, "{by_outcome:?}");
        assert_eq!(
            by_outcome["poisoned rejected"] + by_outcome.get("poisoned undecodable").unwrap_or(&0.0),
            2.0
        );
        let duration = receiver.points("messaging.process.duration");
        assert_eq!(duration[0].bounds[..3], [0.005, 0.01, 0.025]);
        assert_eq!(receiver.points("longshore.message.age")[0].value, 5.0);
        let depth: BTreeMap<_, _> = receiver
            .points("longshore.queue.depth")
            .into_iter()
            .map(|it| (it.attributes["longshore.run.phase"].as_str().unwrap().to_owned(), it.value))
            .collect();
        // The run does not wait for the first answer.
        assert!((0.0..=4.0).contains(&depth["start"]) && depth["end"] == 0.0, "{depth:?}");
        let names: Vec<_> = units
            .keys()
            .flat_map(|name| receiver.points(name))
            .flat_map(|it| it.attributes.into_keys())
            .collect();
        assert!(!names.iter().any(|name| name.contains("id") || name.contains("digest")), "{names:?}");
    }
}

#[test]
fn each_message_is_in_the_metrics_however_many_there_are() {
    let (directory, receiver) = (Directory::new(), OtlpReceiver::start(ReceiverMood::Takes));
    // Those of completed messages are recorded by 128.
    let (completed, rejected) = (300, 3);
    let of = |count: usize, msg: &'static str| (0..count).map(move |n| order(&format!("{msg}-{n}"), msg));
    directory.send(of(completed, "ok").chain(of(rejected, "reject")));
    run(exporting(&mut directory.worker(&[]), &receiver, "grpc")).succeeded();
    let counted = |metric: &str, attribute: &str, value: &str| -> f64 {
        let points = receiver.points(metric).into_iter();
        points.filter(|it| it.attributes[attribute] == value).map(|it| it.value).sum()
    };
    let (completed, all) = (completed as f64, (completed + rejected) as f64);
    assert_eq!(counted("longshore.messages", "longshore.outcome", "completed"), completed);
    assert_eq!(counted("longshore.message.age", "messaging.operation.name", "process"), all);
    assert_eq!(counted("messaging.process.duration", "messaging.operation.name", "process"), all);
    assert_eq!(counted("messaging.client.operation.duration", "messaging.operation.name", "settle"), all);
    assert_eq!(counted("messaging.client.consumed.messages", "messaging.operation.name", "receive"), all);
}

#[test]
fn a_trace_is_linked_where_that_is_asked_for() {
    let (directory, receiver) = (Directory::new(), OtlpReceiver::start(ReceiverMood::Takes));
    send(&directory, &order("o-1", "ok"), &[&format!("traceparent={SENT}")]);
    run(exporting(&mut directory.worker(&["--trace=link"]), &receiver, "grpc")).succeeded();
    let process = receiver.span("process orders");
    assert_ne!(process.trace_id(), TRACE_ID);
    assert_eq!(process.parent_id(), "");
    assert_eq!(process.links(), [receiver.span("run").span_id(), SPAN_ID.to_owned()]);
}

#[test]
fn the_standard_variables_sample_and_turn_off() {
    let (directory, receiver) = (Directory::new(), OtlpReceiver::start(ReceiverMood::Takes));
    let worked = |variables: &[(&str, &str)], properties: &[&str]| {
        send(&directory, &order("o-1", "ok"), properties);
        let mut worker = directory.worker(&[]);
        let before = (receiver.spans().len(), receiver.requests().len());
        let ended = run(exporting(&mut worker, &receiver, "http/protobuf").envs(variables.iter().copied()));
        ended.succeeded();
        (receiver.spans().len() - before.0, receiver.requests().len() - before.1)
    };
    assert_eq!(worked(&[("OTEL_SDK_DISABLED", "true")], &[]), (0, 0));
    // Metrics are not sampled.
    assert_eq!(worked(&[("OTEL_TRACES_SAMPLER", "always_off")], &[]), (0, 1));
    assert_eq!(worked(&[("OTEL_TRACES_EXPORTER", "none")], &[]), (0, 1));
    // The sender has decided.
    let unsampled = SENT.replace("-01", "-00");
    assert_eq!(worked(&[("OTEL_METRICS_EXPORTER", "none")], &[&format!("traceparent={unsampled}")]), (2, 1));
}

#[test]
fn a_body_is_in_no_line_no_span_and_no_metric() {
    const SECRET: &str = "swordfish-4711";
    let (directory, receiver) = (Directory::new(), OtlpReceiver::start(ReceiverMood::Takes));
    for wish in ["ok", "reject", "retry-until:2", "panic"] {
        let body = json!({ "order_id": "o-1", "msg": wish, "card": SECRET }).to_string();
        send(&directory, &body, &[&format!("card={SECRET}")]);
    }
    directory.send([format!("{{ \"card\": \"{SECRET}\"")]);
    let worker = &mut directory.worker(&["--max-dequeue=2"]);
    let ended = run(exporting(worker, &receiver, "http/protobuf")).succeeded();
    assert!(receiver.has_seen(b"process orders") && receiver.has_seen(b"longshore.messages"));
    assert!(!receiver.has_seen(SECRET.as_bytes()));
    assert!(!ended.stderr.contains(SECRET) && !ended.stdout.contains(SECRET), "{ended:?}");
}

#[test]
fn azure_monitor_gets_a_token_of_the_identity_and_no_other_receiver_does() {
    for (path, is_signed) in
        [("/datacollectionRules/dcr-1/streams/Microsoft-OTLP-Traces/otlp", true), ("", false)]
    {
        let (directory, receiver) = (Directory::new(), OtlpReceiver::start(ReceiverMood::Takes));
        let identity = Identity::start(Mood::Tokens(3600));
        directory.send([order("o-1", "ok")]);
        let mut worker = directory.worker(&[]);
        worker.env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", format!("{}{path}/v1/traces", receiver.url()));
        worker.env("IDENTITY_ENDPOINT", &identity.url).env("IDENTITY_HEADER", HEADER);
        let ended = run(worker.env("AZURE_CLIENT_ID", CLIENT_ID)).succeeded();
        assert_eq!(receiver.spans_named("process orders").len(), 1, "{ended:?}");
        let tokens = identity.tokens();
        for (path, headers) in receiver.requests() {
            let found = headers.get("authorization").map(|it| it.to_str().unwrap().to_owned());
            assert_eq!(found, tokens.first().map(|it| format!("Bearer {it}")), "{path}");
        }
        assert_eq!(tokens.len(), usize::from(is_signed));
        assert_eq!(identity.requests().iter().any(|it| it.contains("monitor.azure.com")), is_signed);
        assert!(!tokens.iter().any(|token| ended.stderr.contains(token)));
    }
}

#[test]
fn what_a_sender_writes_is_short_in_spans_however_long_it_is() {
    const MESSAGES: usize = 5;
    let long = "\u{6f22}".repeat(30_000);
    let (directory, receiver) = (Directory::new(), OtlpReceiver::start(ReceiverMood::Takes));
    for _ in 0..MESSAGES {
        send(&directory, &order("o-1", "ok"), &[&format!("correlation-id={long}")]);
    }
    run(exporting(&mut directory.worker(&[]), &receiver, "grpc")).succeeded();
    let spans = receiver.spans_named("process orders");
    assert_eq!(spans.len(), MESSAGES);
    for span in spans {
        let id = span.attribute("messaging.message.conversation_id");
        assert_eq!(id, "\u{6f22}".repeat(85));
    }
}
