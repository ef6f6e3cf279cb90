//! The words that this program was started with, for another of its verbs.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// Flags of every verb that say whose queues these are.
const GLOBALS: [&str; 4] = ["--credential", "--project", "--profile", "--no-project"];

/// Those of the words that are the flags of every verb, or one of these, with their values.
/// Variables and the project file reach a child by themselves.
pub(in crate::commands) fn own_words(flags: &[&str]) -> Vec<OsString> {
    chosen(std::env::args_os().skip(1), flags)
}

fn chosen(words: impl Iterator<Item = OsString>, flags: &[&str]) -> Vec<OsString> {
    let wanted = |word: &OsStr| flags.iter().chain(&GLOBALS).any(|flag| word == *flag);
    let (mut chosen, mut words) = (Vec::new(), words);
    while let Some(word) = words.next() {
        let name = word.as_bytes().split(|byte| *byte == b'=').next().unwrap_or_default();
        if !wanted(OsStr::from_bytes(name)) {
            continue;
        }
        let has_value = name.len() < word.len() || word == "--no-project";
        chosen.push(word);
        if !has_value {
            chosen.extend(words.next());
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_handed_on_with_their_values_in_either_form() {
        let words = "dev --speed 10 --queue file:./q/orders --no-project --poison-queue=file:./q/bad --queue-length=4 --profile azure";
        let chosen = chosen(words.split(' ').map(Into::into), &["--queue", "--poison-queue"]);
        let expected = "--queue file:./q/orders --no-project --poison-queue=file:./q/bad --profile azure";
        assert_eq!(chosen, expected.split(' ').map(OsString::from).collect::<Vec<_>>());
    }
}
