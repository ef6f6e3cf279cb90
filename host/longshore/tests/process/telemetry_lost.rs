//! Receivers of telemetry that are no good: the run is none the worse for them, and its end waits
//! for two seconds at most.

use std::time::{Duration, Instant, SystemTime};

use longshore_testkit::otlp::{OtlpReceiver, REJECTION, ReceiverMood};
use serde_json::Value;

use crate::directory::{Directory, ORDERS};
use crate::orders::order;
use crate::process::{Ended, run};
use crate::telemetry::exporting;

/// What the end waits for by default, and what a busy machine may take beside it.
const LIMIT: Duration = Duration::from_millis(2000 + 1500);

/// The line of a log with this message.
#[track_caller]
fn line(ended: &Ended, message: &str) -> Value {
    let lines = ended.stderr.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut found: Vec<_> =
        lines.filter(|it| it["message"].as_str().is_some_and(|it| it.starts_with(message))).collect();
    assert_eq!(found.len(), 1, "{message}: {ended:?}");
    found.remove(0)
}

/// How long it took from the end of the work to now.
fn since_finished(ended: &Ended) -> Duration {
    let at: jiff::Timestamp = line(ended, "finished")["timestamp"].as_str().unwrap().parse().unwrap();
    SystemTime::now().duration_since(at.into()).unwrap_or_default()
}

#[test]
fn whatever_the_receiver_does_the_run_ends_in_time_and_nothing_is_lost() {
    for protocol in ["grpc", "http/protobuf"] {
        for mood in [ReceiverMood::Hangs, ReceiverMood::Refuses, ReceiverMood::Slow(Duration::from_secs(20))]
        {
            let (directory, receiver) = (Directory::new(), OtlpReceiver::start(mood));
            directory.send((0..20).map(|n| order(&format!("o-{n}"), "ok")));
            let ended = run(exporting(&mut directory.worker(&[]), &receiver, protocol)).succeeded();
            let waited = since_finished(&ended);
            assert!(waited < LIMIT, "{protocol} {mood:?}: {waited:?}: {ended:?}");
            assert_eq!(ended.json()["completed"], 20, "{protocol} {mood:?}");
            assert!(directory.rows(ORDERS).is_empty(), "{protocol} {mood:?}");
            let dropped = line(&ended, "telemetry was dropped");
            assert!(dropped["spans"].as_u64() >= Some(22), "{protocol} {mood:?}: {dropped}");
            assert_eq!(dropped["metric_exports"], 1, "{protocol} {mood:?}: {dropped}");
        }
    }
}

#[test]
fn a_receiver_that_is_gone_or_that_no_variable_can_mean_changes_nothing() {
    for (name, value) in [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "no address"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "18446744073709551615"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "18446744073709551615"),
    ] {
        let directory = Directory::new();
        directory.send([order("o-1", "ok")]);
        let mut worker = directory.worker(&[]);
        worker.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9").env(name, value);
        let ended = run(&mut worker).succeeded();
        assert_eq!(ended.json()["completed"], 1, "{name}={value}");
        assert!(since_finished(&ended) < LIMIT, "{name}={value}");
        ended.says(&["WARN", "export"]);
    }
}

#[test]
fn a_signal_is_obeyed_in_time_while_the_receiver_hangs() {
    let (directory, receiver) = (Directory::new(), OtlpReceiver::start(ReceiverMood::Hangs));
    directory.send([order("o-1", "ok")]);
    let mut worker = directory.worker(&["--forever"]);
    exporting(&mut worker, &receiver, "grpc").env("OTEL_BSP_SCHEDULE_DELAY", "50");
    let mut worker = worker.start();
    worker.wait_for_line("\"completed\"");
    let asked = Instant::now();
    worker.terminate();
    let ended = worker.wait().succeeded();
    assert!(asked.elapsed() < LIMIT, "{:?}: {ended:?}", asked.elapsed());
    line(&ended, "telemetry was dropped");
}

/// A run during which a receiver takes nothing, being in this mood, and then takes what comes: the
/// span arrives, once.
#[track_caller]
fn taken_in_the_end(mood: ReceiverMood, protocol: &str) -> Ended {
    let (directory, receiver) = (Directory::new(), OtlpReceiver::start(mood));
    directory.send([order("o-1", "ok")]);
    let mut worker = directory.worker(&["--forever"]);
    exporting(&mut worker, &receiver, protocol).env("OTEL_BSP_SCHEDULE_DELAY", "50");
    let mut worker = worker.start();
    worker.wait_for_line("could not be exported");
    receiver.turn(ReceiverMood::Takes);
    worker.terminate();
    let ended = worker.wait().succeeded();
    assert_eq!(receiver.spans_named("process orders").len(), 1, "{protocol}: {ended:?}");
    assert!(!ended.stderr.contains("telemetry was dropped"), "{protocol}: {ended:?}");
    ended
}

#[test]
fn what_a_receiver_refused_is_sent_again_once_it_takes_it() {
    for protocol in ["grpc", "http/protobuf"] {
        taken_in_the_end(ReceiverMood::Refuses, protocol);
    }
}

