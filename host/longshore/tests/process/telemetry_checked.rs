//! What `longshore check` says of OpenTelemetry's variables, beside what a run does with them.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use longshore_testkit::otlp::{OtlpReceiver, ReceiverMood};
use serde_json::Value;

use crate::directory::{Directory, ORDERS};
use crate::orders::order;
use crate::process::{longshore, run};
use crate::telemetry::exporting;

/// Variables, how many warnings they are worth, and which signals are exported with them.
type Case<'a> = (&'a [(&'a str, &'a str)], usize, &'a [&'a str]);

/// What check and run say of these variables, and which signals arrive.
#[derive(Debug, Default, PartialEq)]
struct Said {
    warnings: BTreeSet<String>,
    signals: BTreeSet<String>,
}

fn json(text: &str) -> Vec<Value> {
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[test]
fn what_check_says_of_each_wrong_value_is_what_a_run_says_and_does() {
    let cases: &[Case<'_>] = &[
        (&[], 0, &["traces", "metrics"]),
        (&[("OTEL_TRACES_SAMPLER", "xray")], 1, &["traces", "metrics"]),
        (
            &[("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "2")],
            1,
            &["traces", "metrics"],
        ),
        (&[("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://127.0.0.1:9")], 2, &[]),
        (&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "ftp://ann:SECRET@127.0.0.1:9")], 1, &["metrics"]),
        (&[("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "no address SECRET")], 1, &["traces"]),
        (&[("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")], 1, &["traces", "metrics"]),
        (&[("OTEL_EXPORTER_OTLP_COMPRESSION", "none")], 0, &["traces", "metrics"]),
        (&[("OTEL_EXPORTER_OTLP_PROTOCOL", "SECRET")], 2, &[]),
        (&[("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json")], 1, &["metrics"]),
        (&[("OTEL_EXPORTER_OTLP_HEADERS", "api-key SECRET")], 1, &["traces", "metrics"]),
        (&[("OTEL_EXPORTER_OTLP_TIMEOUT", "soon")], 1, &["traces", "metrics"]),
        (&[("OTEL_TRACES_EXPORTER", "zipkin")], 1, &["metrics"]),
        (&[("OTEL_TRACES_EXPORTER", "none")], 0, &["metrics"]),
        (&[("OTEL_METRICS_EXPORTER", "otlp"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "")], 1, &[]),
        (&[("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "deltas")], 1, &["traces", "metrics"]),
        (
            &[("OTEL_BSP_MAX_QUEUE_SIZE", "0"), ("OTEL_METRIC_EXPORT_INTERVAL", "never")],
            2,
            &["traces", "metrics"],
        ),
        (&[("OTEL_LOGS_EXPORTER", "otlp"), ("OTEL_BSP_EXPORT_TIMEOUT", "1")], 1, &["traces", "metrics"]),
        (&[("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_SAMPLER", "xray")], 0, &[]),
        (&[("OTEL_SDK_DISABLED", "1")], 1, &["traces", "metrics"]),
        (&[("OTEL_RESOURCE_ATTRIBUTES", "team=blue,SECRET,=SECRET")], 2, &["traces", "metrics"]),
    ];
    for (set, warnings, signals) in cases {
        let set: Vec<_> = set.iter().map(|(name, value)| (*name, OsStr::new(value))).collect();
        say_the_same(&set, *warnings, signals);
    }
    let no_text = OsStr::from_bytes(b"http://SECRET\xff");
    say_the_same(&[("OTEL_EXPORTER_OTLP_ENDPOINT", no_text)], 1, &[]);
    say_the_same(&[("OTEL_EXPORTER_OTLP_HEADERS", no_text)], 1, &["traces", "metrics"]);
}

/// Asserts that check and run have so many warnings of these variables, which are the same, and
/// that they export these signals.
#[track_caller]
fn say_the_same(set: &[(&str, &OsStr)], warnings: usize, signals: &[&str]) {
    let (directory, receiver) = (Directory::new(), OtlpReceiver::start(ReceiverMood::Takes));
    directory.send([order("o-1", "ok")]);

    let mut check = longshore(["check", "--output=json", "--queue", &directory.url(ORDERS)]);
    exporting(&mut check, &receiver, "http/protobuf").envs(set.iter().copied());
    let checked = check.run();
    assert!(!format!("{checked:?}").contains("SECRET"), "{set:?}: {checked:?}");
    let mut by_check = Said::default();
    for finding in json(&checked.stdout).iter().filter(|it| it["check"] == "telemetry") {
        let of = finding["of"].as_str().unwrap();
        match finding["result"].as_str().unwrap() {
            "wrong" => drop(by_check.warnings.insert(finding["detail"].as_str().unwrap().to_owned())),
            "yes" => drop(by_check.signals.insert(of.split(' ').next().unwrap().to_owned())),
            _ => {}
        }
    }

    let mut worker = directory.worker(&[]);
    exporting(&mut worker, &receiver, "http/protobuf").envs(set.iter().copied());
    let ended = run(&mut worker).succeeded();
    assert!(!ended.stderr.contains("SECRET"), "{set:?}: {ended:?}");
    let mut by_run = Said::default();
    for line in json(&ended.stderr).iter().filter(|it| it["level"] == "WARN") {
        let warning = line["message"].as_str().unwrap();
        // A queue of one span drops some, where the machine is busy.
        if !warning.starts_with("telemetry was dropped") {
            by_run.warnings.insert(warning.to_owned());
        }
    }
    for (path, _) in receiver.requests() {
        by_run.signals.insert(path.trim_start_matches("/v1/").to_owned());
    }

    assert_eq!(by_check, by_run, "{set:?}");
    assert_eq!(by_run.warnings.len(), warnings, "{set:?}: {by_run:?}");
    assert_eq!(by_run.signals, signals.iter().map(|&it| it.to_owned()).collect(), "{set:?}");
}
