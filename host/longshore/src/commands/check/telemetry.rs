//! What the variables of OpenTelemetry do in a run, in the run's own words, and whether their
//! receiver is there. No value is shown but hosts: the others may be secrets.

#[cfg(feature = "otel")]
mod planned;
mod set;

use std::ffi::OsString;

#[cfg(feature = "otel")]
use self::planned::of_set;
use self::set::PREFIX;
pub(super) use self::set::RunPlace;
use super::finding::Finding;

/// What is known of each signal, if any of the variables is set.
pub(super) async fn findings(
    variables: impl Iterator<Item = (String, OsString)>,
    place: RunPlace,
) -> Vec<Finding> {
    let mut set: Vec<_> = variables.filter(|(name, _)| name.starts_with(PREFIX)).collect();
    set.retain(|(_, value)| value.to_str().is_none_or(|it| !it.trim().is_empty()));
    set.sort_unstable();
    if set.is_empty() { Vec::new() } else { of_set(&set, place).await }
}

#[cfg(not(feature = "otel"))]
async fn of_set(found: &[(String, OsString)], _: RunPlace) -> Vec<Finding> {
    let detail = "this longshore has no OpenTelemetry in it";
    vec![set::finding(set::names(found), super::finding::Known::No, detail.to_owned())]
}
