//! `job start`: what is sent, once, and what is waited for.

use longshore_testkit::program::Ended;
use serde_json::{Value, json};

use crate::arm::execution;
use crate::arm::server::{Answer, Call, JOB, Server};

const BEGAN: &str = "2026-02-13T20:37:30+00:00";
const ENDED: &str = "2026-02-13T20:47:30+00:00";

fn begun() -> Value {
    json!({ "name": "orders-pjxhsye", "id": format!("{JOB}/executions/orders-pjxhsye") })
}

fn is_start(call: &Call) -> bool {
    call.what == format!("POST {JOB}/start")
}

#[test]
fn a_start_without_changes_sends_no_template() {
    let server = Server::start(|call| {
        assert!(is_start(call), "{call:?}");
        Answer::ok(begun())
    });
    let ran = server.run(&["job", "start"]).ends_with(0);
    assert_eq!(ran.json_lines(), [json!({ "execution": "orders-pjxhsye", "job": JOB })]);
    let [call] = &server.calls()[..] else { panic!("one call: {:?}", server.calls()) };
    assert_eq!((call.query.as_str(), &call.body), ("api-version=2026-07-01", &Value::Null));
    assert_eq!(call.token, "token-number-0");
}

#[test]
fn a_start_that_was_only_accepted_is_followed_to_its_result() {
    for accepted in [0, 2] {
        let server = Server::start(move |call| match call.what.as_str() {
            it if it.starts_with("POST") => {
                let location = "/subscriptions/s/providers/Microsoft.App/locations/westeurope/jobResults/1?api-version=2026-07-01";
                Answer::Say(
                    202,
                    vec![("location", location.into()), ("retry-after", "0".into())],
                    Value::Null,
                )
            }
            // Later answers do not repeat where to ask.
            _ if call.nth < accepted => Answer::Say(202, vec![("retry-after", "0".into())], Value::Null),
            _ => Answer::ok(begun()),
        });
        let ran = server.run(&["job", "start"]).ends_with(0);
        assert_eq!(ran.json_lines()[0]["execution"], "orders-pjxhsye");
        assert_eq!((server.asked("POST", "/start"), server.asked("GET", "/1")), (1, accepted + 1));
    }
}

/// Starts a job that accepts it, and answers every question after that with `then`.
fn accepted_and_then(then: fn() -> Answer, env: &[(&str, &str)]) -> Ended {
    let server = Server::start(move |call| match is_start(call) {
        true => {
            let location = ("location", "/subscriptions/s/jobResults/1".to_owned());
            Answer::Say(202, vec![location, ("retry-after", "0".into())], Value::Null)
        }
        false => then(),
    });
    let ran = server.run_with(&["job", "start", "--wait"], env);
    assert_eq!(server.asked("POST", "/start"), 1, "{:?}", server.calls());
    assert!(server.asked("GET", "/1") > 0, "{:?}", server.calls());
    ran
}

/// It may run: nothing says that it does not, and nobody is told to start another one.
#[track_caller]
fn is_not_settled(ran: Ended, cause: &str) {
    let accepted = "it was accepted, and what became of it is not known (";
    let ran = ran.ends_with(3);
    ran.says(&["no clear answer when asked to start", accepted, cause, "`longshore job list` tells"]);
    for wrong in ["cannot start", "again", "nothing was done", " right?", "Operator", "proxy"] {
        assert!(!ran.stderr.contains(wrong), "`{wrong}` is in {}", ran.stderr);
    }
}

/// A wish to be asked again later than anybody waits.
fn busy(status: u16, code: &str) -> Answer {
    let error = json!({ "error": { "code": code, "message": "why" } });
    Answer::Say(status, vec![("retry-after", "3600".into())], error)
}

