//! What a run exports by its variables, and what it says of those that it cannot follow: one answer
//! for the run, which does it, and for `longshore check`, which says it.

use std::collections::HashSet;
use std::ffi::OsString;

use super::asked::{AskedExports, Export, OtlpProtocol, Signal, UnaskedSignal};
use super::http::gets_token;
use super::numbers::ExportLimits;
use super::variables::{Variables, no_text, without_effect};

/// What the variables of a process ask for, as far as it is done.
#[derive(Debug)]
pub(crate) struct PlannedTelemetry {
    pub(super) asked: AskedExports,
    /// `None` where nothing is exported.
    pub(super) limits: Option<ExportLimits>,
    /// Whether a receiver is named for any signal.
    names_endpoint: bool,
    said: Vec<String>,
}

/// Why nothing is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NothingExported {
    /// A variable turns all of it off.
    Disabled,
    /// No receiver is named.
    NoEndpoint,
    /// A receiver is named, and each signal is turned off, or asked for in vain.
    NoSignal,
}

/// How one signal is exported.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PlannedExport {
    /// The signal: *traces* or *metrics*.
    pub(crate) signal: &'static str,
    /// The receiver's host, as a URL writes it.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// The protocol, as its variable names it.
    pub(crate) protocol: &'static str,
    /// Which traces are exported, for the signal that has any.
    pub(crate) sampler: Option<String>,
    /// Whether it has a token of the identity.
    pub(crate) gets_token: bool,
}

impl PlannedTelemetry {
    /// What these variables ask for, all of which have a name and a value.
    pub(crate) fn of(set: &[(String, OsString)]) -> Self {
        let texts = set.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str()?)));
        let get = |name: &str| texts.clone().find(|(key, _)| *key == name).map(|(_, value)| value.to_owned());
        let variables = Variables(&get);
        let mut asked = AskedExports::of(&variables);
        let limits = asked.is_anything().then(|| ExportLimits::of(&variables, &mut asked.refused));
        let mut said = if asked.is_disabled { Vec::new() } else { no_text(set) };
        said.append(&mut asked.refused);
        // Both signals have the same to say of a variable of theirs.
        let mut heard = HashSet::new();
        said.retain(|words| heard.insert(words.clone()));
        let without_effect = without_effect(texts.clone());
        if limits.is_some() && !without_effect.is_empty() {
            let names = without_effect.join(", ");
            said.push(format!("these variables are set, and have no effect here: {names}"));
        }
        let infixes = ["", "TRACES_", "METRICS_"];
        let names_endpoint =
            infixes.iter().any(|it| variables.get(&format!("OTEL_EXPORTER_OTLP_{it}ENDPOINT")).is_some());
        Self { asked, limits, names_endpoint, said }
    }

    /// What is wrong with the variables, with what is done instead: a sentence each.
    pub(crate) fn said(&self) -> &[String] {
        &self.said
    }

    /// Why nothing is exported; `None` if something is.
    pub(crate) fn why_nothing(&self) -> Option<NothingExported> {
        match self.limits {
            Some(_) => None,
            None if self.asked.is_disabled => Some(NothingExported::Disabled),
            None if !self.names_endpoint => Some(NothingExported::NoEndpoint),
            None => Some(NothingExported::NoSignal),
        }
    }

    /// The signals that are not asked for, each with the reason.
    pub(crate) fn unasked(&self) -> impl Iterator<Item = (&'static str, String)> {
        self.asked.unasked.iter().map(|(signal, why)| {
            let why = match why {
                UnaskedSignal::NoEndpoint => "no endpoint is named for them".to_owned(),
                UnaskedSignal::TurnedOff => format!("{} is none", signal.exporter()),
            };
            (signal.word(), why)
        })
    }

    /// What is exported.
    pub(crate) fn exports(&self) -> Vec<PlannedExport> {
        let planned = |signal: Signal, export: &Option<Export>| {
            let Export { protocol, endpoint, .. } = export.as_ref()?;
            Some(PlannedExport {
                signal: signal.word(),
                host: endpoint.url.host_str()?.to_owned(),
                port: endpoint.url.port_or_known_default()?,
                protocol: protocol.word(),
                sampler: (signal == Signal::Traces).then(|| self.asked.sampler.to_string()),
                gets_token: *protocol == OtlpProtocol::Http && gets_token(endpoint),
            })
        };
        let signals = [(Signal::Traces, &self.asked.traces), (Signal::Metrics, &self.asked.metrics)];
        signals.into_iter().filter_map(|(signal, export)| planned(signal, export)).collect()
    }
}
