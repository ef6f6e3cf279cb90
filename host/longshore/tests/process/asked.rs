//! What a person was asked about is what is taken, whatever has come in the meantime.

use serde_json::{Value, json};

use crate::directory::{Directory, ORDERS, POISON};
use crate::process::{Ended, longshore, run};
use crate::terminal::{on_a_terminal, on_a_terminal_meanwhile};

/// A queue whose poison queue holds so many messages.
fn with_poison(count: usize) -> Directory {
    let directory = Directory::new();
    directory.create(ORDERS);
    directory.create(POISON);
    arrive(&directory, count);
    directory
}

/// So many messages come into the poison queue.
fn arrive(directory: &Directory, count: usize) {
    let bodies: Vec<_> = (0..count).map(|number| format!("{{\"order\":{number}}}")).collect();
    let mut send = longshore(["send", "--file=-", "--queue", &directory.url(POISON)]);
    send.input(bodies.join("\n").as_bytes()).run().succeeded();
}

fn poison(directory: &Directory, words: &[&str]) -> Ended {
    let mut program = longshore(["poison"].iter().chain(words));
    run(program.arg("--output=json").arg("--queue").arg(directory.url(ORDERS))).never_panicked()
}

#[test]
fn what_comes_while_the_question_of_a_purge_stands_is_not_deleted() {
    let directory = with_poison(3);
    let purge = ["poison", "purge", "--queue", &directory.url(ORDERS)];
    let said = on_a_terminal_meanwhile(&purge, "[y/N]", || arrive(&directory, 40), "y\n");
    assert!(said.contains(&format!("Delete 3 messages of {} for good?", directory.url(POISON))), "{said}");
    assert_eq!(directory.rows(POISON).len(), 40, "{said}");
    let of = |name: &str| {
        let line = said.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{said}"));
        line.split_whitespace().last().unwrap().to_owned()
    };
    assert_eq!((of("purged"), of("newer")), ("3".into(), "40".into()), "{said}");
}

#[test]
fn more_than_a_purge_asked_about_stays_and_is_counted() {
    let directory = with_poison(5);
    // Two are leased while it is asked, and come back before it is answered.
    let lease = "UPDATE message SET visible_at = visible_at + ?1 WHERE queue = ?2 AND rowid IN \
                 (SELECT rowid FROM message WHERE queue = ?2 LIMIT 2)";
    let hour = 3_600_000;
    directory.database().execute(lease, rusqlite::params![hour, POISON]).unwrap();
    let purge = ["poison", "purge", "--queue", &directory.url(ORDERS), "--limit=4"];
    let said = on_a_terminal(&purge, "n\n");
    assert!(said.contains(", and up to 1 more that it does not show, for good?"), "{said}");

    let bounded = poison(&directory, &["purge", "--yes", "--at-most=1"]).succeeded().json();
    assert_eq!((&bounded["messages"], &bounded["not_asked_about"]), (&json!(1), &json!(2)), "{bounded}");
    assert_eq!(directory.rows(POISON).len(), 4);
}

#[test]
fn a_dry_run_says_the_moment_up_to_which_it_looked_and_the_verb_takes_nothing_later() {
    let directory = with_poison(3);
    for (verb, left) in [("redrive", 40), ("purge", 40)] {
        let dry = poison(&directory, &[verb, "--dry-run"]).succeeded().json();
        let until = dry["inserted_until"].as_str().unwrap_or_else(|| panic!("{dry}")).to_owned();
        arrive(&directory, 40);
        let until = format!("--inserted-until={until}");
        let most = format!("--at-most={}", dry["messages"]);
        let yes: &[&str] = if verb == "purge" { &["--yes"] } else { &[] };
        let again = poison(&directory, &[&[verb, "--dry-run", &until][..], yes].concat()).succeeded().json();
        assert_eq!(again["messages"], dry["messages"], "{again}");
        let done = poison(&directory, &[&[verb, &until, &most][..], yes].concat()).succeeded().json();
        let numbers = ["messages", "newer", "not_asked_about"].map(|name| done[name].clone());
        assert_eq!(numbers, [dry["messages"].clone(), json!(40), json!(0)], "{done}");
        assert_eq!(directory.rows(POISON).len(), left);
    }
    assert_eq!(directory.rows(ORDERS).len(), 3);
    poison(&directory, &["redrive", "--inserted-until=yesterday"])
        .ends_with(2)
        .says(&["write it as in 2026-01-31T08:15:00Z"]);
}

#[test]
fn a_queue_that_has_grown_since_its_deletion_was_asked_about_stays() {
    let directory = with_poison(3);
    let delete = ["queue", "delete", "--queue", &directory.url(POISON)];
    let said = on_a_terminal_meanwhile(&delete, "[y/N]", || arrive(&directory, 2), "y\n");
    assert!(said.contains("nothing was deleted") && said.contains("5 messages"), "{said}");
    assert_eq!(directory.rows(POISON).len(), 5);
    let deleted = run(longshore(delete).args(["--yes", "--output=json"])).succeeded().json();
    assert_eq!(deleted["messages"], Value::from(5));
}
