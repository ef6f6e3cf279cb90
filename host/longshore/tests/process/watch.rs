//! `run --watch`: the author of a handler sees the next message handled by what was just built.

use std::path::Path;

use crate::directory::{Directory, ORDERS, POISON};
use crate::process::{cache, longshore, run};
use longshore_testkit::wait::until;
use longshore_testkit::wat;

/// Builds a handler that completes everything, or traps, as a compiler does: under another name,
/// then in its place.
fn build(path: &Path, traps: bool) -> String {
    let bytes = wat::handler("", if traps { "unreachable" } else { "" });
    let made = path.with_extension("new");
    std::fs::write(&made, &bytes).unwrap();
    std::fs::rename(made, path).unwrap();
    longshore_sandbox::digest(&bytes)
}

#[test]
fn a_handler_that_was_built_again_gets_the_next_message() {
    let directory = Directory::new();
    let component = directory.path("handler.wasm");
    let first = build(&component, false);
    let queue = directory.url(ORDERS);
    let mut command =
        longshore(["run", "--forever", "--watch", "--max-dequeue=1", "--breaker=0", "--log-format=json"]);
    command.args(["--queue", &queue, "--cache-dir"]).arg(cache()).arg("--component").arg(&component);
    let mut worker = command.start();
    worker.wait_for_line(&first);
    let settled = |queue: &str, left: usize| {
        until(format_args!("{left} messages in {queue}"), || {
            (directory.rows(queue).len() == left).then_some(())
        });
    };
    directory.send([r#"{"n":1}"#]);
    settled(ORDERS, 0);
    assert_eq!(directory.rows(POISON), []);

    let second = build(&component, true);
    worker.wait_for_line("the handler was reloaded");
    assert_ne!(first, second);
    directory.send([r#"{"n":2}"#]);
    settled(POISON, 1);
    assert!(
        String::from_utf8_lossy(&directory.rows(POISON)[0].body).contains(&second),
        "the envelope names it"
    );

    std::fs::write(&component, "no component").unwrap();
    worker.wait_for_line("the handler stays as it was");
    build(&component, false);
    until("the first handler", || {
        (worker.stderr().matches("the handler was reloaded").count() == 2).then_some(())
    });
    directory.send([r#"{"n":3}"#]);
    settled(ORDERS, 0);
    assert_eq!(directory.rows(POISON).len(), 1);
    worker.terminate();
    worker.wait().succeeded();
}

#[test]
fn only_a_file_is_watched() {
    let mut command =
        longshore(["run", "--watch", "--queue=file:./q/orders", "--component=oci://r.example/order:1"]);
    let ended = run(&mut command);
    assert_eq!(ended.code(), 2);
    assert!(ended.stderr.contains("--watch looks at a file"), "{ended:?}");
}