#[test]
fn metrics_of_which_no_later_ones_say_the_same_are_sent_again_as_spans_are() {
    let receiver = OtlpReceiver::start(ReceiverMood::Busy(Duration::from_millis(500), None));
    let directory = Directory::new();
    directory.send([order("o-1", "ok")]);
    let mut worker = directory.worker(&["--forever"]);
    exporting(&mut worker, &receiver, "grpc").env("OTEL_METRIC_EXPORT_INTERVAL", "100");
    let mut worker = worker.env("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta").start();
    worker.wait_for_line("metrics could not be exported");
    // It would be sent again after a second.
    std::thread::sleep(Duration::from_millis(1500));
    worker.terminate();
    let ended = worker.wait().succeeded();
    assert!(!ended.stderr.contains("telemetry was dropped"), "{ended:?}");
}

#[test]
fn a_receiver_that_is_busy_at_the_end_is_left_alone_for_as_long_as_it_wants_and_then_asked_again() {
    let ms = Duration::from_millis;
    // How long it is busy, and the seconds that it names; whether it gets the telemetry, and how
    // often it may be asked for each of the two signals.
    for (busy, named, is_taken, asked) in [
        (ms(900), Some(1), true, 2..=2),
        (ms(250), None, true, 2..=4),
        // As long as this nobody waits, and so nobody asks in vain.
        (ms(60_000), Some(30), false, 1..=1),
        (ms(60_000), None, false, 2..=4),
    ] {
        for protocol in ["grpc", "http/protobuf"] {
            let case = format!("{protocol}, {busy:?}, {named:?}");
            let receiver = OtlpReceiver::start(ReceiverMood::Busy(busy, named));
            let directory = Directory::new();
            directory.send([order("o-1", "ok")]);
            let mut worker = directory.worker(&[]);
            exporting(&mut worker, &receiver, protocol).env("OTEL_BSP_SCHEDULE_DELAY", "3600000");
            let ended = run(&mut worker).succeeded();
            assert!(since_finished(&ended) < LIMIT, "{case}: {ended:?}");
            assert_eq!(ended.stderr.contains("telemetry was dropped"), !is_taken, "{case}: {ended:?}");
            assert_eq!(receiver.spans_named("process orders").len(), usize::from(is_taken), "{case}");
            let requests = receiver.requests();
            for signal in ["race", "etrics"] {
                let times = requests.iter().filter(|(path, _)| path.contains(signal)).count();
                assert!(asked.contains(&times), "{case}: {times} times for {signal}");
            }
        }
    }
}

#[test]
fn an_end_that_may_not_wait_does_not() {
    let (directory, receiver) = (Directory::new(), OtlpReceiver::start(ReceiverMood::Hangs));
    directory.send([order("o-1", "ok")]);
    let mut worker = directory.worker(&["--telemetry-flush=0s"]);
    let ended = run(exporting(&mut worker, &receiver, "grpc")).succeeded();
    assert!(since_finished(&ended) < Duration::from_millis(1000), "{ended:?}");
    assert_eq!(line(&ended, "telemetry was dropped")["in_time"], false);
}

#[test]
fn a_stop_ends_the_wait_for_a_receiver_at_once_and_the_wait_has_an_upper_limit() {
    let (directory, receiver) = (Directory::new(), OtlpReceiver::start(ReceiverMood::Hangs));
    directory.send([order("o-1", "ok")]);
    let mut worker = directory.worker(&["--telemetry-flush=10s"]);
    let mut worker = exporting(&mut worker, &receiver, "grpc").start();
    worker.wait_for_line("\"finished\"");
    let asked = Instant::now();
    worker.terminate();
    let ended = worker.wait().succeeded();
    assert!(asked.elapsed() < LIMIT, "{:?}: {ended:?}", asked.elapsed());
    assert_eq!(line(&ended, "telemetry was dropped")["in_time"], false);

    let ended = run(&mut directory.worker(&["--telemetry-flush=11s"]));
    ended.says(&["--telemetry-flush", "longer than 10s"]);
}

#[test]
fn what_a_receiver_rejected_or_never_was_to_have_counts_as_dropped_with_its_words() {
    for (mood, words, spans) in [
        (ReceiverMood::Rejects(2), REJECTION, 2),
        (ReceiverMood::Page(0), "", 3),
        (ReceiverMood::Denies, "", 3),
    ] {
        for protocol in ["grpc", "http/protobuf"] {
            let (directory, receiver) = (Directory::new(), OtlpReceiver::start(mood));
            directory.send([order("o-1", "ok")]);
            let ended = run(exporting(&mut directory.worker(&[]), &receiver, protocol)).succeeded();
            let dropped = line(&ended, "telemetry was dropped");
            assert_eq!(
                (&dropped["spans"], &dropped["metric_exports"]),
                (&spans.into(), &1.into()),
                "{mood:?}"
            );
            let cause = dropped["cause"].as_str().unwrap();
            let of_protocol = match (mood, protocol) {
                (ReceiverMood::Page(_), "http/protobuf") => "not OTLP",
                (ReceiverMood::Denies, "http/protobuf") => "403",
                (ReceiverMood::Denies, _) => "PermissionDenied",
                _ => words,
            };
            assert!(cause.contains(of_protocol), "{mood:?} {protocol}: {cause}");
        }
    }
}

