//! `queue list` and `queue delete`, and messages that are named by the beginnings of their ids.

use serde_json::{Value, json};

use crate::directory::{Directory, ORDERS, POISON};
use crate::orders::order;
use crate::process::{Ended, longshore, run};
use crate::terminal::on_a_terminal;

fn verb(directory: &Directory, queue: &str, words: &[&str]) -> Ended {
    let mut program = longshore(words);
    run(program.arg("--output=json").arg("--queue").arg(directory.url(queue))).never_panicked()
}

/// Sends a message with an id of its own.
fn send(directory: &Directory, queue: &str, id: &str, body: &str) {
    verb(directory, queue, &["send", "--id", id, body]).succeeded();
}

#[test]
fn the_queues_beside_a_queue_are_listed_with_their_counts() {
    let directory = Directory::new();
    verb(&directory, "invoices", &["queue", "create"]).succeeded();
    directory.send(["one", "two"]);
    // Whether the queue that names the directory is there does not matter.
    for named in [ORDERS, "missing"] {
        let listed = verb(&directory, named, &["queue", "list"]).succeeded().json_lines();
        let of = |it: &Value| (it["name"].clone(), it["approximate_count"].clone(), it["queue"].clone());
        assert_eq!(
            listed.iter().map(of).collect::<Vec<_>>(),
            [
                (json!("invoices"), json!(0), json!(directory.url("invoices"))),
                (json!(ORDERS), json!(2), json!(directory.url(ORDERS)))
            ]
        );
    }
    let table = run(longshore(["queue", "list", "--queue"]).arg(directory.url(ORDERS))).succeeded();
    assert!(table.stdout.contains("invoices") && table.stdout.contains("approximate count"), "{table:?}");
    let empty = tempfile::tempdir().unwrap();
    let nowhere = format!("file:{}/orders", empty.path().display());
    run(longshore(["queue", "list", "--queue"]).arg(nowhere)).ends_with(3).says(&["there is no queue"]);
}

#[test]
fn a_queue_is_deleted_with_its_messages_and_its_poison_queue_stays() {
    let directory = Directory::new();
    directory.send((0..5000).map(|n| n.to_string()));
    verb(&directory, POISON, &["queue", "create"]).succeeded();
    send(&directory, POISON, "p-1", "{}");
    // Nobody is there to be asked.
    let refused = verb(&directory, ORDERS, &["queue", "delete"]);
    assert_eq!(refused.code(), 2, "{refused:?}");
    refused.says(&["nothing was deleted", "the 5000 messages in it", "give --yes"]);
    assert_eq!(directory.rows(ORDERS).len(), 5000);

    let deleted = verb(&directory, ORDERS, &["queue", "delete", "--yes"]).succeeded().json();
    assert_eq!(
        deleted,
        json!({
            "queue": directory.url(ORDERS), "deleted": true, "messages": 5000,
            "poison_queue": directory.url(POISON), "poison_messages": 1,
        })
    );
    assert_eq!((directory.rows(ORDERS).len(), directory.rows(POISON).len()), (0, 1));
    verb(&directory, ORDERS, &["queue", "stats"]).ends_with(3).says(&["there is no queue"]);
    verb(&directory, ORDERS, &["queue", "delete", "--yes"]).ends_with(3).says(&["there is no queue"]);
    // A queue of that name begins anew.
    assert_eq!(verb(&directory, ORDERS, &["queue", "create"]).succeeded().json()["created"], true);
    assert_eq!(verb(&directory, ORDERS, &["queue", "stats"]).succeeded().json()["approximate_count"], 0);
    let last = verb(&directory, POISON, &["queue", "delete", "--yes"]).succeeded().json();
    assert_eq!(last, json!({ "queue": directory.url(POISON), "deleted": true, "messages": 1 }));
}

#[test]
fn on_a_terminal_a_person_is_asked_before_a_queue_is_deleted() {
    let directory = Directory::new();
    directory.send(["one", "two", "three"]);
    let delete = ["queue", "delete", "--queue", &directory.url(ORDERS)];
    for (answer, left) in [("n\n", 3), ("\n", 3), ("y\n", 0)] {
        let said = on_a_terminal(&delete, answer);
        let asked = format!("Delete {} and the 3 messages in it for good? [y/N]", directory.url(ORDERS));
        assert!(said.contains(&asked), "{said}");
        assert_eq!(said.contains("nothing was deleted"), left > 0, "{said}");
        assert_eq!(directory.rows(ORDERS).len(), left, "{said}");
    }
}

