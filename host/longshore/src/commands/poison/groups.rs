//! Poison messages by reason and cause: what failed, how often, and since when.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::looked::{Listed, to_the_second};

/// The header of a table of groups.
pub(super) const HEADER: [&str; 6] = ["messages", "reason", "cause", "oldest", "newest", "newest id"];

/// The columns of it that are never cut.
pub(super) const COUNT_AND_REASON: usize = 2;

/// How many digits make a word the name of one thing, as ids, times and sizes are. The three of an
/// HTTP status say what failed.
const DIGITS_OF_AN_ID: usize = 4;

/// Messages that failed for one reason and one cause.
#[derive(Debug, Serialize)]
pub(super) struct PoisonGroup {
    reason: String,
    /// The detail of all of them. What differs between them, such as an id, is `…`.
    cause: String,
    messages: u64,
    /// When the first of them was poisoned.
    oldest: Timestamp,
    newest: Timestamp,
    /// The message that was poisoned last, by its own id.
    newest_id: String,
}

impl PoisonGroup {
    pub(super) fn row(self) -> Vec<String> {
        vec![
            self.messages.to_string(),
            self.reason,
            self.cause,
            to_the_second(self.oldest),
            to_the_second(self.newest),
            self.newest_id,
        ]
    }
}

/// The groups of messages, the largest first.
pub(super) fn grouped<'a>(listed: impl Iterator<Item = Listed<'a>>) -> Vec<PoisonGroup> {
    let mut groups = BTreeMap::<_, PoisonGroup>::new();
    for it in listed {
        let (detail, poisoned) = (it.detail(), it.envelope.poisoned);
        let cause = without_ids(&detail);
        let group = groups.entry((it.envelope.reason.to_string(), cause.clone())).or_insert_with(|| {
            let (reason, newest_id) = (it.envelope.reason.to_string(), it.envelope.id.to_string());
            let (oldest, newest) = (poisoned, poisoned);
            PoisonGroup { reason, cause: detail.clone(), messages: 0, oldest, newest, newest_id }
        });
        group.messages += 1;
        if group.cause != detail {
            group.cause = cause;
        }
        group.oldest = group.oldest.min(poisoned);
        if poisoned > group.newest {
            (group.newest, group.newest_id) = (poisoned, it.envelope.id.to_string());
        }
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    groups.sort_by_key(|it| std::cmp::Reverse((it.messages, it.newest)));
    groups
}

/// A detail with `…` in the place of ids and other long numbers. The lines of sources stay, as in
/// `src/lib.rs:1293:29`.
fn without_ids(detail: &str) -> String {
    let is_of_word = |character: char| character.is_alphanumeric() || matches!(character, '-' | '_');
    let (mut shown, mut rest) = (String::with_capacity(detail.len()), detail);
    while !rest.is_empty() {
        let end = rest.find(|character| !is_of_word(character)).unwrap_or(rest.len());
        let (word, behind) = rest.split_at(end);
        let digits = word.chars().filter(char::is_ascii_digit).count();
        let is_line = shown.ends_with(':') && digits == word.len();
        shown.push_str(if digits >= DIGITS_OF_AN_ID && !is_line { "…" } else { word });
        let next = behind.find(is_of_word).unwrap_or(behind.len());
        shown.push_str(&behind[..next]);
        rest = &behind[next..];
    }
    shown
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use longshore_queue::Message;
    use longshore_worker::poison::{Envelope, PoisonReason};

    use super::*;

    #[test]
    fn ids_and_long_numbers_are_left_out_of_a_cause_and_what_tells_causes_apart_is_not() {
        for (detail, expected) in [
            ("order o-20261 is unknown", "order … is unknown"),
            ("GET 5f0c2a66-3d1e-4a4f-9c61-0a7f2c9b1e55: HTTP 503", "GET …: HTTP 503"),
            ("panicked at src/lib.rs:1293:29: no stock", "panicked at src/lib.rs:1293:29: no stock"),
            ("KeyError: 'cents' at prices.py:2031 in price", "KeyError: 'cents' at prices.py:2031 in price"),
            ("items[0].qty: expected u32, got string", "items[0].qty: expected u32, got string"),
            ("caf\u{e9} 12345678 \u{6f22}", "caf\u{e9} … \u{6f22}"),
            ("", ""),
        ] {
            assert_eq!(without_ids(detail), expected);
        }
    }

    #[test]
    fn groups_count_their_messages_and_know_the_oldest_and_the_newest() {
        let message = |id: &str| Message {
            id: id.to_owned(),
            body: Bytes::new(),
            dequeue_count: 1,
            inserted: Timestamp::UNIX_EPOCH,
            time_to_live: None,
            properties: Vec::new(),
        };
        let all = [
            ("a", PoisonReason::Rejected, "no order 1234", 20),
            ("b", PoisonReason::Rejected, "no order 5678", 30),
            ("c", PoisonReason::Rejected, "no order 9999", 10),
            ("d", PoisonReason::AttemptsExhausted, "no order 1234", 40),
            ("e", PoisonReason::Rejected, "not JSON", 50),
        ]
        .map(|(id, reason, detail, second)| {
            (message(id), reason, detail, Timestamp::from_second(second).unwrap())
        });
        let listed = all.iter().map(|(message, reason, detail, poisoned)| {
            let envelope = Envelope::new(message, "orders", *reason, detail, None);
            Listed { envelope: Envelope { poisoned: *poisoned, ..envelope }, unreadable: None }
        });
        let rows: Vec<_> = grouped(listed).into_iter().map(PoisonGroup::row).collect();
        let row = |row: [&str; 6]| row.map(str::to_owned).to_vec();
        let at = |second: &str| format!("1970-01-01 00:00:{second}");
        assert_eq!(
            rows,
            [
                row(["3", "rejected", "no order …", &at("10"), &at("30"), "b"]),
                row(["1", "rejected", "not JSON", &at("50"), &at("50"), "e"]),
                row(["1", "attempts-exhausted", "no order 1234", &at("40"), &at("40"), "d"]),
            ]
        );
    }
}
