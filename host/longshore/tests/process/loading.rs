//! Components that are hard to load: none takes the host's memory or its time, and a stop is heard
//! while one is compiled.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::directory::{Directory, ORDERS};
use crate::orders::order;
use crate::process::{Ended, Program, longshore, run};
use longshore_testkit::bombs;
use longshore_testkit::wait::slack;

/// What the host may have while it looks at a component, in bytes: a small container's memory.
const MEMORY: usize = 400 << 20;

/// The program, without more memory than that.
fn in_little_memory(arguments: &[&str]) -> Program {
    in_memory(MEMORY, arguments)
}

/// The program with so many bytes of memory. One that needs more aborts.
fn in_memory(bytes: usize, arguments: &[&str]) -> Program {
    let mut program = Program::new("prlimit", Path::new(env!("CARGO_TARGET_TMPDIR")));
    program.arg(format!("--data={bytes}")).arg(env!("CARGO_BIN_EXE_longshore")).args(arguments);
    program
}

/// Hands a message to a component that nothing is known of yet.
fn invoke(component: &Path, flags: &[&str]) -> Ended {
    let cache = tempfile::tempdir().unwrap();
    let component = component.to_str().unwrap();
    let cache = cache.path().to_str().unwrap();
    let arguments = ["invoke", "--output=json", "{}", "--component", component, "--cache-dir", cache];
    in_little_memory(&[&arguments, flags].concat()).run().never_panicked()
}

/// A component in a directory of its own.
fn written(bytes: &[u8]) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bomb.wasm");
    std::fs::write(&path, bytes).unwrap();
    (directory, path)
}

/// Seconds of a compiler's work, and more of one that is not optimised itself.
fn slow() -> (TempDir, PathBuf) {
    written(&bombs::slow(20, 3_000))
}

#[test]
fn a_component_that_is_hard_to_load_is_refused_by_counting() {
    for bombs::Bomb { name, bytes } in bombs::refused() {
        let (_directory, path) = written(&bytes);
        let ended = invoke(&path, &[]);
        assert_eq!(ended.code(), 3, "{name}: {ended:?}");
        assert_eq!(ended.json()["reason"], "component-unavailable", "{name}");
        assert!(ended.took < slack(Duration::from_secs(5)), "{name}: {:?}", ended.took);
        assert!(ended.stderr.lines().all(|line| line.len() < 16 << 10), "{name}");
        for verb in ["inspect", "compile"] {
            let to = path.with_extension("aot");
            let mut arguments = vec![verb, path.to_str().unwrap()];
            if verb == "compile" {
                arguments.extend(["--to", to.to_str().unwrap()]);
            }
            let ended = in_little_memory(&arguments).run().never_panicked();
            // What only a limit of the run refuses may be looked at.
            let may_pass = name.starts_with("memory") || name == "tables" || name == "shared memory";
            assert!(ended.code() == 3 || may_pass, "{verb} of {name}: {ended:?}");
        }
    }
}

#[test]
fn a_file_without_an_end_is_refused_before_it_is_read() {
    let (_directory, huge) = written(b"");
    std::fs::File::options().write(true).open(&huge).unwrap().set_len(1 << 40).unwrap();
    for (file, words) in [
        (Path::new("/dev/zero"), "a pipe or a device"),
        (&huge, "more than 128 MiB"),
        (Path::new("/"), "directory"),
    ] {
        let ended = invoke(file, &[]);
        assert_eq!(ended.code(), 3, "{ended:?}");
        assert!(ended.json()["detail"].as_str().unwrap().contains(words), "{ended:?}");
        assert!(ended.took < slack(Duration::from_secs(5)), "{:?}", ended.took);
        let precompiled = format!("--precompiled={}", file.display());
        let ended = invoke(&longshore_testkit::guest::order(), &[&precompiled]);
        ended.says(&["the precompiled component is not used"]);
    }
}

#[test]
fn loading_takes_no_longer_than_it_may() {
    let (_directory, path) = slow();
    let ended = invoke(&path, &["--load-timeout=500ms"]);
    assert_eq!(ended.code(), 3, "{ended:?}");
    let detail = ended.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("it is not there after 500ms; compile it ahead of time"), "{detail}");
    assert!(ended.took < slack(Duration::from_secs(5)), "{:?}", ended.took);
}

