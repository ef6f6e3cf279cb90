//! What a guest said of its own end on standard error, just before it trapped.
//!
//! A trap is the same instruction for every panic, exception and abort. The cause and its line are
//! in what the language's runtime printed before. Three forms are read here: the panic of Rust's
//! standard library, the traceback of CPython as componentize-py prints it, and the error that
//! componentize-js names when a handler throws what is no failure of the contract. Of all other
//! languages the last line stands for the cause.

use crate::shorten::shorten;

/// How much of the words is kept, in bytes.
const LONGEST_TEXT: usize = 4 << 10;
/// How much of a place is kept, in bytes.
const LONGEST_PLACE: usize = 256;
/// How the runtime of componentize-py panics once a traceback is printed.
const PYTHON_RUNTIME: &str = "runtime/src/lib.rs:";
/// What componentize-js says of a thrown value, before the value and behind it.
const THROWN: (&str, &str) = ("(received `", "`) specified for `");

/// Reads the lines of standard error, one after the other.
#[derive(Debug, Default)]
pub(crate) struct LastWords {
    end: Option<End>,
    /// The last line that was not indented.
    last: String,
}

/// An end that was announced.
#[derive(Debug)]
enum End {
    /// `thread '…' panicked at src/lib.rs:31:9:`, and the text below it.
    Panic { place: String, text: String, is_open: bool },
    /// `Traceback (most recent call last):`, its frames, and the exception below them.
    Traceback { place: String, own: String, text: String, is_open: bool },
    /// An error that was thrown, with its place if the handler said one.
    Thrown(String),
}

impl LastWords {
    /// Reads one line, without its end.
    pub(crate) fn read(&mut self, line: &str) {
        if let Some(place) = panicked_at(line) {
            match &mut self.end {
                Some(End::Traceback { is_open, .. }) if place.starts_with(PYTHON_RUNTIME) => *is_open = false,
                end => {
                    let place = shorten(place.to_owned(), LONGEST_PLACE);
                    *end = Some(End::Panic { place, text: String::new(), is_open: true });
                }
            }
        } else if line == "Traceback (most recent call last):" {
            let nothing = String::new;
            self.end =
                Some(End::Traceback { place: nothing(), own: nothing(), text: nothing(), is_open: true });
        } else if let Some(thrown) = thrown(line) {
            self.end = Some(End::Thrown(self.with_its_place(thrown)));
        } else if let Some(end) = &mut self.end {
            end.read(line);
        }
        if !line.trim().is_empty() && !line.starts_with(char::is_whitespace) {
            self.last = shorten(line.to_owned(), LONGEST_TEXT);
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// What was said of the end: the words, and the place in the source.
    pub(crate) fn of_the_end(&self) -> Option<String> {
        Some(match self.end.as_ref()? {
            End::Panic { place, text, .. } if text.is_empty() => format!("panicked at {place}"),
            End::Panic { place, text, .. } => format!("panicked at {place}: {text}"),
            End::Traceback { text, .. } if text.is_empty() => return None,
            End::Traceback { place, own, text, .. } => {
                let place = if own.is_empty() { place } else { own };
                if place.is_empty() { text.clone() } else { format!("{text} at {place}") }
            }
            End::Thrown(text) => text.clone(),
        })
    }

    /// The last line, of a guest that said nothing of its end in a form that is known.
    pub(crate) fn last_line(&self) -> Option<&str> {
        Some(&*self.last).filter(|line| !line.is_empty())
    }

    /// The line before, if it says the same error with its place; `thrown` where it does not.
    fn with_its_place(&self, thrown: &str) -> String {
        let said = self.last.split_once(" at ").map_or("", |(words, _)| words);
        let words: Vec<_> = thrown.split_whitespace().collect();
        if !said.is_empty() && words.join(" ").starts_with(said) {
            return self.last.clone();
        }
        shorten(words.join(" "), LONGEST_TEXT)
    }
}

impl End {
    fn read(&mut self, line: &str) {
        match self {
            Self::Panic { text, is_open, .. } => {
                // What `RUST_BACKTRACE` would add, and what it does add.
                *is_open &= !line.starts_with("note: run with `RUST_BACKTRACE") && line != "stack backtrace:";
                if *is_open {
                    add(text, line);
                }
            }
            Self::Traceback { place, own, text, is_open: true } => {
                if let Some(frame) = frame(line).filter(|_| text.is_empty()) {
                    if !is_of_a_package(frame.file) {
                        *own = shorten(frame.to_string(), LONGEST_PLACE);
                    }
                    *place = shorten(frame.to_string(), LONGEST_PLACE);
                } else if !text.is_empty() || !line.starts_with(' ') {
                    add(text, line);
                }
            }
            Self::Traceback { .. } | Self::Thrown(_) => {}
        }
    }
}

/// Adds a line to words, which are shown on one line.
fn add(text: &mut String, line: &str) {
    let line = line.trim();
    if text.len() < LONGEST_TEXT && !line.is_empty() {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(line);
        *text = shorten(std::mem::take(text), LONGEST_TEXT);
    }
}

/// The place of a panic: `thread '<unnamed>' (1) panicked at src/lib.rs:31:9:`.
fn panicked_at(line: &str) -> Option<&str> {
    let (_, place) = line.strip_prefix("thread '")?.split_once(" panicked at ")?;
    Some(place.trim_end_matches(':'))
}

/// What was thrown, as componentize-js quotes it.
fn thrown(line: &str) -> Option<&str> {
    let (_, rest) = line.strip_prefix("invalid variant tag value ")?.split_once(THROWN.0)?;
    Some(rest.rsplit_once(THROWN.1)?.0)
}

/// A line of a traceback.
struct Frame<'a> {
    file: &'a str,
    line: &'a str,
    function: &'a str,
}

impl std::fmt::Display for Frame<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { file, line, function } = self;
        write!(f, "{}:{line} in {function}", below_its_root(file))
    }
}

