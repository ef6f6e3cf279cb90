//! What clap says of a command line that is wrong, without its secrets.

use std::io::{self, Write};
use std::process::ExitCode;

use crate::exit::Exit;

/// The name of a secret: in a shared access signature, and in connection strings. An equals sign
/// follows, and who writes one by hand may put spaces around it.
const MARKS: [&str; 3] = ["sig", "accountkey", "sharedaccesskey"];

/// Says what clap says, and returns its exit code. Clap repeats what it did not expect, and that
/// may be a URL with a signature: a URL behind a verb, for example, where `--queue` is missing
/// before it.
pub(crate) fn refuse(error: &clap::Error) -> ExitCode {
    let said = error.render().to_string();
    let shown = without_secrets(&said);
    // A reader that is gone is no reason to panic.
    let _ = if shown == said { error.print() } else { io::stderr().write_all(shown.as_bytes()) };
    // Clap prints the help that was asked for as an error whose exit code is 0.
    if error.exit_code() == 0 { Exit::Done.into() } else { Exit::Usage.into() }
}

/// The text, with an ellipsis in the place of each secret.
pub(crate) fn without_secrets(text: &str) -> String {
    let text = without_passwords(text);
    let Decoded { bytes, places } = Decoded::of(&text);
    let (mut shown, mut from, mut at) = (String::new(), 0, 0);
    while let Some(marked) = MARKS.iter().filter_map(|mark| end_of(mark, &bytes, at)).min() {
        let start = places[marked];
        let ends = |c: char| c.is_whitespace() || "&;'\"`".contains(c);
        shown.push_str(&text[from..start]);
        shown.push('…');
        from = text[start..].find(ends).map_or(text.len(), |length| start + length);
        at = places.partition_point(|place| *place < from);
    }
    shown.push_str(&text[from..]);
    shown
}

/// Where the value begins that a mark names, of the first such mark at `from` or behind it.
fn end_of(mark: &str, bytes: &[u8], from: usize) -> Option<usize> {
    let past_blanks =
        |at: usize| at + bytes[at..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let mut named = bytes[from..].windows(mark.len()).enumerate().filter(|(_, it)| *it == mark.as_bytes());
    named.find_map(|(found, _)| {
        let equals = past_blanks(from + found + mark.len());
        (bytes.get(equals) == Some(&b'=')).then(|| past_blanks(equals + 1))
    })
}

/// A text in lower case, with what is percent-encoded in it decoded: services read `%73ig` as
/// `sig`.
struct Decoded {
    bytes: Vec<u8>,
    /// Where each byte begins in the text; and where the text ends.
    places: Vec<usize>,
}

impl Decoded {
    fn of(text: &str) -> Self {
        let (mut bytes, mut places, mut at) = (Vec::new(), Vec::new(), 0);
        while let Some(byte) = text.as_bytes().get(at) {
            let digits = text.get(at + 1..at + 3).filter(|_| *byte == b'%');
            let decoded = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
            bytes.push(decoded.unwrap_or(*byte).to_ascii_lowercase());
            places.push(at);
            at += if decoded.is_some() { 3 } else { 1 };
        }
        places.push(text.len());
        Self { bytes, places }
    }
}

/// The text, with an ellipsis for the user and the password before the host of a URL.
fn without_passwords(text: &str) -> String {
    let mut parts = text.split("://");
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let authority =
            part.split(|c: char| c.is_whitespace() || "/?#'\"`".contains(c)).next().unwrap_or_default();
        shown.push_str("://");
        match authority.rfind('@') {
            Some(at) => shown.extend(["…", &part[at..]]),
            None => shown.push_str(part),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::without_secrets;

    #[test]
    fn secrets_are_left_out_and_nothing_else() {
        for (text, shown) in [
            ("unexpected argument '--é' found", "unexpected argument '--é' found"),
            ("'https://a/q?sv=1&sig=a%2Bb/c=&se=2' found", "'https://a/q?sv=1&sig=…&se=2' found"),
            ("'x?SIG=a' and \"y?sig=b\"", "'x?SIG=…' and \"y?sig=…\""),
            ("AccountName=a;AccountKey=b==;Endpoint=c", "AccountName=a;AccountKey=…;Endpoint=c"),
            ("SharedAccessKey=b", "SharedAccessKey=…"),
            (
                "AccountName = a;AccountKey = b==; Endpoint = c",
                "AccountName = a;AccountKey = …; Endpoint = c",
            ),
            ("AccountKey names SharedAccessKey  =\tb c", "AccountKey names SharedAccessKey  =\t… c"),
            ("a signature, no AccountKey", "a signature, no AccountKey"),
            ("?sig%20=%20secret'", "?sig%20=%20…'"),
            // As a service reads it.
            ("'https://a/q?sv=1&%73ig=a%2Bb&se=2' found", "'https://a/q?sv=1&%73ig=…&se=2' found"),
            ("'a?%53%69%47%3Dsecret'", "'a?%53%69%47%3D…'"),
            ("100%, 5%é, %zzsig=a%", "100%, 5%é, %zzsig=…"),
            ("'https://a:b@c/d@e' or 'http://f/g'", "'https://…@c/d@e' or 'http://f/g'"),
        ] {
            assert_eq!(without_secrets(text), shown);
        }
    }
}
