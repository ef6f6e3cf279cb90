//! What `longshore check` found out about one thing.

use serde::Serialize;

/// What is known of one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Known {
    /// It is there, or it loads.
    Yes,
    /// It is not there, or it does not load.
    No,
    /// The identity has the right.
    Allowed,
    /// The identity does not have it.
    Denied,
    /// It is set as it should be.
    Ok,
    /// It is set in a way that costs messages, attempts or money.
    Wrong,
    /// Only doing it would tell, or there was no clear answer.
    Unknown,
}

#[derive(Debug, Serialize)]
pub(super) struct Finding {
    pub(super) check: &'static str,
    pub(super) of: String,
    pub(super) result: Known,
    /// Whether a run needs it.
    pub(super) needed: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) detail: String,
}
