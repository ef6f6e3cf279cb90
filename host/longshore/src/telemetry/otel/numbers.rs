//! Numbers that variables set, within what this host can keep its promises with.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::variables::Variables;

/// How many spans wait for their export at most, and how many may be asked for. 16,384 are thirteen
/// seconds of 1,200 messages a second.
const SPANS_WAITING: (u64, RangeInclusive<u64>) = (16_384, 1..=65_536);
/// How many spans one export has at most.
const SPANS_EXPORTED: (u64, RangeInclusive<u64>) = (2_048, 1..=8_192);
/// How long a span waits for others at most, in milliseconds.
const SCHEDULE_MS: (u64, RangeInclusive<u64>) = (5_000, 10..=3_600_000);
/// How often metrics are exported, in milliseconds.
const INTERVAL_MS: (u64, RangeInclusive<u64>) = (60_000, 100..=86_400_000);
/// How long one export may take, in milliseconds.
const TIMEOUT_MS: (u64, RangeInclusive<u64>) = (10_000, 1..=600_000);
/// How many attributes, and how many links, a span has at most.
const PARTS_OF_SPAN: (u64, RangeInclusive<u64>) = (128, 0..=128);

/// How much is kept and sent, and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ExportLimits {
    pub(super) spans_waiting: usize,
    pub(super) spans_exported: usize,
    pub(super) schedule: Duration,
    pub(super) interval: Duration,
    pub(super) span: SpanLimits,
}

/// How much one span has at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SpanLimits {
    pub(super) attributes: u32,
    pub(super) links: u32,
}

impl ExportLimits {
    /// What the variables set. What they cannot have is said.
    pub(super) fn of(variables: &Variables<'_>, said: &mut Vec<String>) -> Self {
        let mut number = |name, limits| number(variables, name, limits, said);
        let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let spans_waiting = size(number("OTEL_BSP_MAX_QUEUE_SIZE", SPANS_WAITING));
        let spans_exported = size(number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", SPANS_EXPORTED));
        let parts = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        Self {
            spans_waiting,
            // The specification has no batch that is larger than the queue.
            spans_exported: spans_exported.min(spans_waiting),
            schedule: Duration::from_millis(number("OTEL_BSP_SCHEDULE_DELAY", SCHEDULE_MS)),
            interval: Duration::from_millis(number("OTEL_METRIC_EXPORT_INTERVAL", INTERVAL_MS)),
            span: SpanLimits {
                attributes: parts(number("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", PARTS_OF_SPAN)),
                links: parts(number("OTEL_SPAN_LINK_COUNT_LIMIT", PARTS_OF_SPAN)),
            },
        }
    }
}

/// How long one export may take, by the variable of this name.
pub(super) fn export_timeout(variables: &Variables<'_>, name: &str, said: &mut Vec<String>) -> Duration {
    Duration::from_millis(number(variables, name, TIMEOUT_MS, said))
}

fn number(
    variables: &Variables<'_>,
    name: &str,
    (default, range): (u64, RangeInclusive<u64>),
    said: &mut Vec<String>,
) -> u64 {
    let Some(text) = variables.get(name) else { return default };
    let (least, most) = (*range.start(), *range.end());
    let within = format!("it is a whole number from {least} to {most}");
    // More digits than a number has are more than the most.
    let is_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let Some(asked) = text.parse::<u64>().ok().or(is_digits.then_some(u64::MAX)) else {
        said.push(format!("{name} is no number, and {default} is taken; {within}"));
        return default;
    };
    let taken = asked.clamp(least, most);
    if taken != asked {
        said.push(format!("{name} is out of range, and {taken} is taken; {within}"));
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::otel::variables::found;

    fn limits(set: &[(&str, &str)]) -> (ExportLimits, Vec<String>) {
        let (get, mut said) = (|name: &str| found(set, name), Vec::new());
        let limits = ExportLimits::of(&Variables(&get), &mut said);
        (limits, said)
    }

    #[test]
    fn no_number_that_a_variable_has_can_end_the_run_or_eat_its_memory() {
        for (value, taken, words) in [
            (
                "0",
                1,
                "OTEL_BSP_MAX_QUEUE_SIZE is out of range, and 1 is taken; it is a whole number from 1 to 65536",
            ),
            ("18446744073709551615", 65_536, "and 65536 is taken"),
            ("99999999999999999999999999", 65_536, "and 65536 is taken"),
            ("-1", 16_384, "OTEL_BSP_MAX_QUEUE_SIZE is no number, and 16384 is taken"),
            ("much", 16_384, "is no number"),
        ] {
            let (limits, said) = limits(&[("OTEL_BSP_MAX_QUEUE_SIZE", value)]);
            assert_eq!(limits.spans_waiting, taken, "{value}");
            assert!(said.len() == 1 && said[0].contains(words), "{value}: {said:?}");
        }
        let names = [
            "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
            "OTEL_BSP_SCHEDULE_DELAY",
            "OTEL_METRIC_EXPORT_INTERVAL",
            "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
            "OTEL_SPAN_LINK_COUNT_LIMIT",
        ];
        let (limits, said) = limits(&names.map(|name| (name, "18446744073709551615")));
        let SpanLimits { attributes, links } = limits.span;
        assert!(limits.spans_exported <= 8_192 && attributes <= 128 && links <= 128);
        assert_eq!(said.len(), names.len(), "{said:?}");
    }

    #[test]
    fn what_is_in_range_is_taken_without_a_word_and_no_batch_is_larger_than_the_queue() {
        let (all, said) = limits(&[("OTEL_BSP_MAX_QUEUE_SIZE", "100"), ("OTEL_BSP_SCHEDULE_DELAY", "50")]);
        assert_eq!((all.spans_waiting, all.spans_exported), (100, 100));
        assert_eq!((all.schedule, all.interval), (Duration::from_millis(50), Duration::from_secs(60)));
        assert_eq!(said, [""; 0]);
    }
}