/// What is answered, and what is then named as the cause.
type Following = (fn() -> Answer, &'static str);

#[test]
fn an_accepted_start_is_never_called_undone_whatever_follows() {
    let elsewhere = || {
        let location = ("location", "https://elsewhere.example/".to_owned());
        Answer::Say(202, vec![location, ("retry-after", "0".into())], Value::Null)
    };
    let cases: [Following; 10] = [
        (|| busy(503, "ServiceUnavailable"), "HTTP 503 ServiceUnavailable: why"),
        (|| busy(429, "TooManyRequests"), "HTTP 429 TooManyRequests: why"),
        (
            || Answer::error(401, "InvalidAuthenticationToken", "why"),
            "HTTP 401 InvalidAuthenticationToken: why",
        ),
        (|| Answer::error(403, "AuthorizationFailed", "why"), "HTTP 403 AuthorizationFailed: why"),
        (|| Answer::error(404, "NotFound", "why"), "HTTP 404 NotFound: why"),
        (|| Answer::error(409, "Conflict", "why"), "HTTP 409 Conflict: why"),
        (|| Answer::Say(200, Vec::new(), Value::Null), "does not name the execution"),
        (|| Answer::Say(204, Vec::new(), Value::Null), "does not name the execution"),
        (|| Answer::ok(json!({ "status": "Succeeded" })), "does not name the execution"),
        (elsewhere, "must not go"),
    ];
    for (then, cause) in cases {
        is_not_settled(accepted_and_then(then, &[]), cause);
    }
}

/// What is tried again for half a minute, or two, ends at once here.
#[cfg(feature = "failpoints")]
#[test]
fn an_accepted_start_is_never_called_undone_when_patience_ends() {
    let cases: [Following; 4] = [
        (|| Answer::error(503, "ServiceUnavailable", "why"), "HTTP 503 ServiceUnavailable: why"),
        (|| Answer::Garbage, "the answer is no JSON"),
        (|| Answer::Cut, "connection closed"),
        (|| Answer::Say(202, vec![("retry-after", "0".into())], Value::Null), "no result was there"),
    ];
    for (then, cause) in cases {
        is_not_settled(accepted_and_then(then, &[("FAILPOINTS", "out-of-patience=return")]), cause);
    }
}

#[test]
fn a_start_that_ends_without_a_name_is_never_called_undone() {
    let location = ("location", "https://elsewhere.example/".to_owned());
    for (status, headers, body, cause) in [
        (202, vec![], Value::Null, "does not name the execution"),
        (202, vec![location], Value::Null, "must not go"),
        (200, vec![], Value::Null, "does not name the execution"),
        (200, vec![], json!({ "executions": [] }), "does not name the execution"),
    ] {
        let server = Server::start(move |_| Answer::Say(status, headers.clone(), body.clone()));
        is_not_settled(server.run(&["job", "start"]), cause);
        assert_eq!(server.calls().len(), 1);
    }
}

#[test]
fn who_can_no_longer_wait_is_told_what_was_started() {
    let server = Server::start(|call| match is_start(call) {
        true => Answer::ok(begun()),
        false => Answer::error(403, "AuthorizationFailed", "why"),
    });
    server.run(&["job", "start", "--wait"]).ends_with(3).says(&[
        "orders-pjxhsye was started; `longshore job status orders-pjxhsye --wait` waits for it: cannot read",
        "Microsoft.App/jobs/execution/read",
    ]);
}

#[test]
fn a_start_that_was_accepted_with_a_name_needs_no_second_look() {
    let location = ("location", "https://elsewhere.example/".to_owned());
    let server = Server::start(move |_| Answer::Say(202, vec![location.clone()], begun()));
    server.run(&["job", "start"]).ends_with(0);
    assert_eq!(server.calls().len(), 1);
}

/// A job with everything that a change could lose.
fn job() -> Value {
    json!({
        "id": JOB, "name": "orders", "type": "Microsoft.App/jobs", "location": "West Europe",
        "properties": {
            "provisioningState": "Succeeded",
            "configuration": { "triggerType": "Manual", "replicaTimeout": 1350, "replicaRetryLimit": 0 },
            "template": {
                "containers": [{
                    "name": "longshore", "image": "registry.example/longshore:1", "imageType": "ContainerImage",
                    "command": ["/usr/local/bin/longshore"], "args": ["run"],
                    "env": [
                        { "name": "LONGSHORE_QUEUE", "value": "https://account.queue.core.windows.net/orders" },
                        { "name": "LONGSHORE_CONCURRENCY", "value": "16" },
                        { "name": "API_KEY", "secretRef": "api-key" },
                        { "name": "OLD_KEY", "secretRef": "old-key" },
                    ],
                    "resources": { "cpu": 0.5, "memory": "1Gi", "ephemeralStorage": "2Gi" },
                    "volumeMounts": [{ "mountPath": "/handler", "volumeName": "handlers" }],
                    "probes": [],
                }],
                "initContainers": [{ "name": "fetch", "image": "registry.example/fetch:1", "args": ["-c", "true"],
                                     "resources": { "cpu": 0.25, "memory": "0.5Gi" } }],
                "volumes": [{ "name": "handlers", "storageName": "share", "storageType": "AzureFile" }],
            }
        }
    })
}

#[test]
fn a_change_for_one_execution_keeps_everything_else_of_the_template() {
    let server = Server::start(|call| if is_start(call) { Answer::ok(begun()) } else { Answer::ok(job()) });
    let changes = [
        "--env",
        "LONGSHORE_CONCURRENCY=1",
        "--env",
        "OLD_KEY=a-secret=with-equals",
        "--env",
        "NEW=",
        "--image",
        "registry.example/longshore:2",
        "--args",
        "run",
        "--max-messages",
        "10",
        "--wait",
    ];
    let ran = server.run(&[&["job", "start"], &changes[..]].concat()).ends_with(0);
    assert!(!ran.stderr.contains("a-secret"), "{}", ran.stderr);
    assert!(ran.stderr.contains("volumeMounts") && !ran.stderr.contains("probes"), "{}", ran.stderr);
    let calls = server.calls();
    assert_eq!(calls.iter().map(|call| &call.what[..4]).collect::<Vec<_>>(), ["GET ", "POST"]);
    let expected = json!({
        "containers": [{
            "name": "longshore", "image": "registry.example/longshore:2",
            "command": ["/usr/local/bin/longshore"],
            // `--args` takes all that follows.
            "args": ["run", "--max-messages", "10", "--wait"],
            "env": [
                { "name": "LONGSHORE_QUEUE", "value": "https://account.queue.core.windows.net/orders" },
                { "name": "API_KEY", "secretRef": "api-key" },
                { "name": "LONGSHORE_CONCURRENCY", "value": "1" },
                { "name": "OLD_KEY", "value": "a-secret=with-equals" },
                { "name": "NEW", "value": "" },
            ],
            "resources": { "cpu": 0.5, "memory": "1Gi" },
        }],
        "initContainers": [{ "name": "fetch", "image": "registry.example/fetch:1", "args": ["-c", "true"],
                             "resources": { "cpu": 0.25, "memory": "0.5Gi" } }],
    });
    assert_eq!(calls[1].body, expected);
}

#[test]
fn of_several_containers_the_one_to_change_is_named() {
    let mut two = job();
    let containers = two["properties"]["template"]["containers"].as_array_mut().unwrap();
    containers.push(json!({ "name": "sidecar", "image": "registry.example/sidecar:1" }));
    let server =
        Server::start(move |call| if is_start(call) { Answer::ok(begun()) } else { Answer::ok(two.clone()) });
    let start = ["job", "start", "--image", "registry.example/new:1"];
    server.run(&start).ends_with(1).says(&["longshore, sidecar", "--container"]);
    server.run(&[&start[..], &["--container", "none"]].concat()).ends_with(1).says(&["no container none"]);
    assert_eq!(server.asked("POST", "/start"), 0);
    server.run(&[&start[..], &["--container", "sidecar"]].concat()).ends_with(0);
    let body = server.calls().last().unwrap().body.clone();
    assert_eq!(body["containers"][0]["image"], "registry.example/longshore:1");
    assert_eq!(body["containers"][1]["image"], "registry.example/new:1");
}

#[test]
fn waiting_ends_as_the_execution_does() {
    for (status, end, code, expected) in [
        ("Succeeded", Some(ENDED), Some(0), 0),
        ("Failed", Some(ENDED), Some(3), 3),
        ("Failed", Some(ENDED), Some(4), 4),
        ("Failed", Some(ENDED), Some(137), 1),
        ("Failed", Some(ENDED), None, 1),
        ("Stopped", Some(ENDED), Some(0), 1),
        ("Degraded", Some(ENDED), None, 1),
    ] {
        let server = Server::start(move |call| {
            if is_start(call) {
                return Answer::ok(begun());
            }
            Answer::again(match call.nth {
                0 => execution("orders-pjxhsye", "Processing", BEGAN, None, None),
                1 => execution("orders-pjxhsye", "Running", BEGAN, None, None),
                _ => execution("orders-pjxhsye", status, BEGAN, end, code),
            })
        });
        let ran = server.run(&["job", "start", "--wait"]).ends_with(expected);
        let [shown] = &ran.json_lines()[..] else { panic!("one object: {ran:?}") };
        assert_eq!((&shown["status"], &shown["exit_code"]), (&json!(status), &json!(code)));
        assert_eq!(shown["duration_ms"], 600_000);
        assert_eq!(server.asked("GET", "/executions/orders-pjxhsye"), 3);
        ran.says(&["Processing", "Running", status]);
    }
}

#[test]
fn a_long_wait_outlives_what_passes() {
    let server = Server::start(|call| {
        if is_start(call) {
            return Answer::ok(begun());
        }
        match call.nth {
            0 => Answer::error(404, "NotFound", "the execution is not known yet"),
            2 => Answer::error(503, "ServiceUnavailable", "busy"),
            3 => Answer::Cut,
            4 => Answer::error(429, "TooManyRequests", "slow down"),
            5 => Answer::error(401, "ExpiredAuthenticationToken", "the token has expired"),
            6 => Answer::Garbage,
            30 => Answer::again(execution("orders-pjxhsye", "Succeeded", BEGAN, Some(ENDED), Some(0))),
            _ => Answer::again(execution("orders-pjxhsye", "Running", BEGAN, None, None)),
        }
    });
    server.run(&["job", "start", "--wait"]).ends_with(0);
    assert_eq!((server.asked("POST", "/start"), server.tokens()), (1, 2));
}

#[test]
fn a_start_is_asked_for_once_whatever_the_answer() {
    type Case = (fn() -> Answer, &'static [&'static str]);
    const UNCLEAR: &[&str] =
        &["no clear answer when asked to start the job", "may have been done", "longshore job list"];
    let cases: [Case; 6] = [
        (|| Answer::error(500, "InternalServerError", "something"), UNCLEAR),
        (|| Answer::error(503, "ServiceUnavailable", "something"), UNCLEAR),
        (|| Answer::error(504, "GatewayTimeout", "something"), UNCLEAR),
        (|| Answer::Cut, UNCLEAR),
        (|| Answer::Garbage, UNCLEAR),
        (|| Answer::error(429, "TooManyRequests", "slow down"), &["nothing was done: try again in 0 s"]),
    ];
    for (answer, words) in cases {
        let server = Server::start(move |_| answer());
        server.run(&["job", "start", "--wait"]).ends_with(3).says(words);
        assert_eq!(server.calls().len(), 1, "{:?}", server.calls());
    }
}
