//! The standard variables: whether anything is exported, and in which protocol ([OTLP exporter
//! configuration](https://opentelemetry.io/docs/specs/otel/protocol/exporter/)).
//!
//! Only what turns a signal on is read here. Endpoints, headers, samplers and limits are read by
//! the libraries themselves.

use std::time::Duration;

/// How long one export may take, unless a variable says otherwise.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(10);

/// What is exported on its own, and may be turned on and off on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    Traces,
    Metrics,
}

/// How an exporter speaks to its receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OtlpProtocol {
    Grpc,
    Http,
}

/// How one signal is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Export {
    pub(super) protocol: OtlpProtocol,
    pub(super) timeout: Duration,
}

/// What the variables ask for; and what they ask for in vain, with the mend.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct AskedExports {
    pub(super) traces: Option<Export>,
    pub(super) metrics: Option<Export>,
    pub(super) refused: Vec<String>,
}

impl AskedExports {
    /// What these variables ask for. Without an endpoint they ask for nothing.
    pub(super) fn of(variable: &dyn Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).map(|it| it.trim().to_owned()).filter(|it| !it.is_empty());
        let mut asked = Self::default();
        if set("OTEL_SDK_DISABLED").is_some_and(|it| it.eq_ignore_ascii_case("true")) {
            return asked;
        }
        let mut export = |signal| {
            Export::of(signal, &set).unwrap_or_else(|refusal| {
                asked.refused.push(refusal);
                None
            })
        };
        let (traces, metrics) = (export(Signal::Traces), export(Signal::Metrics));
        Self { traces, metrics, ..asked }
    }

    /// Whether anything is exported.
    pub(super) fn is_anything(&self) -> bool {
        self.traces.is_some() || self.metrics.is_some()
    }
}

impl Signal {
    /// What its variables have in their names.
    fn infix(self) -> &'static str {
        match self {
            Self::Traces => "TRACES",
            Self::Metrics => "METRICS",
        }
    }
}

impl Export {
    fn of(signal: Signal, set: &dyn Fn(&str) -> Option<String>) -> Result<Option<Self>, String> {
        let infix = signal.infix();
        // The variable of the signal beats that of all signals.
        let either = |what: &str| {
            let names = [format!("OTEL_EXPORTER_OTLP_{infix}_{what}"), format!("OTEL_EXPORTER_OTLP_{what}")];
            names.into_iter().find_map(|name| set(&name).map(|value| (name, value)))
        };
        if either("ENDPOINT").is_none() {
            return Ok(None);
        }
        let what = infix.to_ascii_lowercase();
        let name = format!("OTEL_{infix}_EXPORTER");
        match set(&name).as_deref() {
            None | Some("otlp") => {}
            Some("none") => return Ok(None),
            Some(other) => {
                return Err(format!("{name} is {other}, and {what} are not exported; take otlp or none"));
            }
        }
        let protocol = match either("PROTOCOL") {
            None => OtlpProtocol::Http,
            Some((name, value)) => match value.as_str() {
                "grpc" => OtlpProtocol::Grpc,
                "http/protobuf" => OtlpProtocol::Http,
                _ => {
                    return Err(format!(
                        "{name} is {value}, and {what} are not exported; take grpc or http/protobuf"
                    ));
                }
            },
        };
        let timeout = either("TIMEOUT").and_then(|(_, value)| value.parse().ok()).map(Duration::from_millis);
        Ok(Some(Self { protocol, timeout: timeout.unwrap_or(EXPORT_TIMEOUT) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(variables: &[(&str, &str)]) -> AskedExports {
        let found = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|it| it.1.to_owned());
        AskedExports::of(&found)
    }

    const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://otel:4317");

    #[test]
    fn nothing_is_exported_unless_there_is_an_endpoint() {
        for variables in [
            &[][..],
            &[("OTEL_SERVICE_NAME", "orders"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")],
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")],
            &[ENDPOINT, ("OTEL_SDK_DISABLED", "TRUE")],
            &[ENDPOINT, ("OTEL_TRACES_EXPORTER", "none"), ("OTEL_METRICS_EXPORTER", "none")],
        ] {
            assert_eq!(asked(variables), AskedExports::default(), "{variables:?}");
        }
    }

    #[test]
    fn each_signal_has_variables_of_its_own_which_beat_the_others() {
        let export = |protocol, ms| Some(Export { protocol, timeout: Duration::from_millis(ms) });
        let both = asked(&[ENDPOINT]);
        assert_eq!(
            (both.traces, both.metrics),
            (export(OtlpProtocol::Http, 10_000), export(OtlpProtocol::Http, 10_000))
        );
        let mixed = asked(&[
            ENDPOINT,
            ("OTEL_SDK_DISABLED", "false"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "500"),
        ]);
        assert_eq!(
            (mixed.traces, mixed.metrics),
            (export(OtlpProtocol::Grpc, 500), export(OtlpProtocol::Http, 10_000))
        );
        let one = asked(&[("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://otel:4318/v1/metrics")]);
        assert_eq!((one.traces, one.metrics), (None, export(OtlpProtocol::Http, 10_000)));
    }

    #[test]
    fn what_this_host_cannot_do_is_refused_with_the_mend_and_the_rest_is_done() {
        let asked = asked(&[
            ENDPOINT,
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
            ("OTEL_METRICS_EXPORTER", "otlp"),
        ]);
        assert!(asked.is_anything() && asked.traces.is_none() && asked.metrics.is_some());
        assert_eq!(
            asked.refused,
            [
                "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL is http/json, and traces are not exported; take grpc or http/protobuf"
            ]
        );
    }
}
