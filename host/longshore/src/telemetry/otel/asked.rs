//! What the standard variables ask for: whether anything is exported, where to, and in which
//! protocol ([OTLP exporter
//! configuration](https://opentelemetry.io/docs/specs/otel/protocol/exporter/)).

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_sdk::metrics::Temporality;

use super::attributes::attributes;
use super::endpoint::OtlpEndpoint;
use super::numbers::export_timeout;
use super::sampler::TraceSampler;
use super::variables::Variables;

/// How metrics can be counted.
const PREFERENCE: &str = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Export {
    pub(super) protocol: OtlpProtocol,
    pub(super) endpoint: OtlpEndpoint,
    pub(super) timeout: Duration,
}

/// What the variables ask for; and what they ask for in vain, with the mend. No refusal repeats a
/// value: whoever confuses two variables may have put a secret there.
#[derive(Debug, Default, PartialEq)]
pub(super) struct AskedExports {
    pub(super) traces: Option<Export>,
    pub(super) metrics: Option<Export>,
    pub(super) sampler: TraceSampler,
    pub(super) temporality: Temporality,
    /// What is said of who exports.
    pub(super) attributes: Vec<KeyValue>,
    /// Whether the variables say that nothing is to be exported, whatever else they say.
    pub(super) is_disabled: bool,
    /// What is not asked for.
    pub(super) unasked: Vec<(Signal, UnaskedSignal)>,
    pub(super) refused: Vec<String>,
}

/// Why a signal is not asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UnaskedSignal {
    /// No endpoint is named for it.
    NoEndpoint,
    /// A variable says *none*.
    TurnedOff,
}

/// Why a signal is not exported.
enum NotExported {
    Unasked(UnaskedSignal),
    /// It is asked for in vain, for this reason.
    Refused(String),
}

impl AskedExports {
    /// What these variables ask for. Without an endpoint they ask for nothing.
    pub(super) fn of(variables: &Variables<'_>) -> Self {
        let (mut asked, mut of_all) = (Self::default(), Vec::new());
        if variables.is_true("OTEL_SDK_DISABLED", &mut of_all) {
            asked.is_disabled = true;
            return asked;
        }
        let mut export = |signal| match Export::of(signal, variables, &mut asked.refused) {
            Ok(export) => Some(export),
            Err(NotExported::Unasked(why)) => {
                asked.unasked.push((signal, why));
                None
            }
            Err(NotExported::Refused(refusal)) => {
                asked.refused.push(refusal);
                None
            }
        };
        (asked.traces, asked.metrics) = (export(Signal::Traces), export(Signal::Metrics));
        if asked.traces.is_some() {
            asked.sampler = TraceSampler::of(variables, &mut asked.refused);
        }
        if let Some(preference) = variables.get(PREFERENCE).filter(|_| asked.metrics.is_some()) {
            match preference.parse() {
                Ok(temporality) => asked.temporality = temporality,
                Err(()) => asked.refused.push(format!(
                    "{PREFERENCE} names no preference, and metrics are cumulative; take cumulative, delta or lowmemory"
                )),
            }
        }
        if asked.is_anything() {
            asked.attributes = attributes(variables, &mut of_all);
            asked.refused.append(&mut of_all);
        }
        asked
    }

    /// Whether anything is exported.
    pub(super) fn is_anything(&self) -> bool {
        self.traces.is_some() || self.metrics.is_some()
    }
}

impl OtlpProtocol {
    /// The value of the variable that asks for it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Http => "http/protobuf",
        }
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

    /// The variable that turns it on and off.
    pub(super) fn exporter(self) -> String {
        format!("OTEL_{}_EXPORTER", self.infix())
    }

    /// What is exported, as messages name it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
        }
    }
}

