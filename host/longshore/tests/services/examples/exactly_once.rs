//! `examples/exactly-once`: a row under the message's id, however often the message is delivered.

use serde_json::{Value, json};

use crate::examples::example::{Example, LANGUAGES};
use crate::examples::storage::storage;

/// What is booked on an account.
fn bookings(account: &str) -> Vec<Value> {
    let found = storage().table("GET", &format!("bookings()?$filter=PartitionKey%20eq%20'{account}'"), b"");
    found.json()["value"].as_array().unwrap().clone()
}

#[test]
#[cfg(feature = "failpoints")]
fn a_payment_is_booked_once_although_its_worker_dies_before_the_message_is_deleted() {
    for language in LANGUAGES {
        let example = Example::new("exactly-once", language);
        let account = format!("died-{language}");
        example.send(&format!(r#"{{"account":"{account}","amount_cents":250}}"#));
        let died = example.worker(&[]).env("FAILPOINTS", "between-output-and-delete=return").run();
        assert!(died.was_killed(), "{language}: {died:?}");
        assert_eq!(bookings(&account).len(), 1, "{language}");
        let ended = example.run(&["--forever", "--max-messages", "1"]).succeeded();
        ended.says(&["already booked"]);
        assert_eq!(ended.json()["completed"], 1, "{language}");
        let booked = bookings(&account);
        assert_eq!(booked.len(), 1, "{language}: {booked:?}");
        assert_eq!(booked[0]["amount_cents"], 250, "{language}");
    }
}

#[test]
#[cfg(feature = "failpoints")]
fn with_a_blob_under_the_message_s_id_a_payment_is_booked_once_as_well() {
    let example = Example::new("exactly-once", "rust").with_profile("blob");
    let payment = r#"{"account":"c-7","amount_cents":250}"#;
    let sent = example.on("messages", &["send", payment]).run().succeeded().json();
    let blob = format!("payments/{}.json", sent["id"].as_str().unwrap());
    let died = example.worker(&[]).env("FAILPOINTS", "between-output-and-delete=return").run();
    assert!(died.was_killed(), "{died:?}");
    let booked = storage().blob("GET", &blob, b"");
    assert_eq!(booked.json(), json!({ "account": "c-7", "amount_cents": 250 }));
    // Whoever writes it anew is seen.
    let marked = storage().blob("PUT", &blob, b"as it was");
    assert_eq!(marked.status, 201, "{marked:?}");
    let ended = example.run(&["--forever", "--max-messages", "1"]).succeeded();
    ended.says(&["already booked"]);
    assert_eq!(ended.json()["completed"], 1, "{ended:?}");
    assert_eq!(storage().blob("GET", &blob, b"").body, "as it was");
}

#[test]
fn two_payments_of_one_amount_are_two_bookings() {
    for language in LANGUAGES {
        let example = Example::new("exactly-once", language);
        let account = format!("two-{language}");
        for _ in 0..2 {
            example.send(&format!(r#"{{"account":"{account}","amount_cents":7}}"#));
        }
        example.send(r#"{"account":"a/b","amount_cents":7}"#);
        let ended = example.run(&[]).succeeded();
        let summary = ended.json();
        assert_eq!(
            (&summary["completed"], &summary["poisoned"]),
            (&2.into(), &1.into()),
            "{language}: {ended:?}"
        );
        assert_eq!(bookings(&account).len(), 2, "{language}");
    }
}
