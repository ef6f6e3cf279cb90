//! Percentiles of many values, in little memory.

use std::fmt;

use serde::Serialize;

/// Steps between one power of two and the next. With these, a percentile is at most an eighth too
/// high.
const STEPS: usize = 8;

/// Values that half, 95 and 99 in a hundred do not exceed. Where nothing was measured, they are
/// zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Percentiles {
    /// The median.
    pub p50: u64,
    /// Exceeded by one in 20.
    pub p95: u64,
    /// Exceeded by one in 100.
    pub p99: u64,
}

impl fmt::Display for Percentiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.p50, self.p95, self.p99)
    }
}

/// How often values of each size were seen.
#[derive(Debug)]
pub(crate) struct Histogram {
    counts: [u64; 64 * STEPS],
    largest: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: [0; 64 * STEPS], largest: 0 }
    }
}

impl Histogram {
    pub(crate) fn record(&mut self, value: u64) {
        self.counts[bucket(value)] += 1;
        self.largest = self.largest.max(value);
    }

    pub(crate) fn percentiles(&self) -> Percentiles {
        let total: u64 = self.counts.iter().sum();
        let at = |percent: u64| {
            let rank = (total * percent).div_ceil(100);
            let mut seen = 0;
            let found = self.counts.iter().position(|count| {
                seen += count;
                seen >= rank
            });
            found.map_or(0, largest_in).min(self.largest)
        };
        Percentiles { p50: at(50), p95: at(95), p99: at(99) }
    }
}

/// Small values have a bucket each; above, each power of two has [`STEPS`].
fn bucket(value: u64) -> usize {
    let steps = STEPS as u64;
    if value < steps {
        return value as usize;
    }
    let shift = value.ilog2() - steps.ilog2();
    shift as usize * STEPS + (value >> shift) as usize
}

fn largest_in(bucket: usize) -> u64 {
    if bucket < 2 * STEPS {
        return bucket as u64;
    }
    let (shift, step) = (bucket / STEPS - 1, (bucket % STEPS + STEPS) as u64);
    (step << shift) + ((1 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use super::{Histogram, Percentiles, bucket, largest_in};

    #[test]
    fn a_log_line_shows_the_three_with_slashes() {
        assert_eq!(Percentiles { p50: 1, p95: 20, p99: 300 }.to_string(), "1/20/300");
    }

    #[test]
    fn a_percentile_is_at_most_an_eighth_too_high() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.percentiles(), Percentiles::default());
        (1..=1000).for_each(|value| histogram.record(value * 1000));
        let Percentiles { p50, p95, p99 } = histogram.percentiles();
        for (found, exact) in [(p50, 500_000), (p95, 950_000), (p99, 990_000)] {
            assert!((exact..=exact + exact / 8).contains(&found), "{found} for {exact}");
        }
        assert!(p99 <= 1_000_000);
    }

    #[test]
    fn every_value_is_in_a_bucket_that_ends_at_or_above_it() {
        for value in (0..100_000).chain((0..64).map(|shift| u64::MAX >> shift)) {
            let bucket = bucket(value);
            assert!(largest_in(bucket) >= value, "{value}");
            assert!(bucket == 0 || largest_in(bucket - 1) < value, "{value}");
        }
    }
}
