//! Arbitrary lines as what a guest printed before its end. Little of them is kept.

use longshore_testkit::fuzz::{FuzzTarget, feed};

use super::{LONGEST_PLACE, LONGEST_TEXT, LastWords};

const WORDS_TARGET: &str = "last-words";

/// What stands between and around the words.
const AROUND: usize = 64;
const PANIC: &str = "a line\n\nthread '<unnamed>' panicked at src/lib.rs:31:9:\nas the message wishes\n\
    note: run with `RUST_BACKTRACE=1`\n";
const TRACEBACK: &str = "Traceback (most recent call last):\n  File \"/0/app.py\", line 12, in handle\n\
    \u{20}   raise ValueError(x)\nValueError: a\nb\n";
const THROWN: &str = "Error: no such order at handle (handler.js:3:9)\n\
    type mismatch (received `Error: no such order`) specified for `failure`\n";
const PIECES: &[&str] = &[
    "\nthread 'main' panicked at ",
    "src/lib.rs:31:9:\n",
    "note: run with `RUST_BACKTRACE",
    "stack backtrace:\n",
    "Traceback (most recent call last):\n",
    "  File \"/app.py\", line 3, in f\n",
    "(received `",
    "`) specified for `",
    "runtime/src/lib.rs:",
    "Python function threw an unexpected exception\n",
    "  + Exception Group Traceback (most recent call last):\n",
    "  +-+---\n    | ",
    "invalid variant tag value `u` (received `",
    "Stack:\n",
    "Redirecting call to abort() to mozalloc_abort\n",
    "can't access property \"tag\", variant1 is null\n",
    " at ",
    "\n",
];

#[test]
fn whatever_a_guest_prints_its_last_words_are_few() {
    let seeds = [PANIC, TRACEBACK, THROWN];
    let target = FuzzTarget::of_texts(WORDS_TARGET, module_path!(), PIECES, &seeds);
    feed(&target, |bytes| {
        let mut words = LastWords::default();
        String::from_utf8_lossy(bytes).lines().for_each(|line| words.read(line));
        let kept = words.last_line().map_or(0, str::len);
        let said = words.of_the_end();
        let length = said.as_ref().map_or(0, String::len);
        let most = LONGEST_TEXT + AROUND;
        assert!(kept <= most && length <= most + LONGEST_PLACE, "{kept} {length}");
        let kind = match &said {
            Some(said) if said.starts_with("panicked at") => "panic",
            Some(said) if said.contains(" at ") => "place",
            Some(_) => "words",
            None => "none",
        };
        format!("{kind} {} {}", kept > 0, length > LONGEST_TEXT / 2)
    });
}
