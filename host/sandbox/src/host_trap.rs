//! How a function of the host ends the guest that called it.

use longshore_handler::RetryReason;

/// What a function of the host returns to end the guest for a reason of the host's own.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub(crate) struct HostTrap {
    pub(crate) reason: RetryReason,
    pub(crate) detail: String,
}
