//! Messages that are named by the beginnings or the ends of their ids.

use std::collections::BTreeSet;

use crate::exit::Failure;

/// How many ids are shown of those that begin alike.
const MAX_CANDIDATES: usize = 10;

/// The ids of a message: its own, and the one that it has in a poison queue. Often they are one.
pub(super) type Ids<'a> = (&'a str, &'a str);

/// The id that a text names: the whole id of a message, or a beginning or an end that only one has;
/// `None` if no message has it.
///
/// Ids that are made within a minute begin alike, and the log on a terminal shows their ends.
///
/// # Errors
/// When several messages have ids that begin or end so: which.
pub(super) fn resolve<'a>(
    text: &str,
    messages: impl Iterator<Item = Ids<'a>> + Clone,
) -> Result<Option<String>, Failure> {
    if text.is_empty() {
        return Err(Failure::usage("an id is empty; `list` and `peek` show those that there are"));
    }
    if messages.clone().any(|(own, other)| own == text || other == text) {
        return Ok(Some(text.to_owned()));
    }
    // Two messages may have one id of their own. That of the poison queue is one message's alone.
    let matches = |it: &&str| it.starts_with(text) || it.ends_with(text);
    let matching = messages.flat_map(|(own, other)| [own, other].into_iter().find(matches));
    let candidates: BTreeSet<_> = matching.collect();
    match candidates.len() {
        0 | 1 => Ok(candidates.first().map(|id| (*id).to_owned())),
        count => {
            let mut shown: Vec<_> = candidates.into_iter().take(MAX_CANDIDATES).map(str::to_owned).collect();
            if count > MAX_CANDIDATES {
                shown.push("…".into());
            }
            Err(Failure::usage(format!(
                "{count} ids begin or end with {text}: {}; write more of the one that is meant",
                shown.join(", ")
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;

    const MESSAGES: [Ids<'static>; 4] = [("ab-1", "x-1"), ("ab-2", "x-2"), ("ab-12", "y"), ("c", "c")];

    #[test]
    fn an_id_is_named_whole_or_by_a_beginning_or_an_end_that_no_other_has() {
        for (text, id) in [
            ("ab-1", Some("ab-1")),
            ("ab-12", Some("ab-12")),
            ("c", Some("c")),
            ("x-2", Some("x-2")),
            ("y", Some("y")),
            ("ab-2", Some("ab-2")),
            ("ab-3", None),
            ("b-1", Some("ab-1")),
            ("b-12", Some("ab-12")),
            ("b-", None),
        ] {
            assert_eq!(resolve(text, MESSAGES.into_iter()).unwrap().as_deref(), id, "{text}");
        }
        let copies = [("m", "x-1"), ("m", "y-1"), ("", "z-1")];
        assert_eq!(resolve("x-", copies.into_iter()).unwrap().as_deref(), Some("x-1"), "one of two");
        assert_eq!(resolve("z", copies.into_iter()).unwrap().as_deref(), Some("z-1"), "it has no own id");
        let twice = [("m-1", "x"), ("m-1", "y")];
        assert_eq!(resolve("m", twice.into_iter()).unwrap().as_deref(), Some("m-1"), "two of one id");
    }

    #[test]
    fn ids_that_begin_or_end_alike_are_listed() {
        let failure = resolve("ab", MESSAGES.into_iter()).unwrap_err();
        assert_eq!(failure.exit(), Exit::Usage);
        let said = failure.message();
        assert!(said.contains("3 ids begin or end with ab: ab-1, ab-12, ab-2; write more"), "{said}");
        let said = resolve("2", MESSAGES.into_iter()).unwrap_err().message();
        assert!(said.contains("2 ids begin or end with 2: ab-12, ab-2; write more"), "{said}");
        let many: Vec<_> = (10..30).map(|n| format!("m-{n}")).collect();
        let said = resolve("m", many.iter().map(|id| (&**id, &**id))).unwrap_err().message();
        assert!(said.contains("20 ids") && said.contains("m-19, …;") && !said.contains("m-20"), "{said}");
        assert_eq!(resolve("", MESSAGES.into_iter()).unwrap_err().exit(), Exit::Usage);
    }
}
