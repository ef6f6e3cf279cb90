//! `check --job`: good and bad set-ups, as a table of cases.

use longshore_testkit::program::Ended;
use serde_json::{Value, json};

use crate::arm::server::{Answer, JOB, Server};

const IDENTITY: &str = "/subscriptions/34adfa4f-cedf-4dc0-ba29-b6d1a69ab345/resourcegroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/orders-id";
const CLIENT_ID: &str = "14adfa4f-eedf-1dc0-ba29-a6d1a69ab3df";

/// As `infra/` sets it up.
pub fn good() -> Value {
    let variable = |name: &str, value: &str| json!({ "name": name, "value": value });
    json!({
        "id": JOB, "name": "orders", "type": "Microsoft.App/jobs", "location": "West Europe",
        "identity": { "type": "UserAssigned",
                      "userAssignedIdentities": { IDENTITY: { "clientId": CLIENT_ID, "principalId": "p" } } },
        "properties": {
            "provisioningState": "Succeeded",
            "configuration": {
                "triggerType": "Event", "replicaTimeout": 1350, "replicaRetryLimit": 0,
                "eventTriggerConfig": {
                    "parallelism": 1, "replicaCompletionCount": 1,
                    "scale": {
                        "minExecutions": 0, "maxExecutions": 10, "pollingInterval": 30,
                        "rules": [{
                            "name": "queue", "type": "azure-queue", "identity": IDENTITY.to_uppercase(),
                            "metadata": { "accountName": "account", "queueName": "orders", "queueLength": "360" },
                        }],
                    },
                },
            },
            "template": {
                "containers": [{
                    "name": "longshore", "image": "registry.example/longshore:1",
                    "env": [
                        variable("AZURE_CLIENT_ID", CLIENT_ID),
                        variable("LONGSHORE_QUEUE", "https://account.queue.core.windows.net/orders"),
                        variable("LONGSHORE_CONCURRENCY", "6"), variable("LONGSHORE_DEADLINE", "30s"),
                        variable("LONGSHORE_TIME_BUDGET", "1200s"), variable("LONGSHORE_GRACE", "20s"),
                        variable("LONGSHORE_MAX_DEQUEUE", "5"), variable("LONGSHORE_LEASE", "renew"),
                        variable("LONGSHORE_LINGER", "30s"),
                        variable("LONGSHORE_LOG_FORMAT", "json"), variable("LONGSHORE_OUTPUT", "json"),
                    ],
                    "resources": { "cpu": 0.5, "memory": "1Gi" },
                }],
            },
        },
    })
}

/// Sets a variable of the container; `null` takes it away, an object replaces it whole.
pub fn variable(job: &mut Value, name: &str, value: Value) {
    let env = job["properties"]["template"]["containers"][0]["env"].as_array_mut().unwrap();
    env.retain(|it| it["name"] != name);
    match value {
        Value::Null => {}
        Value::Object(_) => env.push(value),
        value => env.push(json!({ "name": name, "value": value })),
    }
}

/// Checks a job, on a queue that is out of reach: what is asked of it is unknown, and changes no
/// exit code.
pub fn check(job: Value) -> Ended {
    let server = Server::start(move |call| {
        assert_eq!(call.what, format!("GET {JOB}"), "a check only reads");
        Answer::ok(job.clone())
    });
    // What the shell of whoever asks has set is not what the job has.
    let elsewhere =
        [("LONGSHORE_DEADLINE", "7s"), ("LONGSHORE_CONCURRENCY", "3"), ("LONGSHORE_FOREVER", "true")];
    server.run_with(&["check", "--job", JOB, "--queue", SIGNED], &elsewhere)
}

/// With a signature, so that no token for storage is asked for.
const SIGNED: &str = "http://127.0.0.1:9/account/orders?sig=none";

/// What was found out about one question, and the detail.
pub fn found(ran: &Ended, check: &str) -> (String, String) {
    let line = ran.json_lines().into_iter().find(|line| line["check"] == check);
    let line = line.unwrap_or_else(|| panic!("{check}: {ran:?}"));
    let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
    (text("result"), text("detail"))
}

