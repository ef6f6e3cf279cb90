//! What the variables of OpenTelemetry do in a run, in the run's own words, and whether their
//! receiver is there. No value is shown but hosts: the others may be secrets.

#[cfg(feature = "otel")]
mod planned;

#[cfg(feature = "otel")]
use self::planned::of_set;
use super::finding::{Finding, Known};

/// What the names of the variables begin with.
const PREFIX: &str = "OTEL_";

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
    if set.is_empty() { Vec::new() } else { of_set(&set, place).await }
}

fn finding(of: String, result: Known, detail: String) -> Finding {
    Finding { check: "telemetry", of, result, needed: false, detail }
}

/// The names of the variables that are set.
fn names(set: &[(String, String)]) -> String {
    set.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
}

#[cfg(not(feature = "otel"))]
async fn of_set(set: &[(String, String)], _: RunPlace) -> Vec<Finding> {
    vec![finding(names(set), Known::No, "this longshore has no OpenTelemetry in it".to_owned())]
}