#[test]
fn service_bus_queues_are_listed_and_deleted_by_another_command_which_is_named() {
    let queue = "--queue=sb://acme.servicebus.windows.net/orders";
    run(&mut longshore(["queue", "list", queue]))
        .ends_with(3)
        .says(&["az servicebus queue list", "--namespace-name acme"]);
    // It cannot be counted here, and nothing is asked of anybody.
    let url = queue.strip_prefix("--queue=").unwrap().parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let refused = runtime.block_on(async {
        longshore_queue_drivers::open(&url).await.unwrap().delete_queue().await.unwrap_err()
    });
    assert!(refused.to_string().contains("az servicebus queue delete"), "{refused}");
}

#[test]
fn a_message_is_named_by_the_beginning_or_the_end_of_its_id_where_no_other_has_it() {
    let directory = Directory::new();
    for id in ["a-100", "a-101", "b-200"] {
        send(&directory, ORDERS, id, &order(id, "reject"));
    }
    let peek = |ids: &[&str]| verb(&directory, ORDERS, &[&["peek"][..], ids].concat());
    let ids = |ended: &Ended| {
        ended.json_lines().iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&peek(&["b", "a-101"]).succeeded()), ["a-101", "b-200"]);
    assert_eq!(ids(&peek(&["101"]).succeeded()), ["a-101"], "the log on a terminal shows the end");
    assert_eq!(peek(&["a-1"]).code(), 2);
    let refused = peek(&["00"]).stderr;
    assert!(refused.contains("2 ids begin or end with 00") && !refused.contains("Usage:"), "{refused}");
    peek(&["a-1"]).says(&["2 ids begin or end with a-1: a-100, a-101; write more"]);
    assert_eq!(peek(&["c"]).code(), 1);
    peek(&["c"]).says(&["no message c among the first 3"]);

    run(&mut directory.worker(&[])).succeeded();
    let poison = |words: &[&str]| verb(&directory, ORDERS, &[&["poison"][..], words].concat());
    assert_eq!(poison(&["show", "b"]).succeeded().json()["id"], "b-200");
    poison(&["show", "a-10"]).ends_with(2).says(&["a-100, a-101"]);
    poison(&["redrive", "a-"]).ends_with(2).says(&["a-100, a-101"]);
    poison(&["purge", "--yes", "x"]).ends_with(1).says(&["no message x"]);
    assert_eq!(directory.rows(POISON).len(), 3, "nothing was done so far");

    assert_eq!(ids(&poison(&["list", "a-100"]).succeeded()), ["a-100"]);
    let dry = poison(&["purge", "--dry-run", "b"]).succeeded().json();
    assert_eq!((&dry["messages"], &dry["not_chosen"]), (&json!(1), &json!(2)), "{dry}");
    assert_eq!(poison(&["redrive", "a-101", "b"]).succeeded().json()["messages"], 2);
    let back: Vec<_> = directory.rows(ORDERS).into_iter().map(|row| row.id).collect();
    assert_eq!(back, ["a-101", "b-200"]);
    assert_eq!(poison(&["purge", "--yes", "a"]).succeeded().json()["messages"], 1);
    assert!(directory.rows(POISON).is_empty());
}

#[test]
fn the_id_of_a_leased_message_never_stands_for_another_that_begins_so() {
    let directory = Directory::new();
    for id in ["a-1", "a-12"] {
        send(&directory, ORDERS, id, &order(id, "reject"));
    }
    run(&mut directory.worker(&[])).succeeded();
    let lease = "UPDATE message SET visible_at = visible_at + 600000 WHERE queue = ? AND id = 'a-1'";
    assert_eq!(directory.database().execute(lease, [POISON]).unwrap(), 1);
    let poison = |words: &[&str]| verb(&directory, ORDERS, &[&["poison"][..], words].concat());
    for verb in ["purge", "redrive"] {
        let taken = |id: &str| poison(&[verb, "--dry-run", id]).succeeded().json()["messages"].clone();
        assert_eq!((taken("a-1"), taken("a-12")), (json!(0), json!(1)), "{verb}");
    }
}
