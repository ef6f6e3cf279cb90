//! What a guest said of its own end on standard error, just before it trapped.
//!
//! A trap is the same instruction for every panic, exception and abort. The cause and its line are
//! in what the language's runtime printed before. Three forms are read here: the panic of Rust's
//! standard library, the traceback of CPython as componentize-py prints it, and what
//! componentize-js says when a handler throws what is no failure of the contract. Of all other
//! languages the last line stands for the cause.
//!
//! A handler may print a traceback itself, of an exception that it has dealt with. Only what the
//! runtime calls the end is one.

use crate::shorten::shorten;

/// How much of the words is kept, in bytes.
const LONGEST_TEXT: usize = 4 << 10;
/// How much of a place is kept, in bytes.
const LONGEST_PLACE: usize = 256;
/// Where the runtime of componentize-py panics, and how once a traceback of the end is printed.
const PYTHON_RUNTIME: &str = "runtime/src/lib.rs:";
const PYTHON_END: &str = "Python function threw an unexpected exception";
/// How the traceback of an exception begins, and that of a group of them.
const TRACEBACK: &str = "Traceback (most recent call last):";
const TRACEBACK_OF_GROUP: &str = "  + Exception Group Traceback (most recent call last):";
/// What componentize-js says of a thrown value, before the value and behind it.
const THROWN: (&str, &str) = ("(received `", "`) specified for `");
/// What its engine writes between the words of an error and its places, and what at the end.
const STACK: &str = "Stack:";
const ENGINE_END: &str = "Redirecting call to abort() to mozalloc_abort";
/// What it says where nothing was thrown that has properties: `… is null`.
const NOTHING_THROWN: &str = "can't access property \"tag\", variant";

/// Reads the lines of standard error, one after the other.
#[derive(Debug, Default)]
pub(crate) struct LastWords {
    end: Option<End>,
    /// The last line that was not indented.
    last: String,
    /// The one before [`STACK`].
    before_stack: String,
}

/// An end that was announced.
#[derive(Debug)]
enum End {
    /// `thread '…' panicked at src/lib.rs:31:9:`, and the text below it.
    Panic { place: String, text: String, is_open: bool },
    /// [`TRACEBACK`], its frames, and the exception below them.
    Traceback { place: String, own: String, text: String, state: TracebackState },
    /// What was thrown, in the engine's words; and the line before, which may have its place.
    Thrown { said: String, text: String, is_open: bool },
}

/// What is known of a traceback.
#[derive(Debug)]
enum TracebackState {
    /// It may be of an exception that the handler has dealt with.
    Printed,
    /// The runtime panicked behind it, at this place.
    Panicked(String),
    /// It is of the end.
    Ended,
}

impl LastWords {
    /// Reads one line, without its end.
    pub(crate) fn read(&mut self, line: &str) {
        self.after_panic(line);
        if let Some(place) = panicked_at(line) {
            let place = shorten(place.to_owned(), LONGEST_PLACE);
            match &mut self.end {
                Some(End::Traceback { state, .. }) if place.starts_with(PYTHON_RUNTIME) => {
                    *state = TracebackState::Panicked(place);
                }
                end => *end = Some(End::Panic { place, text: String::new(), is_open: true }),
            }
        } else if line == TRACEBACK || line == TRACEBACK_OF_GROUP {
            let [place, own, text] = Default::default();
            self.end = Some(End::Traceback { place, own, text, state: TracebackState::Printed });
        } else if let Some(thrown) = thrown(line) {
            self.end = Some(End::Thrown { said: self.last.clone(), text: String::new(), is_open: true });
            self.read_more(thrown);
        } else if line == STACK {
            self.before_stack.clone_from(&self.last);
            self.read_more(line);
        } else if line == ENGINE_END && !matches!(self.end, Some(End::Thrown { .. })) {
            let text = std::mem::take(&mut self.before_stack);
            self.end = Some(End::Thrown { said: String::new(), text, is_open: false });
        } else {
            self.read_more(line);
        }
        if !line.trim().is_empty() && !line.starts_with(char::is_whitespace) {
            self.last = shorten(line.to_owned(), LONGEST_TEXT);
            if line != STACK {
                // Between the places of an error and the end there is nothing.
                self.before_stack.clear();
            }
        }
    }

    /// Reads what follows the runtime's panic: it says whether that is about the traceback.
    fn after_panic(&mut self, line: &str) {
        let Some(End::Traceback { state, .. }) = &mut self.end else { return };
        if let TracebackState::Panicked(place) = state {
            if line == PYTHON_END {
                *state = TracebackState::Ended;
            } else {
                let (place, text) = (std::mem::take(place), String::new());
                self.end = Some(End::Panic { place, text, is_open: true });
            }
        }
    }

    /// Reads a line of what was begun.
    fn read_more(&mut self, line: &str) {
        if let Some(end) = &mut self.end {
            end.read(line);
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
            End::Traceback { place, own, text, state: TracebackState::Ended } if !text.is_empty() => {
                let place = if own.is_empty() { place } else { own };
                if place.is_empty() { text.clone() } else { format!("{text} at {place}") }
            }
            End::Traceback { .. } => return None,
            End::Thrown { text, .. } if text.is_empty() => return None,
            End::Thrown { said, text, .. } => thrown_at_its_place(said, text),
        })
    }

    /// The last line, of a guest that said nothing of its end in a form that is known.
    pub(crate) fn last_line(&self) -> Option<&str> {
        Some(&*self.last).filter(|line| !line.is_empty())
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
            Self::Traceback { place, own, text, state: TracebackState::Printed } => {
                let line = beside_group(line);
                if let Some(frame) = frame(line).filter(|_| text.is_empty()) {
                    if !is_of_a_package(frame.file) {
                        *own = shorten(frame.to_string(), LONGEST_PLACE);
                    }
                    *place = shorten(frame.to_string(), LONGEST_PLACE);
                } else if !text.is_empty() || !line.starts_with(' ') {
                    add(text, line);
                }
            }
            Self::Thrown { text, is_open, .. } => {
                if *is_open && line != STACK {
                    let (words, is_whole) =
                        line.rsplit_once(THROWN.1).map_or((line, false), |it| (it.0, true));
                    add(text, words);
                    *is_open = !is_whole;
                } else {
                    *is_open = false;
                }
            }
            Self::Traceback { .. } => {}
        }
    }
}

/// A line of the traceback of a group, without what draws its tree.
fn beside_group(line: &str) -> &str {
    let inner = line.trim_start_matches(' ');
    if inner.starts_with("+-") {
        return "";
    }
    inner.strip_prefix('|').map_or(line, |rest| rest.strip_prefix(' ').unwrap_or(rest))
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

/// What was thrown, as componentize-js begins to quote it.
fn thrown(line: &str) -> Option<&str> {
    Some(line.strip_prefix("invalid variant tag value ")?.split_once(THROWN.0)?.1)
}

/// What was thrown: as the line before says it, if that is the same with its place.
fn thrown_at_its_place(said: &str, text: &str) -> String {
    // The package for handlers cuts long words.
    let words = said.split_once(" at ").map_or("", |(words, _)| words).trim_end_matches('…');
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if !words.is_empty() && text.starts_with(words) {
        return said.to_owned();
    }
    match text.strip_prefix(NOTHING_THROWN).and_then(|it| it.rsplit_once(" is ")) {
        Some((_, nothing)) => format!("thrown: {nothing}"),
        None => text,
    }
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
mod tests;
