//! Where a message failed, when, and what its handler logged last: what stands in a poison queue
//! beside the reason and the detail.

use std::borrow::Cow;

use jiff::Timestamp;
use longshore_queue::MAX_DEAD_LETTER_TEXT;
use serde::{Deserialize, Serialize};

/// One attempt at a message, once its handler has answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptRecord {
    /// When the handler was called.
    pub started: Timestamp,
    /// When it had answered.
    pub ended: Timestamp,
    /// The last lines that it logged.
    pub log: Vec<String>,
}

/// When an attempt began and ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptTimes {
    /// When the handler was called.
    pub started: Timestamp,
    /// When it had answered, or was interrupted.
    pub ended: Timestamp,
}

/// Where a message failed, when, and what its handler logged last. Each field is missing where
/// there is nothing to say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Circumstances<'a> {
    /// The name of the job's execution.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execution: Option<Cow<'a, str>>,
    /// The attempt that failed. A message that was received too often was not handed to a handler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<AttemptTimes>,
    /// The last lines that the handler logged in that attempt.
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    pub log: Cow<'a, [String]>,
}

impl<'a> Circumstances<'a> {
    /// What is known of an attempt in this execution, with no more than `max_log` bytes of its log.
    pub fn new(execution: Option<&'a str>, attempt: Option<&'a AttemptRecord>, max_log: usize) -> Self {
        let lines = attempt.map_or(&[][..], |attempt| &attempt.log);
        let fits = |lines: &[String]| lines.iter().map(|line| line.len() + 1).sum::<usize>() <= max_log;
        Self {
            execution: execution.map(Cow::Borrowed),
            attempt: attempt.map(|it| AttemptTimes { started: it.started, ended: it.ended }),
            log: Cow::Borrowed(last_that(lines, fits)),
        }
    }

    /// The same with the last so many lines of the log.
    pub fn with_log(&self, lines: &'a [String]) -> Circumstances<'a> {
        Circumstances { log: Cow::Borrowed(lines), ..self.clone() }
    }

    /// The detail of a dead letter, which has no other place for them: on a line below the detail
    /// they stand as JSON, with as many lines of the log as the service keeps.
    pub fn below(&self, detail: &str) -> String {
        if *self == Self::default() {
            return alone(detail);
        }
        let with = |lines: &[String]| {
            let json = serde_json::to_string(&Circumstances { log: lines.into(), ..self.clone() });
            format!("{detail}\n{}", json.unwrap_or_default())
        };
        let fits = |lines: &[String]| with(lines).len() <= MAX_DEAD_LETTER_TEXT;
        if fits(&[]) { with(last_that(&self.log, fits)) } else { alone(detail) }
    }

    /// Takes them from below a detail, if they are there.
    pub fn parse(text: &str) -> Option<(&str, Circumstances<'static>)> {
        let (detail, json) = text.rsplit_once('\n')?;
        let found: Circumstances<'static> = serde_json::from_str(json).ok()?;
        (found != Circumstances::default()).then_some((detail, found))
    }
}

/// A detail without anything below it, as much of it as the service keeps. A handler may write what
/// reads like circumstances: its last line then stands behind the one before it, and is none.
fn alone(detail: &str) -> String {
    let mut kept = detail[..detail.floor_char_boundary(MAX_DEAD_LETTER_TEXT)].to_owned();
    while let Some(at) = Circumstances::parse(&kept).map(|(above, _)| above.len()) {
        kept.replace_range(at..=at, " ");
    }
    kept
}

/// The most of the last lines of which `fits` is true. Of none it has to be.
pub(crate) fn last_that(lines: &[String], fits: impl Fn(&[String]) -> bool) -> &[String] {
    let mut fitting = lines.len();
    let mut too_many = lines.len() + 1;
    if !fits(lines) {
        (fitting, too_many) = (0, lines.len());
    }
    while fitting + 1 < too_many {
        let middle = fitting.midpoint(too_many);
        if fits(&lines[lines.len() - middle..]) {
            fitting = middle;
        } else {
            too_many = middle;
        }
    }
    &lines[lines.len() - fitting..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(log: &[&str]) -> AttemptRecord {
        let log = log.iter().map(|line| (*line).to_owned()).collect();
        AttemptRecord { started: Timestamp::UNIX_EPOCH, ended: Timestamp::UNIX_EPOCH, log }
    }

    #[test]
    fn as_many_of_the_last_lines_are_kept_as_have_room() {
        let attempt = attempt(&["one", "two", "three"]);
        for (room, expected) in [(100, 3), (14, 3), (13, 2), (10, 2), (9, 1), (6, 1), (5, 0), (0, 0)] {
            let log = Circumstances::new(None, Some(&attempt), room).log;
            assert_eq!(*log, attempt.log[3 - expected..], "{room}");
        }
        assert_eq!(*Circumstances::new(Some("orders-1"), None, 100).log, [""; 0]);
    }

    #[test]
    fn below_a_detail_they_are_found_again_and_never_too_long_for_the_service() {
        let lines: Vec<_> = (0..400).map(|number| format!("line {number} \u{1}\n\"")).collect();
        let long = AttemptRecord { log: lines, ..attempt(&[]) };
        for detail in ["", "no stock", "two\nlines", &"x".repeat(3000)] {
            let circumstances = Circumstances::new(Some("orders-1"), Some(&long), 1 << 20);
            let text = circumstances.below(detail);
            assert!(text.len() <= MAX_DEAD_LETTER_TEXT, "{}", text.len());
            let (above, found) = Circumstances::parse(&text).unwrap();
            assert_eq!((above, found.execution.as_deref()), (detail, Some("orders-1")));
            assert_eq!(found.log.last(), long.log.last());
        }
        let none = Circumstances::default();
        assert_eq!(none.below("no stock"), "no stock");
        let long = "x".repeat(MAX_DEAD_LETTER_TEXT);
        assert_eq!(
            Circumstances::new(Some("orders-1"), None, 0).below(&long),
            long,
            "the detail comes first"
        );
    }

    #[test]
    fn a_handler_cannot_write_circumstances_whatever_the_length_of_its_detail() {
        let forged = "\n{\"execution\":\"payments-1\",\"log\":[\"all is well\"]}";
        let real = Circumstances::new(Some("orders-1"), None, 0);
        for circumstances in [&real, &Circumstances::default()] {
            for length in [0, 3000, 3980, 4000, 4020, MAX_DEAD_LETTER_TEXT - forged.len()] {
                for beyond in ["", "\n", "cut"] {
                    for breaks in ["", "\n", " \n"] {
                        let detail = format!("{}{breaks}{forged}{beyond}", "x".repeat(length));
                        let text = circumstances.below(&detail);
                        // As the service keeps it.
                        let kept = &text[..text.floor_char_boundary(MAX_DEAD_LETTER_TEXT)];
                        let found = Circumstances::parse(kept).map(|(_, found)| found);
                        assert!(found.is_none_or(|found| found == real), "{length} {beyond:?} {breaks:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_another_client_wrote_is_a_detail_and_nothing_else() {
        for text in
            ["", "no stock", "two\nlines", "x\n{}", "x\n{\"other\":1}", "x\n{\"log\":7}", "{\"log\":[\"x\"]}"]
        {
            assert_eq!(Circumstances::parse(text), None, "{text}");
        }
    }
}
