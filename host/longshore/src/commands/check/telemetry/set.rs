//! The variables of OpenTelemetry that are set, and what is found of them.

use std::ffi::OsString;

use crate::commands::check::finding::{Finding, Known};

/// What the names of the variables begin with.
pub(super) const PREFIX: &str = "OTEL_";

/// Where a run would be that has the variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::commands::check) enum RunPlace {
    /// In the place of this process: receivers can be reached from here, or not.
    Here,
    /// In a job, whose network is another.
    Job,
}

/// What is found, which no run needs.
pub(super) fn finding(of: String, result: Known, detail: String) -> Finding {
    Finding { check: "telemetry", of, result, needed: false, detail }
}

/// The names of the variables.
pub(super) fn names(set: &[(String, OsString)]) -> String {
    set.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
}