#[test]
fn the_set_up_of_this_repository_has_nothing_wrong() {
    let ran = check(good()).ends_with(0);
    for (name, expected) in [
        // Whether the image has variables, and what handlers do, cannot be seen in the job.
        ("job flags", "unknown"),
        ("deadline", "unknown"),
        ("queueLength", "unknown"),
        ("delays that handlers name", "unknown"),
        ("component loads", "unknown"),
        ("queue exists", "unknown"),
        ("job identity", "ok"),
        ("replicaRetryLimit", "ok"),
        ("parallelism", "ok"),
        ("replicaTimeout", "ok"),
        ("grace", "ok"),
        ("memory", "ok"),
        ("scale rule", "ok"),
        // Roles are not the job's.
        ("scale identity", "unknown"),
        ("counting", "ok"),
        ("minExecutions", "ok"),
        ("retry delays", "ok"),
    ] {
        assert_eq!(found(&ran, name).0, expected, "{name}: {ran:?}");
    }
}

/// What is changed, where the finding is, what it is, and words of the mend.
type Case = (&'static str, Value, &'static str, &'static str, &'static str);

#[test]
fn each_wrong_set_up_is_found_with_its_mend() {
    let scale = "/properties/configuration/eventTriggerConfig/scale";
    let rule = "/properties/configuration/eventTriggerConfig/scale/rules/0";
    let cases: Vec<Case> = vec![
        // A pointer changes the job, a name a variable.
        (
            "/properties/configuration/replicaTimeout",
            json!(1200),
            "replicaTimeout",
            "wrong",
            "set it to 1350, or LONGSHORE_TIME_BUDGET to 1050s",
        ),
        ("/properties/configuration/replicaTimeout", json!(60), "replicaTimeout", "wrong", "set it to 1350"),
        (
            "/properties/configuration/replicaTimeout",
            json!(1231),
            "replicaTimeout",
            "unknown",
            "leaves 1 s to pull",
        ),
        (
            "/properties/configuration/replicaTimeout",
            Value::Null,
            "replicaTimeout",
            "unknown",
            "does not say",
        ),
        (
            "/properties/configuration/replicaRetryLimit",
            json!(3),
            "replicaRetryLimit",
            "wrong",
            "set it to 0",
        ),
        (
            "/properties/configuration/replicaRetryLimit",
            Value::Null,
            "replicaRetryLimit",
            "unknown",
            "set it to 0",
        ),
        (
            "/properties/configuration/eventTriggerConfig/parallelism",
            json!(4),
            "parallelism",
            "wrong",
            "set both to 1",
        ),
        ("/properties/configuration/triggerType", json!("Manual"), "scale rule", "unknown", "Manual"),
        (
            "/identity/userAssignedIdentities",
            json!({ IDENTITY: { "clientId": "another" } }),
            "job identity",
            "wrong",
            "none of the job's identities (another)",
        ),
        (
            "/properties/template/containers/0/args",
            json!(["run", "--forever"]),
            "job flags",
            "wrong",
            "cannot be used with",
        ),
        (
            "/properties/template/containers/0/args",
            json!(["run", "--grace", "25s"]),
            "grace",
            "wrong",
            "LONGSHORE_GRACE to 22s",
        ),
        (
            "/properties/template/containers/0/args",
            json!(["check"]),
            "replicaTimeout",
            "unknown",
            "not known",
        ),
        (
            "/properties/template/containers/0/args",
            json!(["run", "--no-such-flag"]),
            "job flags",
            "wrong",
            "--no-such-flag",
        ),
        ("/properties/template/containers/0/command", json!(["/bin/sh"]), "job flags", "unknown", "/bin/sh"),
        // The host takes some itself, and so does each handler beside its memory.
        (
            "LONGSHORE_CONCURRENCY",
            json!("16"),
            "memory",
            "wrong",
            "the container's 1024 MiB hold 6 of them beside the host: a run admits no more than 6 at once; set LONGSHORE_CONCURRENCY to 6, or LONGSHORE_MEMORY to 53, or the container's memory to 2217 MiB",
        ),
        (
            "/properties/template/containers/0/resources/memory",
            json!("0.5Gi"),
            "memory",
            "wrong",
            "hold 3 of them",
        ),
        (
            "/properties/template/containers/0/resources/memory",
            json!("100Mi"),
            "memory",
            "wrong",
            "hold 0 of them beside the host: a run admits no more than 1 at once; set the container's memory to",
        ),
        (
            "/properties/template/containers/0/resources/memory",
            json!("lots"),
            "memory",
            "unknown",
            "does not say",
        ),
        ("LONGSHORE_MEMORY", json!("149"), "memory", "wrong", "LONGSHORE_MEMORY to 148"),
        ("LONGSHORE_MEMORY", json!("148"), "memory", "ok", ""),
        // As `run` reads them.
        ("LONGSHORE_FOREVER", json!("no"), "replicaTimeout", "ok", ""),
        ("LONGSHORE_FOREVER", json!("Yes"), "job flags", "wrong", "cannot be used with"),
        ("LONGSHORE_FOREVER", json!("maybe"), "job flags", "wrong", "LONGSHORE_FOREVER is maybe"),
        ("LONGSHORE_MAX_MESSAGES", json!(""), "queueLength", "unknown", "right if it is"),
        ("LONGSHORE_POISON_QUEUE", json!(" "), "replicaTimeout", "ok", ""),
        ("LONGSHORE_MAX_DEQEUE", json!("7"), "job flags", "wrong", "the nearest is LONGSHORE_MAX_DEQUEUE"),
        ("LONGSHORE_LOG", json!("longshore=loud"), "job flags", "wrong", "write a level such as info"),
        ("LONGSHORE_OUTPUT", json!("yaml"), "job flags", "wrong", "--output"),
        ("LONGSHORE_LOG_FORMAT", json!("xml"), "job flags", "wrong", "--log-format"),
        ("LONGSHORE_CONFIG", json!("a=1\nb=@/in/the/container"), "replicaTimeout", "ok", ""),
        ("LONGSHORE_CONFIG", json!("a=1\nhidden"), "job flags", "wrong", "there is no `=`"),
        ("LONGSHORE_OUTBOX_ENCODING", json!("a=base64"), "job flags", "wrong", "grant it with `--outbox a="),
        ("LONGSHORE_DEADLINE", json!("7days"), "job flags", "wrong", "leaves no time to receive"),
        ("AZURE_CLIENT_ID", Value::Null, "job identity", "wrong", "AZURE_CLIENT_ID is not set"),
        ("LONGSHORE_TIME_BUDGET", json!("30s"), "job flags", "wrong", "leaves no time to receive"),
        ("LONGSHORE_TIME_BUDGET", json!("soon"), "job flags", "wrong", "exit code 2"),
        (
            "LONGSHORE_TIME_BUDGET",
            json!({ "name": "LONGSHORE_TIME_BUDGET", "secretRef": "s" }),
            "replicaTimeout",
            "unknown",
            "not known",
        ),
        (
            "LONGSHORE_TIME_BUDGET",
            json!({ "name": "LONGSHORE_TIME_BUDGET", "secretRef": "s" }),
            "job flags",
            "unknown",
            "from a secret",
        ),
        (
            "LONGSHORE_QUEUE",
            json!({ "name": "LONGSHORE_QUEUE", "secretRef": "s" }),
            "scale rule",
            "unknown",
            "not in a variable",
        ),
        (
            "LONGSHORE_QUEUE",
            json!({ "name": "LONGSHORE_QUEUE", "secretRef": "s" }),
            "replicaTimeout",
            "ok",
            "",
        ),
        ("LONGSHORE_DEADLINE", json!("20s"), "deadline", "ok", ""),
        ("LONGSHORE_MAX_MESSAGES", json!("100"), "queueLength", "wrong", "set queueLength to 100"),
        ("LONGSHORE_CONCURRENCY", json!("1000"), "queueLength", "unknown", "6 × seconds of work"),
        (
            "LONGSHORE_RETRY_CAP",
            json!("2m"),
            "retry delays",
            "wrong",
            "LONGSHORE_LINGER to 120s, or LONGSHORE_RETRY_CAP to 30s",
        ),
        ("LONGSHORE_LINGER", json!("0"), "retry delays", "ok", ""),
        ("LONGSHORE_LEASE", json!("fixed"), "retry delays", "wrong", "LONGSHORE_LINGER to 60s"),
        ("LONGSHORE_LEASE", json!("auto"), "retry delays", "unknown", "LONGSHORE_LEASE to renew"),
        ("LONGSHORE_MAX_RETRY_DELAY", json!("30s"), "delays that handlers name", "ok", ""),
        (rule, Value::Null, "scale rule", "wrong", "there is none for a queue"),
        ("rule/type", json!("azure-servicebus"), "scale rule", "wrong", "is counted by azure-queue"),
        ("rule/metadata/queueName", json!("other"), "scale rule", "wrong", "counts queueName other"),
        ("rule/metadata/accountName", json!("other"), "scale rule", "wrong", "counts accountName other"),
        ("rule/metadata/queueLength", json!("5"), "queueLength", "wrong", "set queueLength to 6 or more"),
        ("rule/metadata/queueLength", Value::Null, "queueLength", "wrong", "every 5 messages"),
        ("rule/metadata/queueLength", json!("none"), "queueLength", "wrong", "no number"),
        (
            "rule/metadata/queueLengthStrategy",
            json!("visibleonly"),
            "counting",
            "wrong",
            "leave queueLengthStrategy out",
        ),
        ("rule/metadata/activationQueueLength", json!("10"), "counting", "wrong", "wait for ever"),
        ("rule/name", json!("queue"), "scale identity", "unknown", "needs Storage Queue Data Reader"),
        ("rule/type", json!("azure-servicebus"), "scale identity", "unknown", "kedacore/keda issue 7822"),
        ("rule/identity", json!("system"), "scale identity", "wrong", "not assigned to the job"),
        ("rule/identity", Value::Null, "scale identity", "wrong", "KEDA cannot count"),
        ("scale/minExecutions", json!(1), "minExecutions", "wrong", "set it to 0"),
    ];
    for (place, value, name, expected, words) in cases {
        let mut job = good();
        let pointer = match place.split_once('/') {
            Some(("rule", rest)) => format!("{rule}/{rest}"),
            Some(("scale", rest)) => format!("{scale}/{rest}"),
            _ => place.to_owned(),
        };
        match pointer.rsplit_once('/') {
            Some((parent, key)) => match job.pointer_mut(parent).unwrap() {
                Value::Array(items) => items[key.parse::<usize>().unwrap()] = value.clone(),
                parent => parent[key] = value.clone(),
            },
            None => variable(&mut job, place, value.clone()),
        }
        let ran = check(job);
        let (result, detail) = found(&ran, name);
        assert_eq!(result, expected, "{place} = {value}: {detail}");
        assert!(detail.contains(words), "{place} = {value}: {detail}");
        let needed = |line: &Value| line["needed"] == true && line["result"] == "wrong";
        let failed = ran.json_lines().iter().any(needed);
        assert_eq!(ran.code(), if failed { 3 } else { 0 }, "{ran:?}");
    }
}

