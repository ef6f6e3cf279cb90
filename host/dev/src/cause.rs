//! Failures of messages, grouped by their cause.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How many causes are told apart in one execution. The rest is counted together.
const MAX_CAUSES: usize = 50;
/// How much of a detail tells causes apart, in characters.
const MAX_DETAIL: usize = 160;

/// How often something failed for one cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CauseCount {
    /// What became of the messages: `retried`, `poisoned`, `abandoned` or `lease-lost`.
    pub outcome: String,
    /// The reason, and its detail with `#` in place of numbers.
    pub cause: String,
    /// How often.
    pub count: u64,
}

/// Failures as they are read from the log of an execution.
#[derive(Debug, Default)]
pub(crate) struct Causes {
    counts: BTreeMap<(String, String), u64>,
    /// The last line that is no JSON object and says what ended the program.
    pub(crate) last_words: Option<String>,
}

impl Causes {
    /// Reads a line of the log.
    pub(crate) fn read(&mut self, line: &str) {
        if let Some(words) = line.strip_prefix("longshore: ") {
            self.last_words = Some(cut(words, 4 * MAX_DETAIL));
            return;
        }
        // Nearly all lines tell of something that was completed.
        if !line.contains("\"outcome\":") || line.contains("\"outcome\":\"completed\"") {
            return;
        }
        let Ok(line) = serde_json::from_str::<Value>(line) else { return };
        let text = |name: &str| line[name].as_str().filter(|it| !it.is_empty());
        let Some(outcome) = text("outcome") else { return };
        let cause = match (text("reason"), text("detail")) {
            (Some(reason), Some(detail)) => format!("{reason}: {}", without_numbers(detail)),
            (Some(only), None) | (None, Some(only)) => without_numbers(only),
            (None, None) => outcome.to_owned(),
        };
        let mut key = (outcome.to_owned(), cause);
        if self.counts.len() >= MAX_CAUSES && !self.counts.contains_key(&key) {
            key = (String::new(), "other causes".into());
        }
        *self.counts.entry(key).or_default() += 1;
    }

    /// The causes, the most frequent first.
    pub(crate) fn counted(&self) -> Vec<CauseCount> {
        let count = |((outcome, cause), count): (&(String, String), &u64)| CauseCount {
            outcome: outcome.clone(),
            cause: cause.clone(),
            count: *count,
        };
        let mut counts: Vec<_> = self.counts.iter().map(count).collect();
        counts.sort_by_key(|it| std::cmp::Reverse(it.count));
        counts
    }
}

/// The first line, with `#` in place of each number: ids and times tell no causes apart. Lines of
/// sources do, as in `src/lib.rs:31:9`.
pub(crate) fn without_numbers(text: &str) -> String {
    let line = cut(text.lines().next().unwrap_or_default(), MAX_DETAIL);
    let mut shown = String::with_capacity(line.len());
    let mut is_line = false;
    for character in line.chars() {
        is_line = character.is_ascii_digit() && (is_line || shown.ends_with(':'));
        match character {
            _ if is_line => shown.push(character),
            '0'..='9' if shown.ends_with('#') => {}
            '0'..='9' => shown.push('#'),
            other => shown.push(other),
        }
    }
    shown
}

fn cut(text: &str, characters: usize) -> String {
    text.chars().take(characters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(outcome: &str, reason: &str, detail: &str) -> String {
        serde_json::json!({ "outcome": outcome, "reason": reason, "detail": detail, "ms": 3 }).to_string()
    }

    #[test]
    fn failures_that_differ_in_numbers_alone_have_one_cause() {
        let mut causes = Causes::default();
        causes.read(&line("retried", "failed", "order 17 has no stock\nmore"));
        causes.read(&line("retried", "failed", "order 4711 has no stock"));
        causes.read(&line("poisoned", "rejected", "not JSON"));
        causes.read(&line("retried", "trap", "panicked at src/lib.rs:31:9: order 17"));
        causes.read("{\"outcome\":\"completed\",\"ms\":2}");
        causes.read("a handler's line");
        let counted = causes.counted();
        let shown: Vec<_> = counted.iter().map(|it| (&*it.outcome, &*it.cause, it.count)).collect();
        assert_eq!(
            shown,
            [
                ("retried", "failed: order # has no stock", 2),
                ("poisoned", "rejected: not JSON", 1),
                ("retried", "trap: panicked at src/lib.rs:31:9: order #", 1),
            ]
        );
    }

    #[test]
    fn the_causes_that_are_told_apart_are_bounded() {
        let mut causes = Causes::default();
        for number in 0..26 * 26 {
            let letters = [b'a' + (number / 26) as u8, b'a' + (number % 26) as u8];
            causes.read(&line("retried", "failed", std::str::from_utf8(&letters).unwrap()));
        }
        let counted = causes.counted();
        assert_eq!(counted.len(), MAX_CAUSES + 1);
        assert_eq!(counted.iter().map(|it| it.count).sum::<u64>(), 26 * 26);
        assert_eq!(counted[0].cause, "other causes");
    }

    #[test]
    fn what_ended_the_program_is_kept() {
        let mut causes = Causes::default();
        causes.read("longshore: the queue is not there; create it");
        assert_eq!(causes.last_words.as_deref(), Some("the queue is not there; create it"));
    }
}
