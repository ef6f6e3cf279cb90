//! How long a database is waited for that other processes hold.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long a transaction waits for those of other processes, before it is given up as busy.
pub(super) const BUSY_LIMIT: Duration = Duration::from_secs(10);

/// How long the locks of other processes are waited for: [`BUSY_LIMIT`], and no longer once it is
/// given up. All clones are given up at once.
#[derive(Clone, Debug, Default)]
pub(super) struct Patience {
    given_up: Arc<AtomicBool>,
}

impl Patience {
    /// From now on, no lock is waited for.
    pub(super) fn give_up(&self) {
        self.given_up.store(true, Ordering::Relaxed);
    }

    /// Whether a lock that was first found held at that time is waited for still.
    pub(super) fn lasts(&self, since: Instant) -> bool {
        !self.given_up.load(Ordering::Relaxed) && since.elapsed() < BUSY_LIMIT
    }
}
