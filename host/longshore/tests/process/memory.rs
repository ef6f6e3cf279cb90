//! A container's memory: the host admits what fits, and is never killed for what it admitted.

use std::path::{Path, PathBuf};

use crate::directory::{Directory, ORDERS, POISON};
use crate::process::{Program, cache};
use longshore_testkit::wat;

/// A control group with a limit, which is removed with this value.
struct Group(PathBuf);

impl Group {
    /// A group of this many bytes, of whichever version the machine has.
    fn new(test: &str, bytes: u64) -> Self {
        let name = format!("longshore-{test}-{}", std::process::id());
        let (tree, file) = match Path::new("/sys/fs/cgroup/memory") {
            tree if tree.is_dir() => (tree, "memory.limit_in_bytes"),
            _ => (Path::new("/sys/fs/cgroup"), "memory.max"),
        };
        let group = tree.join(name);
        std::fs::create_dir(&group).unwrap_or_else(|error| panic!("{}: {error}", group.display()));
        let group = Self(group);
        std::fs::write(group.0.join(file), bytes.to_string()).unwrap();
        group
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        std::fs::remove_dir(&self.0).unwrap();
    }
}

#[test]
#[ignore = "it makes a control group, as root: `make test-services` runs it"]
fn handlers_that_use_most_of_their_memory_fit_into_a_container_of_a_gibibyte() {
    let directory = Directory::new();
    let component = directory.path("large.wasm");
    // It has 2 MiB, takes 100 MiB more, and writes to each of their pages.
    let touch = "
        (drop (memory.grow (i32.const 1600)))
        (local.set 10 (i32.const 2097152))
        (loop $next
            (i32.store (local.get 10) (i32.const 1))
            (local.set 10 (i32.add (local.get 10) (i32.const 4096)))
            (br_if $next (i32.lt_u (local.get 10) (i32.const 106954752))))";
    std::fs::write(&component, wat::handler("", touch)).unwrap();
    directory.send((0..32).map(|n| format!("[{n}]")));

    let group = Group::new("run", 1 << 30);
    let start = format!(
        "echo $$ > {}/cgroup.procs && exec {} run --output=json --queue {} --component {} --cache-dir {}",
        group.0.display(),
        env!("CARGO_BIN_EXE_longshore"),
        directory.url(ORDERS),
        component.display(),
        cache().display(),
    );
    let ended = Program::new("sh", &directory.path("")).args(["-c", &start]).run().succeeded();
    let summary = ended.json();
    println!("1 GiB, 32 messages of 100 MiB each: {summary}");
    assert_eq!((&summary["completed"], &summary["received"]), (&32.into(), &32.into()));
    assert_eq!((directory.rows(ORDERS).len(), directory.rows(POISON).len()), (0, 0));
    let admitted = ended.stderr.lines().filter(|line| line.contains("\"admitted\":6")).count();
    assert_eq!(admitted, 1, "it is said once: {}", ended.stderr);
}

#[test]
#[ignore = "it makes a control group, as root: `make test-services` runs it"]
fn a_check_in_a_container_names_how_many_handlers_fit_as_a_run_admits_them() {
    let directory = Directory::new();
    let group = Group::new("check", 1 << 30);
    for (flags, result, words) in [
        ("--concurrency=16", "wrong", "hold 6 of them beside the host: a run admits no more than 6 at once"),
        ("--concurrency=6", "ok", ""),
    ] {
        let start = format!(
            "echo $$ > {}/cgroup.procs && exec {} check --output=json --queue {} {flags}",
            group.0.display(),
            env!("CARGO_BIN_EXE_longshore"),
            directory.url(ORDERS),
        );
        let ended = Program::new("sh", &directory.path("")).args(["-c", &start]).run().succeeded();
        let found = ended.json_lines().into_iter().find(|it| it["check"] == "memory").unwrap();
        assert_eq!(found["result"], result, "{found}");
        assert!(found["detail"].as_str().unwrap_or_default().contains(words), "{found}");
    }
}
