//! How long something is tried again.

use std::time::Duration;

/// How long something may take: `limit`, but in tests of what comes after it.
pub(crate) fn no_longer_than(limit: Duration) -> Duration {
    if longshore_failpoint::is_on("out-of-patience") { Duration::ZERO } else { limit }
}
