//! What a line of a log costs, and where it is cut.

/// What a line costs beside its text: its time, level, message id and names, as JSON.
pub(crate) const LINE: usize = 160;

/// The most that one line may cost, in bytes as JSON writes them. Container runtimes split lines of
/// 16 KiB, which is no JSON any more. What is longer becomes several lines.
pub(crate) const LONGEST_LINE: usize = 12 << 10;

/// What a character takes at the most, in JSON or where control characters are shown.
fn cost_of(character: char) -> usize {
    match character {
        '"' | '\\' => 2,
        ' '..='~' => 1,
        // `\u{10ffff}` is the longest.
        '\u{0}'..='\u{9f}' => 6,
        _ if character.is_alphanumeric() => character.len_utf8(),
        _ => 10,
    }
}

/// What a text takes at the most.
pub(crate) fn cost(text: &str) -> usize {
    text.chars().map(cost_of).sum()
}

/// Where to cut a text so that it takes no more than `room`.
pub(crate) fn cut(text: &str, room: usize) -> usize {
    let mut left = room;
    for (index, character) in text.char_indices() {
        let Some(less) = left.checked_sub(cost_of(character)) else { return index };
        left = less;
    }
    text.len()
}

/// Where the last character begins that may not be whole, if the bytes are UTF-8.
pub(crate) fn whole_characters(bytes: &[u8]) -> usize {
    let longest = bytes.len().saturating_sub(4);
    let begins = |index: &usize| bytes[*index] & 0xc0 == 0xc0;
    match (longest..bytes.len()).rev().find(begins) {
        Some(start) if str::from_utf8(&bytes[start..]).is_err() => start,
        _ => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::{cost, cut, whole_characters};

    #[test]
    fn a_line_costs_no_less_than_it_takes_as_json_or_where_control_characters_are_shown() {
        for character in ('\u{0}'..=char::MAX).step_by(7).chain('\u{0}'..='\u{3000}') {
            let text = character.to_string();
            assert!(serde_json::to_string(&text).unwrap().len() - 2 <= cost(&text), "{character:?}");
            if !character.is_alphanumeric() && !character.is_ascii() {
                assert!(character.escape_unicode().count() <= cost(&text).max(8), "{character:?}");
            }
        }
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!([0, 1, 2, 3, 9].map(|room| cut("a\u{e9}b", room)), [0, 1, 1, 3, 4]);
        assert_eq!(cut("\n\n", 6), 1);
    }

    #[test]
    fn a_character_that_is_not_whole_waits_for_its_end() {
        let text = "ab\u{6f22}".as_bytes();
        assert_eq!([2, 3, 4, 5].map(|length| whole_characters(&text[..length])), [2, 2, 2, 5]);
        assert_eq!(whole_characters(b"\xff\xff"), 1);
        assert_eq!(whole_characters(b""), 0);
    }
}
