//! `deploy`: what travels to the job, what never does, and what stops it.

use std::sync::atomic::{AtomicUsize, Ordering};

use longshore_testkit::wat;
use serde_json::{Value, json};

use crate::arm::check::variable;
use crate::arm::jobs::Jobs;
use crate::arm::releases::{Place, manual};
use crate::arm::server::{Answer, JOB, Server};
use crate::registry::front::Front;

const GRANTS: &str = "\
deadline = '20s'
max-dequeue = 3
allow-http = ['api.example.com', 'other.example']
http-header = ['keys.example.com=x-api-key=@API_KEY']
env = ['MINE']
[profile.azure.config]
currency = 'EUR'
[profile.azure.outbox]
invoices = 'https://account.queue.core.windows.net/invoices'
";

#[test]
fn grants_and_settings_of_the_profile_travel_and_the_job_s_own_stay() {
    let place = Place::new(GRANTS);
    let done = place.run(&["deploy"]).succeeded().json();
    assert!(place.jobs.variable(JOB, "LONGSHORE_COMPONENT").unwrap().contains("/handlers/order@sha256:"));
    for (name, value) in [
        ("LONGSHORE_DEADLINE", "20s"),
        ("LONGSHORE_MAX_DEQUEUE", "3"),
        ("LONGSHORE_ALLOW_HTTP", "api.example.com\nother.example"),
        ("LONGSHORE_HTTP_HEADER", "keys.example.com=x-api-key=@API_KEY"),
        ("LONGSHORE_ENV", "MINE"),
        ("LONGSHORE_CONFIG", "currency=EUR"),
        ("LONGSHORE_OUTBOX", "invoices=https://account.queue.core.windows.net/invoices"),
        // No key of the file is for these.
        ("LONGSHORE_QUEUE", "https://account.queue.core.windows.net/orders"),
        ("LONGSHORE_CONCURRENCY", "6"),
        ("LONGSHORE_OUTPUT", "json"),
        ("MINE", "kept"),
    ] {
        for job in [JOB.to_owned(), manual()] {
            assert_eq!(place.jobs.variable(&job, name).as_deref(), Some(value), "{name} of {job}");
        }
    }
    let change = |name: &str| {
        let all = done["jobs"][0]["changes"].as_array().unwrap();
        all.iter().find(|it| it["variable"] == name).cloned().unwrap_or_default()
    };
    assert_eq!(
        change("LONGSHORE_DEADLINE"),
        json!({ "variable": "LONGSHORE_DEADLINE", "from": "30s", "to": "20s" })
    );
    assert_eq!(change("LONGSHORE_CONFIG")["to"], "currency=…", "the value may be a secret");
    assert_eq!(change("LONGSHORE_CONCURRENCY"), Value::Null);
    // Every body has the containers and nothing else.
    for call in place.server.calls().iter().filter(|it| it.what.starts_with("PATCH")) {
        assert_eq!(call.query, "api-version=2026-07-01");
        let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&call.body), ["properties"]);
        assert_eq!(keys(&call.body["properties"]), ["template"]);
        assert_eq!(keys(&call.body["properties"]["template"]), ["containers"]);
    }
    let secrets = &place.jobs.get(JOB)["properties"]["configuration"]["secrets"];
    assert_eq!(secrets[0]["value"], "swordfish", "{secrets}");

    // An empty list takes a grant away.
    let text = std::fs::read_to_string(place.path().join("longshore.toml")).unwrap();
    let emptied = text.replace("['api.example.com', 'other.example']", "[]");
    std::fs::write(place.path().join("longshore.toml"), emptied).unwrap();
    place.run(&["deploy"]).succeeded();
    assert_eq!(place.jobs.variable(JOB, "LONGSHORE_ALLOW_HTTP"), None);
}

#[test]
fn a_dry_run_changes_neither_the_registry_nor_the_job() {
    let place = Place::new(GRANTS);
    let before = place.jobs.get(JOB);
    let done = place.run(&["deploy", "--dry-run", "--tag", "v1"]).succeeded().json();
    assert!(done["component"].as_str().unwrap().ends_with("/handlers/order:v1"), "{done}");
    assert_eq!((&done["dry_run"], &done["before"]), (&json!(true), &Value::Null));
    assert!(done["jobs"][1]["changes"].as_array().unwrap().len() > 5, "{done}");
    assert_eq!(place.jobs.get(JOB), before);
    assert_eq!(place.server.asked("PATCH", ""), 0);
    place.run(&["releases", "--job", JOB]).ends_with(3).says(&["no such repository"]);
}

