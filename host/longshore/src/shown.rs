//! Text of others, as it is shown.
//!
//! Whatever comes from a message, a handler, a component, a registry or a service is text. On a
//! terminal some of it would be more: an escape sequence writes to the clipboard, a newline forges
//! a line of the log, and a bidirectional control turns a name around. Everything that the program
//! writes goes through here, and such characters are written as escapes.

use std::borrow::Cow;
use std::fmt::Write;

/// The text on one line, with control characters, and those that change how others are shown, as
/// escapes: `\n`, `\u{1b}`, `\u{202e}`.
pub fn shown(text: &str) -> Cow<'_, str> {
    escaped(text, |character, shown| shown.extend(character.escape_default()))
}

/// JSON that holds such characters in its strings only, with the escapes of JSON in their place. It
/// means the same.
pub(crate) fn shown_json(json: &str) -> Cow<'_, str> {
    escaped(json, |character, shown| {
        for unit in character.encode_utf16(&mut [0; 2]) {
            // Nothing can fail to be written to a string.
            let _ = write!(shown, "\\u{unit:04x}");
        }
    })
}

fn escaped(text: &str, escape: impl Fn(char, &mut String)) -> Cow<'_, str> {
    let is_plain = |byte: &u8| (b' '..=b'~').contains(byte);
    if text.as_bytes().iter().all(is_plain) || !text.chars().any(acts) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if acts(character) {
            escape(character, &mut shown);
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown)
}

/// Whether a character does something other than to be seen: controls, line and paragraph
/// separators, and what is invisible or changes the direction of what follows ([UAX
/// 9](https://www.unicode.org/reports/tr9/), [UTS 55](https://www.unicode.org/reports/tr55/)). The
/// joiners are letters of some scripts, and stay.
fn acts(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'
                | '\u{200e}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::{shown, shown_json};

    #[test]
    fn what_acts_on_a_terminal_is_shown_and_all_else_stays() {
        for (text, expected) in [
            ("a\nforged\r\tline", "a\\nforged\\r\\tline"),
            ("\u{1b}]52;c;cHdu\u{7}", "\\u{1b}]52;c;cHdu\\u{7}"),
            ("\u{9b}31m\u{7f}", "\\u{9b}31m\\u{7f}"),
            ("\u{202e}evil\u{2066}\u{2069}", "\\u{202e}evil\\u{2066}\\u{2069}"),
            ("\u{2028}\u{200b}\u{feff}\u{e0041}", "\\u{2028}\\u{200b}\\u{feff}\\u{e0041}"),
        ] {
            assert_eq!(shown(text), expected);
        }
        for plain in [
            "",
            "order 1: caf\u{e9} \u{6f22}\u{5b57} \u{1f6a2}",
            "C:\\new \"quoted\"",
            "\u{645}\u{200c}\u{646}",
        ] {
            assert!(matches!(shown(plain), Cow::Borrowed(same) if same == plain));
        }
    }

    #[test]
    fn json_means_the_same_and_holds_no_character_that_acts() {
        let text = "a\n\u{1b}\u{7f}\u{9b}\u{202e}\u{e0041}\u{1f6a2}";
        let json = serde_json::to_string(text).unwrap();
        let safe = shown_json(&json);
        assert!(safe.chars().all(|character| !super::acts(character)), "{safe}");
        assert_eq!(serde_json::from_str::<String>(&safe).unwrap(), text);
    }
}
