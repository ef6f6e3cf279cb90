//! The unhappy answer, everywhere: each verb that speaks a protocol, against a peer that answers in
//! each way in which a peer may not.
//!
//! Whatever it answers, a verb ends in bounded time and memory, with one error that names the
//! thing, the cause and the mend, and with the exit code of a fault. It never panics, follows no
//! redirect, and writes no control character.
//!
//! A protocol is a [`Protocol`]: its name, its verbs, and what a peer of it would answer. Another
//! one, such as that of registries, is another value of that type, and a test that attacks it.

mod answers;
mod attack;
mod peer;

use longshore_testkit::program::Program;

use crate::hostile::answers::{Absurd, LONG_AGO};
use crate::hostile::attack::{Protocol, Verb, attack};

const JOB: &str = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.App/jobs/orders";

/// The verbs that ask a queue for something. `run` has a time budget, since it asks again for two
/// minutes otherwise.
const QUEUE_VERBS: [&[&str]; 9] = [
    &["run", "--time-budget=4s", "--deadline=1s", "--hold=0"],
    &["send", "{}"],
    &["peek"],
    &["queue", "create"],
    &["queue", "stats"],
    &["poison", "list", "--all"],
    &["poison", "redrive"],
    &["poison", "purge", "--yes"],
    &["check"],
];

fn verbs(verbs: &[&'static [&'static str]]) -> Vec<Verb> {
    verbs.iter().map(|args| Verb { args }).collect()
}

#[test]
fn storage_queues() {
    attack(&Protocol {
        name: "storage",
        verbs: verbs(&QUEUE_VERBS),
        place: Box::new(|url, program| {
            program.env("LONGSHORE_QUEUE", format!("{url}/account/orders?sv=1&sig=swordfish7"));
        }),
        // As errors name it.
        thing: |url| format!("{url}/account/orders"),
        fine: &[],
        absurd: &[
            Absurd {
                name: "messages",
                headers: "x-ms-approximate-messages-count: 99999999999999999999\r\nx-ms-popreceipt: \r\ndate: Fri, 99 Foo 99999 99:99:99 GMT\r\n",
                body: "<QueueMessagesList><QueueMessage><DequeueCount>-1</DequeueCount></QueueMessage></QueueMessagesList>",
            },
            Absurd {
                name: "count",
                headers: "x-ms-approximate-messages-count: -1\r\n",
                body: "<QueueMessagesList",
            },
        ],
    });
}

/// The form of Container Apps and App Service.
#[test]
fn identity_endpoints_of_apps() {
    attack(&Protocol {
        name: "identity-app",
        verbs: verbs(&QUEUE_VERBS),
        place: Box::new(|url, program| {
            program
                .env("LONGSHORE_QUEUE", "https://127.0.0.1:9/account/orders")
                .env("IDENTITY_ENDPOINT", format!("{url}/msi/token"))
                .env("IDENTITY_HEADER", "swordfish7")
                // Once: the form of machines is asked for as long as it is by everybody.
                .env("FAILPOINTS", "out-of-patience=return");
        }),
        thing: |_| "the managed identity gave no token".into(),
        fine: &[],
        absurd: &[
            Absurd { name: "expired", headers: "", body: LONG_AGO },
            Absurd {
                name: "no-time",
                headers: "",
                body: r#"{"access_token":"swordfish7","expires_on":"Fri, 99 Foo 99999"}"#,
            },
            Absurd {
                name: "no-text",
                headers: "",
                body: "{\"access_token\":\"swordfish7\\r\\nx: y\",\"expires_on\":18446744073709551615}",
            },
        ],
    });
}

/// The form of virtual machines. What follows the answer is the same as above.
#[test]
fn identity_endpoints_of_machines() {
    attack(&Protocol {
        name: "identity-machine",
        verbs: verbs(&QUEUE_VERBS[4..5]),
        place: Box::new(|url, program| {
            program
                .env("LONGSHORE_QUEUE", "https://127.0.0.1:9/account/orders")
                .env("LONGSHORE_CREDENTIAL", "managed-identity")
                .env("AZURE_POD_IDENTITY_AUTHORITY_HOST", url);
        }),
        thing: |_| "the managed identity gave no token".into(),
        fine: &[],
        absurd: &[Absurd { name: "expired", headers: "", body: LONG_AGO }],
    });
}

/// Reads are repeated for half a minute.
#[test]
fn resource_manager_with_patience() {
    attack(&arm("arm-patient", &[&["job", "list", "--job", JOB]], |_| {}));
}

#[test]
fn resource_manager() {
    let verbs: [&[&str]; 7] = [
        &["job", "start", "--job", JOB],
        &["job", "start", "--job", JOB, "--env", "A=1"],
        &["job", "status", "--job", JOB],
        &["job", "status", "orders-1", "--job", JOB],
        &["job", "list", "--job", JOB],
        &["job", "stop", "--all", "--job", JOB],
        &["check", "--job", JOB],
    ];
    attack(&arm("arm", &verbs, |program| {
        program.env("FAILPOINTS", "out-of-patience=return");
    }));
}

#[test]
fn log_analytics() {
    attack(&Protocol {
        name: "log-analytics",
        verbs: verbs(&[&[
            "job",
            "logs",
            "--job",
            JOB,
            "--workspace",
            "63613592-b6f7-4c3d-a390-22ba13102111",
        ]]),
        place: Box::new(|url, program| {
            program.env("LONGSHORE_LOGS_ENDPOINT", url).env("FAILPOINTS", "out-of-patience=return");
        }),
        thing: |_| "cannot read the job's log".into(),
        fine: &[],
        absurd: &[
            Absurd {
                name: "no-time",
                headers: "",
                body: r#"{"tables":[{"columns":[{"name":"Time"},{"name":"Ingested"},{"name":"Replica"},{"name":"Log"}],"rows":[["soon",1e999]]}]}"#,
            },
            Absurd {
                name: "short-row",
                headers: "",
                body: r#"{"tables":[{"columns":[{"name":"Log"}],"rows":[[],[[[]]]]}]}"#,
            },
        ],
    });
}

fn arm(name: &'static str, args: &[&'static [&'static str]], set: fn(&mut Program)) -> Protocol {
    Protocol {
        name,
        verbs: verbs(args),
        place: Box::new(move |url, program| {
            program.env("LONGSHORE_ARM_ENDPOINT", url);
            set(program);
        }),
        thing: |_| JOB.into(),
        // A stop is answered with nothing.
        fine: &[("stop", "empty"), ("stop", "pages")],
        absurd: &[
            Absurd { name: "pages", headers: "", body: r#"{"value":[],"nextLink":"/again"}"# },
            Absurd {
                name: "nested",
                headers: "",
                body: r#"{"properties":[[[[[[1e999]]]]]],"name":{"a":1}}"#,
            },
        ],
    }
}
