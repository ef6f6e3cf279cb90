//! The XML of the protocol, read leniently and written strictly.
//!
//! An answer is taken apart message by message: one whose text is not XML (`&#0;`, a control
//! character, broken UTF-8) is damaged, and its neighbours are not. A parser of whole documents
//! would refuse the batch, and each one after it, so that a single such message stopped the queue
//! for good. ([Get Messages](https://learn.microsoft.com/rest/api/storageservices/get-messages),
//! *Response body*)

use std::borrow::Cow;
use std::fmt::Write as _;

use bytes::Bytes;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use memchr::memmem;

/// What one `<QueueMessage>` holds; what was missing or could not be read is `None`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct QueueEntry {
    pub(super) id: Option<String>,
    pub(super) receipt: Option<String>,
    pub(super) dequeue_count: Result<u32, CountDamage>,
    pub(super) inserted: Option<Timestamp>,
    /// `None` also for the year 9999, which is how the service says *never*.
    pub(super) expires: Option<Timestamp>,
    pub(super) text: Text,
}

/// What stands where a dequeue count should be, cut and escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CountDamage(String);

/// How many characters are shown of what is no count.
const SHOWN_OF_COUNT: usize = 20;

impl std::fmt::Display for CountDamage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "its dequeue count cannot be read: the service says \"{}\"", self.0)
    }
}

/// A message's text, as far as it could be read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Text {
    /// Where nothing is damaged, the text; else as much of it as there is.
    pub(super) bytes: Bytes,
    /// What is wrong with it.
    pub(super) damage: Option<String>,
}

/// What an answer holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entries {
    pub(super) entries: Vec<QueueEntry>,
    /// Whether the answer ends as a list of messages ends. If not, more may have been leased than
    /// is here.
    pub(super) complete: bool,
}

/// Takes a list of messages apart.
pub(super) fn entries(answer: &Bytes) -> Entries {
    let mut entries = Vec::new();
    let mut rest = &answer[..];
    while let Some(entry) = element(rest, "QueueMessage") {
        entries.push(self::entry(answer, entry.content));
        rest = entry.after;
    }
    let complete = if entries.is_empty() {
        // What holds something else than messages may have leased them.
        element(answer, "QueueMessagesList").is_some_and(|it| it.content.trim_ascii().is_empty())
    } else {
        let unfinished = memmem::find(rest, b"<QueueMessage>").is_some();
        memmem::find(rest, b"</QueueMessagesList>").is_some() && !unfinished
    };
    Entries { complete, entries }
}

fn entry(answer: &Bytes, content: &[u8]) -> QueueEntry {
    let field = |name| element(content, name).and_then(|it| std::str::from_utf8(it.content).ok());
    let time = |name| DateTimeParser::new().parse_timestamp(field(name)?).ok();
    QueueEntry {
        id: field("MessageId").map(str::to_owned),
        receipt: field("PopReceipt")
            .map(|it| String::from_utf8_lossy(&unescape(it.as_bytes()).0).into_owned()),
        dequeue_count: count(field("DequeueCount").unwrap_or_default()),
        inserted: time("InsertionTime"),
        expires: time("ExpirationTime"),
        text: match element(content, "MessageText") {
            Some(found) => text(answer, found.content),
            None => Text { damage: Some("it came without its text".into()), ..Text::default() },
        },
    }
}

/// How often a message was received. A number that is too large for us is the largest that we know:
/// the message was received too often in any case.
fn count(text: &str) -> Result<u32, CountDamage> {
    let digits = text.trim();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let shown = digits.escape_default().take(SHOWN_OF_COUNT).collect();
        return Err(CountDamage(shown));
    }
    Ok(digits.parse().unwrap_or(u32::MAX))
}

/// The inside of an element, and what comes behind it.
struct Element<'a> {
    content: &'a [u8],
    after: &'a [u8],
}