/// `  File "/0/order.py", line 85, in handle`.
fn frame(line: &str) -> Option<Frame<'_>> {
    let (file, rest) = line.strip_prefix("  File \"")?.split_once("\", line ")?;
    let (line, function) = rest.split_once(", in ")?;
    Some(Frame { file, line, function })
}

/// componentize-py mounts each folder of sources under a number.
fn below_its_root(file: &str) -> &str {
    let below = file.strip_prefix('/').and_then(|file| file.split_once('/'));
    match below {
        Some((root, rest)) if !root.is_empty() && root.bytes().all(|byte| byte.is_ascii_digit()) => rest,
        _ => file,
    }
}

/// Whether a source is that of a package, or of Python itself, and says little about where to look.
fn is_of_a_package(file: &str) -> bool {
    file.contains("site-packages") || file.starts_with("/python/") || file.starts_with('<')
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use super::LastWords;

    fn words(lines: &str) -> LastWords {
        let mut words = LastWords::default();
        lines.lines().for_each(|line| words.read(line));
        words
    }

    fn of_the_end(lines: &str) -> Option<String> {
        words(lines).of_the_end()
    }

    const NOTE: &str =
        "note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\nand more";

    #[test]
    fn a_panic_of_rust_is_its_place_and_its_words() {
        let panic =
            "thread '<unnamed>' (1) panicked at src/lib.rs:31:9:\nindex out of bounds: the len is 0\n";
        let expected = "panicked at src/lib.rs:31:9: index out of bounds: the len is 0";
        for lines in
            [format!("{panic}{NOTE}"), panic.to_owned(), format!("before\n{panic}stack backtrace:\n")]
        {
            assert_eq!(of_the_end(&lines).as_deref(), Some(expected), "{lines}");
        }
        let two = format!("thread 'main' panicked at src/lib.rs:1:2:\nleft\n\n  right\n{NOTE}");
        assert_eq!(of_the_end(&two).as_deref(), Some("panicked at src/lib.rs:1:2: left right"));
        let silent = "thread 'main' panicked at src/lib.rs:1:2:";
        assert_eq!(of_the_end(silent).as_deref(), Some("panicked at src/lib.rs:1:2"));
        assert_eq!(of_the_end(&format!("{two}\n{panic}")).as_deref(), Some(expected), "the last one counts");
    }

    const TRACEBACK: &str = "\
Traceback (most recent call last):
  File \"/0/order.py\", line 85, in handle
    raise RuntimeError(words)
    ~~~~~^^^^^
  File \"/1/prices/rule.py\", line 7, in price
  File \"/2/site-packages/decimal.py\", line 3, in parse
ValueError: 12 EUR
is no number
";
    const RUNTIME: &str = "\
thread '<unnamed>' (1) panicked at runtime/src/lib.rs:1293:29:
Python function threw an unexpected exception
";

    #[test]
    fn an_exception_of_python_is_its_type_its_words_and_the_handler_s_own_line() {
        let expected = "ValueError: 12 EUR is no number at prices/rule.py:7 in price";
        assert_eq!(of_the_end(TRACEBACK).as_deref(), Some(expected));
        let whole = format!("{TRACEBACK}{RUNTIME}{NOTE}");
        assert_eq!(
            of_the_end(&whole).as_deref(),
            Some("ValueError: 12 EUR is no number at prices/rule.py:7 in price")
        );
        let two = format!(
            "Traceback (most recent call last):\n  File \"/0/a.py\", line 1, in a\nKeyError: 'x'\n\nDuring handling of the above exception, another exception occurred:\n\n{whole}"
        );
        assert_eq!(of_the_end(&two).as_deref(), Some(expected), "the last one counts");
        let bare = "Traceback (most recent call last):\nMemoryError";
        assert_eq!(of_the_end(bare).as_deref(), Some("MemoryError"));
        let of_a_package =
            "Traceback (most recent call last):\n  File \"/python/json.py\", line 4, in loads\nValueError";
        assert_eq!(of_the_end(of_a_package).as_deref(), Some("ValueError at /python/json.py:4 in loads"));
    }

    #[test]
    fn a_thrown_error_of_javascript_is_its_words_and_its_place_where_that_was_said() {
        let received = "invalid variant tag value `undefined` (received `TypeError: price is\n undefined`) specified for `Failure`";
        let received = received.replace('\n', " ");
        let stack = "Stack:\n  export_handler_0_1_0$handle@/tmp/sources/initializer.js:230:17\nRedirecting call to abort() to mozalloc_abort";
        let alone = format!("something else at noon\n{received}\n{stack}");
        assert_eq!(of_the_end(&alone).as_deref(), Some("TypeError: price is undefined"));
        let said = "TypeError: price is undefined at order.js:31 in price";
        let whole = format!("{said}\n    at order.js:31 in price\n{received}\n{stack}");
        assert_eq!(of_the_end(&whole).as_deref(), Some(said));
    }

    #[test]
    fn of_any_other_end_the_last_line_is_known() {
        let other = words("Assertion failed: n > 0 (order.c: price: 31)\n    \n  and more\n");
        assert_eq!(other.of_the_end(), None);
        assert_eq!(other.last_line(), Some("Assertion failed: n > 0 (order.c: price: 31)"));
        assert_eq!(words("").last_line(), None);
    }

    #[test]
    fn no_end_is_longer_than_what_a_log_takes_and_all_of_it_is_forgotten_for_the_next_message() {
        let long = "x".repeat(100_000);
        for lines in [
            format!("thread 'main' panicked at {long}:\n{long}\n{long}"),
            format!("Traceback (most recent call last):\n  File \"{long}\", line 1, in f\n{long}\n{long}"),
            format!("invalid variant tag value `u` (received `{long}`) specified for `Failure`"),
            long.clone(),
        ] {
            let mut words = words(&lines);
            let said = words.of_the_end().unwrap_or_default();
            assert!(said.len() < 5_000 && words.last.len() < 5_000, "{}", said.len());
            words.clear();
            assert_eq!((words.of_the_end(), words.last_line()), (None, None));
        }
    }
}
