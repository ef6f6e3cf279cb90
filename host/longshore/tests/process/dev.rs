//! `longshore dev`: executions are processes of this very program, and none of them outlives it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rand::RngExt;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::Value;

use crate::directory::{Directory, ORDERS, POISON, Row, now_ms};
use crate::orders::order;
use crate::process::{Ended, Process, Program, cache, longshore};
use longshore_testkit::wait::until;
use longshore_testkit::{guest, wat};

/// `longshore dev` on the queue of a directory, with the order component, and little time to wait.
fn dev(directory: &Directory, flags: &[&str]) -> Program {
    let mut program =
        longshore(["dev", "--output=json", "--start-delay=500ms", "--poll=1s", "--retry-base=20ms"]);
    program.args(["--retry-cap=200ms", "--queue", &directory.url(ORDERS), "--component"]).arg(guest::order());
    program.arg("--cache-dir").arg(cache()).args(flags);
    program
}

/// The events of one kind.
fn events(ended: &Ended, kind: &str) -> Vec<Value> {
    events_in(&ended.stdout, kind)
}

fn events_in(stdout: &str, kind: &str) -> Vec<Value> {
    // A line that is being written is none yet.
    let parsed = stdout.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    parsed.filter(|event| event["event"] == kind).collect()
}

/// The processes of executions whose parent or former parent is this one, by the queue that only
/// they have.
fn processes_of(directory: &Directory) -> Vec<Pid> {
    let queue = directory.url(ORDERS);
    let is_run = |pid: &Pid| {
        let line = fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).unwrap_or_default();
        let words: Vec<_> = line.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
        words.get(1).is_some_and(|it| it == "run") && words.iter().any(|it| it.contains(&queue))
    };
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|it| Pid::from_raw(it.file_name().to_str()?.parse().ok()?));
    pids.filter(is_run).collect()
}

/// Starts it with orders that take long, and waits until all of them are leased.
#[track_caller]
fn start_with_long_orders(directory: &Directory, orders: usize, flags: &[&str]) -> Process {
    directory.send([order("o-first", "ok")]);
    directory.send((0..orders).map(|n| order(&format!("o-{n}"), "sleep:600000")));
    let long = ["--deadline=10m", "--visibility=30s", "--queue-length=100"];
    let dev = dev(directory, &[&long[..], flags].concat()).start();
    until("the leases", || {
        let rows = directory.rows(ORDERS);
        (rows.len() == orders && rows.iter().all(|row| row.visible_at > now_ms())).then_some(())
    });
    dev
}

#[test]
fn once_works_off_the_queue_with_as_many_processes_as_keda_starts_and_says_what_became_of_it() {
    let directory = Directory::new();
    directory.send((0..25).map(|n| order(&format!("o-{n}"), "ok")));
    directory.send([order("o-bad", "reject"), "no JSON".into()]);
    let ended = dev(&directory, &["--once", "--queue-length=10"]).run().succeeded();
    assert_eq!(directory.rows(ORDERS), []);
    assert_eq!(directory.rows(POISON).len(), 2);

    let polls = events(&ended, "polled");
    assert_eq!(polls[0]["sum"], "27 / 10 → 3, 0 running → start 3");
    let begun = &events(&ended, "begun")[0];
    assert_eq!((&begun["keda_version"], &begun["job"]), (&"2.17.2".into(), &"orders".into()));
    let executions = events(&ended, "ended");
    assert_eq!(executions.len(), 3, "{ended:?}");
    assert!(executions.iter().all(|it| it["state"] == "succeeded" && it["exit_code"] == 0), "{executions:?}");
    let received: u64 = executions.iter().map(|it| it["summary"]["received"].as_u64().unwrap()).sum();
    assert_eq!(received, 27);
    let finished = &events(&ended, "finished")[0];
    assert_eq!(
        (&finished["messages"]["completed"], &finished["messages"]["poisoned"]),
        (&25.into(), &2.into())
    );
    let causes = finished["failures"].as_array().unwrap();
    assert!(causes.iter().all(|it| it["outcome"] == "poisoned" && it["count"].is_u64()), "{causes:?}");
    assert_eq!(processes_of(&directory), []);
}