/// The first element of this name that is whole. Names are enough: inside of texts each `<` is
/// escaped.
fn element<'a>(xml: &'a [u8], name: &str) -> Option<Element<'a>> {
    let mut rest = xml;
    loop {
        rest = after_tag(rest, b"<", name, b"")?;
        if let Some(after) = [&b"/>"[..], b" />"].into_iter().find_map(|end| rest.strip_prefix(end)) {
            return Some(Element { content: &[], after });
        }
        // Else it is the beginning of a longer name.
        if let Some(inside) = rest.strip_prefix(b">") {
            let after = after_tag(inside, b"</", name, b">")?;
            let length = inside.len() - after.len() - name.len() - "</>".len();
            return Some(Element { content: &inside[..length], after });
        }
    }
}

/// What comes behind the first place at which these three stand one after the other.
fn after_tag<'a>(mut xml: &'a [u8], open: &[u8], name: &str, close: &[u8]) -> Option<&'a [u8]> {
    loop {
        xml = &xml[memchr::memchr(b'<', xml)?..];
        let named = xml.strip_prefix(open).and_then(|it| it.strip_prefix(name.as_bytes()));
        match named.and_then(|it| it.strip_prefix(close)) {
            Some(rest) => return Some(rest),
            None => xml = &xml[1..],
        }
    }
}

fn text(answer: &Bytes, raw: &[u8]) -> Text {
    let (bytes, bad_entity) = unescape(raw);
    let damage = bad_entity.or_else(|| problem(&bytes)).map(|cause| format!("not XML text: {cause}"));
    let bytes = match bytes {
        Cow::Borrowed(raw) => answer.slice_ref(raw),
        Cow::Owned(bytes) => bytes.into(),
    };
    Text { bytes, damage }
}

/// Replaces character references, and leaves those that stand for no character as they are: the
/// first of these is returned.
fn unescape(raw: &[u8]) -> (Cow<'_, [u8]>, Option<String>) {
    if !raw.contains(&b'&') {
        return (Cow::Borrowed(raw), None);
    }
    let mut out = Vec::with_capacity(raw.len());
    let mut bad = None;
    let mut rest = raw;
    while let Some(at) = rest.iter().position(|byte| *byte == b'&') {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at..];
        // The longest reference to a character is `&#1114111;`.
        let end = rest.iter().take(16).position(|byte| *byte == b';');
        let name = end.and_then(|end| std::str::from_utf8(&rest[1..end]).ok());
        match (name.and_then(character), end) {
            (Some(character), Some(end)) => {
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                rest = &rest[end + 1..];
            }
            _ => {
                let offset = raw.len() - rest.len();
                bad.get_or_insert_with(|| format!("a reference to no character at byte {offset}"));
                out.push(b'&');
                rest = &rest[1..];
            }
        }
    }
    out.extend_from_slice(rest);
    (Cow::Owned(out), bad)
}

fn character(name: &str) -> Option<char> {
    match name {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix('x') {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?)
        }
    }
}

/// What keeps these bytes from being XML text; `None` if nothing does
/// ([XML 1.0, section 2.2](https://www.w3.org/TR/xml/#charsets)).
pub(super) fn problem(bytes: &[u8]) -> Option<String> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => return Some(format!("not UTF-8 at byte {}", error.valid_up_to())),
    };
    let allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..);
    let (at, character) = text.char_indices().find(|(_, c)| !allowed(*c))?;
    Some(format!("the character U+{:04X} at byte {at}", u32::from(character)))
}

/// How many bytes a text has once it is escaped, which is what the service's limit counts.
pub(super) fn escaped_len(text: &[u8]) -> usize {
    text.iter().map(|byte| escape(*byte).map_or(1, str::len)).sum()
}

/// The body of a *Put Message* request with this text, which must be XML text.
pub(super) fn queue_message(text: &str) -> Bytes {
    let mut xml = String::with_capacity(text.len() + 72);
    xml.push_str("<QueueMessage><MessageText>");
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate() {
        if let Some(escaped) = escape(byte) {
            // Writing to a `String` does not fail.
            let _ = write!(xml, "{}{escaped}", &text[from..at]);
            from = at + 1;
        }
    }
    xml.push_str(&text[from..]);
    xml.push_str("</MessageText></QueueMessage>");
    xml.into()
}

