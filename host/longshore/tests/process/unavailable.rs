//! A component that cannot be loaded costs no message anything (rule 1).

use std::path::Path;
use std::time::{Duration, Instant};

use crate::directory::{Directory, ORDERS, POISON};
use crate::orders::order;
use crate::process::{Program, cache};
use longshore_testkit::guest;
use longshore_testkit::wait::{slack, until};

/// Asserts that nothing was received, and nothing poisoned.
fn untouched(directory: &Directory, messages: usize) {
    let rows = directory.rows(ORDERS);
    assert!(rows.len() == messages && rows.iter().all(|row| row.dequeue_count == 0), "{rows:?}");
    assert_eq!(directory.rows(POISON), []);
}

#[test]
fn whatever_is_wrong_with_a_component_no_message_is_received_for_it() {
    let noise: Vec<u8> = (0..4096).map(|_| rand::random()).collect();
    let cases: Vec<(&str, Option<Vec<u8>>, &str)> = vec![
        ("missing", None, "cannot read the component"),
        ("empty", Some(Vec::new()), "the file is empty"),
        ("noise", Some([b"x", &noise[..]].concat()), "not a WebAssembly component"),
        ("damaged", Some([b"\0asm\x0d\0\x01\0", &noise[..]].concat()), "damaged"),
        ("core-module", Some(wat::parse_str("(module)").unwrap()), "a core module"),
        ("other-world", Some(wat::parse_str("(component)").unwrap()), "exports no longshore:handler/handler"),
    ];
    for (name, bytes, cause) in cases {
        let directory = Directory::new();
        let component = directory.path(&format!("{name}.wasm"));
        if let Some(bytes) = bytes {
            std::fs::write(&component, bytes).unwrap();
        }
        directory.send([order("o-1", "ok"), order("o-2", "ok")]);
        // At once, with the cause.
        let ended = directory.worker_with(&component, &["--hold=0"]).run().ends_with(3).never_panicked();
        assert_eq!(ended.json()["received"], 0);
        let last = ended.stderr.lines().last().unwrap();
        assert!(last.starts_with("longshore: ") && last.contains(cause), "{name}: {last}");
        untouched(&directory, 2);
        // After a hold, so that the platform shows a failed execution.
        let ended = directory.worker_with(&component, &["--hold=300ms"]).run().ends_with(4);
        ended.says(&["there is no component to call", cause]);
        untouched(&directory, 2);
    }
}

#[test]
fn a_run_without_a_component_stays_alive_and_hears_a_stop() {
    let directory = Directory::new();
    directory.send([order("o-1", "ok")]);
    let mut worker = directory.worker_with(Path::new("./missing.wasm"), &[]).start();
    worker.wait_for_line("there is no component to call");
    std::thread::sleep(Duration::from_secs(1));
    assert!(worker.ended().is_none(), "it ended");
    let asked = Instant::now();
    worker.terminate();
    let ended = worker.wait().succeeded();
    assert!(asked.elapsed() < slack(Duration::from_secs(2)), "{:?}", asked.elapsed());
    assert_eq!(ended.json()["received"], 0);
    untouched(&directory, 1);
}

#[test]
fn on_a_terminal_a_run_without_a_component_ends_at_once_with_the_cause() {
    let directory = Directory::new();
    directory.send([order("o-1", "ok")]);
    let run = format!(
        "{} run --queue {} --component ./missing.wasm",
        env!("CARGO_BIN_EXE_longshore"),
        directory.url(ORDERS)
    );
    // It makes a terminal, and passes the exit code on.
    let mut script = Program::new("script", &directory.path(""));
    let ended = script.args(["--quiet", "--return", "--command", &run, "/dev/null"]).run();
    assert_eq!(ended.code(), 3, "{ended:?}");
    assert!(ended.stdout.contains("is the path right"), "{ended:?}");
    untouched(&directory, 1);
}

#[test]
fn a_watched_component_that_appears_gets_every_message_at_its_first_attempt() {
    let directory = Directory::new();
    let component = directory.path("order.wasm");
    directory.send([order("o-1", "ok"), order("o-2", "ok")]);
    let mut worker = directory.worker_with(&component, &["--watch", "--forever"]).start();
    worker.wait_for_line("there is no component to call");
    untouched(&directory, 2);
    std::fs::copy(guest::order(), directory.path("new")).unwrap();
    std::fs::rename(directory.path("new"), &component).unwrap();
    until("both messages", || directory.rows(ORDERS).is_empty().then_some(()));
    worker.terminate();
    let ended = worker.wait().succeeded();
    assert_eq!((&ended.json()["received"], &ended.json()["completed"]), (&2.into(), &2.into()));
    assert!(cache().exists());
}
