//! What the variables of OpenTelemetry would do in a run, and whether their receiver is there. No
//! value is shown but hosts and words of the specification: the others may be secrets.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;
use url::Url;

use super::finding::{Finding, Known};

/// What the names of the variables begin with.
const PREFIX: &str = "OTEL_";
/// How long a receiver may take to accept a connection.
const CONNECTS_WITHIN: Duration = Duration::from_secs(2);
/// How the hosts of Azure Monitor's data collection endpoints end: they get a token.
const INGESTION: &str = ".ingest.monitor.azure.com";
/// What is exported on its own, and what its variables have in their names.
const SIGNALS: [(&str, &str); 2] = [("traces", "TRACES"), ("metrics", "METRICS")];

/// Looks a variable up. What is empty is not set.
struct OtelVariables<'a>(&'a [(String, String)]);

impl OtelVariables<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(it, _)| it == name);
        found.map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
    }

    /// That of the signal, or else that of all signals.
    fn of_exporter(&self, infix: &str, what: &str) -> Option<&str> {
        let own = self.get(&format!("{PREFIX}EXPORTER_OTLP_{infix}_{what}"));
        own.or_else(|| self.get(&format!("{PREFIX}EXPORTER_OTLP_{what}")))
    }
}

/// Where a run would be that has the variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RunPlace {
    /// In the place of this process: receivers can be reached from here, or not.
    Here,
    /// In a job, whose network is another.
    Job,
}

/// What is known of each signal, if any of the variables is set.
pub(super) async fn findings(
    variables: impl Iterator<Item = (String, String)>,
    place: RunPlace,
) -> Vec<Finding> {
    let mut set: Vec<_> = variables.filter(|(name, _)| name.starts_with(PREFIX)).collect();
    set.retain(|(_, value)| !value.trim().is_empty());
    set.sort_unstable();
    if set.is_empty() {
        return Vec::new();
    }
    let variables = OtelVariables(&set);
    let mut findings = vec![of_names(&variables, place)];
    if findings[0].result == Known::Ok {
        let of_signals = SIGNALS.map(|(signal, infix)| of_signal(&variables, signal, infix, place));
        findings.extend(futures_util::future::join_all(of_signals).await.into_iter().flatten());
    }
    findings
}

/// Which variables are set, and whether they ask for an export.
fn of_names(variables: &OtelVariables<'_>, place: RunPlace) -> Finding {
    let names: Vec<_> = variables.0.iter().map(|(name, _)| name.as_str()).collect();
    let is_off = variables.get("OTEL_SDK_DISABLED").is_some_and(|it| it.eq_ignore_ascii_case("true"));
    let has_endpoint = SIGNALS.iter().any(|(_, infix)| variables.of_exporter(infix, "ENDPOINT").is_some());
    let (result, detail) = match (is_off, has_endpoint) {
        _ if !cfg!(feature = "otel") => (Known::No, "this longshore has no OpenTelemetry in it"),
        (true, _) => (Known::No, "nothing is exported: OTEL_SDK_DISABLED is true"),
        (false, false) if place == RunPlace::Job => {
            (Known::Unknown, "no receiver is named here: a secret or the environment's agent may name one")
        }
        (false, false) => (Known::No, "nothing is exported: OTEL_EXPORTER_OTLP_ENDPOINT names no receiver"),
        (false, true) => (Known::Ok, ""),
    };
    Finding { check: "telemetry", of: names.join(", "), result, needed: false, detail: detail.to_owned() }
}

async fn of_signal(
    variables: &OtelVariables<'_>,
    signal: &str,
    infix: &str,
    place: RunPlace,
) -> Option<Finding> {
    let endpoint = variables.of_exporter(infix, "ENDPOINT")?;
    let finding =
        |of: String, result, detail| Some(Finding { check: "telemetry", of, result, needed: false, detail });
    let exporter = format!("OTEL_{infix}_EXPORTER");
    match variables.get(&exporter) {
        None | Some("otlp") => {}
        Some("none") => return finding(signal.to_owned(), Known::No, format!("{exporter} is none")),
        Some(_) => {
            return finding(signal.to_owned(), Known::Wrong, format!("{exporter} is neither otlp nor none"));
        }
    }
    // A client of gRPC takes an address without a scheme as well.
    let url = Url::parse(endpoint).ok().filter(Url::has_host);
    let url = url.or_else(|| Url::parse(&format!("http://{endpoint}")).ok().filter(Url::has_host));
    let address = url.as_ref().and_then(|url| Some((url.host_str()?, url.port_or_known_default()?)));
    let (Some(url), Some((host, port))) = (&url, address) else {
        let detail = "the endpoint is no URL with a host, as in http://127.0.0.1:4318";
        return finding(signal.to_owned(), Known::Wrong, detail.to_owned());
    };
    let is_azure = url.scheme() == "https" && host.ends_with(INGESTION);
    let protocol = variables.of_exporter(infix, "PROTOCOL").unwrap_or("http/protobuf");
    let known = ["grpc", "http/protobuf"].into_iter().find(|it| *it == protocol);
    let Some(protocol) = known else {
        let detail = "the protocol is neither grpc nor http/protobuf, and nothing is exported";
        return finding(format!("{signal} to {host}:{port}"), Known::Wrong, detail.to_owned());
    };
    let mut said = vec![format!("over {protocol}")];
    if infix == "TRACES" {
        // What a sampler is called is a word of the specification, or it is none.
        let sampler = variables.get("OTEL_TRACES_SAMPLER").unwrap_or("parentbased_always_on");
        let is_word = sampler.chars().all(|it| it.is_ascii_lowercase() || it == '_');
        said.push(format!("sampled by {}", if is_word { sampler } else { "a sampler that is none" }));
    }
    let token = if is_azure { "with a token of the identity" } else { "without a token of the identity" };
    said.push(token.to_owned());
    let (result, reached) = match place {
        RunPlace::Here => connects(host, port).await,
        RunPlace::Job => (Known::Unknown, "only the job can tell whether it takes a connection".to_owned()),
    };
    said.push(reached);
    finding(format!("{signal} to {host}:{port}"), result, said.join("; "))
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

#[cfg(all(test, feature = "otel"))]
mod tests {
    use super::*;

    async fn found(set: &[(&str, &str)]) -> Vec<(String, Known, String)> {
        let set = set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
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
        assert!(wrong[1..].iter().all(|it| it.1 == Known::Wrong), "{wrong:?}");
        let quiet = found(&[endpoint, ("OTEL_METRICS_EXPORTER", "none")]).await;
        assert_eq!((quiet[2].0.as_str(), quiet[2].1), ("metrics", Known::No));
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
        let set = set.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter();
        let of_job = findings(set, RunPlace::Job).await;
        assert!(of_job[1..].iter().all(|it| it.result == Known::Unknown), "{of_job:?}");
    }
}
