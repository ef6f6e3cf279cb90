//! `send`, `peek`, `queue` and `poison`, and that what is redriven is handled again as if it had
//! just been sent.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::directory::{Directory, ORDERS, POISON};
use crate::oracle::handled;
use crate::orders::order;
use crate::process::{Ended, cache, longshore, run};

/// Runs a verb on the queue, as a program would.
fn verb(directory: &Directory, arguments: &[&str]) -> Ended {
    run(longshore(arguments).arg("--output=json").arg("--queue").arg(directory.url(ORDERS))).succeeded()
}

/// The queue with these messages in its poison queue, and their ids.
fn poisoned(orders: &[String]) -> (Directory, Vec<String>) {
    let directory = Directory::new();
    let ids = directory.send(orders);
    let ended = run(&mut directory.worker(&["--max-dequeue=2"])).succeeded();
    assert_eq!(ended.json()["poisoned"], orders.len(), "{ended:?}");
    (directory, ids)
}

fn ids(envelopes: &[Value]) -> Vec<&str> {
    envelopes.iter().map(|envelope| envelope["id"].as_str().unwrap()).collect()
}

#[test]
fn what_is_sent_from_arguments_a_file_and_standard_input_lies_in_the_queue_as_it_was() {
    let directory = Directory::new();
    let url = directory.url(ORDERS);
    let sent = verb(&directory, &["send", "one", "two "]);
    let file = directory.path("orders.jsonl");
    std::fs::write(&file, b"{\"a\":1}\n\n{\"b\":\xff}\r\nlast").unwrap();
    verb(&directory, &["send", "--file", file.to_str().unwrap()]);
    longshore(["send", "--queue", &url, "-"]).input(b"from\nstdin\n").run().succeeded();
    longshore(["send", "--queue", &url, "--file", "-"]).input(b"again").run().succeeded();
    verb(&directory, &["send", "--base64", "{}"]);
    let rows = directory.rows(ORDERS);
    let bodies: Vec<_> = rows.iter().map(|row| &row.body[..]).collect();
    let expected: [&[u8]; 9] =
        [b"one", b"two ", b"{\"a\":1}", b"{\"b\":\xff}", b"last", b"from", b"stdin", b"again", b"e30="];
    assert_eq!(bodies, expected);
    assert_eq!(ids(&sent.json_lines()), [rows[0].id.as_str(), rows[1].id.as_str()]);
}

