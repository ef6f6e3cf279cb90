//! What a run that can export does with its variables.

use std::ffi::OsString;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::set::{PREFIX, RunPlace, finding, names};
use crate::commands::check::finding::{Finding, Known};
use crate::telemetry::otel::{NothingExported, PlannedExport, PlannedTelemetry};

/// How long a receiver may take to accept a connection.
const CONNECTS_WITHIN: Duration = Duration::from_secs(2);

/// What is known of variables that are set.
pub(super) async fn of_set(set: &[(String, OsString)], place: RunPlace) -> Vec<Finding> {
    let planned = PlannedTelemetry::of(set);
    let nothing = planned.why_nothing();
    let (result, detail) = match nothing {
        None => (Known::Ok, ""),
        Some(NothingExported::NoEndpoint) if place == RunPlace::Job => {
            (Known::Unknown, "no receiver is named here: a secret or the environment's agent may name one")
        }
        Some(NothingExported::NoEndpoint) => {
            (Known::No, "nothing is exported: OTEL_EXPORTER_OTLP_ENDPOINT names no receiver")
        }
        Some(NothingExported::Disabled) => (Known::No, "nothing is exported: OTEL_SDK_DISABLED is true"),
        Some(NothingExported::NoSignal) => (Known::No, "nothing is exported"),
    };
    let mut findings = vec![finding(names(set), result, detail.to_owned())];
    if result == Known::Unknown {
        return findings;
    }
    if nothing != Some(NothingExported::NoEndpoint) {
        findings.extend(planned.unasked().map(|(signal, why)| finding(signal.to_owned(), Known::No, why)));
    }
    findings.extend(join_all(planned.exports().iter().map(|it| of_export(it, place))).await);
    let faults = planned.said().iter();
    findings.extend(faults.map(|words| finding(variable(words), Known::Wrong, words.clone())));
    findings
}

/// The variable that a sentence is about, or several.
fn variable(words: &str) -> String {
    let is_name = |it: &char| it.is_ascii_uppercase() || it.is_ascii_digit() || *it == '_';
    let found = words.split(|it| !is_name(&it)).filter(|it| it.starts_with(PREFIX));
    // What is named behind the mend is another one.
    let said = words.split(';').next().unwrap_or_default();
    found.filter(|it| said.contains(it)).collect::<Vec<_>>().join(", ")
}

async fn of_export(export: &PlannedExport, place: RunPlace) -> Finding {
    let PlannedExport { signal, host, port, protocol, sampler, gets_token } = export;
    let sampled = sampler.as_ref().map(|it| format!("sampled by {it}"));
    let token = if *gets_token { "with" } else { "without" };
    let (result, reached) = match place {
        RunPlace::Here => connects(host, *port).await,
        RunPlace::Job => (Known::Unknown, "only the job can tell whether it takes a connection".to_owned()),
    };
    let said = [format!("over {protocol}")].into_iter().chain(sampled);
    let said = said.chain([format!("{token} a token of the identity"), reached]);
    finding(format!("{signal} to {host}:{port}"), result, said.collect::<Vec<_>>().join("; "))
}

/// Whether a receiver takes a connection, with the words for it. Nothing is sent.
async fn connects(host: &str, port: u16) -> (Known, String) {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match timeout(CONNECTS_WITHIN, TcpStream::connect((bare, port))).await {
        Ok(Ok(_)) => (Known::Yes, "it takes a connection".to_owned()),
        Ok(Err(error)) => (Known::No, format!("it takes no connection: {error}")),
        Err(_) => (Known::No, format!("it takes no connection within {} s", CONNECTS_WITHIN.as_secs())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::check::telemetry::findings;

    async fn found(set: &[(&str, &str)]) -> Vec<(String, Known, String)> {
        let set = set.iter().map(|(name, value)| ((*name).to_owned(), (*value).into()));
        findings(set, RunPlace::Here).await.into_iter().map(|it| (it.of, it.result, it.detail)).collect()
    }

    #[tokio::test]
    async fn what_is_not_exported_is_said_with_the_reason() {
        assert_eq!(found(&[("PATH", "/bin"), ("OTEL_SERVICE_NAME", "")]).await, []);
        let named = found(&[("OTEL_SERVICE_NAME", "orders")]).await;
        assert!(named[0].1 == Known::No && named[0].2.contains("names no receiver"), "{named:?}");
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9");
        let off = found(&[endpoint, ("OTEL_SDK_DISABLED", "True")]).await;
        assert!(off.len() == 1 && off[0].1 == Known::No && off[0].2.contains("OTEL_SDK_DISABLED"), "{off:?}");
        let wrong = found(&[endpoint, ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")]).await;
        assert!(wrong.len() == 3 && wrong[0].1 == Known::No, "{wrong:?}");
        for (of, known, _) in &wrong[1..] {
            assert_eq!((of.as_str(), *known), ("OTEL_EXPORTER_OTLP_PROTOCOL", Known::Wrong), "{wrong:?}");
        }
        let quiet = found(&[endpoint, ("OTEL_METRICS_EXPORTER", "none")]).await;
        let metrics = ("metrics".to_owned(), Known::No, "OTEL_METRICS_EXPORTER is none".to_owned());
        assert!(quiet.len() == 3 && quiet[1] == metrics, "{quiet:?}");
        let one = found(&[("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://127.0.0.1:9")]).await;
        assert_eq!((one[1].0.as_str(), one[1].1), ("traces", Known::No), "{one:?}");
    }

    #[tokio::test]
    async fn a_receiver_is_named_without_its_secrets_and_asked_for_a_connection() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let here = format!("http://me:swordfish7@127.0.0.1:{port}/?sig=swordfish7");
        let set = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", here.as_str()),
            ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://127.0.0.1:1"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=swordfish7"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_TRACES_SAMPLER", "always_off"),
        ];
        let found = found(&set).await;
        assert!(!format!("{found:?}").contains("swordfish7"), "{found:?}");
        assert!(found[0].0.contains("OTEL_EXPORTER_OTLP_HEADERS"), "{found:?}");
        let (traces, metrics) = (&found[1], &found[2]);
        assert_eq!((traces.0.clone(), traces.1), (format!("traces to 127.0.0.1:{port}"), Known::Yes));
        for words in ["over grpc", "sampled by always_off", "without a token", "takes a connection"] {
            assert!(traces.2.contains(words), "{words}: {found:?}");
        }
        assert_eq!((metrics.0.as_str(), metrics.1), ("metrics to 127.0.0.1:1", Known::No));
        let set = set.map(|(name, value)| (name.to_owned(), value.into())).into_iter();
        let of_job = findings(set, RunPlace::Job).await;
        assert!(of_job[1..].iter().all(|it| it.result == Known::Unknown), "{of_job:?}");
    }
}
