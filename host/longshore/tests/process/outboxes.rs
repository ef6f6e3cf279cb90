//! `--outbox`: what is sent to other queues, how it is written there, and what is refused.

use crate::directory::{Directory, ORDERS};
use crate::process::{Ended, longshore, run};
use longshore_testkit::guest;

/// Works off one message that sends `0` to `invoices`.
fn send_one(directory: &Directory, flags: &[&str]) -> Ended {
    directory.send(["outputs:1"]);
    let outbox = format!("--outbox=invoices={}", directory.url("invoices"));
    let flags = [&["--config=greeting=hello", &outbox], flags].concat();
    run(&mut directory.worker_with(&guest::rogue(), &flags)).never_panicked()
}

#[test]
fn an_outbox_of_base64_holds_what_the_trigger_of_azure_functions_reads() {
    let directory = Directory::new();
    run(&mut longshore(["queue", "create", "--queue", &directory.url("invoices")])).succeeded();
    send_one(&directory, &["--outbox-encoding=invoices=base64"]).succeeded();
    send_one(&directory, &["--outbox-encoding=invoices=text"]).succeeded();
    send_one(&directory, &["--outbox-encoding=invoices=base64", "--outbox-format=cloudevents"]).succeeded();
    let bodies: Vec<_> = directory.rows("invoices").into_iter().map(|row| row.body).collect();
    assert_eq!((&bodies[0][..], &bodies[1][..]), (&b"MA=="[..], &b"0"[..]));
    assert!(bodies[2].starts_with(b"eyJzcGVjdmVyc2lvbi"), "an event, in base64");
}

#[test]
fn an_encoding_names_an_outbox_that_is_granted_and_names_it_once() {
    let directory = Directory::new();
    for (flags, words) in [
        (&["--outbox-encoding=other=base64"][..], "grant it with `--outbox other=QUEUE-URL`"),
        (&["--outbox-encoding=base64"], "write it as NAME=base64"),
        (&["--outbox-encoding=invoices=hex"], "an encoding is text or base64"),
        (&["--outbox-encoding=invoices=text", "--outbox-encoding=invoices=base64"], "name it once"),
    ] {
        send_one(&directory, flags).ends_with(2).says(&[words]);
    }
}

#[test]
fn an_outbox_that_is_not_there_ends_the_run_before_the_first_message() {
    let directory = Directory::new();
    let ended = send_one(&directory, &[]).ends_with(3);
    ended.says(&["invoices", "longshore queue create --queue"]);
    assert_eq!(directory.rows(ORDERS)[0].dequeue_count, 0, "nothing was received");
}

#[test]
fn a_queue_behind_the_flag_of_the_format_is_pointed_to_the_flag_of_queues() {
    let ended = run(&mut longshore(["run", "--output", "a=file:./queues/a"])).ends_with(2);
    ended.says(&["[possible values: table, json]", "--outbox NAME=QUEUE-URL"]);
    let format = run(&mut longshore(["run", "--output", "xml"])).ends_with(2);
    assert!(!format.stderr.contains("--outbox"), "{format:?}");
}