#[test]
fn a_component_that_is_in_a_registry_is_pointed_at_by_its_digest_and_not_pushed_again() {
    let place = Place::new("");
    let digest = place.deploy(1);
    place.deploy(2);
    let address = format!("oci://{}/handlers/order:v1", place.registry.name());
    let done = place.run(&["deploy", &address]).succeeded().json();
    assert!(done["component"].as_str().unwrap().ends_with(&digest), "{done}");
    assert!(place.jobs.variable(JOB, "LONGSHORE_COMPONENT").unwrap().ends_with(&digest));
    let both = place.run(&["deploy", &address, "--tag", "v3"]).ends_with(2);
    both.says(&["--repository and --tag say where a file is pushed"]);
    // A file that is named goes beside what the job runs, or where the flag says.
    let elsewhere = format!("oci://{}/elsewhere", place.registry.name());
    for (flags, repository) in [(&[][..], "/handlers/order@"), (&["--repository", &elsewhere], "/elsewhere@")]
    {
        let done = place.run(&[&["deploy", "order.wasm"], flags].concat()).succeeded().json();
        assert!(done["component"].as_str().unwrap().contains(repository), "{done}");
    }
    let fresh = Place::new("");
    fresh.run(&["deploy", "order.wasm"]).ends_with(2).says(&["nothing says where this one goes"]);
}

#[test]
fn a_tag_is_resolved_before_the_component_is_looked_at_and_never_again() {
    let place = Place::new("");
    let digest = place.deploy(1);
    let front = Front::start(&place.registry, None);
    let address = format!("oci://{}/handlers/order:v1", front.name());
    place.run(&["deploy", &address]).succeeded();
    assert!(place.jobs.variable(JOB, "LONGSHORE_COMPONENT").unwrap().ends_with(&digest));
    let calls = front.calls();
    let by_tag = calls.iter().rposition(|call| call.ends_with("/manifests/v1")).unwrap();
    let fetched = calls.iter().position(|call| call.contains("/blobs/")).unwrap();
    assert!(by_tag < fetched, "the tag may name another one by then: {calls:?}");
    assert!(calls.iter().any(|call| call.ends_with(&format!("/manifests/{digest}"))), "{calls:?}");
}

#[test]
fn what_has_no_place_in_the_job_stops_a_deployment_before_anything_is_sent() {
    for (profile, code, words) in [
        ("[profile.azure.config]\nkey = '@order.wasm'", 2, "`key` is read from a file"),
        (
            "[profile.azure.outbox]\ninvoices = 'file:./queues/invoices'",
            2,
            "`invoices` of --outbox is a queue on this machine",
        ),
        (
            "outbox = ['invoices=https://account.queue.core.windows.net/invoices?sv=1&sig=swordfish']",
            2,
            "`outbox`: a value looks like a secret, which is never written to a job",
        ),
        ("http-header = ['a.example=x-key=@NOT_THERE']", 3, "--secrets not-there=keyvaultref:URL"),
        ("http-header = ['a.example=x-key=@MINE']", 3, "for everybody to read"),
        ("env = ['NOT_THERE']", 3, "--set-env-vars NOT_THERE=VALUE"),
        ("time-budget = '10s'", 3, "would refuse its flags, and nothing was changed"),
    ] {
        let place = Place::new(profile);
        let before = place.jobs.get(JOB);
        place.run(&["deploy"]).ends_with(code).says(&[words]);
        assert_eq!(place.jobs.get(JOB), before, "{profile}");
        assert_eq!(place.server.asked("PATCH", ""), 0, "{profile}");
        place.run(&["releases"]).ends_with(3).says(&["no such repository"]);
    }
}

