//! Text of others, as the page shows it, and numbers and times in words.

use std::borrow::Cow;

use jiff::Timestamp;
use maud::{Escaper, Markup, Render, html};
use std::fmt::Write;
use url::form_urlencoded;

/// Text of others. It is escaped, and what would act instead of being seen is shown as an escape:
/// control characters, and those that change the direction of what follows.
pub(crate) struct AsText<'a>(pub(crate) &'a str);

impl Render for AsText<'_> {
    fn render_to(&self, buffer: &mut String) {
        // Nothing can fail to be written to a string.
        let _ = Escaper::new(buffer).write_str(&shown(self.0));
    }
}

/// The text with what acts as escapes. Line feeds and tabs stay, for whoever shows lines.
pub(crate) fn shown(text: &str) -> Cow<'_, str> {
    let stays = |character: char| matches!(character, '\n' | '\t') || !acts(character);
    if text.chars().all(stays) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if stays(character) {
            shown.push(character);
        } else {
            shown.extend(character.escape_default());
        }
    }
    Cow::Owned(shown)
}

/// The same characters as in what the program writes to a terminal.
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

/// At most so many characters, with a sign that there were more.
pub(crate) fn cut(text: &str, characters: usize) -> Cow<'_, str> {
    match text.char_indices().nth(characters) {
        None => Cow::Borrowed(text),
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
    }
}

/// `10,000`
pub(crate) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `1 message`, `3 messages`
pub(crate) fn counted(count: u64, one: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {one}{plural}", number(count))
}

/// `1 message was`, `3 messages were`
pub(crate) fn was(count: u64) -> String {
    let verb = if count == 1 { "was" } else { "were" };
    format!("{} {verb}", counted(count, "message"))
}

/// `54 ms`, `1.3 s`, `12 s`, `3 min 20 s`, `2 h 5 min`
pub(crate) fn lasted(milliseconds: i64) -> String {
    let milliseconds = milliseconds.max(0);
    let seconds = milliseconds / 1000;
    match seconds {
        0 => format!("{milliseconds} ms"),
        1..10 => format!("{}.{} s", seconds, milliseconds % 1000 / 100),
        10..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// A time of the day in UTC, with its date for programs.
pub(crate) fn time(at_ms: i64) -> Markup {
    let at = Timestamp::from_millisecond(at_ms).unwrap_or_default();
    html! { time datetime=(at.to_string()) { (at.strftime("%H:%M:%S").to_string()) } }
}

/// A date and a time of the day, in UTC.
pub(crate) fn date_and_time(at_ms: i64) -> Markup {
    let at = Timestamp::from_millisecond(at_ms).unwrap_or_default();
    html! { time datetime=(at.to_string()) { (at.strftime("%F %H:%M:%S").to_string()) } }
}

/// A link within the page.
pub(crate) fn link(path: &str, query: &[(&str, &str)]) -> String {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

/// Text of others as a form of the page holds it: a browser changes none of it.
pub(crate) fn coded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// The text that was coded.
pub(crate) fn decoded(coded: &str) -> String {
    form_urlencoded::parse(coded.as_bytes()).next().map(|(text, _)| text.into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_form_holds_comes_back_whatever_it_is() {
        for text in ["0198a2c4-1f", "", "a b+c%d&e=f", "\u{1b}[1m\u{202e}<x>\r\n"] {
            assert!(
                coded(text).bytes().all(|it| it.is_ascii_graphic()) && decoded(&coded(text)) == text,
                "{text}"
            );
        }
    }

    #[test]
    fn what_would_act_is_seen_and_markup_is_text() {
        let text = "a\u{1b}[2J\u{202e}<script>alert('1')</script>\nb";
        let shown = html! { (AsText(text)) }.into_string();
        assert_eq!(shown, "a\\u{1b}[2J\\u{202e}&lt;script&gt;alert('1')&lt;/script&gt;\nb");
        let attribute = html! { a title=(AsText("\"><img onerror=x>")) {} }.into_string();
        assert_eq!(attribute, "<a title=\"&quot;&gt;&lt;img onerror=x&gt;\"></a>");
        let href = html! { a href=(link("/message", &[("id", "a&b\"'<")])) {} }.into_string();
        assert_eq!(href, "<a href=\"/message?id=a%26b%22%27%3C\"></a>");
    }

    #[test]
    fn numbers_and_times_are_read_at_a_glance() {
        assert_eq!(
            [number(0), number(999), number(10_000), number(1_234_567)],
            ["0", "999", "10,000", "1,234,567"]
        );
        assert_eq!([counted(1, "message"), counted(1200, "message")], ["1 message", "1,200 messages"]);
        assert_eq!(
            [lasted(340), lasted(12_900), lasted(200_000), lasted(7_500_000), lasted(-1)],
            ["340 ms", "12 s", "3 min 20 s", "2 h 5 min", "0 ms"]
        );
        assert_eq!((cut("abc", 3), cut("abcd", 3)), ("abc".into(), "abc…".into()));
        assert!(time(0).into_string().contains(">00:00:00<"));
    }
}