#[test]
fn id_content_type_and_properties_are_sent_where_a_queue_keeps_them_and_refused_where_not() {
    let directory = Directory::new();
    let flags = ["--content-type=application/json", "--property=tenant=blue", "--property=note=a=b"];
    let with_flags = |words: &[&'static str]| [words, &flags].concat();
    let sent = verb(&directory, &with_flags(&["send", "{}", "--id=o-1"])).json();
    assert_eq!(sent["id"], "o-1");
    let peeked = verb(&directory, &["peek"]).json();
    let properties = json!([["content-type", "application/json"], ["tenant", "blue"], ["note", "a=b"]]);
    assert_eq!((&peeked["id"], &peeked["properties"]), (&json!("o-1"), &properties));

    let storage = "--queue=http://127.0.0.1:9/account/orders?sig=none";
    for refused in [with_flags(&["send", "{}", storage]), vec!["send", "{}", "--id=o-1", storage]] {
        let ended = run(&mut longshore(refused));
        assert!(ended.code() == 2 && ended.stderr.contains("put them into the body"), "{ended:?}");
    }
    let two = run(&mut longshore(["send", "--queue", &directory.url(ORDERS), "--id=o-1", "{}", "{}"]));
    assert!(two.code() == 2 && two.stderr.contains("one message"), "{two:?}");
}

#[test]
fn the_samples_fail_in_each_way() {
    let directory = Directory::new();
    let sent = verb(&directory, &["send", "--sample=100"]);
    assert_eq!(sent.json_lines().len(), 100);
    let flags = ["--retry-base=1ms", "--retry-cap=20ms", "--breaker=20"];
    let summary = run(&mut directory.worker(&flags)).succeeded().json();
    assert_eq!(summary["poison_reasons"], json!({ "attempts-exhausted": 2, "rejected": 3 }));
    assert_eq!(summary["completed"], 95);
}

#[test]
fn peeking_shows_bodies_without_counting_and_statistics_count_what_is_hidden() {
    let directory = Directory::new();
    verb(&directory, &["send", "{\"n\":1}", "two", "three"]);
    verb(&directory, &["send", "--delay=1h", "hidden"]);
    directory.send([b"\xff"]);
    let peeked = verb(&directory, &["peek"]).json_lines();
    let bodies: Vec<_> = peeked.iter().map(|it| (it["encoding"].clone(), it["body"].clone())).collect();
    let text = |body: &str| (json!("text"), json!(body));
    assert_eq!(bodies, [text("{\"n\":1}"), text("two"), text("three"), (json!("base64"), json!("/w=="))]);
    assert_eq!(verb(&directory, &["peek", "--limit=2"]).json_lines().len(), 2);
    assert!(directory.rows(ORDERS).iter().all(|row| row.dequeue_count == 0));
    let stats = verb(&directory, &["queue", "stats"]).json();
    assert_eq!(stats, json!({ "queue": directory.url(ORDERS), "approximate_count": 5 }));
    let table = run(&mut longshore(["peek", "--queue", &directory.url(ORDERS)])).succeeded();
    assert!(table.stdout.contains("three"), "{}", table.stdout);
}

#[test]
fn creating_a_queue_twice_is_no_error() {
    let directory = Directory::new();
    let url = format!("file:{}/new-queue", directory.path("a/b").display());
    let create =
        || run(&mut longshore(["queue", "create", "--output=json", "--queue", &url])).succeeded().json();
    assert_eq!(create(), json!({ "queue": url, "created": true }));
    assert_eq!(create(), json!({ "queue": url, "created": false }));
}

#[test]
fn poison_is_listed_and_shown_with_all_that_is_known() {
    let (directory, sent) = poisoned(&[order("o-1", "reject"), order("o-2", "retry")]);
    let listed = verb(&directory, &["poison", "list", "--all"]).json_lines();
    assert_eq!(listed.len(), 2);
    for envelope in &listed {
        let keys: Vec<_> = envelope.as_object().unwrap().keys().map(String::as_str).collect();
        let mut documented = [
            "longshore",
            "reason",
            "detail",
            "id",
            "queue",
            "dequeue_count",
            "inserted",
            "poisoned",
            "component",
            "attempt",
            "encoding",
            "body",
        ];
        documented.sort_unstable();
        assert_eq!(keys.into_iter().collect::<std::collections::BTreeSet<_>>(), documented.into());
        assert!(envelope["component"].as_str().unwrap().starts_with("sha256:"));
        assert_eq!(envelope["queue"], directory.url(ORDERS));
    }
    let exhausted =
        verb(&directory, &["poison", "list", "--all", "--reason=attempts-exhausted"]).json_lines();
    assert_eq!(ids(&exhausted), [&sent[1]]);
    assert_eq!(exhausted[0]["dequeue_count"], 2);
    assert_eq!(verb(&directory, &["poison", "list", "--all", "--limit=1"]).json_lines().len(), 1);
    let shown = verb(&directory, &["poison", "show", &sent[0]]).json();
    assert_eq!((&shown["reason"], &shown["body"]), (&json!("rejected"), &json!(order("o-1", "reject"))));
    let table =
        run(&mut longshore(["poison", "list", "--all", "--queue", &directory.url(ORDERS)])).succeeded();
    assert!(table.stdout.contains("rejected") && table.stdout.contains(&sent[0]), "{}", table.stdout);
    let missing = run(&mut longshore(["poison", "show", "no-such-id", "--queue", &directory.url(ORDERS)]));
    assert_eq!(missing.code(), 1);
}

#[test]
fn redriven_messages_lose_their_envelope_and_are_handled_under_their_original_id() {
    let (directory, sent) = poisoned(&[order("o-1", "retry-until:3"), order("o-2", "reject")]);
    let report = verb(&directory, &["poison", "redrive", "--reason=attempts-exhausted"]).json();
    assert_eq!(
        (&report["verb"], &report["messages"], &report["dry_run"]),
        (&json!("redriven"), &json!(1), &json!(false))
    );
    let back = directory.rows(ORDERS);
    assert_eq!((back.len(), &back[0].id, back[0].dequeue_count), (1, &sent[0], 0));
    assert_eq!(back[0].body, order("o-1", "retry-until:3").as_bytes());
    let left = directory.rows(POISON);
    assert_eq!((left.len(), &left[0].id), (1, &sent[1]));

    let ended = directory.worker(&["--max-dequeue=3"]).run().succeeded();
    assert_eq!(ended.json()["completed"], 1);
    let mut lines = BTreeMap::new();
    handled(&ended.stderr, &mut lines);
    assert_eq!(lines, BTreeMap::from([(sent[0].clone(), 1)]));
}

#[test]
fn poison_without_an_envelope_is_redriven_as_it_is() {
    let directory = Directory::new();
    let body = order("o-1", "reject").into_bytes();
    let sent = directory.send([&body]);
    run(&mut directory.worker(&["--poison-format=raw"])).succeeded();
    assert_eq!(directory.rows(POISON)[0].body, body);
    let foreign = r#"{"longshore":"a harbour","body":"x"}"#;
    run(&mut longshore(["send", "--queue", &directory.url(POISON), foreign])).succeeded();
    let listed = verb(&directory, &["poison", "list", "--all"]).json_lines();
    let reasons: Vec<_> = listed.iter().map(|envelope| &envelope["reason"]).collect();
    assert_eq!(reasons, ["rejected", "unknown"]);
    let shown =
        run(&mut longshore(["poison", "show", &sent[0], "--queue", &directory.url(ORDERS)])).succeeded();
    assert!(shown.stdout.contains("reason    rejected"), "{}", shown.stdout);
    for unknown in ["queue", "component", "poisoned "] {
        assert!(!shown.stdout.contains(unknown), "{unknown} is not known: {}", shown.stdout);
    }
    assert_eq!(verb(&directory, &["poison", "redrive"]).json()["messages"], 2);
    let back = directory.rows(ORDERS);
    assert_eq!((&back[0].id, &back[0].body), (&sent[0], &body));
    assert_eq!(back[1].body, foreign.as_bytes());
    assert!(directory.rows(POISON).is_empty());
}

#[test]
fn a_redrive_to_another_queue_says_which_it_is() {
    let (directory, _) = poisoned(&[order("o-1", "reject"), order("o-2", "reject")]);
    let mended = directory.url("mended");
    run(&mut longshore(["queue", "create", "--queue", &mended])).succeeded();
    let report = verb(&directory, &["poison", "redrive", "--limit=1", "--to", &mended]).json();
    assert_eq!((&report["to"], &report["messages"]), (&json!(mended), &json!(1)));
    let redrive = ["poison", "redrive", "--to", &mended, "--queue", &directory.url(ORDERS)];
    let said = run(&mut longshore(redrive)).succeeded().stdout;
    assert!(said.lines().any(|it| it.starts_with("to ") && it.ends_with(&mended)), "{said}");
    assert_eq!(directory.rows("mended").len(), 2);
}

#[test]
fn a_dry_run_changes_nothing_and_limit_reason_and_rate_are_kept() {
    let orders: Vec<_> = (0..6).map(|n| order(&format!("o-{n}"), "reject")).collect();
    let (directory, _) = poisoned(&[orders, vec![order("o-6", "retry")]].concat());
    let before = directory.rows(POISON);
    for (arguments, messages) in [
        (&["poison", "redrive", "--dry-run"][..], 7),
        (&["poison", "purge", "--dry-run", "--reason=rejected"], 6),
        (&["poison", "redrive", "--dry-run", "--limit=3"], 3),
        (&["poison", "purge", "--reason=undecodable"], 0),
    ] {
        assert_eq!(verb(&directory, arguments).json()["messages"], messages, "{arguments:?}");
        let same = |one: &crate::directory::Row, other: &crate::directory::Row| {
            one.id == other.id && one.body == other.body
        };
        let after = directory.rows(POISON);
        assert!(
            before.iter().zip(&after).all(|(one, other)| same(one, other)) && after.len() == 7,
            "{arguments:?}"
        );
    }
    assert!(directory.rows(ORDERS).is_empty());
    let started = Instant::now();
    let report =
        verb(&directory, &["poison", "redrive", "--reason=rejected", "--limit=4", "--rate=5"]).json();
    assert_eq!(report["messages"], 4);
    assert!(started.elapsed() >= Duration::from_millis(600), "{:?} for 4 at 5 a second", started.elapsed());
    assert_eq!((directory.rows(ORDERS).len(), directory.rows(POISON).len()), (4, 3));
    assert_eq!(verb(&directory, &["poison", "purge", "--yes", "--limit=1"]).json()["messages"], 1);
    // What was looked at and not chosen is visible again at once.
    assert_eq!(verb(&directory, &["poison", "purge", "--yes"]).json()["messages"], 2);
    assert_eq!((directory.rows(ORDERS).len(), directory.rows(POISON).len()), (4, 0));
}

#[test]
fn messages_of_one_id_are_all_redriven() {
    let directory = Directory::new();
    for n in 0..40 {
        let id = format!("--id=o-{}", n % 2);
        verb(&directory, &["send", &id, &order(&format!("o-{n}"), "reject")]);
    }
    run(&mut directory.worker(&[])).succeeded();
    let report = verb(&directory, &["poison", "redrive"]).json();
    assert_eq!((&report["seen"], &report["messages"]), (&json!(40), &json!(40)), "{report}");
    assert_eq!((directory.rows(ORDERS).len(), directory.rows(POISON).len()), (40, 0));
}

#[test]
fn a_redriven_message_has_its_properties_and_its_time_to_live_again() {
    let directory = Directory::new();
    let flags = ["--property=subject=mine", "--property=DeadLetterReason=mine", "--property=subject=again"];
    verb(&directory, &[&["send", &order("o-1", "reject")][..], &flags].concat());
    let database = directory.database();
    let ttl = 3_600_000;
    database.execute("UPDATE message SET expires_at = inserted_at + ?1", [ttl]).unwrap();
    let properties = || -> String {
        database
            .query_row("SELECT properties FROM message WHERE queue = 'orders'", [], |row| row.get(0))
            .unwrap()
    };
    let before = properties();
    run(&mut directory.worker(&[])).succeeded();
    verb(&directory, &["poison", "redrive"]);
    assert_eq!(properties(), before);
    let lives: i64 = database
        .query_row("SELECT expires_at - inserted_at FROM message WHERE queue = 'orders'", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert!((ttl - 5000..=ttl + 5000).contains(&lives), "{lives}");
}

#[test]
fn what_somebody_else_has_leased_is_awaited_and_then_told() {
    let (directory, _) = poisoned(&[order("o-1", "reject"), order("o-2", "reject")]);
    let database = directory.database();
    let hide = "UPDATE message SET visible_at = visible_at + ?1 WHERE queue = 'orders-poison' AND seq = \
                (SELECT max(seq) FROM message)";
    database.execute(hide, [1_500]).unwrap();
    let report = verb(&directory, &["poison", "redrive"]).json();
    assert_eq!((&report["messages"], &report["hidden"]), (&json!(2), &json!(0)), "{report}");
    assert_eq!(directory.rows(ORDERS).len(), 2);
}

/// The exit code of a program whose standard output is this file, and what it said.
fn writing_to(file: &str, program: &[&str]) -> (Option<i32>, String) {
    let binary = env!("CARGO_BIN_EXE_longshore");
    let stdout = std::fs::OpenOptions::new().write(true).open(file).unwrap();
    let ended = std::process::Command::new(binary).args(program).stdout(stdout).output().unwrap();
    (ended.status.code(), String::from_utf8_lossy(&ended.stderr).into_owned())
}

#[test]
fn a_full_disk_behind_standard_output_stops_nothing_and_is_told_by_the_exit_code() {
    let directory = Directory::new();
    let url = directory.url(ORDERS);
    let (code, said) =
        writing_to("/dev/full", &["send", "--queue", &url, "--sample", "500", "--output", "json"]);
    assert!(code == Some(1) && said.contains("could not be written to standard output"), "{code:?} {said}");
    assert_eq!(directory.rows(ORDERS).len(), 500, "all are sent");
    let missing = directory.url("missing");
    let component = longshore_testkit::guest::order();
    let worker = ["run", "--queue", &missing, "--output", "json", "--component", component.to_str().unwrap()];
    let (code, said) =
        writing_to("/dev/full", &[&worker[..], &["--cache-dir", cache().to_str().unwrap()]].concat());
    assert_eq!(code, Some(3), "the exit code is that of the run: {said}");
}

#[test]
fn a_reader_that_goes_away_costs_neither_messages_nor_the_exit_code() {
    let directory = Directory::new();
    let url = directory.url(ORDERS);
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_longshore"))
        .args(["send", "--queue", &url, "--sample", "2000", "--output", "json"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(directory.rows(ORDERS).len(), 2000);
}

#[test]
fn a_send_that_fails_names_the_lines_that_are_missing() {
    let directory = Directory::new();
    let lines = format!("one\n\n{}\nfour\n", "x".repeat(70_000));
    let mut send = longshore(["send", "--queue", &directory.url(ORDERS), "--file", "-"]);
    let ended = send.input(lines.as_bytes()).run().ends_with(1);
    ended.says(&["not sent: line 3", "takes 65536", "nothing after line"]);
}

#[test]
fn a_line_without_end_is_refused_before_it_is_read() {
    let directory = Directory::new();
    let send =
        longshore(["send", "--queue", &directory.url(ORDERS), "--file", "/dev/zero"]).run().ends_with(1);
    send.says(&["/dev/zero", "line 1 is longer than"]);
}

#[test]
fn a_send_that_is_stopped_says_how_many_were_sent_and_where_to_go_on() {
    let directory = Directory::new();
    let queue = directory.url(ORDERS);
    let send = longshore(["send", "--queue", &queue, "--sample", "1000000"]).start();
    while directory.rows(ORDERS).is_empty() {
        std::thread::sleep(Duration::from_millis(10));
    }
    send.terminate();
    let ended = send.wait().ends_with(1);
    let sent = directory.rows(ORDERS).len();
    let last = format!("up to message {sent}; nothing after");
    ended.says(&["stopped by a signal", &format!("{sent} messages were sent"), &last]);
}

#[test]
fn an_envelope_of_another_version_stays_and_no_sender_s_body_looks_like_one() {
    let directory = Directory::new();
    let url = directory.url(ORDERS);
    let newer = r#"{"longshore":"poison/2","reason":"rejected","body":"real"}"#;
    longshore(["queue", "create", "--queue", &directory.url(POISON)]).run().succeeded();
    longshore(["send", "--queue", &directory.url(POISON), newer]).run().succeeded();
    let ended = longshore(["poison", "redrive", "--output=json", "--queue", &url]).run().ends_with(1);
    assert_eq!(ended.json()["skipped"], json!({ "undecodable": 1 }), "{ended:?}");
    assert_eq!(directory.rows(POISON).len(), 1);

    let directory = Directory::new();
    let sent = newer.replace("real", "sent");
    directory.send([sent.clone()]);
    run(&mut directory.worker(&["--poison-format=raw"])).succeeded();
    let url = directory.url(ORDERS);
    longshore(["poison", "redrive", "--queue", &url]).run().succeeded();
    assert_eq!(directory.rows(ORDERS)[0].body, sent.into_bytes(), "it comes back as it was");
}
