//! Which messages were sent, and which were not: where to go on.

use crate::exit::{Clause, Failure};
use longshore_queue::{QueueError, QueueUrl};

/// How many gaps are told at most.
const MAX_TOLD: usize = 20;

/// What became of the messages so far, in their order.
#[derive(Debug)]
pub(super) struct SendProgress {
    /// What the numbers count: `line` or `message`.
    unit: &'static str,
    /// How many are in the queue.
    pub(super) sent: u64,
    last: u64,
    /// Those that are not in the queue, or perhaps are, and why.
    failures: Vec<(u64, QueueError)>,
}

impl SendProgress {
    pub(super) fn new(unit: &'static str) -> Self {
        Self { unit, sent: 0, last: 0, failures: Vec::new() }
    }

    /// Notes what became of the next message; returns its id if it was sent.
    pub(super) fn note(&mut self, number: u64, answer: Result<String, QueueError>) -> Option<String> {
        self.last = number;
        match answer {
            Ok(id) => {
                self.sent += 1;
                Some(id)
            }
            Err(error) => {
                self.failures.push((number, error));
                None
            }
        }
    }

    /// A signal has ended it: how many were sent, and where to go on.
    pub(super) fn stopped(&self, queue: &QueueUrl) -> Failure {
        let (unit, last) = (self.unit, self.last);
        Failure::other(format!(
            "stopped by a signal: {} messages were sent to {queue}, up to {unit} {last}; nothing after that {unit} was sent",
            self.sent
        ))
    }

    /// How many were sent before something else went wrong.
    pub(super) fn already(&self) -> String {
        format!("{} messages were sent before this, up to {} {}", self.sent, self.unit, self.last)
    }

    /// The failure, if there was one, with what is not in the queue.
    pub(super) fn failed(&self, queue: &QueueUrl) -> Result<(), Failure> {
        let Some((_, error)) = self.failures.first() else { return Ok(()) };
        let (unclear, refused): (Vec<_>, Vec<_>) =
            self.failures.iter().partition(|(_, error)| matches!(error, QueueError::Unclear { .. }));
        let numbers = |failures: &[&(u64, QueueError)]| {
            ranges(&failures.iter().map(|(number, _)| *number).collect::<Vec<_>>())
        };
        let (unit, last) = (self.unit, self.last);
        let mut said = vec![format!("{} messages were sent to {queue}", self.sent)];
        if !refused.is_empty() {
            said.push(format!("not sent: {unit} {}", numbers(&refused)));
        }
        if !unclear.is_empty() {
            said.push(format!("perhaps sent: {unit} {}", numbers(&unclear)));
        }
        said.push(format!("nothing after {unit} {last} was sent; go on with these once the cause is mended"));
        Err(error.clone()).during(|| said.join("; "))
    }
}

/// Numbers in a row as `3-5`.
fn ranges(numbers: &[u64]) -> String {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *number => *last = *number,
            _ => ranges.push((*number, *number)),
        }
    }
    let told = ranges.iter().take(MAX_TOLD).map(|(first, last)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    });
    let told = told.collect::<Vec<_>>().join(", ");
    if ranges.len() > MAX_TOLD { format!("{told}, and {} more gaps", ranges.len() - MAX_TOLD) } else { told }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_what_is_missing_and_where_to_go_on() {
        let queue: QueueUrl = "file:./q/orders".parse().unwrap();
        let mut progress = SendProgress::new("line");
        assert_eq!(progress.note(1, Ok("a".into())), Some("a".into()));
        assert!(progress.failed(&queue).is_ok());
        let busy = || Err(QueueError::busy("orders", "HTTP 503"));
        for number in [3, 4, 7] {
            assert_eq!(progress.note(number, busy()), None);
        }
        progress.note(8, Err(QueueError::unclear("orders", "cut")));
        progress.note(9, Ok("b".into()));
        let said = progress.failed(&queue).unwrap_err().message();
        for words in [
            "2 messages were sent to file:./q/orders",
            "not sent: line 3-4, 7",
            "perhaps sent: line 8",
            "nothing after line 9",
            "HTTP 503",
        ] {
            assert!(said.contains(words), "{said}");
        }
    }

    #[test]
    fn many_gaps_are_counted_and_not_all_told() {
        let odd: Vec<u64> = (0..30).map(|n| 2 * n + 1).collect();
        assert!(ranges(&odd).ends_with("37, 39, and 10 more gaps"), "{}", ranges(&odd));
    }
}
