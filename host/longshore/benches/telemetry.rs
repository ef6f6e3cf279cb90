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

/// What one drain did.
#[derive(Clone, Copy, Default)]
struct Drained {
    per_second: f64,
    cpu_us: f64,
}

impl Drained {
    /// The better figures of the two: a checkpoint or a neighbour may hit one of them.
    fn better(self, other: Self) -> Self {
        let cpu_us = if self.cpu_us > 0.0 { self.cpu_us.min(other.cpu_us) } else { other.cpu_us };
        Self { per_second: self.per_second.max(other.per_second), cpu_us }
    }
}

pub(super) fn measure(workbench: &Workbench) {
    println!("{MESSAGES} orders, --concurrency {CONCURRENCY}; the CPU is that of longshore alone");
    let ways = [
        ("without an exporter", None),
        ("over gRPC, to a receiver that does not look at it", Some(ReceiverMood::Swallows)),
        ("over gRPC, to one that decodes it on the same processors", Some(ReceiverMood::Takes)),
    ];
    // In turns.
    let mut drained = [Drained::default(); 3];
    for turn in 0..3 {
        for ((index, (_, mood)), best) in ways.iter().enumerate().zip(&mut drained) {
            let queue = fill_with(&workbench.directory(&format!("telemetry-{index}-{turn}")), MESSAGES, BODY);
            let receiver = mood.map(OtlpReceiver::start);
            *best = best.better(drain(workbench, &queue, receiver.as_ref()));
        }
    }
    let without = drained[0];
    for ((name, mood), Drained { per_second, cpu_us }) in ways.iter().zip(drained) {
        print!("{name:<57}{per_second:8.0} a second, {cpu_us:5.1} µs CPU each");
        match mood {
            None => println!(),
            Some(_) => println!(
                "; {:.1} % less (at most 10), {:.1} % more CPU",
                100.0 * (1.0 - per_second / without.per_second),
                100.0 * (cpu_us / without.cpu_us - 1.0)
            ),
        }
    }
    let receiver = OtlpReceiver::start(ReceiverMood::Takes);
    let body = sample::order("o-1", PACED);
    let queue = fill_with(&workbench.directory("telemetry-paced"), MESSAGES, &body);
    let rate = drain(workbench, &queue, Some(&receiver)).per_second;
    let spans = receiver.spans_named("process orders").len();
    println!("at {rate:.0} messages a second, {} of {MESSAGES} spans were dropped (none)", MESSAGES - spans);
}

fn drain(workbench: &Workbench, queue: &FilledQueue, receiver: Option<&OtlpReceiver>) -> Drained {
    let mut run = Command::new(&workbench.host);
    run.args(["run", "--output=json", "--queue", &queue.url(), "--component"])
        .arg(&workbench.component)
        .args(["--concurrency", CONCURRENCY, "--max-messages", &MESSAGES.to_string()])
        .stdout(Stdio::piped())
        .stderr(File::create(queue.log()).expect("a log file"));
    if let Some(receiver) = receiver {
        run.env("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url()).env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    }
    let (output, used) = child::wait(run.spawn().expect("longshore runs"));
    let summary: serde_json::Value = serde_json::from_slice(&output).expect("a summary");
    assert_eq!(summary["completed"], MESSAGES, "{summary}");
    Drained {
        per_second: MESSAGES as f64 * 1000.0 / summary["duration_ms"].as_f64().expect("a duration"),
        cpu_us: used.cpu.as_secs_f64() * 1e6 / MESSAGES as f64,
    }
}
