//! How long a message that failed stays invisible (rule 7).

use std::time::Duration;

use rand::{Rng, RngExt};

/// Exponential back-off with full jitter
/// (<https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>), by dequeue count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The longest delay after the first attempt.
    pub base: Duration,
    /// The longest delay after any attempt.
    pub cap: Duration,
    /// The longest delay that a handler may name itself.
    pub max_delay: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            base: Duration::from_secs(2),
            cap: Duration::from_secs(30),
            max_delay: Duration::from_secs(15 * 60),
        }
    }
}

impl RetryPolicy {
    /// The delay after attempt `dequeue_count` (from 1). It is what the handler asked for, or a
    /// random time between zero and `base · 2^(dequeue_count − 1)`, at most `cap`.
    pub fn delay(&self, dequeue_count: u32, asked: Option<Duration>, rng: &mut impl Rng) -> Duration {
        if let Some(asked) = asked {
            return asked.min(self.max_delay);
        }
        let doublings = dequeue_count.saturating_sub(1).min(31);
        let ceiling = self.base.saturating_mul(1 << doublings).min(self.cap);
        ceiling.mul_f64(rng.random_range(0.0..=1.0))
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn a_delay_stays_between_zero_and_the_doubled_base_and_never_passes_the_cap() {
        let policy = RetryPolicy::default();
        let mut rng = StdRng::seed_from_u64(7);
        for (attempt, ceiling) in [(1, 2), (2, 4), (3, 8), (4, 16), (5, 30), (6, 30), (u32::MAX, 30)] {
            let delays: Vec<_> = (0..500).map(|_| policy.delay(attempt, None, &mut rng)).collect();
            let ceiling = Duration::from_secs(ceiling);
            assert!(delays.iter().all(|delay| *delay <= ceiling), "attempt {attempt}");
            // Full jitter: the delays spread over the whole range, or retries come back together.
            assert!(delays.iter().any(|delay| *delay < ceiling / 10), "attempt {attempt}");
            assert!(delays.iter().any(|delay| *delay > ceiling * 9 / 10), "attempt {attempt}");
        }
    }

    #[test]
    fn a_delay_that_the_handler_names_is_kept_up_to_the_maximum() {
        let policy = RetryPolicy::default();
        let mut rng = StdRng::seed_from_u64(7);
        let minute = Duration::from_secs(60);
        assert_eq!(policy.delay(3, Some(minute), &mut rng), minute);
        assert_eq!(policy.delay(3, Some(minute * 60), &mut rng), minute * 15);
        assert_eq!(policy.delay(3, Some(Duration::ZERO), &mut rng), Duration::ZERO);
    }
}