#[test]
fn a_run_without_end_is_no_job() {
    let mut job = good();
    variable(&mut job, "LONGSHORE_TIME_BUDGET", Value::Null);
    variable(&mut job, "LONGSHORE_LINGER", Value::Null);
    variable(&mut job, "LONGSHORE_FOREVER", json!("true"));
    let (result, detail) = found(&check(job).ends_with(3), "replicaTimeout");
    assert!(result == "wrong" && detail.contains("leave it out"), "{result}: {detail}");
}

#[test]
fn no_signature_in_a_jobs_flags_is_printed() {
    let mut job = good();
    job["properties"]["template"]["containers"][0]["args"] =
        json!(["run", "https://account.queue.core.windows.net/orders?sv=1&sig=secret"]);
    let ran = check(job);
    assert_eq!(found(&ran, "job flags").0, "wrong");
    assert!(!ran.stdout.contains("sig=secret") && !ran.stderr.contains("sig=secret"), "{ran:?}");
}

#[test]
fn a_wrong_line_of_a_jobs_settings_is_not_printed() {
    for (name, value) in [("LONGSHORE_CONFIG", "good=swordfish\nswordfish"), ("LONGSHORE_ENV", "=swordfish")]
    {
        let mut job = good();
        variable(&mut job, name, json!(value));
        let ran = check(job);
        assert_eq!(found(&ran, "job flags").0, "wrong");
        assert!(!ran.stdout.contains("swordfish") && !ran.stderr.contains("swordfish"), "{ran:?}");
    }
}

