//! What exporting traces and metrics costs a drain, and whether a receiver gets every span.

use std::fs::File;
use std::process::{Command, Stdio};

use longshore_testkit::otlp::{OtlpReceiver, ReceiverMood};
use longshore_testkit::sample;

use super::child;
use super::drain::{BODY, FilledQueue, fill_with};
use super::workbench::Workbench;

const MESSAGES: usize = 20_000;
const CONCURRENCY: &str = "64";
/// Handlers that take 50 ms each, 64 beside each other, are 1,280 messages a second.
const PACED: &str = "sleep:50";

pub(super) fn measure(workbench: &Workbench) {
    println!("{MESSAGES} orders, --concurrency {CONCURRENCY}; the receiver shares the processors");
    // In turns, the better of two: a checkpoint or a neighbour may hit one of them.
    let (mut without, mut with) = (0.0_f64, 0.0_f64);
    for turn in 0..2 {
        let drained = |name: &str, receiver: Option<&OtlpReceiver>| {
            let queue = fill_with(&workbench.directory(&format!("{name}-{turn}")), MESSAGES, BODY);
            drain(workbench, &queue, receiver)
        };
        without = without.max(drained("telemetry-without", None));
        with = with.max(drained("telemetry-with", Some(&OtlpReceiver::start(ReceiverMood::Takes))));
    }
    println!("without an exporter                                    {without:8.0} a second");
    println!(
        "with one, over gRPC                                    {with:8.0} a second, {:.1} % less (at most 10)",
        100.0 * (1.0 - with / without)
    );
    let receiver = OtlpReceiver::start(ReceiverMood::Takes);
    let body = sample::order("o-1", PACED);
    let queue = fill_with(&workbench.directory("telemetry-paced"), MESSAGES, &body);
    let rate = drain(workbench, &queue, Some(&receiver));
    let spans = receiver.spans_named("process orders").len();
    println!("at {rate:.0} messages a second, {} of {MESSAGES} spans were dropped (none)", MESSAGES - spans);
}

/// How many messages a second were handled.
fn drain(workbench: &Workbench, queue: &FilledQueue, receiver: Option<&OtlpReceiver>) -> f64 {
    let mut run = Command::new(&workbench.host);
    run.args(["run", "--output=json", "--queue", &queue.url(), "--component"])
        .arg(&workbench.component)
        .args(["--concurrency", CONCURRENCY, "--max-messages", &MESSAGES.to_string()])
        .stdout(Stdio::piped())
        .stderr(File::create(queue.log()).expect("a log file"));
    if let Some(receiver) = receiver {
        run.env("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url()).env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    }
    let (output, _) = child::wait(run.spawn().expect("longshore runs"));
    let summary: serde_json::Value = serde_json::from_slice(&output).expect("a summary");
    assert_eq!(summary["completed"], MESSAGES, "{summary}");
    MESSAGES as f64 * 1000.0 / summary["duration_ms"].as_f64().expect("a duration")
}
