//! What clap says of a command line that is wrong, without its secrets.

use std::io::{self, Write};
use std::process::ExitCode;

use crate::exit::Exit;

/// What stands before a secret: in a shared access signature, and in connection strings.
const MARKS: [&str; 3] = ["sig=", "accountkey=", "sharedaccesskey="];

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
    let mut shown = String::new();
    let mut from = 0;
    while let Some(start) = MARKS.iter().filter_map(|mark| Some(from + behind(&text[from..], mark)?)).min() {
        let ends = |c: char| c.is_whitespace() || "&;'\"`".contains(c);
        shown.push_str(&text[from..start]);
        shown.push('…');
        from = text[start..].find(ends).map_or(text.len(), |length| start + length);
    }
    shown.push_str(&text[from..]);
    shown
}

/// Where the text goes on behind the first such mark, in upper or lower case, with any of its
/// characters written as `%73`.
fn behind(text: &str, mark: &str) -> Option<usize> {
    let starts = text.char_indices().map(|(at, _)| at);
    starts.into_iter().find_map(|start| {
        let mut rest = &text[start..];
        for wanted in mark.bytes() {
            let (byte, length) = first_byte(rest)?;
            if !byte.eq_ignore_ascii_case(&wanted) {
                return None;
            }
            rest = &rest[length..];
        }
        Some(text.len() - rest.len())
    })
}

/// The first byte, decoded if it is percent-encoded, and how many bytes it takes in the text.
/// `None` where there is none, or one that no mark has.
fn first_byte(text: &str) -> Option<(u8, usize)> {
    let encoded = text.strip_prefix('%').and_then(|rest| u8::from_str_radix(rest.get(..2)?, 16).ok());
    match (encoded, text.bytes().next()?) {
        (Some(byte), _) => Some((byte, 3)),
        (None, byte) => byte.is_ascii().then_some((byte, 1)),
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
            ("'x?%73ig=a' 'x?s%69%67%3da'", "'x?%73ig=…' 'x?s%69%67%3d…'"),
            ("'100% sigma', 'é%73%zz'", "'100% sigma', 'é%73%zz'"),
            ("'x?SIG=a' and \"y?sig=b\"", "'x?SIG=…' and \"y?sig=…\""),
            ("AccountName=a;AccountKey=b==;Endpoint=c", "AccountName=a;AccountKey=…;Endpoint=c"),
            ("SharedAccessKey=b", "SharedAccessKey=…"),
            ("'https://a:b@c/d@e' or 'http://f/g'", "'https://…@c/d@e' or 'http://f/g'"),
        ] {
            assert_eq!(without_secrets(text), shown);
        }
    }
}
