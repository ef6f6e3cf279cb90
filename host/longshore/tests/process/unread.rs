//! A stop is heard although nobody reads what a verb prints, and although a queue does not answer.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::directory::{Directory, ORDERS};
use crate::process::{Ended, Process, Program, cache, longshore, run};
use longshore_testkit::guest;
use longshore_testkit::wait::{slack, until};
use serde_json::Value;

/// How long a stop may take on a machine at rest. The last lines wait a second for a reader.
const STOP: Duration = Duration::from_secs(4);

/// Nobody looks at it.
const SAS: &str = "?sv=2024-11-04&se=2099-01-01T00:00:00Z&sp=raup&sig=c2ln";

/// Sends SIGTERM, and expects the end soon after.
#[track_caller]
fn stop(process: Process) -> Ended {
    let asked = Instant::now();
    process.terminate();
    let ended = process.wait();
    assert!(asked.elapsed() < slack(STOP), "it took {:?}: {ended:?}", asked.elapsed());
    ended
}

#[cfg(feature = "dev")]
#[test]
fn dev_hears_a_stop_while_nobody_reads_its_events() {
    let directory = Directory::new();
    let mut program = longshore(["dev", "--output=json", "--no-page", "--speed=1000", "--poll=1s"]);
    program.args(["--queue", &directory.url(ORDERS), "--component"]).arg(guest::order());
    // A thousand events a second: the pipe is full in less than one.
    let dev = program.arg("--cache-dir").arg(cache()).unread_output().start();
    std::thread::sleep(slack(Duration::from_secs(3)));
    stop(dev).succeeded();
}

#[test]
fn send_hears_a_stop_while_nobody_reads_the_ids() {
    let directory = Directory::new();
    let mut program = longshore(["send", "--output=json", "--sample=100000000"]);
    let send = program.args(["--queue", &directory.url(ORDERS)]).unread_output().start();
    // As many ids as a pipe takes.
    until("ids that nobody reads", || (directory.rows(ORDERS).len() > 1_000).then_some(()));
    std::thread::sleep(Duration::from_secs(1));
    let ended = stop(send).ends_with(1);
    ended.says(&["stopped by a signal"]);
}

#[cfg(feature = "dev")]
#[test]
fn ui_hears_a_stop_while_the_queue_is_silent() {
    // It takes connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/devstoreaccount1/orders{SAS}", silent.local_addr().unwrap());
    let ui = longshore(["ui", "--queue", &url]).start();
    let _held = silent.accept().unwrap();
    stop(ui).succeeded();
}

#[test]
fn a_line_in_a_file_that_several_programs_write_is_whole() {
    let directory = Directory::new();
    directory.create("invoices");
    directory.send((0..40).map(|_| "print:200000"));
    let outbox = format!("--outbox=invoices={}", directory.url("invoices"));
    let script = "\"$0\" \"$@\" 2>>\"$LOG\" & \"$0\" \"$@\" 2>>\"$LOG\"; wait";
    let mut program = Program::new("sh", directory.path("home").as_path());
    program.args([
        "-c",
        script,
        env!("CARGO_BIN_EXE_longshore"),
        "run",
        "--log-limit=1000000",
        "--config=key=value",
    ]);
    program.args(["--queue", &directory.url(ORDERS), &outbox, "--component"]).arg(guest::rogue());
    let log = directory.path("log");
    run(program.arg("--cache-dir").arg(cache()).env("LOG", &log)).succeeded();
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.lines().any(|line| line.len() > 8_000));
    for line in log.lines() {
        assert!(serde_json::from_str::<Value>(line).is_ok(), "{}", &line[..line.len().min(200)]);
    }
}
