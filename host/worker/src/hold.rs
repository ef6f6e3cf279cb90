//! A hold: nothing is received but to try whether it is over (rules 1 and 10).

use tokio::time::Instant;

/// Why a run is on hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HoldCause {
    /// The breaker is open.
    Breaker,
    /// There is no handler.
    NoHandler,
}

/// Why a run is on hold, and how it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnHold {
    /// Why.
    pub cause: HoldCause,
    /// Since when.
    pub since: Instant,
    /// When something is tried next; `None` while that is being done.
    pub try_at: Option<Instant>,
    /// When the run ends if the hold does not; `None`: only a stop ends it.
    pub ends: Option<Instant>,
}