#[test]
fn nothing_that_a_receiver_answers_ends_what_exports() {
    for behind in [false, true] {
        let ended = taken_in_the_end(ReceiverMood::Garbles { behind }, "grpc");
        for line in ended.stderr.lines() {
            assert!(serde_json::from_str::<Value>(line).is_ok(), "{behind}: {line}");
        }
    }
}

#[test]
fn an_answer_that_is_longer_than_a_receiver_s_is_no_reason_to_send_again_what_may_be_taken() {
    let (directory, receiver) = (Directory::new(), OtlpReceiver::start(ReceiverMood::Page(100_000)));
    directory.send([order("o-1", "ok")]);
    let ended = run(exporting(&mut directory.worker(&[]), &receiver, "http/protobuf")).succeeded();
    let dropped = line(&ended, "telemetry was dropped");
    assert!(dropped["cause"].as_str().unwrap().ends_with("the answer is longer than that of a receiver"));
    assert_eq!((&dropped["spans"], receiver.requests().len()), (&3.into(), 2), "{dropped}");
}

#[test]
fn what_was_refused_for_ever_is_sent_once() {
    for protocol in ["grpc", "http/protobuf"] {
        let (directory, receiver) = (Directory::new(), OtlpReceiver::start(ReceiverMood::Denies));
        directory.send([order("o-1", "ok")]);
        let mut worker = directory.worker(&["--forever"]);
        exporting(&mut worker, &receiver, protocol).env("OTEL_METRICS_EXPORTER", "none");
        let mut worker = worker.env("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "2").start();
        worker.wait_for_line("could not be exported; they are dropped");
        // It would be sent again after a second.
        std::thread::sleep(Duration::from_millis(1500));
        let sent = receiver.requests().len();
        worker.terminate();
        worker.wait().succeeded();
        assert_eq!(sent, 1, "{protocol}");
    }
}

#[test]
fn a_failure_says_where_and_why_and_no_password_of_an_endpoint_is_in_the_log() {
    for protocol in ["grpc", "http/protobuf"] {
        for (endpoint, words) in [
            ("http://ann:SECRET@127.0.0.1:9", &["127.0.0.1:9", "refused"][..]),
            ("https://ann:SECRET@127.0.0.1:9", &["127.0.0.1:9"]),
            ("http://ann:SECRET@[::1", &["OTEL_EXPORTER_OTLP_ENDPOINT", "is no URL"]),
            ("ann:SECRET@host:port", &["OTEL_EXPORTER_OTLP_ENDPOINT"]),
        ] {
            let directory = Directory::new();
            directory.send([order("o-1", "ok")]);
            let mut worker = directory.worker(&[]);
            worker.env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint).env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol);
            let ended = run(&mut worker).succeeded();
            ended.says(words);
            assert!(!ended.stderr.contains("SECRET"), "{ended:?}");
            assert!(!ended.stderr.contains("network error"), "{ended:?}");
        }
    }
}

#[test]
fn a_receiver_that_speaks_another_protocol_or_no_word_is_named_with_the_cause() {
    for protocol in ["grpc", "http/protobuf"] {
        for (mood, scheme, words) in [
            (ReceiverMood::Hangs, "http", "there was no answer within 200 ms"),
            (ReceiverMood::Takes, "https", "corrupt message"),
        ] {
            let (directory, receiver) = (Directory::new(), OtlpReceiver::start(mood));
            directory.send([order("o-1", "ok")]);
            let mut worker = directory.worker(&[]);
            exporting(&mut worker, &receiver, protocol).env("OTEL_EXPORTER_OTLP_TIMEOUT", "200");
            worker.env("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url().replace("http", scheme));
            let ended = run(&mut worker).succeeded();
            let cause = line(&ended, "telemetry was dropped")["cause"].as_str().unwrap().to_owned();
            let host = format!("127.0.0.1:{}: ", receiver.port);
            assert!(cause.starts_with(&host) && cause.contains(words), "{protocol} {scheme}: {cause}");
        }
    }
}

#[test]
fn variables_without_an_effect_are_named_once() {
    let (directory, receiver) = (Directory::new(), OtlpReceiver::start(ReceiverMood::Takes));
    directory.send([order("o-1", "ok")]);
    let mut worker = directory.worker(&[]);
    exporting(&mut worker, &receiver, "grpc").env("OTEL_LOGS_EXPORTER", "otlp");
    worker.env("OTEL_BSP_EXPORT_TIMEOUT", "1").env("OTEL_BSP_SCHEDULE_DELAY", "50");
    let ended = run(&mut worker).succeeded();
    let found = line(&ended, "these variables are set, and have no effect here");
    let message = found["message"].as_str().unwrap();
    assert!(message.ends_with(": OTEL_BSP_EXPORT_TIMEOUT, OTEL_LOGS_EXPORTER"), "{message}");
}
