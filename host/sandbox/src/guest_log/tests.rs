//! What becomes of a guest's lines.

use std::sync::Arc;

use bytes::Bytes;
use longshore_testkit::log;
use tracing::Level as LogLevel;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::OutputStream;

use super::{GuestLog, LINE, Level, Printer, Said, StdStream};

fn guest_log(message_id: &str, allowance: usize) -> Arc<GuestLog> {
    log::collect();
    Arc::new(GuestLog::new(message_id.to_owned(), allowance, 100))
}

fn print(log: &Arc<GuestLog>, stream: StdStream, text: &'static str) {
    Printer::new(log, stream).write(Bytes::from_static(text.as_bytes())).unwrap();
}

fn lines(message_id: &str) -> Vec<(String, String)> {
    let shown = |line: &log::Line| line.field("stream").unwrap_or("-").to_owned();
    log::of(message_id).iter().map(|line| (shown(line), line.text.clone())).collect()
}

fn line(stream: &str, text: &str) -> (String, String) {
    (stream.to_owned(), text.to_owned())
}

#[test]
fn a_line_is_logged_when_it_ends_and_the_rest_at_the_end() {
    let log = guest_log("unit-lines", 10_000);
    print(&log, StdStream::Stdout, "one in ");
    print(&log, StdStream::Stderr, "other\r\n\n");
    assert_eq!(lines("unit-lines"), [line("stderr", "other")]);
    print(&log, StdStream::Stdout, "pieces\ntwo\nthr");
    let printed = [line("stderr", "other"), line("stdout", "one in pieces"), line("stdout", "two")];
    assert_eq!(lines("unit-lines"), printed);
    drop(log);
    assert_eq!(lines("unit-lines")[3..], [line("stdout", "thr")]);
}

#[test]
fn what_is_over_the_allowance_is_dropped_and_counted_once() {
    let log = guest_log("unit-cap", 2 * LINE + 9);
    print(&log, StdStream::Stdout, "12345678\n");
    print(&log, StdStream::Stdout, "abc");
    log.finish();
    log.log(Level::Info, "", "never");
    print(&log, StdStream::Stdout, "nor\nthis");
    log.finish();
    assert_eq!(lines("unit-cap")[..2], [line("stdout", "12345678"), line("stdout", "a")]);
    let last = log::of("unit-cap").pop().unwrap();
    assert_eq!((last.level, last.field("dropped")), (LogLevel::WARN, Some("12")));
    let seen = lines("unit-cap").len();
    log.finish();
    drop(log);
    assert_eq!(lines("unit-cap").len(), seen);
}

#[test]
fn short_lines_and_long_contexts_count_with_what_the_host_adds_to_them() {
    let log = guest_log("unit-many", 64 << 10);
    let context = "c".repeat(1 << 20);
    for _ in 0..2000 {
        log.log(Level::Info, &context, "x");
    }
    for _ in 0..2000 {
        print(&log, StdStream::Stdout, "x\n");
    }
    drop(log);
    let seen = log::of("unit-many");
    let written: usize =
        seen.iter().map(|line| 100 + line.text.len() + line.field("context").map_or(0, str::len)).sum();
    assert!(written <= 70 << 10, "{written} bytes in {} lines", seen.len());
    assert_eq!(seen[0].field("context").map(str::len), Some(256));
    let dropped: usize = seen.last().unwrap().field("dropped").unwrap().parse().unwrap();
    assert!(dropped > 3000, "{dropped}");
}

#[test]
fn no_line_is_longer_than_what_a_container_s_log_takes_and_nothing_of_it_is_lost() {
    for (id, text) in [
        ("unit-long", "y".repeat(40_000)),
        ("unit-wide", "\u{e9}\u{6f22}".repeat(9_000)),
        ("unit-escaped", "\u{1b}".repeat(9_000)),
    ] {
        let log = guest_log(id, 1 << 20);
        print(&log, StdStream::Stdout, text.clone().leak());
        log.log(Level::Info, "", &text);
        drop(log);
        let seen = log::of(id);
        let (printed, logged): (Vec<_>, Vec<_>) =
            seen.iter().partition(|line| line.field("stream").is_some());
        for pieces in [printed, logged] {
            assert_eq!(pieces.iter().map(|line| &*line.text).collect::<String>(), text, "{id}");
            for piece in pieces {
                assert!(serde_json::to_string(&piece.text).unwrap().len() <= 15 << 10, "{id}");
            }
        }
    }
}

#[test]
fn a_log_that_fits_ends_without_a_warning() {
    let log = guest_log("unit-fits", LINE + 2);
    print(&log, StdStream::Stdout, "ab\n");
    drop(log);
    assert_eq!(lines("unit-fits"), [line("stdout", "ab")]);
}

#[test]
fn each_message_of_an_instance_has_its_own_log_and_allowance() {
    let log = guest_log("unit-first", LINE + 4);
    print(&log, StdStream::Stdout, "12345");
    log.begin("unit-second".to_owned());
    print(&log, StdStream::Stdout, "abcd");
    drop(log);
    assert_eq!(lines("unit-first")[0], line("stdout", "1234"));
    assert_eq!(lines("unit-second"), [line("stdout", "abcd")]);
}

#[test]
fn refusals_are_warnings_that_no_guest_can_flood_the_log_with() {
    let log = guest_log("unit-refusals", 10 * LINE);
    for _ in 0..1000 {
        log.socket_refused("a TCP socket");
        log.refused("host.example", "not granted");
    }
    drop(log);
    let seen = log::of("unit-refusals");
    assert!((2..=10).contains(&seen.len()), "{} lines", seen.len());
    assert!(seen.iter().all(|line| line.level == LogLevel::WARN));
    assert!(seen[0].text.starts_with("a TCP socket was refused") && seen[0].text.contains("wasi:http"));
}

