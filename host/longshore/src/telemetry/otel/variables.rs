//! OpenTelemetry's own variables: what they are, and which of them have no effect here.

use std::ffi::OsString;

/// What every variable of OpenTelemetry begins with.
const PREFIX: &str = "OTEL_";
/// Those that are honoured, apart from those of exporters.
const HONOURED: [&str; 14] = [
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
    "OTEL_BSP_MAX_QUEUE_SIZE",
    "OTEL_BSP_SCHEDULE_DELAY",
    "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
    "OTEL_METRICS_EXPORTER",
    "OTEL_METRIC_EXPORT_INTERVAL",
    "OTEL_RESOURCE_ATTRIBUTES",
    "OTEL_SDK_DISABLED",
    "OTEL_SERVICE_NAME",
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_SPAN_LINK_COUNT_LIMIT",
    "OTEL_TRACES_EXPORTER",
    "OTEL_TRACES_SAMPLER",
    "OTEL_TRACES_SAMPLER_ARG",
];
/// What the variables of exporters begin with; the infix of a signal may follow.
const OF_EXPORTERS: &str = "OTEL_EXPORTER_OTLP_";
/// How those of them end that are honoured.
const HONOURED_OF_EXPORTERS: [&str; 5] = ["ENDPOINT", "HEADERS", "INSECURE", "PROTOCOL", "TIMEOUT"];
/// What says no more than what is done anyhow.
const AS_IT_IS: [(&str, &str); 6] = [
    ("OTEL_EXPORTER_OTLP_COMPRESSION", "none"),
    ("OTEL_LOGS_EXPORTER", "none"),
    ("OTEL_METRICS_EXEMPLAR_FILTER", "always_off"),
    ("OTEL_PROPAGATORS", "tracecontext"),
    // There is no baggage that the host could pass on.
    ("OTEL_PROPAGATORS", "tracecontext,baggage"),
    ("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "explicit_bucket_histogram"),
];

/// What looks variables up. What is empty is not set.
pub(super) struct Variables<'a>(pub(super) &'a dyn Fn(&str) -> Option<String>);

impl Variables<'_> {
    /// The value of a variable that is set.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        (self.0)(name).map(|it| it.trim().to_owned()).filter(|it| !it.is_empty())
    }

    /// Whether it is set to *true*. What is neither true nor false counts as false, and is said
    /// ([Boolean](https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/#boolean)).
    pub(super) fn is_true(&self, name: &str, said: &mut Vec<String>) -> bool {
        let Some(value) = self.get(name) else { return false };
        let is = |word: &str| value.eq_ignore_ascii_case(word);
        if !is("true") && !is("false") {
            said.push(format!("{name} is neither true nor false, and counts as false; take one of them"));
        }
        is("true")
    }
}

/// What is said of those that are no text, in order.
pub(super) fn no_text(set: &[(String, OsString)]) -> Vec<String> {
    let is_none = |(name, value): &&(String, OsString)| name.starts_with(PREFIX) && value.to_str().is_none();
    let mut names: Vec<_> = set.iter().filter(is_none).map(|(name, _)| name).collect();
    names.sort_unstable();
    names
        .iter()
        .map(|name| format!("{name} is no text in UTF-8, and counts as unset; write it anew"))
        .collect()
}

/// The names of those that are set and have no effect here, in order.
pub(super) fn without_effect<'a>(set: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<&'a str> {
    let mut names: Vec<_> = set
        .filter(|(name, value)| name.starts_with(PREFIX) && !value.trim().is_empty())
        .filter(|(name, value)| !is_honoured(name) && !AS_IT_IS.contains(&(*name, value.trim())))
        .map(|(name, _)| name)
        .collect();
    names.sort_unstable();
    names
}

fn is_honoured(name: &str) -> bool {
    HONOURED.contains(&name)
        || name.strip_prefix(OF_EXPORTERS).is_some_and(|rest| {
            let of_signal = ["TRACES_", "METRICS_"].iter().find_map(|infix| rest.strip_prefix(infix));
            HONOURED_OF_EXPORTERS.contains(&of_signal.unwrap_or(rest))
        })
}

/// A variable among those that a test sets.
#[cfg(test)]
pub(super) fn found(set: &[(&str, &str)], name: &str) -> Option<String> {
    set.iter().find(|(key, _)| *key == name).map(|it| it.1.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_effect_is_named_and_nothing_else_is() {
        let set = [
            ("PATH", "/bin"),
            ("OTEL_LOGS_EXPORTER", "otlp"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", ""),
            ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://user:password@host"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://host"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=b"),
            ("OTEL_PROPAGATORS", "tracecontext,baggage"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "1"),
            ("OTEL_BSP_EXPORT_TIMEOUT", "1"),
        ];
        let expected = [
            "OTEL_BSP_EXPORT_TIMEOUT",
            "OTEL_EXPORTER_OTLP_COMPRESSION",
            "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
            "OTEL_LOGS_EXPORTER",
        ];
        assert_eq!(without_effect(set.into_iter()), expected);
    }

    #[test]
    fn the_reference_lists_each_that_is_honoured() {
        let page = include_str!("../../../../../docs/reference/variables.md");
        for name in HONOURED {
            assert!(page.contains(&format!("`{name}`")), "{name}");
        }
        for end in HONOURED_OF_EXPORTERS {
            assert!(page.contains(&format!("`{OF_EXPORTERS}{end}`")), "{end}");
        }
    }
}
