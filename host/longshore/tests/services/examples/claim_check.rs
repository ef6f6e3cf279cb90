//! `examples/claim-check`: a message names a blob, and a message about another one is sent on.

use serde_json::{Value, json};

use crate::examples::example::{Example, LANGUAGES};
use crate::examples::storage::{private_storage, storage};
use crate::storage::storage_account::StorageAccount;

/// More than a queue takes, more than the host waits for before it sends a body, and more than one
/// piece of any SDK's stream.
const MANY_LINES: usize = 40_000;

#[test]
fn an_order_in_a_blob_becomes_an_invoice_in_a_blob_and_a_message() {
    for language in LANGUAGES {
        an_order_becomes_an_invoice(storage(), language);
    }
}

#[test]
fn through_a_private_address_that_is_granted_an_order_becomes_an_invoice_as_well() {
    an_order_becomes_an_invoice(private_storage(), "rust");
}

fn an_order_becomes_an_invoice(account: &'static StorageAccount, language: &'static str) {
    let example = Example::with(account, "claim-check", language);
    let order = r#"{"order_id":"o-1","lines":[{"quantity":2,"price_cents":350}]}"#;
    let put = account.blob("PUT", &format!("orders/incoming/{language}.json"), order.as_bytes());
    assert_eq!(put.status, 201, "{put:?}");
    example.send(&format!(r#"{{"blob":"incoming/{language}.json"}}"#));
    let ended = example.run(&[]).succeeded();
    let summary = ended.json();
    assert_eq!(
        (&summary["completed"], &summary["received"]),
        (&1.into(), &1.into()),
        "{language}: {ended:?}"
    );
    let invoice = account.blob("GET", &format!("orders/invoices/{language}.json"), b"");
    let lines = json!([{ "quantity": 2, "price_cents": 350, "cost_cents": 700 }]);
    let expected = json!({ "order_id": "o-1", "lines": lines, "total_cents": 700 });
    assert_eq!(invoice.json(), expected, "{language}");
    let sent = example.on("invoices", &["peek"]).run().succeeded().json();
    let body: Value = serde_json::from_str(sent["body"].as_str().unwrap()).unwrap();
    assert_eq!(body, json!({ "blob": format!("invoices/{language}.json") }), "{language}");
}

#[test]
fn bodies_of_megabytes_go_through_each_sdk_both_ways() {
    for language in LANGUAGES {
        let example = Example::new("claim-check", language);
        let line = r#"{"quantity":3,"price_cents":1000000}"#;
        let order = format!(r#"{{"order_id":"o-2","lines":[{}]}}"#, [line; MANY_LINES].join(","));
        let name = format!("large-{language}.json");
        assert_eq!(storage().blob("PUT", &format!("orders/incoming/{name}"), order.as_bytes()).status, 201);
        example.send(&format!(r#"{{"blob":"incoming/{name}"}}"#));
        let ended = example.run(&[]).succeeded();
        let summary = ended.json();
        assert_eq!(summary["completed"], 1, "{language}: {ended:?}");
        let invoice = storage().blob("GET", &format!("orders/invoices/{name}"), b"");
        assert!(invoice.body.len() > 2 << 20, "{language}: {} bytes", invoice.body.len());
        let invoice = invoice.json();
        assert_eq!(invoice["lines"].as_array().unwrap().len(), MANY_LINES, "{language}");
        assert_eq!(invoice["total_cents"], 3_000_000 * MANY_LINES, "{language}");
    }
}

#[test]
fn a_claim_on_nothing_is_the_message_s_fault() {
    for language in LANGUAGES {
        let example = Example::new("claim-check", language);
        storage().blob("PUT", "orders/incoming/no-order.json", b"secret");
        example.send(r#"{"blob":"incoming/none.json"}"#);
        example.send(r#"{"blob":"incoming/no-order.json"}"#);
        example.send(r#"{"blob":"invoices/../incoming/a.json"}"#);
        let ended = example.run(&[]).succeeded();
        let summary = ended.json();
        assert_eq!(summary["poison_reasons"], json!({ "rejected": 3 }), "{language}: {ended:?}");
        assert_eq!(example.on("invoices", &["peek"]).run().succeeded().stdout, "", "{language}");
    }
}