#[test]
fn a_level_of_the_guest_is_a_level_of_the_host() {
    let log = guest_log("unit-levels", 10_000);
    let levels = [Level::Trace, Level::Debug, Level::Info, Level::Warn, Level::Error, Level::Critical];
    for level in levels {
        log.log(level, "context", "said");
    }
    let seen = log::of("unit-levels");
    let expected =
        [LogLevel::TRACE, LogLevel::DEBUG, LogLevel::INFO, LogLevel::WARN, LogLevel::ERROR, LogLevel::ERROR];
    assert_eq!(seen.iter().map(|line| line.level).collect::<Vec<_>>(), expected);
    assert!(seen.iter().all(|line| line.text == "said" && line.field("context") == Some("context")));
}

#[test]
fn a_line_is_cut_between_characters() {
    let log = guest_log("unit-cut", LINE + 4);
    log.log(Level::Info, "", "aaa\u{e9}");
    assert_eq!(lines("unit-cut")[0], line("-", "aaa"));
}

#[test]
fn a_refused_request_and_a_stop_are_logged_under_the_message() {
    let log = guest_log("unit-refused", 1000);
    log.refused("host.example", "not granted");
    log.debug("inner < outer");
    let seen = log::of("unit-refused");
    let shown: Vec<_> =
        seen.iter().map(|line| (line.level, line.field("host"), line.field("functions"))).collect();
    let expected =
        [(LogLevel::WARN, Some("host.example"), None), (LogLevel::DEBUG, None, Some("inner < outer"))];
    assert_eq!(shown, expected);
}

#[test]
fn a_stream_never_blocks_and_is_no_terminal() {
    let log = guest_log("unit-stream", 1000);
    let printer = Printer::new(&log, StdStream::Stdout);
    assert!(!printer.is_terminal());
    let mut stream = printer.p2_stream();
    assert_eq!(stream.check_write().unwrap(), 65_536);
    stream.flush().unwrap();
    stream.write(Bytes::from_static(b"through\n")).unwrap();
    assert_eq!(lines("unit-stream"), [line("stdout", "through")]);
}

#[test]
fn the_last_lines_of_all_that_was_written_are_kept_and_belong_to_one_message() {
    let log = guest_log("unit-tail", 10_000);
    print(&log, StdStream::Stdout, "printed\n\nunended");
    log.log(Level::Warn, "stock", "two\nleft");
    log.log(Level::Error, "", "bare");
    let expected = ["printed", "WARN stock: two", "left", "ERROR bare", "unended"];
    assert_eq!(log.take_tail(), expected);
    print(&log, StdStream::Stderr, &"x".repeat(500).leak()[..]);
    let [last] = &log.take_tail()[..] else { panic!("the line was cut to what is kept") };
    assert_eq!(last.len(), 99);
    print(&log, StdStream::Stderr, "of the first\n");
    log.begin("unit-tail-next".to_owned());
    assert_eq!((log.take_tail(), log.last_words()), (Vec::new(), None));
}

#[test]
fn what_the_host_refused_is_one_of_the_last_lines() {
    let log = Arc::new(GuestLog::new("unit-refused".to_owned(), 10_000, 1024));
    log.refused("example.com", "not granted; --allow-http example.com would grant it");
    log.socket_refused("a TCP socket");
    log.log(Level::Error, "", "NetworkError");
    let [http, socket, last] = &log.take_tail()[..] else { panic!("three lines") };
    assert_eq!(http, "WARN HTTP request refused: not granted; --allow-http example.com would grant it");
    assert!(socket.starts_with("WARN a TCP socket was refused: handlers have no sockets;"), "{socket}");
    assert_eq!(last, "ERROR NetworkError");
}

#[test]
fn a_guest_that_has_logged_too_much_is_still_heard_when_it_says_why_it_ends() {
    let log = guest_log("unit-chatty", 2 * LINE);
    for _ in 0..100 {
        print(&log, StdStream::Stdout, "chat\n");
        log.log(Level::Info, "", "chat");
    }
    print(&log, StdStream::Stderr, "thread 'main' panicked at src/lib.rs:1:2:\nno stock\n");
    let words = "panicked at src/lib.rs:1:2: no stock".to_owned();
    assert_eq!(log.last_words(), Some(Said::OfTheEnd(words)));
    assert_eq!(log.take_tail().last().unwrap(), "no stock");
}

#[test]
fn the_last_lines_are_the_last_that_the_guest_wrote_however_little_it_may_log() {
    for (id, allowance) in [("unit-late", 10 * LINE), ("unit-mute", 0)] {
        log::collect();
        let log = Arc::new(GuestLog::new(id.to_owned(), allowance, 1024));
        for number in 1..=1000 {
            print(&log, StdStream::Stdout, format!("out {number}\n").leak());
            log.log(Level::Info, "stock", &format!("logged {number}"));
        }
        let tail = log.take_tail();
        assert_eq!(tail[tail.len() - 2..], ["out 1000", "INFO stock: logged 1000"]);
        assert_eq!(tail[0], format!("[{} earlier lines are left out]", 2001 - tail.len()));
        drop(log);
        assert!(log::of(id).iter().all(|line| !line.text.contains("1000")), "the allowance holds");
    }
}
