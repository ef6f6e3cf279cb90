//! `check` as operators rely on it: what is there, what fits, and what is made when it is needed.

use serde_json::Value;

use crate::directory::{Directory, ORDERS};
use crate::process::{Ended, longshore, run};

/// What was found out about one question.
fn found(ended: &Ended, check: &str) -> Value {
    let line = ended.json_lines().into_iter().find(|line| line["check"] == check);
    line.unwrap_or_else(|| panic!("{check}: {ended:?}"))
}

fn check(directory: &Directory, flags: &[&str]) -> Ended {
    let mut check = longshore(["check", "--output=json", "--queue", &directory.url(ORDERS)]);
    run(check.args(flags)).never_panicked()
}

#[test]
fn a_new_file_queue_is_fine_although_its_poison_queue_is_not_there_yet() {
    let directory = Directory::new();
    let ended = check(&directory, &[]).succeeded();
    let poison = found(&ended, "poison queue exists");
    assert_eq!(poison["result"], "ok", "{poison}");
    assert!(poison["detail"].as_str().unwrap().contains("made when it is needed"), "{poison}");
    let missing = format!("--queue={}", directory.url("missing"));
    let ended = run(&mut longshore(["check", "--output=json", &missing])).ends_with(3);
    assert_eq!(found(&ended, "queue exists")["result"], "no");
}

#[test]
fn each_outbox_has_a_row_and_one_that_is_not_there_is_a_fault() {
    let directory = Directory::new();
    let (there, missing) = (directory.url(ORDERS), directory.url("missing"));
    let ended = check(&directory, &["--outbox", &format!("a={there}")]).succeeded();
    assert_eq!(found(&ended, "outbox exists")["of"], format!("a: {there}"));
    let both = ["--outbox", &format!("a={there}"), "--outbox", &format!("b={missing}")];
    let ended = check(&directory, &both).ends_with(3);
    let rows: Vec<_> = ended.json_lines().into_iter().filter(|it| it["check"] == "outbox exists").collect();
    assert_eq!(rows.iter().map(|it| it["result"].as_str().unwrap()).collect::<Vec<_>>(), ["yes", "no"]);
    assert!(rows[1]["detail"].as_str().unwrap().contains("longshore queue create --queue"), "{rows:?}");
}

#[test]
fn only_a_message_tells_whether_an_outbox_may_be_sent_to_and_it_is_gone_soon() {
    let directory = Directory::new();
    let (there, missing) = (directory.url("invoices"), directory.url("missing"));
    run(&mut longshore(["queue", "create", "--queue", &there])).succeeded();
    let outbox = format!("--outbox=a={there}");
    let row = found(&check(&directory, &[&outbox]).succeeded(), "send outbox");
    assert_eq!((&row["result"], &row["of"]), (&"unknown".into(), &format!("a: {there}").into()));
    assert!(row["detail"].as_str().unwrap().contains("--probe-outbox"), "{row}");
    assert!(directory.rows("invoices").is_empty(), "nothing is sent unasked");
    check(&directory, &[&outbox, "--probe-send"]).never_panicked();
    assert!(directory.rows("invoices").is_empty(), "that flag is about the poison queue");

    let ended = check(&directory, &[&outbox, "--probe-outbox"]).succeeded();
    assert_eq!(found(&ended, "send outbox")["result"], "allowed");
    let expires = "SELECT expires_at - inserted_at FROM message WHERE queue = 'invoices'";
    let life: i64 = directory.database().query_row(expires, [], |row| row.get(0)).unwrap();
    assert!(life <= 2000, "{life} ms");
    let ended = check(&directory, &[&format!("--outbox=b={missing}"), "--probe-outbox"]).ends_with(3);
    assert_eq!(found(&ended, "send outbox")["detail"], "there is no queue to send to");
}

#[test]
fn the_memory_of_this_process_is_one_row_and_never_a_fault() {
    let directory = Directory::new();
    // However much this machine has, it holds less than that.
    let ended = check(&directory, &["--concurrency=1000", "--memory=4096"]).succeeded();
    let memory: Vec<_> = ended.json_lines().into_iter().filter(|it| it["check"] == "memory").collect();
    assert_eq!(memory.len(), 1, "{ended:?}");
    assert!(["wrong", "unknown"].contains(&memory[0]["result"].as_str().unwrap()), "{memory:?}");
}