#[test]
fn people_read_lines_with_the_sum_in_words_and_failures_by_cause() {
    let directory = Directory::new();
    directory.send((0..3).map(|n| order(&format!("o-{n}"), "reject")));
    let mut program =
        longshore(["dev", "--once", "--queue-length=2", "--speed=20", "--queue", &directory.url(ORDERS)]);
    let ended =
        program.arg("--component").arg(guest::order()).arg("--cache-dir").arg(cache()).run().succeeded();
    for words in [
        "orders unloads file:",
        "KEDA 2.17.2",
        "a poll every 30s, an execution for 2 messages, 10 at most",
        "a start takes 15s, an execution 22m 30s at most",
        "these times pass 20 times as fast",
        "poll      3 / 2 → 2, 0 running → start 2",
        "succeeded, exit code 0",
        "poisoned, rejected: ",
        "messages: 3 received, 3 poisoned",
    ] {
        assert!(ended.stdout.contains(words), "`{words}` is not in {}", ended.stdout);
    }
}

#[test]
fn an_execution_finds_the_variables_of_azure_in_its_environment() {
    let directory = Directory::new();
    let mut dev = start_with_long_orders(&directory, 1, &[]);
    let [pid] = processes_of(&directory)[..] else { panic!("{:?}", processes_of(&directory)) };
    let environment = fs::read(format!("/proc/{}/environ", pid.as_raw_nonzero())).unwrap();
    let variables: Vec<_> = environment.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
    let value = |name: &str| {
        let found = variables.iter().find_map(|it| it.strip_prefix(name)?.strip_prefix('='));
        found.unwrap_or_else(|| panic!("{name} in {variables:?}"))
    };
    let execution = &events_in(&dev.stdout(), "started")[0]["execution"];
    assert_eq!(value("CONTAINER_APP_JOB_NAME"), "orders");
    assert_eq!(value("CONTAINER_APP_JOB_EXECUTION_NAME"), execution.as_str().unwrap());
    assert!(value("CONTAINER_APP_REPLICA_NAME").starts_with(execution.as_str().unwrap()));
    // A second one on the same queue would start as many again.
    let second = self::dev(&directory, &["--once"]).run().ends_with(3);
    second.says(&["another `longshore dev` works on this queue"]);
    assert!(dev.ended().is_none());
}

#[test]
fn a_dev_that_is_killed_leaves_no_orphan_and_no_lease_and_the_next_one_says_what_was_lost() {
    let directory = Directory::new();
    let dev = start_with_long_orders(&directory, 3, &["--grace=1s"]);
    let orphans = processes_of(&directory);
    assert_eq!(orphans.len(), 1);
    let started = events_in(&dev.stdout(), "started");
    assert!(dev.kill().was_killed());
    until("the end of the executions", || {
        orphans.iter().all(|pid| test_kill_process(*pid).is_err()).then_some(())
    });
    let left = directory.rows(ORDERS);
    let is_back = |row: &Row| row.visible_at <= now_ms() && row.dequeue_count == 1;
    assert!(left.len() == 3 && left.iter().all(is_back), "{left:?}");

    let next = dev_that_is_stopped(&directory, "lost");
    let lost = &events(&next, "lost")[0]["executions"];
    assert_eq!(lost, &Value::from(vec![started[0]["execution"].clone()]));
}

/// A `dev` that is told to stop when it has told of something.
fn dev_that_is_stopped(directory: &Directory, event: &str) -> Ended {
    let dev = dev(directory, &["--grace=1s"]).start();
    until(format_args!("an event {event}"), || (!events_in(&dev.stdout(), event).is_empty()).then_some(()));
    dev.terminate();
    dev.wait().succeeded()
}