impl Export {
    fn of(signal: Signal, variables: &Variables<'_>, said: &mut Vec<String>) -> Result<Self, NotExported> {
        let (infix, what) = (signal.infix(), signal.word());
        // The variable of the signal beats that of all signals.
        let names =
            |what: &str| [format!("OTEL_EXPORTER_OTLP_{infix}_{what}"), format!("OTEL_EXPORTER_OTLP_{what}")];
        let either = |what: &str| {
            names(what).into_iter().find_map(|name| variables.get(&name).map(|value| (name, value)))
        };
        let exporter = signal.exporter();
        let (variable, url) = match (variables.get(&exporter).as_deref(), either("ENDPOINT")) {
            (None | Some("otlp"), Some(named)) => named,
            (Some("none"), _) => return Err(NotExported::Unasked(UnaskedSignal::TurnedOff)),
            (Some("otlp"), None) => {
                return refused(format!(
                    "{exporter} is otlp, and {what} are not exported, since no endpoint is named; set OTEL_EXPORTER_OTLP_ENDPOINT"
                ));
            }
            (_, None) => return Err(NotExported::Unasked(UnaskedSignal::NoEndpoint)),
            (Some(_), Some(_)) => {
                return refused(format!(
                    "{exporter} is neither otlp nor none, and {what} are not exported; take otlp"
                ));
            }
        };
        let protocol = match either("PROTOCOL") {
            None => OtlpProtocol::Http,
            Some((name, value)) => match value.as_str() {
                "grpc" => OtlpProtocol::Grpc,
                "http/protobuf" => OtlpProtocol::Http,
                _ => {
                    return refused(format!(
                        "{name} is no protocol of this host, and {what} are not exported; take grpc or http/protobuf"
                    ));
                }
            },
        };
        let has_scheme = url.contains("://");
        let url = match protocol {
            // It may stand without a scheme, and is over TLS then unless a variable says otherwise.
            OtlpProtocol::Grpc if !has_scheme => {
                let is_insecure = either("INSECURE").is_some_and(|(name, _)| variables.is_true(&name, said));
                format!("{}://{url}", if is_insecure { "http" } else { "https" })
            }
            _ => url,
        };
        let mut endpoint = OtlpEndpoint::read(&url).or_else(|wrong| {
            refused(format!(
                "{variable} {wrong}; {what} are not exported; name a receiver as in http://HOST:PORT"
            ))
        })?;
        if protocol == OtlpProtocol::Http && variable == names("ENDPOINT")[1] {
            // An endpoint of all signals is their common root.
            let path = format!("{}/v1/{what}", endpoint.url.path().trim_end_matches('/'));
            endpoint.url.set_path(&path);
        }
        if let Some((name, headers)) = either("HEADERS") {
            let unread = endpoint.add_headers(&headers).into_iter();
            said.extend(unread.map(|place| {
                format!("header {place} of {name} cannot be read, and is left out; write it as NAME=VALUE, encoded as in a URL")
            }));
        }
        let named = names("TIMEOUT").into_iter().find(|name| variables.get(name).is_some());
        let timeout = export_timeout(variables, &named.unwrap_or_default(), said);
        Ok(Self { protocol, endpoint, timeout })
    }
}

