//! Paths as they are meant, whatever they look like.

use std::borrow::Cow;
use std::fmt;

/// How often a path is decoded to see what is in it. Some servers decode it once more than they
/// should.
const DECODINGS: usize = 3;

/// What is said of a path with an empty part.
pub(super) const EMPTY_PART: &str = "its path has an empty part (`//`)";

/// The beginning of granted paths: whole segments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PathPrefix(Vec<String>);

impl PathPrefix {
    /// `None` if it is no plain path.
    pub(super) fn new(path: &str) -> Option<Self> {
        let plain = path.trim_end_matches('/');
        let segments = segments(plain).ok()?;
        let is_plain = segments.iter().all(|it| !it.is_empty()) && !plain.contains(['?', '#', '*', '%']);
        is_plain.then_some(Self(segments))
    }

    pub(super) fn segments(&self) -> &[String] {
        &self.0
    }

    pub(super) fn is_whole_host(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn depth(&self) -> usize {
        self.0.len()
    }

    pub(super) fn covers(&self, segments: &[String]) -> bool {
        segments.starts_with(&self.0)
    }

    /// Whether the segments name a row, or a query, of what this names, as in `orders(RowKey='b')`
    /// and `orders()`.
    pub(super) fn covers_row(&self, segments: &[String]) -> bool {
        let Some((table, before)) = self.0.split_last() else { return false };
        let key = |it: &String| {
            it.strip_prefix(table.as_str()).is_some_and(|key| key.starts_with('(') && key.ends_with(')'))
        };
        segments.len() == self.0.len() && segments.starts_with(before) && segments.last().is_some_and(key)
    }
}

impl fmt::Display for PathPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", self.0.join("/"))
    }
}

/// The segments of a path, each decoded once; or which trick it tries. A slash that is encoded is
/// part of a segment, as in names of blobs.
pub(super) fn segments(path: &str) -> Result<Vec<String>, &'static str> {
    check(path)?;
    let mut read = Cow::Borrowed(path);
    for times in 0.. {
        let once = decode(&read).ok_or("its path is not UTF-8")?.into_owned();
        if once == *read {
            break;
        }
        if times == DECODINGS {
            return Err("its path is encoded again and again");
        }
        check(&once)?;
        read = Cow::Owned(once);
    }
    let segments = path.strip_prefix('/').unwrap_or(path);
    if segments.is_empty() {
        return Ok(Vec::new());
    }
    segments.split('/').map(|it| decode(it).map(Cow::into_owned).ok_or("its path is not UTF-8")).collect()
}

/// Whether a path is what it looks like.
fn check(path: &str) -> Result<(), &'static str> {
    // Windows' own HTTP servers decode `%u002e` as well.
    if path.as_bytes().windows(2).any(|it| it.eq_ignore_ascii_case(b"%u")) {
        return Err("its path has a `%u`");
    }
    let path = &plain(path);
    if path.contains('\\') {
        return Err("its path has a backslash");
    }
    if path.chars().any(char::is_control) {
        return Err("its path has a control character");
    }
    let segments: Vec<_> = path.strip_prefix('/').unwrap_or(path).split('/').collect();
    // Servers of Java's cut off what follows a semicolon.
    let names = || segments.iter().map(|it| it.split(';').next().unwrap_or_default());
    // Some cut off blanks and dots at an end, as Windows does.
    if names().any(|name| name.contains('.') && name.chars().all(|it| it == '.' || it.is_whitespace())) {
        return Err("its path goes up or stays where it is (`.`, `..`)");
    }
    let inner = segments.len() - 1;
    if segments[..inner].iter().any(|segment| segment.is_empty()) {
        return Err(EMPTY_PART);
    }
    Ok(())
}

/// The path with letters in place of others that some servers take for them: those that Unicode's
/// compatible forms (NFKC) make of them.
fn plain(path: &str) -> Cow<'_, str> {
    if path.is_ascii() {
        return Cow::Borrowed(path);
    }
    let mut plain = String::with_capacity(path.len());
    for letter in path.chars() {
        match letter {
            '\u{ff0e}' | '\u{2024}' | '\u{fe52}' => plain.push('.'),
            '\u{2025}' => plain.push_str(".."),
            '\u{2026}' => plain.push_str("..."),
            '\u{ff0f}' => plain.push('/'),
            '\u{ff3c}' | '\u{fe68}' => plain.push('\\'),
            letter => plain.push(letter),
        }
    }
    Cow::Owned(plain)
}