#[test]
fn a_job_of_another_queue_and_a_component_without_its_grant_are_refused() {
    let place = Place::with("", |job| {
        variable(job, "LONGSHORE_QUEUE", json!("https://account.queue.core.windows.net/invoices"));
    });
    let words = [
        "drains https://account.queue.core.windows.net/invoices",
        "names https://account.queue.core.windows.net/orders",
    ];
    place.run(&["deploy"]).ends_with(2).says(&words);

    let place = Place::new("");
    let import = r#"(import "longshore:handler/outbox@0.1.0" (instance))"#;
    std::fs::write(place.path().join("order.wasm"), wat::handler_beside(import, "", "")).unwrap();
    place
        .run(&["deploy"])
        .ends_with(3)
        .says(&["imports longshore:handler/outbox", "--outbox NAME=QUEUE-URL"]);
    assert_eq!(place.server.asked("PATCH", ""), 0);
}

#[test]
fn a_queue_of_this_machine_stands_for_the_job_s_own_of_that_name() {
    let place = Place::with("[profile.azure.outbox]\ninvoices = 'file:./queues/invoices'", |job| {
        let own = "invoices=https://account.queue.core.windows.net/bills\nothers=https://account.queue.core.windows.net/others";
        variable(job, "LONGSHORE_OUTBOX", json!(own));
    });
    place.run(&["deploy"]).succeeded();
    // What the file does not grant is taken away.
    let kept = "invoices=https://account.queue.core.windows.net/bills";
    assert_eq!(place.jobs.variable(JOB, "LONGSHORE_OUTBOX").as_deref(), Some(kept));
}

#[test]
fn a_variable_from_a_secret_stays_whatever_the_project_file_says() {
    let place = Place::with("[profile.azure.config]\na = 'b'", |job| {
        variable(job, "LONGSHORE_CONFIG", json!({ "name": "LONGSHORE_CONFIG", "secretRef": "other" }));
    });
    place.run(&["deploy"]).succeeded().says(&["LONGSHORE_CONFIG comes from a secret of the job and stays"]);
    let job = place.jobs.get(JOB);
    let env = job["properties"]["template"]["containers"][0]["env"].as_array().unwrap();
    assert!(env.contains(&json!({ "name": "LONGSHORE_CONFIG", "secretRef": "other" })), "{env:?}");
}

#[test]
fn a_value_that_looks_like_a_secret_is_written_only_where_it_stands_already() {
    const SECRETS: &str = "\
env = ['DB_PASSWORD=swordfish', 'TZ=UTC']
[profile.azure.config]
db = 'Server=a;Password=swordfish'
";
    for (profile, words) in [
        ("env = ['DB_PASSWORD=swordfish']", "`env`: DB_PASSWORD looks like a secret"),
        ("[profile.azure.config]\ndb = 'Server=a;Password=swordfish'", "`config`: Password in db looks like"),
        ("config = ['api-key=swordfish']", "`config`: api-key looks like a secret"),
    ] {
        let place = Place::new(profile);
        let before = place.jobs.get(JOB);
        let mend =
            ["secret set --name orders --resource-group rg", "VARIABLE=secretref:NAME`", "write `env = ["];
        place.run(&["deploy"]).ends_with(2).says(&[words]).says(&mend);
        assert_eq!(place.jobs.get(JOB), before, "{profile}");
        place.run(&["releases"]).ends_with(3).says(&["no such repository"]);
    }
    let place = Place::with(SECRETS, |job| {
        variable(job, "LONGSHORE_ENV", json!("DB_PASSWORD=swordfish"));
        variable(job, "LONGSHORE_CONFIG", json!("a=b\ndb=Server=a;Password=swordfish"));
    });
    place.run(&["deploy"]).succeeded();
    let env = place.jobs.variable(JOB, "LONGSHORE_ENV");
    assert_eq!(env.as_deref(), Some("DB_PASSWORD=swordfish\nTZ=UTC"));
}

/// Points the job at a digest, which needs no registry: ARM is what the test is about.
fn roll(server: &Server, place: &Place, digest: &str) -> longshore_testkit::program::Ended {
    let cache = place.path().join("cache");
    let env = [("LONGSHORE_CACHE_DIR", cache.to_str().unwrap())];
    server.run_in(place.path(), &["rollback", "--to", digest], &env)
}

/// A job that runs the second of two releases, alone; and the digest of the first.
fn deployed() -> (Place, Value, String) {
    let place = Place::new("");
    let first = place.deploy(1);
    place.deploy(2);
    let job = place.jobs.get(JOB);
    (place, job, first)
}