#[test]
fn a_dev_that_is_killed_at_random_moments_leaves_every_message_to_the_next_one() {
    const TIMES: usize = 6;
    let directory = Directory::new();
    let wish = |number: usize| if number % 10 == 3 { "reject" } else { "sleep:40" };
    let ids = directory.send((0..1500).map(|number| order(&format!("o-{number}"), wish(number))));
    let mut rejected: Vec<_> = ids.into_iter().skip(3).step_by(10).collect();
    let flags =
        ["--start-delay=50ms", "--poll=200ms", "--queue-length=300", "--grace=200ms", "--max-dequeue=20"];
    let mut program = longshore(["dev", "--output=json", "--queue", &directory.url(ORDERS), "--component"]);
    program.arg(guest::order()).arg("--cache-dir").arg(cache()).args(flags);
    for _ in 0..TIMES {
        let dev = program.start();
        std::thread::sleep(Duration::from_millis(rand::rng().random_range(50..900)));
        assert!(dev.kill().was_killed());
        until("the end of the executions", || processes_of(&directory).is_empty().then_some(()));
        let leased = directory.rows(ORDERS).into_iter().filter(|row| row.visible_at > now_ms());
        assert_eq!(leased.collect::<Vec<_>>(), []);
    }
    let last = program.arg("--once").run().succeeded();
    assert_eq!(directory.rows(ORDERS), []);
    let mut poisoned: Vec<_> = directory.rows(POISON).into_iter().map(|row| row.id).collect();
    rejected.sort_unstable();
    poisoned.sort_unstable();
    assert_eq!(poisoned, rejected, "{last:?}");
}

#[test]
fn a_stop_ends_the_executions_first_and_their_messages_are_visible() {
    let directory = Directory::new();
    let dev = start_with_long_orders(&directory, 2, &["--grace=1s"]);
    dev.terminate();
    let ended = dev.wait().succeeded();
    assert_eq!(processes_of(&directory), []);
    let states: Vec<_> = events(&ended, "ended").iter().map(|it| it["state"].clone()).collect();
    assert_eq!((states, events(&ended, "stopping").len()), (vec!["stopped".into()], 1));
    assert_eq!(events(&ended, "ended")[0]["summary"]["abandoned"], 2);
    assert!(directory.rows(ORDERS).iter().all(|row| row.visible_at <= now_ms()));
}

#[test]
fn an_execution_that_is_killed_has_failed_and_the_next_poll_starts_another() {
    let directory = Directory::new();
    let dev = start_with_long_orders(&directory, 1, &["--grace=1s"]);
    let [pid] = processes_of(&directory)[..] else { panic!("{:?}", processes_of(&directory)) };
    kill_process(pid, Signal::KILL).unwrap();
    until("another execution", || (events_in(&dev.stdout(), "started").len() == 2).then_some(()));
    let ended = &events_in(&dev.stdout(), "ended")[0];
    assert_eq!((&ended["state"], &ended["signal"]), (&"failed".into(), &9.into()));
    dev.terminate();
    dev.wait().succeeded();
}

#[test]
fn an_execution_that_reaches_its_time_limit_gets_sigterm_and_has_failed() {
    let directory = Directory::new();
    directory.send([order("o-1", "ok"), order("o-2", "sleep:600000")]);
    let flags = ["--once", "--replica-timeout=4s", "--deadline=10m", "--grace=500ms"];
    let ended = dev(&directory, &flags).run().ends_with(1);
    ended.says(&["lasted longer than its time limit"]);
    let execution = &events(&ended, "ended")[0];
    assert_eq!((&execution["state"], &execution["summary"]["ended"]), (&"failed".into(), &"stopped".into()));
    assert_eq!(events(&ended, "timed-out").len(), 1);
}

#[test]
fn a_container_that_fails_is_started_again_within_its_execution_and_its_fault_is_the_exit_code() {
    let directory = Directory::new();
    directory.send([order("o-1", "ok")]);
    let outbox = format!("--outbox=invoices=file:{}/none/invoices", directory.path("away").display());
    fs::write(directory.path("away"), "no directory").unwrap();
    let refused = dev(&directory, &["--once", &outbox]).run().ends_with(3);
    assert!(events(&refused, "started").is_empty(), "what cannot be there is refused before a process is");
    let wasm = directory.path("broken.wasm");
    fs::write(&wasm, "no component").unwrap();
    let mut program =
        longshore(["dev", "--once", "--output=json", "--start-delay=0s", "--hold=0", "--retry-limit=2"]);
    program
        .args(["--queue", &directory.url(ORDERS), "--component"])
        .arg(&wasm)
        .arg("--cache-dir")
        .arg(cache());
    let ended = program.run().ends_with(3);
    assert_eq!(events(&ended, "restarting").len(), 2);
    let execution = &events(&ended, "ended")[0];
    assert_eq!((&execution["restarts"], &execution["exit_code"]), (&2.into(), &3.into()));
    ended.says(&["broken.wasm"]);
    assert_eq!(directory.rows(ORDERS)[0].dequeue_count, 0);
}

