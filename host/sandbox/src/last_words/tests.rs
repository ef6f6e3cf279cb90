use super::LastWords;

fn words(lines: &str) -> LastWords {
    let mut words = LastWords::default();
    lines.lines().for_each(|line| words.read(line));
    words
}

fn of_the_end(lines: &str) -> Option<String> {
    words(lines).of_the_end()
}

const NOTE: &str = "note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\nand more";

#[test]
fn a_panic_of_rust_is_its_place_and_its_words() {
    let panic = "thread '<unnamed>' (1) panicked at src/lib.rs:31:9:\nindex out of bounds: the len is 0\n";
    let expected = "panicked at src/lib.rs:31:9: index out of bounds: the len is 0";
    for lines in [format!("{panic}{NOTE}"), panic.to_owned(), format!("before\n{panic}stack backtrace:\n")] {
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
    let whole = format!("{TRACEBACK}{RUNTIME}{NOTE}");
    assert_eq!(of_the_end(&whole).as_deref(), Some(expected));
    let two = format!(
        "Traceback (most recent call last):\n  File \"/0/a.py\", line 1, in a\nKeyError: 'x'\n\nDuring handling of the above exception, another exception occurred:\n\n{whole}"
    );
    assert_eq!(of_the_end(&two).as_deref(), Some(expected), "the last one counts");
    let bare = format!("Traceback (most recent call last):\nMemoryError\n{RUNTIME}");
    assert_eq!(of_the_end(&bare).as_deref(), Some("MemoryError"));
    let of_a_package = format!(
        "Traceback (most recent call last):\n  File \"/python/json.py\", line 4, in loads\nValueError\n{RUNTIME}"
    );
    assert_eq!(of_the_end(&of_a_package).as_deref(), Some("ValueError at /python/json.py:4 in loads"));
}

#[test]
fn an_exception_that_the_handler_has_dealt_with_is_not_why_it_ended() {
    let dealt_with = words(&format!("{TRACEBACK}all went on\n"));
    assert_eq!((dealt_with.of_the_end(), dealt_with.last_line()), (None, Some("all went on")));
    let later = RUNTIME.replace("Python function threw an unexpected exception", "no memory for a list");
    let expected = "panicked at runtime/src/lib.rs:1293:29: no memory for a list";
    assert_eq!(of_the_end(&format!("{TRACEBACK}all went on\n{later}{NOTE}")).as_deref(), Some(expected));
}

#[test]
fn a_group_of_exceptions_is_its_words_and_theirs() {
    let group = "  + Exception Group Traceback (most recent call last):
  |   File \"/0/order.py\", line 28, in handle
  |     raise ExceptionGroup(\"many\", found)
  | ExceptionGroup: many (2 sub-exceptions)
  +-+---------------- 1 ----------------
    | ValueError: a
    +---------------- 2 ----------------
    | KeyError: 'b'
    +------------------------------------
";
    let expected =
        "ExceptionGroup: many (2 sub-exceptions) ValueError: a KeyError: 'b' at order.py:28 in handle";
    assert_eq!(of_the_end(&format!("{group}{RUNTIME}{NOTE}")).as_deref(), Some(expected));
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
fn whatever_javascript_throws_is_told_from_where_the_engine_stops() {
    let stack =
        "Stack:\n  handle@/tmp/sources/initializer.js:1:7\nRedirecting call to abort() to mozalloc_abort";
    let received = |text: &str| {
        format!("invalid variant tag value `undefined` (received `{text}`) specified for `Failure`")
    };
    let long = "x".repeat(100_000);
    let cut = format!("Error: {}…", "x".repeat(1_000));
    for (lines, expected) in [
        (
            format!("Error: two` lines at order.js:3 in price\n{}", received("Error: two`\nlines")),
            "Error: two` lines at order.js:3 in price",
        ),
        (received("Error: two\n\n lines`) specified for `x"), "Error: two lines`) specified for `x"),
        (
            format!("{cut} at a.js:1 in f\n{}", received(&format!("Error: {long}"))),
            &format!("{cut} at a.js:1 in f"),
        ),
        ("can't access property \"tag\", variant11 is null".to_owned(), "thrown: null"),
        ("can't access property \"tag\", variant11 is undefined".to_owned(), "thrown: undefined"),
        ("can't convert symbol to string".to_owned(), "can't convert symbol to string"),
    ] {
        assert_eq!(of_the_end(&format!("before\n{lines}\n{stack}")).as_deref(), Some(expected));
    }
    // The handler may write the word itself, and the engine ends without a word where it has no
    // memory.
    let end = "Redirecting call to abort() to mozalloc_abort";
    for lines in [
        "before\nStack:\nand on",
        end,
        &format!("Error: dealt with\nStack:\n  f@a.js:1:1\nall went on\n{end}"),
    ] {
        assert_eq!(of_the_end(lines), None, "{lines}");
    }
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