#[test]
fn a_job_that_may_not_be_read_ends_the_check() {
    let denied = |_: &crate::arm::server::Call| Answer::error(403, "AuthorizationFailed", "not you");
    let server = Server::start(denied);
    let ran = server.run(&["check", "--job", JOB, "--queue", SIGNED]).ends_with(3);
    ran.says(&["Reader", "Microsoft.App/jobs/read"]);
}

#[test]
fn a_job_that_does_not_run_the_host_is_a_fault_of_its_set_up() {
    let mut job = good();
    let other = json!({ "name": "other", "image": "registry.example/other:1" });
    job["properties"]["template"]["containers"] = json!([other, other]);
    check(job).ends_with(3).says(&[JOB, "none of its containers is called longshore"]);
}

#[test]
fn a_queue_that_can_have_no_poison_queue_is_a_fault_of_who_named_it() {
    let url = format!("http://127.0.0.1:9/account/{}?sig=none", "a".repeat(60));
    let mut job = good();
    variable(&mut job, "LONGSHORE_QUEUE", json!(url));
    let server = Server::start(move |_| Answer::ok(job.clone()));
    server.run(&["check", "--job", JOB]).ends_with(3).says(&["its poison queue cannot be called"]);
    server.run(&["check", "--queue", &url]).ends_with(2).says(&["its poison queue cannot be called"]);
}