/// Decodes what is encoded in a path ([RFC 3986, section
/// 2.1](https://www.rfc-editor.org/rfc/rfc3986#section-2.1)). A percent sign that encodes nothing
/// stands for itself.
fn decode(path: &str) -> Option<Cow<'_, str>> {
    if !path.contains('%') {
        return Some(Cow::Borrowed(path));
    }
    String::from_utf8(decoded(path.as_bytes())).ok().map(Cow::Owned)
}

fn decoded(bytes: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = |at: usize| bytes.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        match (bytes[at], hex(at + 1), hex(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                // Two digits make a byte.
                decoded.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, ..) => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    decoded
}

/// The same of any text, and of `%u` with four digits, as Windows' own servers do. What is not
/// UTF-8 is shown as that.
pub(super) fn decode_lossy(text: &str) -> String {
    let text = String::from_utf8_lossy(&decoded(text.as_bytes())).into_owned();
    let mut pieces = text.split("%u");
    let mut read = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let unit = piece.get(..4).and_then(|it| u32::from_str_radix(it, 16).ok()).and_then(char::from_u32);
        match unit {
            Some(letter) => {
                read.push(letter);
                read.push_str(&piece[4..]);
            }
            None => {
                read.push_str("%u");
                read.push_str(piece);
            }
        }
    }
    read
}

#[cfg(test)]
mod tests {
    use super::{PathPrefix, segments};

    #[test]
    fn a_path_below_a_prefix_is_covered_and_what_only_looks_like_one_is_not() {
        let prefix = PathPrefix::new("/orders/2026").unwrap();
        for path in ["/orders/2026", "/orders/2026/", "/orders/2026/a%2Fb.json", "/orders/20%326/x"] {
            assert!(prefix.covers(&segments(path).unwrap()), "{path}");
        }
        for path in [
            "/orders",
            "/",
            "",
            "/orders/20260",
            "/Orders/2026/x",
            "/orders%2F2026/x",
            "/orders%252F2026/x",
            "/x/orders/2026",
        ] {
            assert!(!prefix.covers(&segments(path).unwrap()), "{path}");
        }
        for path in [
            "/orders/2026/../keys",
            "/orders/2026/%2e%2e/keys",
            "/orders/2026/.%2E/keys",
            "/orders/2026/%252e%252e/keys",
            "/orders/2026/%25252e%25252e/keys",
            "/orders/2026/..;x/keys",
            "/orders/2026/..%2fkeys",
            "/orders/2026/..%5ckeys",
            "/orders/2026\\..\\keys",
            "//keys/orders/2026",
            "/orders//2026",
            "/orders/%2F2026",
            "/orders/2026/./x",
            "/orders/2026/%0d%0ax",
            "/orders/2026/%ff",
            "/orders/2026/%u002e%u002e/keys",
            "/orders/2026/..%u005ckeys",
            "/orders/2026/%25U002e./keys",
            "/orders/2026/..%20/keys",
            "/orders/2026/.../keys",
            "/orders/2026/%EF%BC%8E%EF%BC%8E/keys",
            "/orders/2026/..%EF%BC%8Fkeys",
            "/orders/2026/%E2%80%A5/keys",
            "/orders/2026/%25252525252e%25252525252e/keys",
        ] {
            assert!(segments(path).is_err(), "{path}");
        }
        let rows = ["/orders/2026(PartitionKey='a',RowKey='b%28')", "/orders/2026()"];
        let no_rows = [
            "/orders/2026x()",
            "/orders/2026(",
            "/orders/2026(a)/b",
            "/orders(a)",
            "/2026(a)",
            "/orders/2026",
        ];
        for (path, expected) in rows.map(|it| (it, true)).into_iter().chain(no_rows.map(|it| (it, false))) {
            assert_eq!(prefix.covers_row(&segments(path).unwrap()), expected, "{path}");
        }
        for path in
            ["/orders/2026/a...b", "/orders/2026/Report…2.pdf", "/orders/2026/.hidden", "/orders/2026/100%"]
        {
            assert!(segments(path).is_ok(), "{path}");
        }
        assert!(PathPrefix::new("").unwrap().covers(&segments("/anything").unwrap()));
        assert_eq!(PathPrefix::new("/a/b/").unwrap().to_string(), "/a/b");
        for no_prefix in ["/a/../b", "/a//b", "/a?x", "/a*", "/a%2e"] {
            assert_eq!(PathPrefix::new(no_prefix), None, "{no_prefix}");
        }
    }
}