/// A project whose build command copies a source to the component.
fn project(directory: &Path, handler: &[u8]) {
    fs::write(directory.join("source.wasm"), handler).unwrap();
    let text = "queue = 'file:./queues/orders'\ncomponent = 'out/handler.wasm'\npoll = '1s'\nstart-delay = '100ms'\n\
        max-dequeue = 1\nbreaker = 0\ngrace = '1s'\n[build]\n\
        command = 'mkdir -p out && test -s source.wasm && cp source.wasm out/new && mv out/new out/handler.wasm'\n\
        sources = ['*.wasm']\n";
    fs::write(directory.join("longshore.toml"), text).unwrap();
}

#[test]
fn the_handler_is_built_at_the_start_and_again_when_a_source_changes_and_an_error_changes_nothing() {
    let root = tempfile::tempdir().unwrap();
    project(root.path(), &wat::handler("", ""));
    let here = |words: &[&str]| {
        let mut program = longshore(words);
        program.current_dir(root.path()).arg("--cache-dir").arg(cache());
        program
    };
    let mut sending = longshore(["send", "{}"]);
    let mut send = || sending.current_dir(root.path()).run().succeeded();
    let dev = here(&["dev", "--output=json"]).start();
    let seen = |kind: &str| events_in(&dev.stdout(), kind);
    until("the first build", || (seen("built").len() == 1).then_some(()));
    assert_eq!(seen("created").len(), 2, "the queue and its poison queue were not there");
    send();
    until("a message that is handled", || {
        seen("ended").iter().any(|it| it["summary"]["completed"] == 1).then_some(())
    });

    fs::write(root.path().join("source.wasm"), "").unwrap();
    until("a build that fails", || (seen("not-built").len() == 1).then_some(()));
    let failed = &seen("not-built")[0];
    assert_eq!(
        (&failed["has_component"], &failed["cause"]),
        (&true.into(), &"it ended with exit code 1".into())
    );
    send();
    until("the handler of before", || {
        (seen("ended").iter().filter(|it| it["summary"]["completed"] == 1).count() == 2).then_some(())
    });

    fs::write(root.path().join("source.wasm"), wat::handler("", "unreachable")).unwrap();
    until("the second build", || (seen("built").len() == 2).then_some(()));
    send();
    until("the new handler", || seen("ended").iter().any(|it| it["summary"]["poisoned"] == 1).then_some(()));
    dev.terminate();
    dev.wait().succeeded();
}

#[test]
fn once_ends_with_the_build_and_with_what_it_said_if_that_fails() {
    let root = tempfile::tempdir().unwrap();
    project(root.path(), b"");
    let mut program = longshore(["dev", "--once"]);
    let ended = program.current_dir(root.path()).arg("--cache-dir").arg(cache()).run().ends_with(1);
    ended.says(&["the build failed: it ended with exit code 1"]);
    assert!(ended.stdout.contains("there is no component yet"), "{ended:?}");
}

#[test]
fn a_component_that_is_not_there_and_that_nobody_builds_is_said_at_once() {
    let directory = Directory::new();
    let mut program = longshore(["dev", "--queue", &directory.url(ORDERS), "--component=none.wasm"]);
    program.run().ends_with(3).says(&["there is no component none.wasm", "[build]"]);
    let mut program =
        longshore(["dev", "--forever", "--queue", &directory.url(ORDERS), "--component=none.wasm"]);
    program.run().ends_with(2).says(&["an execution of a job ends"]);
}

#[test]
fn a_run_that_was_given_a_pipe_stops_when_the_pipe_is_closed() {
    use std::process::{Command, Stdio};
    let directory = Directory::new();
    let mut child = Command::new(env!("CARGO_BIN_EXE_longshore"))
        .args(["run", "--forever", "--stop-with-input", "--output=json", "--queue", &directory.url(ORDERS)])
        .arg("--component")
        .arg(guest::order())
        .arg("--cache-dir")
        .arg(cache())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert!(child.try_wait().unwrap().is_none());
    drop(child.stdin.take());
    let status = until("the end of the run", || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
}
