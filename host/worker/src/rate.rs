//! How fast a run works messages off.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// How many of the newest ends make the present rate. So many that handlers which end together say
/// little about it: sixteen that take ten seconds each are not sixteen in a moment.
const ENDS: usize = 64;

/// The present rate: of the messages that ended last.
#[derive(Debug)]
pub struct Rate {
    since: Instant,
    ends: VecDeque<Instant>,
}

impl Rate {
    /// The rate of a run that starts now.
    pub fn new(now: Instant) -> Self {
        Self { since: now, ends: VecDeque::with_capacity(ENDS) }
    }

    /// A message was settled.
    pub fn ended(&mut self, now: Instant) {
        if self.ends.len() == ENDS
            && let Some(oldest) = self.ends.pop_front()
        {
            self.since = oldest;
        }
        self.ends.push_back(now);
    }

    /// How many messages the present rate works off in `span`.
    pub fn works_off(&self, now: Instant, span: Duration) -> usize {
        let elapsed = now.saturating_duration_since(self.since);
        let per_nanosecond = self.ends.len() as f64 / elapsed.as_nanos().max(1) as f64;
        // Saturates, which is what a rate without measure comes to.
        (per_nanosecond * span.as_nanos() as f64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_rate_is_what_ended_since_the_start_and_later_what_ended_last() {
        let start = Instant::now();
        let mut rate = Rate::new(start);
        assert_eq!(rate.works_off(start, 250 * MS), 0);
        for number in 1..=10 {
            rate.ended(start + number * 100 * MS);
        }
        assert_eq!(rate.works_off(start + 1000 * MS, 250 * MS), 2, "ten in a second");
        for number in 1..=64 {
            rate.ended(start + 1000 * MS + number * MS);
        }
        assert_eq!(rate.works_off(start + 1064 * MS, 250 * MS), 250, "a thousand in a second");
        assert_eq!(rate.works_off(start + 65_000 * MS, 250 * MS), 0, "and none for a minute");
    }

    #[test]
    fn handlers_that_end_together_are_no_fast_ones() {
        let start = Instant::now();
        let mut rate = Rate::new(start);
        for batch in 1..20 {
            let now = start + batch * 10_000 * MS;
            for _ in 0..16 {
                rate.ended(now);
            }
            assert_eq!(rate.works_off(now, 250 * MS), 0, "batch {batch}");
        }
    }
}