fn refused<T>(why: String) -> Result<T, NotExported> {
    Err(NotExported::Refused(why))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::otel::variables::found;

    fn asked(set: &[(&str, &str)]) -> AskedExports {
        AskedExports::of(&Variables(&|name| found(set, name)))
    }

    fn export(protocol: OtlpProtocol, url: &str, ms: u64) -> Option<Export> {
        let endpoint = OtlpEndpoint::read(url).unwrap();
        Some(Export { protocol, endpoint, timeout: Duration::from_millis(ms) })
    }

    const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://otel:4317");
    const GRPC: (&str, &str) = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");

    #[test]
    fn nothing_is_exported_unless_there_is_an_endpoint() {
        for variables in [
            &[][..],
            &[("OTEL_SERVICE_NAME", "orders"), GRPC],
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")],
            &[ENDPOINT, ("OTEL_SDK_DISABLED", "TRUE")],
            &[ENDPOINT, ("OTEL_TRACES_EXPORTER", "none"), ("OTEL_METRICS_EXPORTER", "none")],
        ] {
            let asked = asked(variables);
            assert!(!asked.is_anything() && asked.refused.is_empty(), "{variables:?}: {asked:?}");
        }
        let [refusal] = &asked(&[("OTEL_TRACES_EXPORTER", "otlp")]).refused[..] else { panic!("said once") };
        assert!(refusal.contains("set OTEL_EXPORTER_OTLP_ENDPOINT"), "{refusal}");
    }

    #[test]
    fn each_signal_has_variables_of_its_own_which_beat_the_others() {
        use OtlpProtocol::{Grpc, Http};
        let both = asked(&[ENDPOINT]);
        assert_eq!(both.traces, export(Http, "http://otel:4317/v1/traces", 10_000));
        assert_eq!(both.metrics, export(Http, "http://otel:4317/v1/metrics", 10_000));
        let mixed = asked(&[
            ENDPOINT,
            ("OTEL_SDK_DISABLED", "false"),
            GRPC,
            ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "500"),
        ]);
        assert_eq!(mixed.traces, export(Grpc, "http://otel:4317", 500));
        assert_eq!(mixed.metrics, export(Http, "http://otel:4317/v1/metrics", 10_000));
        let one = asked(&[("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://otel:4318/metrics")]);
        assert_eq!((one.traces, one.metrics), (None, export(Http, "http://otel:4318/metrics", 10_000)));
    }

    #[test]
    fn an_endpoint_of_grpc_without_a_scheme_is_over_tls_unless_a_variable_says_otherwise() {
        let bare = ("OTEL_EXPORTER_OTLP_ENDPOINT", "otel:4317");
        for (insecure, url, wrong) in [
            ("", "https://otel:4317", false),
            ("True", "http://otel:4317", false),
            ("false", "https://otel:4317", false),
            ("1", "https://otel:4317", true),
        ] {
            let asked = asked(&[bare, GRPC, ("OTEL_EXPORTER_OTLP_INSECURE", insecure)]);
            assert_eq!(asked.traces, export(OtlpProtocol::Grpc, url, 10_000), "{insecure}");
            let words = "OTEL_EXPORTER_OTLP_INSECURE is neither true nor false, and counts as false";
            assert_eq!(asked.refused.iter().any(|it| it.starts_with(words)), wrong, "{insecure}: {asked:?}");
        }
        let http = asked(&[bare]);
        assert!(!http.is_anything() && http.refused.len() == 2, "{http:?}");
    }

    #[test]
    fn what_this_host_cannot_do_is_refused_with_the_mend_and_the_rest_is_done() {
        let asked = asked(&[
            ENDPOINT,
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
            ("OTEL_METRICS_EXPORTER", "otlp"),
            ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "deltas"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "api-key"),
        ]);
        assert!(asked.is_anything() && asked.traces.is_none() && asked.metrics.is_some());
        let words = [
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL is no protocol of this host, and traces are not exported; take grpc or http/protobuf",
            "header 1 of OTEL_EXPORTER_OTLP_HEADERS cannot be read, and is left out; write it as NAME=VALUE, encoded as in a URL",
            "OTEL_EXPORTER_OTLP_TIMEOUT is no number, and 10000 is taken; it is a whole number from 1 to 600000",
            "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE names no preference, and metrics are cumulative; take cumulative, delta or lowmemory",
        ];
        assert_eq!(asked.refused, words);
    }

    #[test]
    fn what_is_to_turn_all_off_and_does_not_is_said_where_something_is_exported() {
        let refused = |set: &[(&str, &str)]| asked(set).refused;
        let off = ("OTEL_SDK_DISABLED", "yes");
        let words = "OTEL_SDK_DISABLED is neither true nor false, and counts as false; take one of them";
        assert_eq!((refused(&[ENDPOINT, off]), refused(&[off])), (vec![words.to_owned()], Vec::new()));
    }

    #[test]
    fn a_password_in_an_endpoint_is_in_no_refusal() {
        for url in ["http://ann:SECRET@[", "ann:SECRET@otel:4318", "http://ann:SECRET@otel:port"] {
            for protocol in ["grpc", "http/protobuf"] {
                let asked = asked(&[
                    ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", url),
                    ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
                ]);
                if asked.traces.is_none() {
                    assert!(asked.refused[0].starts_with("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT "), "{asked:?}");
                }
                assert!(!format!("{asked:?}").contains("SECRET"), "{asked:?}");
            }
        }
    }

    #[test]
    fn a_sampler_that_there_is_not_is_named() {
        let refused = |sampler: &str, argument: &str| {
            let set = [ENDPOINT, ("OTEL_TRACES_SAMPLER", sampler), ("OTEL_TRACES_SAMPLER_ARG", argument)];
            asked(&set).refused
        };
        assert_eq!(refused("parentbased_traceidratio", "0.1"), [""; 0]);
        assert_eq!(refused("always_off", ""), [""; 0]);
        assert!(refused("xray", "")[0].contains("parentbased_always_on is taken"));
        for argument in ["", "2", "x"] {
            assert!(
                refused("traceidratio", argument)[0].starts_with("OTEL_TRACES_SAMPLER_ARG"),
                "{argument}"
            );
        }
    }
}
