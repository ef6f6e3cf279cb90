//! The service's clock beside ours: the service says when a lock ends, and says it by its own
//! clock.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;

/// From how far off on our clock is worth a warning.
const WORTH_A_WARNING_MS: u64 = 5000;

/// By how much the service's clock is ahead of this host's.
#[derive(Debug, Default)]
pub(super) struct ServiceClock {
    ahead_ms: AtomicI64,
    /// The service was asked; until then `ahead_ms` is what messages prove.
    known: AtomicBool,
    warned: AtomicBool,
}

impl ServiceClock {
    /// The service's time when ours is this.
    pub(super) fn at(&self, ours: Timestamp) -> Timestamp {
        let ahead = jiff::SignedDuration::from_millis(self.ahead_ms.load(Ordering::Relaxed));
        ours.checked_add(ahead).unwrap_or(ours)
    }

    /// The service has told its time, to the second.
    pub(super) fn told(&self, theirs: Timestamp, ours: Timestamp) {
        // In the middle of the second that it names.
        let ahead = ahead_ms(theirs, ours).saturating_add(500);
        self.known.store(true, Ordering::Relaxed);
        self.ahead_ms.store(ahead, Ordering::Relaxed);
        self.warn(ahead);
    }

    /// A message was put into its queue at this time of the service's: its clock has come as far at
    /// least.
    pub(super) fn has_passed(&self, theirs: Timestamp, ours: Timestamp) {
        let ahead = ahead_ms(theirs, ours);
        if ahead > 0 && !self.known.load(Ordering::Relaxed) {
            self.ahead_ms.fetch_max(ahead, Ordering::Relaxed);
            self.warn(ahead);
        }
    }

    fn warn(&self, ahead: i64) {
        if ahead.unsigned_abs() < WORTH_A_WARNING_MS || self.warned.swap(true, Ordering::Relaxed) {
            return;
        }
        let seconds = Duration::from_millis(ahead.unsigned_abs()).as_secs();
        let behind = if ahead > 0 { "behind" } else { "ahead of" };
        tracing::warn!(
            seconds,
            "the clock of this host is {seconds} s {behind} the service's; locks are kept by the service's clock: set this one"
        );
    }
}

fn ahead_ms(theirs: Timestamp, ours: Timestamp) -> i64 {
    theirs.as_millisecond().saturating_sub(ours.as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_s_time_is_what_it_tells_and_until_then_no_earlier_than_its_messages_prove() {
        let at = |ms: i64| Timestamp::from_millisecond(1_000_000 + ms).unwrap();
        let clock = ServiceClock::default();
        assert_eq!(clock.at(at(0)), at(0));
        clock.has_passed(at(-90_000), at(0));
        assert_eq!(clock.at(at(0)), at(0), "an old message proves nothing");
        clock.has_passed(at(38_000), at(0));
        clock.has_passed(at(10_000), at(0));
        assert_eq!(clock.at(at(5)), at(38_005));
        clock.told(at(40_000), at(0));
        clock.has_passed(at(60_000), at(0));
        assert_eq!(clock.at(at(0)), at(40_500));
        clock.told(at(-20_000), at(0));
        assert_eq!(clock.at(at(0)), at(-19_500));
    }
}
