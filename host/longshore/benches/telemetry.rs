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

/// How often each way is measured, in turns. A flush of the disk may hit one of them: two drains of
/// the same way differ by more than exports cost.
const TURNS: usize = 15;

/// What one drain did.
#[derive(Clone, Copy)]
struct Drained {
    per_second: f64,
    cpu_us: f64,
}

pub(super) fn measure(workbench: &Workbench) {
    println!(
        "{TURNS} times {MESSAGES} orders, --concurrency {CONCURRENCY}; the CPU is that of longshore alone"
    );
    let ways = [
        ("without an exporter", None),
        ("over gRPC, to a receiver that does not look at it", Some(ReceiverMood::Swallows)),
        ("over gRPC, to one that decodes it on the same processors", Some(ReceiverMood::Takes)),
    ];
    let mut drained = [const { Vec::new() }; 3];
    for turn in 0..TURNS {
        let mut turn_of: Vec<_> = ways.iter().enumerate().zip(&mut drained).collect();
        // What comes later finds a busier disk.
        if turn % 2 == 1 {
            turn_of.reverse();
        }
        for ((index, (_, mood)), all) in turn_of {
            let queue = fill_with(&workbench.directory(&format!("telemetry-{index}-{turn}")), MESSAGES, BODY);
            let receiver = mood.map(OtlpReceiver::start);
            all.push(drain(workbench, &queue, receiver.as_ref()));
        }
    }
    for ((name, mood), all) in ways.iter().zip(&drained) {
        let (_, per_second, _) = spread(all.iter().map(|it| it.per_second));
        let (_, cpu_us, _) = spread(all.iter().map(|it| it.cpu_us));
        println!("{name:<57}{per_second:8.0} a second, {cpu_us:5.1} µs CPU each");
        if mood.is_some() {
            // Those of one turn are beside each other: the machine's speed varies.
            let turns = || drained[0].iter().zip(all);
            let fewer =
                spread(turns().map(|(without, with)| 100.0 * (1.0 - with.per_second / without.per_second)));
            let more = spread(turns().map(|(without, with)| 100.0 * (with.cpu_us / without.cpu_us - 1.0)));
            println!("  {} % less (at most 10); {} % more CPU", written(fewer), written(more));
        }
    }
    let receiver = OtlpReceiver::start(ReceiverMood::Takes);
    let body = sample::order("o-1", PACED);
    let queue = fill_with(&workbench.directory("telemetry-paced"), MESSAGES, &body);
    let rate = drain(workbench, &queue, Some(&receiver)).per_second;
    let spans = receiver.spans_named("process orders").len();
    println!("at {rate:.0} messages a second, {} of {MESSAGES} spans were dropped (none)", MESSAGES - spans);
}

/// The quartiles of an odd number of figures.
fn spread(figures: impl Iterator<Item = f64>) -> (f64, f64, f64) {
    let mut sorted: Vec<f64> = figures.collect();
    sorted.sort_by(f64::total_cmp);
    let quarter = sorted.len() / 4;
    (sorted[quarter], sorted[sorted.len() / 2], sorted[sorted.len() - 1 - quarter])
}

fn written((lower, median, upper): (f64, f64, f64)) -> String {
    format!("{median:.1} (half of the turns: {lower:.1} to {upper:.1})")
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
