//! How fast a run works messages off.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// How many of the newest messages make the present rate.
const MESSAGES: usize = 64;
/// How many times the rate of the ends that were seen it is at most. Those of a batch that end
/// first are the quick ones, and say too little of the others.
const AT_MOST_TIMES_SEEN: usize = 2;

/// How long a message had its slot, from its start until it was settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotTime {
    /// How long it was.
    pub took: Duration,
    /// How many slots were taken meanwhile, this one among them.
    pub taken_slots: usize,
}

/// The present rate, by Little's law: the slots that are taken, divided by the time that a message
/// takes one. The first messages tell it already. A count of ends would need many of them, since
/// sixteen that take ten seconds each end together.
#[derive(Debug)]
pub struct Rate {
    /// When each message ended, and how long it had its slot; the newest last.
    messages: VecDeque<(Instant, SlotTime)>,
}

impl Default for Rate {
    fn default() -> Self {
        Self { messages: VecDeque::with_capacity(MESSAGES) }
    }
}

impl Rate {
    /// A message was settled.
    pub fn ended(&mut self, now: Instant, slot: SlotTime) {
        if self.messages.len() == MESSAGES {
            self.messages.pop_front();
        }
        self.messages.push_back((now, slot));
    }

    /// How many messages the present rate works off in `span`. The longer none has ended, the fewer
    /// they are.
    pub fn works_off(&self, now: Instant, span: Duration) -> usize {
        let (Some((oldest, _)), Some((newest, _))) = (self.messages.front(), self.messages.back()) else {
            return 0;
        };
        let took: Duration = self.messages.iter().map(|(_, it)| it.took).sum();
        let slots: usize = self.messages.iter().map(|(_, it)| it.taken_slots).sum();
        let since_newest = now.saturating_duration_since(*newest).div_f64(self.messages.len() as f64);
        let per_message = took.div_f64(slots.max(1) as f64) + since_newest;
        let seen = match self.messages.len() - 1 {
            // Nothing else is known.
            0 => usize::MAX,
            ends => fits(span, now.saturating_duration_since(*oldest).div_f64(ends as f64)),
        };
        fits(span, per_message).min(seen.saturating_mul(AT_MOST_TIMES_SEEN))
    }
}

/// How often `each` fits into `span`. It saturates, which is what a time of zero comes to.
fn fits(span: Duration, each: Duration) -> usize {
    (span.as_nanos() as f64 / each.as_nanos().max(1) as f64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn slot(took: Duration, taken_slots: usize) -> SlotTime {
        SlotTime { took, taken_slots }
    }

    #[test]
    fn a_rate_is_the_slots_taken_by_the_time_that_a_message_takes_one() {
        let start = Instant::now();
        let mut rate = Rate::default();
        assert_eq!(rate.works_off(start, 250 * MS), 0, "nothing is known");
        rate.ended(start, slot(25 * MS, 1));
        assert_eq!(rate.works_off(start, 250 * MS), 10, "one at a time");
        rate.ended(start, slot(25 * MS, 15));
        assert_eq!(rate.works_off(start, 250 * MS), 80, "eight at a time");
        for _ in 0..64 {
            rate.ended(start, slot(16 * MS, 16));
        }
        assert_eq!(rate.works_off(start, 250 * MS), 250, "only the newest count");
    }

    #[test]
    fn a_rate_falls_while_no_message_ends() {
        let start = Instant::now();
        let mut rate = Rate::default();
        for _ in 0..64 {
            rate.ended(start, slot(16 * MS, 16));
        }
        assert_eq!(rate.works_off(start + 64 * MS, 250 * MS), 125);
        assert_eq!(rate.works_off(start + 65_000 * MS, 250 * MS), 0);
    }

    #[test]
    fn the_first_ones_of_a_batch_to_end_are_no_measure_of_the_others() {
        let start = Instant::now();
        let mut rate = Rate::default();
        rate.ended(start, slot(5 * MS, 1));
        // Sixteen that take a second in the mean, and the quickest of them a tenth of that.
        rate.ended(start + 100 * MS, slot(100 * MS, 16));
        assert_eq!(rate.works_off(start + 100 * MS, 250 * MS), 4, "twice one in 100 ms");
    }

    #[test]
    fn handlers_that_end_together_are_no_fast_ones() {
        let start = Instant::now();
        let mut rate = Rate::default();
        for batch in 1..20 {
            let now = start + batch * 10_000 * MS;
            for _ in 0..16 {
                rate.ended(now, slot(10_000 * MS, 16));
                assert_eq!(rate.works_off(now, 250 * MS), 0, "batch {batch}");
            }
        }
    }
}
