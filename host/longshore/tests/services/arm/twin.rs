//! Which jobs `deploy` and `rollback` change: the one that is named, and its twin alone.

use longshore_testkit::wat;
use serde_json::{Value, json};

use crate::arm::check::variable;
use crate::arm::jobs::Jobs;
use crate::arm::releases::{Place, manual};
use crate::arm::server::JOB;

/// A change of one job.
type Edit = fn(&mut Value);

const QUEUE: &str = "LONGSHORE_QUEUE";
const COMPONENT: &str = "LONGSHORE_COMPONENT";
const SETTINGS: &str = "[profile.azure.config]\na = 'b'\n";

fn container(job: &mut Value) -> &mut Value {
    &mut job["properties"]["template"]["containers"][0]
}

fn payroll(job: &mut Value) {
    *container(job) = json!({ "name": "payroll", "image": "registry.example/payroll:1",
        "env": [{ "name": "MODE", "value": "all" }], "resources": { "cpu": 0.5, "memory": "1Gi" } });
}

/// A place whose jobs are changed after each other: the one that is named, and the one beside it.
fn place(named: Edit, beside: Edit) -> Place {
    let mut place = Place::new(SETTINGS);
    let (mut one, mut other) = (place.jobs.get(JOB), place.jobs.get(&manual()));
    named(&mut one);
    beside(&mut other);
    place.jobs = Jobs::new([(JOB.to_owned(), one), (manual(), other)]);
    place.server = place.jobs.serve();
    place
}

#[test]
fn a_job_beside_that_is_no_twin_stays_as_it_is_and_the_cause_is_named() {
    let cases: [(Edit, Edit, &str); 6] = [
        (
            |_| {},
            payroll,
            "none of its containers is called longshore, or has a LONGSHORE_… variable (found: payroll)",
        ),
        (
            |_| {},
            |job| {
                variable(job, QUEUE, json!("https://account.queue.core.windows.net/invoices?sig=swordfish"))
            },
            "it drains https://account.queue.core.windows.net/invoices, and ",
        ),
        (
            |_| {},
            |job| {
                container(job)["args"] = json!(["run", "--queue", "sb://bus.servicebus.windows.net/orders"])
            },
            "it drains sb://bus.servicebus.windows.net/orders, and ",
        ),
        (
            |_| {},
            |job| variable(job, QUEUE, json!({ "name": QUEUE, "secretRef": "other" })),
            "it drains the queue that its secret other names, and ",
        ),
        (
            |_| {},
            |job| variable(job, QUEUE, Value::Null),
            "it drains a queue that cannot be read from it, and ",
        ),
        (
            |_| {},
            |job| variable(job, COMPONENT, json!({ "name": COMPONENT, "secretRef": "other" })),
            "LONGSHORE_COMPONENT comes from the secret other",
        ),
    ];
    for (named, beside, words) in cases {
        let place = place(named, beside);
        let before = place.jobs.get(&manual());
        let said = ["orders-manual stays as it is: ", words];
        for verb in [&["deploy", "--tag", "v1"][..], &["deploy"], &["rollback", "--to", "v1"]] {
            let ran = place.run(verb).succeeded();
            ran.says(&said);
            assert_eq!(ran.json()["jobs"].as_array().unwrap().len(), 1, "{words}");
            assert_eq!(place.jobs.get(&manual()), before, "{words}");
        }
        assert!(place.jobs.variable(JOB, COMPONENT).is_some(), "{words}");
    }
}

#[test]
fn a_twin_is_known_by_its_queue_however_that_is_written() {
    let cases: [(Edit, Edit); 3] = [
        (|_| {}, |job| variable(job, QUEUE, json!("https://ACCOUNT.queue.core.windows.net/orders/"))),
        (
            |job| variable(job, QUEUE, json!({ "name": QUEUE, "secretRef": "other" })),
            |job| variable(job, QUEUE, json!({ "name": QUEUE, "secretRef": "other" })),
        ),
        // A container of another name shows itself by its variables.
        (|job| container(job)["name"] = json!("main"), |job| container(job)["name"] = json!("main")),
    ];
    for (named, beside) in cases {
        let place = place(named, beside);
        place.run(&["deploy"]).succeeded();
        let component = place.jobs.variable(JOB, COMPONENT).unwrap();
        assert_eq!(place.jobs.variable(&manual(), COMPONENT), Some(component));
    }
}

#[test]
fn a_rollback_to_a_component_without_its_grant_is_refused() {
    let place = Place::new("");
    let first = place.deploy(1);
    let import = r#"(import "longshore:handler/outbox@0.1.0" (instance))"#;
    std::fs::write(place.path().join("other.wasm"), wat::handler_beside(import, "", "")).unwrap();
    let address = format!("oci://{}/handlers/order:other", place.registry.name());
    place.run(&["push", "other.wasm", &address]).succeeded();
    let words = ["imports longshore:handler/outbox", "--outbox NAME=QUEUE-URL"];
    place.run(&["rollback", "--to", "other"]).ends_with(3).says(&words);
    assert!(place.jobs.variable(JOB, COMPONENT).unwrap().ends_with(&first));
}

#[test]
fn a_job_that_shows_no_host_or_takes_no_component_from_here_is_refused_before_a_push() {
    let cases: [(Edit, &[&str]); 3] = [
        (
            payroll,
            &[
                "none of its containers is called longshore, or has a LONGSHORE_… variable (found: payroll)",
                "name the job that runs longshore",
            ],
        ),
        (
            |job| variable(job, COMPONENT, json!({ "name": COMPONENT, "secretRef": "other" })),
            &[
                "LONGSHORE_COMPONENT comes from the secret other",
                "az containerapp job update --name orders --resource-group rg --set-env-vars LONGSHORE_COMPONENT=oci://",
            ],
        ),
        (
            |job| container(job)["args"] = json!(["run", "--component=/handler/handler.wasm"]),
            &["has the argument --component", "take it out of the arguments"],
        ),
    ];
    for (named, words) in cases {
        let place = place(named, |_| {});
        let before = [place.jobs.get(JOB), place.jobs.get(&manual())];
        for verb in [&["deploy"][..], &["deploy", "--dry-run"], &["rollback", "--to", "v1"]] {
            place.run(verb).ends_with(3).says(words);
        }
        assert_eq!([place.jobs.get(JOB), place.jobs.get(&manual())], before);
        let repository = format!("oci://{}/handlers/order", place.registry.name());
        place.run(&["releases", "--repository", &repository]).ends_with(3).says(&["no such repository"]);
    }
}
