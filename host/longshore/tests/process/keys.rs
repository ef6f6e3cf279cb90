//! The terminal of `longshore dev`: its keys, and what is no key.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::directory::{Directory, ORDERS, POISON, now_ms};
use crate::orders::order;
use crate::process::cache;
use crate::terminal::{Terminal, command};
use longshore_testkit::guest;
use longshore_testkit::wait::{slack, until};

/// What stands below everything while keys are listened to.
const KEYS: &str = "s send a sample";

/// The words that start `dev` on the queue of a directory. Nothing starts by itself.
fn words(directory: &Directory, flags: &[&str]) -> String {
    let (url, component) = (directory.url(ORDERS), guest::order().display().to_string());
    let cache = cache().display().to_string();
    let words = ["dev", "--queue", &url, "--component", &component, "--cache-dir", &cache];
    let flags = if flags.is_empty() { &["--start-delay=1h", "--no-page"] } else { flags };
    command(&[&words[..], flags].concat())
}

fn dev(directory: &Directory, flags: &[&str]) -> Terminal {
    let terminal = Terminal::start(&words(directory, flags), Path::new("/nowhere"));
    terminal.shows(KEYS, 1);
    terminal
}

#[test]
fn keys_send_a_sample_ask_before_a_redrive_and_end() {
    let directory = Directory::new();
    directory.create(POISON);
    let mut terminal = dev(&directory, &[]);
    terminal.types(b"s");
    terminal.shows("the sample `order` was sent", 1);
    terminal.types(b"r");
    terminal.shows("no poison message would be redriven", 1);
    directory.send_to(POISON, "{}");
    terminal.types(b"y");
    terminal.types(b"r");
    terminal.shows("1 poison message would be redriven; press y to do it", 1);
    // Whoever holds the key down has not answered.
    terminal.types(b"r");
    terminal.shows("1 poison message would be redriven; press y to do it", 2);
    assert_eq!(directory.rows(POISON).len(), 1);
    terminal.types(b"y");
    terminal.shows("1 poison message was redriven", 1);
    terminal.types(b"q");
    let shown = terminal.ends();
    assert!(shown.contains("done") && shown.contains("\x1b[?2004l"), "{shown}");
    let left = directory.rows(ORDERS);
    assert!(left.len() == 2 && left[0].body.starts_with(b"{\"order_id\""), "{left:?}");
}

#[test]
fn what_a_terminal_sends_by_itself_and_what_is_pasted_does_nothing() {
    let directory = Directory::new();
    let mut terminal = dev(&directory, &[]);
    for sent in [
        // Arrow keys, a function key, a focus event, a click, and text that is not marked.
        &b"\x1b[A\x1b[D"[..],
        b"\x1bOs",
        b"\x1bOq",
        b"\x1b[I",
        b"\x1b[M sq",
        b"sqsq",
        b"quit, please send this\r",
        // Marked as pasted, with pauses in it.
        b"\x1b[200~",
        b"s",
        b"q",
        b"\x1b[201~",
    ] {
        terminal.types(sent);
    }
    terminal.types(b"s");
    terminal.shows("the sample `order` was sent", 1);
    assert_eq!(directory.rows(ORDERS).len(), 1);
    terminal.types(b"q");
    assert_eq!(terminal.ends().matches("was sent").count(), 1);
}

#[test]
fn a_redrive_that_waits_holds_up_no_end() {
    let directory = Directory::new();
    directory.create(POISON);
    directory.send_to(POISON, "{\"n\": 1}");
    directory.send_to(POISON, "{\"n\": 2}");
    // Somebody else has one of them, and the redrive waits for it.
    let lease = "UPDATE message SET visible_at = ?1 WHERE seq = (SELECT max(seq) FROM message)";
    directory.database().execute(lease, [now_ms() + 600_000]).unwrap();
    let mut terminal = dev(&directory, &[]);
    terminal.types(b"r");
    terminal.shows("press y to do it", 1);
    terminal.types(b"y");
    until("the redrive", || (directory.rows(ORDERS).len() == 1).then_some(()));
    let asked = Instant::now();
    terminal.types(b"q");
    terminal.ends();
    assert!(asked.elapsed() < slack(Duration::from_secs(3)), "it took {:?}", asked.elapsed());
}