#[test]
fn a_change_that_was_accepted_or_stood_in_the_way_of_another_is_waited_for() {
    let (place, job, first) = deployed();
    let jobs = Jobs::new([(JOB.to_owned(), job)]);
    let (serving, patches, polls) = (jobs.clone(), AtomicUsize::new(0), AtomicUsize::new(0));
    let server = Server::start(move |call| match call.what.as_str() {
        what if what.starts_with("PATCH") => match patches.fetch_add(1, Ordering::SeqCst) {
            0 => Answer::error(409, "OperationInProgress", "somebody else"),
            1 => Answer::error(429, "TooManyRequests", "later"),
            _ => {
                serving.answer(call);
                let location = ("location", "/subscriptions/s/jobResults/1".to_owned());
                Answer::Say(202, vec![location, ("retry-after", "0".into())], Value::Null)
            }
        },
        // The role on the job does not reach there, so that the job itself has to tell.
        what if what.ends_with("jobResults/1") => Answer::error(403, "AuthorizationFailed", "why"),
        _ => {
            let answer = serving.answer(call);
            match answer {
                Answer::Say(200, headers, mut job) if patches.load(Ordering::SeqCst) > 2 => {
                    let state =
                        if polls.fetch_add(1, Ordering::SeqCst) < 2 { "InProgress" } else { "Succeeded" };
                    job["properties"]["provisioningState"] = json!(state);
                    Answer::Say(200, headers, job)
                }
                answer => answer,
            }
        }
    });
    roll(&server, &place, &first).succeeded();
    assert!(jobs.variable(JOB, "LONGSHORE_COMPONENT").unwrap().ends_with(&first));
    assert_eq!(server.asked("PATCH", "/orders"), 3);
}

#[test]
fn a_job_that_somebody_changed_meanwhile_is_left_as_it_is() {
    let (place, job, first) = deployed();
    let server = Server::start(move |call| {
        let mut job = job.clone();
        if call.nth > 0 {
            variable(&mut job, "LONGSHORE_DEADLINE", json!("31s"));
        }
        if call.what.ends_with("-manual") {
            return Answer::error(404, "ResourceNotFound", "none");
        }
        Answer::ok(job)
    });
    let words = ["somebody changed the job since it was read, and nothing was done", "do it again"];
    roll(&server, &place, &first).ends_with(3).says(&words);
    assert_eq!(server.asked("PATCH", ""), 0);
}

#[test]
fn a_change_that_is_refused_or_comes_to_nothing_names_the_cause() {
    let (place, job, first) = deployed();
    for (answer, words) in [
        (
            (|_| Answer::error(403, "AuthorizationFailed", "why")) as fn(&mut Value) -> Answer,
            "`Container Apps Jobs Contributor`, or another that allows Microsoft.App/jobs/write",
        ),
        (|_| Answer::error(400, "ContainerAppInvalidEnv", "why"), "ContainerAppInvalidEnv: why"),
        (
            |job| {
                job["properties"]["provisioningState"] = json!("Failed");
                Answer::ok(job.clone())
            },
            "its provisioning ended as Failed",
        ),
        (|_| Answer::Cut, "it may have been done all the same: do it again"),
    ] {
        let state = std::sync::Mutex::new(job.clone());
        let server = Server::start(move |call| match call.what.as_str() {
            what if what.ends_with("-manual") => Answer::error(404, "ResourceNotFound", "none"),
            what if what.starts_with("PATCH") => answer(&mut state.lock().unwrap()),
            _ => Answer::ok(state.lock().unwrap().clone()),
        });
        roll(&server, &place, &first).ends_with(3).says(&[words]);
        assert_eq!(server.asked("PATCH", "/orders"), 1, "{words}");
    }
}

#[test]
fn a_job_without_one_that_is_started_by_hand_is_deployed_alone() {
    let (place, _, first) = deployed();
    for refusal in [(404, "ResourceNotFound"), (403, "AuthorizationFailed")] {
        let jobs = Jobs::new([(JOB.to_owned(), place.jobs.get(JOB))]);
        let serving = jobs.clone();
        let server = Server::start(move |call| match call.what.ends_with("-manual") {
            true => Answer::error(refusal.0, refusal.1, "why"),
            false => serving.answer(call),
        });
        let ran = roll(&server, &place, &first).succeeded();
        assert_eq!(ran.json()["jobs"].as_array().unwrap().len(), 1);
        assert_eq!(ran.stderr.contains("stays as it is"), refusal.0 == 403, "{}", ran.stderr);
    }
}
