//! What `longshore check` found out about one thing.

use serde::Serialize;

/// What is known of one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::commands) enum Known {
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
pub(in crate::commands) struct Finding {
    pub(in crate::commands) check: &'static str,
    pub(in crate::commands) of: String,
    pub(in crate::commands) result: Known,
    /// Whether a run needs it.
    pub(in crate::commands) needed: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(in crate::commands) detail: String,
}