#[test]
fn a_key_opens_the_page_with_a_file_and_not_with_the_token() {
    let (directory, programs) = (Directory::new(), tempfile::tempdir().unwrap());
    // What a desktop has under this name, which keeps what it is given.
    let (opener, opened) = (programs.path().join("xdg-open"), programs.path().join("opened"));
    let script = format!(
        "#!/bin/sh\nls -l \"$1\" > {0}.new; echo \"$@\" >> {0}.new; cat \"$1\" >> {0}.new; mv {0}.new {0}\n",
        opened.display()
    );
    fs::write(&opener, script).unwrap();
    fs::set_permissions(&opener, fs::Permissions::from_mode(0o755)).unwrap();
    let mut terminal = Terminal::start(&words(&directory, &["--start-delay=1h"]), programs.path());
    terminal.shows(KEYS, 1);
    assert!(!opened.exists());
    terminal.types(b"o");
    let opened = until("what was opened", || fs::read_to_string(&opened).ok());
    let mut lines = opened.lines();
    assert!(lines.next().unwrap().starts_with("-rw-------"), "{opened}");
    let arguments = lines.next().unwrap();
    assert!(arguments.ends_with(".html") && !arguments.contains("#t="), "{arguments}");
    assert!(opened.contains("http-equiv=refresh") && opened.contains(".localhost:"), "{opened}");
    terminal.types(b"q");
    terminal.ends();
    assert!(!Path::new(arguments).exists(), "it goes with the program");
}

#[test]
fn a_desktop_without_a_browser_is_said_with_the_link() {
    let (directory, programs) = (Directory::new(), tempfile::tempdir().unwrap());
    let opener = programs.path().join("xdg-open");
    fs::write(&opener, "#!/bin/sh\nexit 3\n").unwrap();
    fs::set_permissions(&opener, fs::Permissions::from_mode(0o755)).unwrap();
    let mut terminal = Terminal::start(&words(&directory, &["--start-delay=1h"]), programs.path());
    terminal.shows(KEYS, 1);
    terminal.types(b"o");
    terminal.shows("for another browser: http://", 1);
    terminal.shows("xdg-open found nothing that opens the page", 1);
    terminal.types(b"q");
    terminal.ends();
}

#[test]
fn a_stopped_dev_leaves_the_terminal_to_the_shell_and_hears_keys_again_after_it() {
    let directory = Directory::new();
    let mut terminal = Terminal::start("sh -i", Path::new("/nowhere"));
    terminal.types(format!("{}\n", words(&directory, &[])).as_bytes());
    terminal.shows(KEYS, 1);
    terminal.types(b"\x1a");
    terminal.shows("Stopped", 1);
    terminal.types(b"stty -a | tr ' ' '\\n' | grep -c -x -e icanon -e echo\n");
    // Both modes are on: the shell's own line is edited and shown.
    terminal.shows("\n2\r", 1);
    // Nothing that is typed there is a key.
    terminal.types(b"s\n");
    terminal.types(b"fg\n");
    terminal.shows(KEYS, 2);
    terminal.types(b"s");
    terminal.shows("the sample `order` was sent", 1);
    assert_eq!(directory.rows(ORDERS).len(), 1);
    terminal.types(b"q");
    terminal.shows("done", 1);
    terminal.types(b"exit\n");
    terminal.ends();
}

#[test]
fn the_messages_of_an_execution_are_counted_while_it_runs() {
    let directory = Directory::new();
    directory.send([order("o-1", "ok"), order("o-2", "ok"), order("o-3", "reject")]);
    directory.send([order("o-4", "sleep:600000")]);
    let flags = ["--start-delay=0s", "--poll=1s", "--deadline=10m", "--grace=1s", "--no-page"];
    let mut terminal = dev(&directory, &flags);
    terminal.shows("completed 2  poisoned 1", 1);
    assert!(!terminal.shown().contains("ended"), "{}", terminal.shown());
    terminal.types(b"q");
    let shown = terminal.ends();
    assert!(shown.contains("4 received, 2 completed, 1 poisoned, 1 abandoned"), "{shown}");
}

/// The process of `dev` on the queue of a directory.
fn process(directory: &Directory) -> Pid {
    let queue = directory.url(ORDERS);
    let is_dev = |pid: &Pid| {
        let line = fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).unwrap_or_default();
        let words: Vec<_> = line.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
        words.get(1).is_some_and(|it| it == "dev") && words.iter().any(|it| *it == *queue)
    };
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let mut pids = entries.filter_map(|it| Pid::from_raw(it.file_name().to_str()?.parse().ok()?));
    pids.find(is_dev).unwrap()
}

#[test]
fn a_terminal_that_was_told_to_wait_holds_up_no_stop() {
    let directory = Directory::new();
    let mut terminal = dev(&directory, &["--start-delay=0s", "--poll=1s", "--no-page"]);
    let pid = process(&directory);
    // Ctrl-S, between two times that the last lines are drawn.
    std::thread::sleep(Duration::from_millis(250));
    terminal.types(b"\x13");
    directory.send([order("o-1", "ok")]);
    until("the execution", || directory.rows(ORDERS).is_empty().then_some(()));
    std::thread::sleep(Duration::from_secs(2));
    let asked = Instant::now();
    kill_process(pid, Signal::TERM).unwrap();
    terminal.ends();
    assert!(asked.elapsed() < slack(Duration::from_secs(5)), "it took {:?}", asked.elapsed());
}