#[test]
fn a_stop_is_heard_while_a_component_is_compiled_and_nothing_is_received_after_it() {
    let (directory, (_kept, path)) = (Directory::new(), slow());
    directory.send([order("o-1", "ok")]);
    let mut worker = directory.worker_with(&path, &["--log=debug"]).start();
    worker.wait_for_line("\"message\":\"loading\"");
    let asked = Instant::now();
    worker.terminate();
    let ended = worker.wait().succeeded();
    assert!(asked.elapsed() < slack(Duration::from_secs(2)), "it took {:?}", asked.elapsed());
    ended.says(&["\"ended\":\"stopped\""]);
    assert_eq!(ended.json()["received"], 0, "{ended:?}");
    assert_eq!(directory.rows(ORDERS)[0].dequeue_count, 0);
}

#[test]
fn loading_is_a_part_of_the_time_budget() {
    let (directory, (_kept, path)) = (Directory::new(), slow());
    directory.send([order("o-1", "ok")]);
    let started = Instant::now();
    let flags = ["--time-budget=2s", "--deadline=1s"];
    let ended = directory.worker_with(&path, &flags).run().never_panicked();
    assert!(started.elapsed() < slack(Duration::from_secs(6)), "it took {:?}", started.elapsed());
    assert_eq!(ended.json()["received"], 0, "{ended:?}");
    assert_eq!(directory.rows(ORDERS)[0].dequeue_count, 0);
}

#[test]
fn handlers_that_hoard_in_the_host_take_nothing_from_those_beside_them() {
    let directory = Directory::new();
    // What each asked the host to keep was up to two gigabytes.
    let hostile =
        ["hoard:64", "hoard:1000000", "copy-fields:900", "empty-properties:8000", "random:67108864"];
    let bodies: Vec<_> =
        (0..40).map(|n| if n % 2 == 0 { hostile[n / 2 % 5] } else { "contexts:100" }).collect();
    directory.send(&bodies);
    let (queue, invoices) = (directory.url(ORDERS), format!("invoices={}", directory.url("invoices")));
    let (component, cache) = (longshore_testkit::guest::rogue(), crate::process::cache());
    let mut arguments = vec!["run", "--output=json", "--queue", &queue, "--outbox", &invoices];
    arguments.extend(["--component", component.to_str().unwrap(), "--cache-dir", cache.to_str().unwrap()]);
    arguments.extend(["--config=greeting=hello", "--max-dequeue=1", "--breaker=0", "--concurrency=16"]);
    run(longshore(["queue", "create", "--queue", &directory.url("invoices")]).arg("--output=json"))
        .succeeded();
    let summary = in_memory(1 << 30, &arguments).run().succeeded().json();
    assert_eq!((&summary["completed"], &summary["poisoned"]), (&20.into(), &20.into()), "{summary}");
}

#[test]
fn what_a_component_is_called_forges_no_line_and_sends_nothing_to_a_terminal() {
    let name = r#"url=<https://x/\1b]0;pwned by component\07\0aforged line\e2\80\ae>"#;
    let text = format!(
        r#"(component (import "{name}" (func)) (instance $i) (export "longshore:handler/handler@0.1.0" (instance $i)))"#
    );
    let (_directory, path) = written(&wat::parse_str(text).unwrap());
    let path = path.to_str().unwrap();
    for arguments in [
        &["inspect", path][..],
        &["inspect", "--output=json", path],
        &["invoke", "--component", path, "{}"],
        &["invoke", "--log-format=text", "--component", path, "{}"],
        &["invoke", "--log-format=json", "--output=json", "--component", path, "{}"],
        &["push", path, "oci://127.0.0.1:9/order:1"],
    ] {
        let ended = longshore(arguments).run().never_panicked();
        for written in [&ended.stdout, &ended.stderr] {
            let acts = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
            assert!(!written.contains(acts), "{arguments:?}: {written:?}");
            assert!(!written.lines().any(|line| line.starts_with("forged")), "{arguments:?}: {written:?}");
        }
    }
}