/// `>` since `]]>` must not stand in a text, and the carriage return since a parser reads a plain
/// one as a line feed.
fn escape(byte: u8) -> Option<&'static str> {
    match byte {
        b'<' => Some("&lt;"),
        b'>' => Some("&gt;"),
        b'&' => Some("&amp;"),
        b'\r' => Some("&#xD;"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(texts: &[&[u8]]) -> Bytes {
        let mut xml = b"\xef\xbb\xbf<?xml version=\"1.0\" encoding=\"utf-8\"?><QueueMessagesList>".to_vec();
        for (n, text) in texts.iter().enumerate() {
            xml.extend_from_slice(
                format!(
                    "<QueueMessage><MessageId>id-{n}</MessageId>\
                     <InsertionTime>Sun, 22 Nov 2026 20:00:00 GMT</InsertionTime>\
                     <ExpirationTime>Fri, 31 Dec 9999 23:59:59 GMT</ExpirationTime>\
                     <PopReceipt>r&amp;{n}</PopReceipt><TimeNextVisible>Sun, 22 Nov 2026 20:01:00 GMT</TimeNextVisible>\
                     <DequeueCount>3</DequeueCount><MessageText>"
                )
                .as_bytes(),
            );
            xml.extend_from_slice(text);
            xml.extend_from_slice(b"</MessageText></QueueMessage>");
        }
        xml.extend_from_slice(b"</QueueMessagesList>");
        xml.into()
    }

    #[test]
    fn one_damaged_text_leaves_its_neighbours_alone() {
        let damaged: &[(&[u8], &[u8], &str)] = &[
            (b"a&#0;b", b"a\0b", "the character U+0000 at byte 1"),
            (b"a&#x1F;b", b"a\x1fb", "the character U+001F at byte 1"),
            (b"a\x01b", b"a\x01b", "the character U+0001 at byte 1"),
            (b"a&#xD800;b", b"a&#xD800;b", "a reference to no character at byte 1"),
            (b"a&nbsp;b &amp;", b"a&nbsp;b &", "a reference to no character at byte 1"),
            (b"a & b", b"a & b", "a reference to no character at byte 2"),
            (b"&", b"&", "a reference to no character at byte 0"),
            (b"a\xffb", b"a\xffb", "not UTF-8 at byte 1"),
            ("\u{fffe}".as_bytes(), "\u{fffe}".as_bytes(), "the character U+FFFE at byte 0"),
        ];
        for (raw, kept, cause) in damaged {
            let answer = list(&[b"{&quot;a&quot;: 1}", raw, b"&lt;&gt;&apos;&#233;&#x1F600;"]);
            let Entries { entries, complete } = entries(&answer);
            assert!(complete && entries.len() == 3, "{raw:?}");
            assert_eq!(entries[0].text, Text { bytes: "{\"a\": 1}".into(), damage: None });
            assert_eq!(entries[2].text, Text { bytes: "<>'é😀".into(), damage: None });
            assert_eq!(entries[1].text.bytes, *kept);
            let damage = entries[1].text.damage.as_deref();
            assert_eq!(damage, Some(&*format!("not XML text: {cause}")), "{raw:?}");
        }
    }

    #[test]
    fn the_fields_of_a_message_are_read_and_the_year_9999_is_never() {
        let entry = entries(&list(&[b""])).entries.remove(0);
        assert_eq!((entry.id.as_deref(), entry.receipt.as_deref()), (Some("id-0"), Some("r&0")));
        assert_eq!(entry.inserted.unwrap().to_string(), "2026-11-22T20:00:00Z");
        assert_eq!((entry.dequeue_count, entry.expires), (Ok(3), None));
    }

    #[test]
    fn a_count_is_a_number_and_one_that_is_too_large_is_the_largest() {
        for (text, expected) in [
            ("1", Ok(1)),
            (" 7 ", Ok(7)),
            ("007", Ok(7)),
            ("0", Ok(0)),
            ("4294967295", Ok(u32::MAX)),
            ("4294967296", Ok(u32::MAX)),
            ("99999999999999999999999999", Ok(u32::MAX)),
            ("", Err("\"\"")),
            ("-1", Err("\"-1\"")),
            ("+1", Err("\"+1\"")),
            ("1.5", Err("\"1.5\"")),
            ("1e3", Err("\"1e3\"")),
            ("0x1", Err("\"0x1\"")),
            ("one\u{1b}[31m", Err("u{1b}")),
            ("a long story that goes on and on", Err("\"a long story that go\"")),
        ] {
            match (count(text), expected) {
                (Ok(count), Ok(expected)) => assert_eq!(count, expected, "{text}"),
                (Err(damage), Err(shown)) => assert!(damage.to_string().contains(shown), "{damage}"),
                (count, _) => panic!("{text}: {count:?}"),
            }
        }
    }

    #[test]
    fn an_answer_that_breaks_off_gives_what_is_whole() {
        let whole = list(&[b"one", b"two", b"three"]);
        let mut most = 0;
        for length in 0..whole.len() {
            let Entries { entries, complete } = entries(&whole.slice(..length));
            assert!(!complete, "{length} of {} bytes", whole.len());
            assert!(entries.iter().all(|it| it.text.damage.is_none() && it.receipt.is_some()));
            most = most.max(entries.len());
        }
        assert_eq!(most, 3);
        for empty in [
            "<QueueMessagesList/>",
            "<?xml?><QueueMessagesList />",
            "<QueueMessagesList></QueueMessagesList>",
        ] {
            assert_eq!(entries(&empty.into()), Entries { entries: vec![], complete: true });
        }
    }

    #[test]
    fn what_is_no_list_of_messages_is_no_empty_queue() {
        let message = "<QueueMessage xmlns=\"x\"><MessageId>id</MessageId></QueueMessage>";
        for odd in [message, "<m:QueueMessage/>", "QueueMessage"] {
            let answer = format!("<QueueMessagesList>{odd}</QueueMessagesList>");
            assert_eq!(entries(&answer.into()), Entries { entries: vec![], complete: false }, "{odd}");
        }
        let spaces = "<QueueMessagesList>\r\n </QueueMessagesList>";
        assert_eq!(entries(&spaces.into()), Entries { entries: vec![], complete: true });
    }

    #[test]
    fn a_message_without_a_text_is_damaged_and_one_with_an_empty_text_is_not() {
        for (text, is_damaged) in
            [("", true), ("<MessageText/>", false), ("<MessageText></MessageText>", false)]
        {
            let message = format!("<QueueMessage><MessageId>id</MessageId>{text}</QueueMessage>");
            let answer = format!("<QueueMessagesList>{message}</QueueMessagesList>");
            let entry = entries(&answer.into()).entries.remove(0);
            assert_eq!((entry.text.damage.is_some(), &*entry.text.bytes), (is_damaged, &b""[..]), "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for text in ["", "a\r\nb\t", "<a>&amp;]]>\"'</a>", "日本😀\u{7f}", " lead and trail "] {
            assert_eq!(problem(text.as_bytes()), None);
            let xml = queue_message(text);
            let read = element(&xml, "MessageText").unwrap().content;
            assert_eq!(read.len(), escaped_len(text.as_bytes()));
            assert_eq!(unescape(read).0, text.as_bytes());
        }
    }

    #[test]
    fn what_a_text_may_not_hold_is_escaped_and_nothing_else_is() {
        let xml = queue_message("a<b>&\"'\r\n");
        let text = "a&lt;b&gt;&amp;\"'&#xD;\n";
        assert_eq!(xml, format!("<QueueMessage><MessageText>{text}</MessageText></QueueMessage>"));
    }
}
