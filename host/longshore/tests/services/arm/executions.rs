//! `job list`, `status` and `stop`.

use serde_json::{Value, json};

use crate::arm::execution;
use crate::arm::server::{Answer, JOB, Server};

/// Two pages, in no order.
fn paged() -> Server {
    Server::start(|call| {
        assert_eq!(call.what, format!("GET {JOB}/executions"));
        let page = |value: Value, next: Value| Answer::ok(json!({ "value": value, "nextLink": next }));
        if call.query.contains("skipToken=2") {
            let ended = Some("2026-02-13T20:01:05+00:00");
            let old = execution("orders-1", "Succeeded", "2026-02-13T20:00:00+00:00", ended, Some(0));
            return page(json!([old]), Value::Null);
        }
        let ended = Some("2026-02-13T21:00:02+00:00");
        let failed = execution("orders-2", "Failed", "2026-02-13T21:00:00+00:00", ended, Some(3));
        let running = execution("orders-3", "Running", "2026-02-13T22:00:00+00:00", None, None);
        page(json!([failed, running]), json!(format!("{JOB}/executions?api-version=2026-07-01&skipToken=2")))
    })
}

#[test]
fn all_pages_are_listed_the_newest_first() {
    let server = paged();
    let rows = server.run(&["job", "list"]).ends_with(0).json_lines();
    let names: Vec<_> = rows.iter().map(|row| row["execution"].as_str().unwrap()).collect();
    assert_eq!(names, ["orders-3", "orders-2", "orders-1"]);
    assert_eq!((&rows[0]["status"], &rows[0]["ended"]), (&json!("Running"), &Value::Null));
    assert_eq!(
        rows[1],
        json!({
            "execution": "orders-2", "status": "Failed", "started": "2026-02-13T21:00:00Z", "ended": "2026-02-13T21:00:02Z",
            "duration_ms": 2000, "exit_code": 3, "reason": "BackoffLimitExceeded",
            "message": "Job has reached the specified backoff limit",
        })
    );
    assert_eq!((&rows[2]["duration_ms"], &rows[2]["exit_code"]), (&json!(65_000), &json!(0)));

    let failed = server.run(&["job", "list", "--status", "failed"]).ends_with(0).json_lines();
    assert_eq!((failed.len(), &failed[0]["execution"]), (1, &json!("orders-2")));
    let newest = server.run(&["job", "list", "--limit", "1"]).ends_with(0).json_lines();
    assert_eq!((newest.len(), &newest[0]["execution"]), (1, &json!("orders-3")));
}

#[test]
fn people_get_a_table() {
    let ran = paged().run(&["--output", "table", "job", "list"]).ends_with(0);
    let line = ran.stdout.lines().find(|line| line.contains("orders-1")).unwrap();
    for cell in ["Succeeded", "2026-02-13 20:00:00", "1m 5s", "0"] {
        assert!(line.contains(cell), "{line}");
    }
    assert!(ran.stdout.contains("BackoffLimitExceeded"), "{}", ran.stdout);
}

#[test]
fn our_token_does_not_follow_a_link_to_somebody_else() {
    let stranger = Server::start(|_| Answer::ok(json!({ "value": [] })));
    let link = format!("{}{JOB}/executions?skipToken=2", stranger.url);
    let server = Server::start(move |_| Answer::ok(json!({ "value": [], "nextLink": link })));
    server.run(&["job", "list"]).ends_with(3).says(&[&stranger.url, "must not go"]);
    assert!(stranger.calls().is_empty());
}

#[test]
fn pages_that_go_round_in_circles_end() {
    let server = Server::start(|_| {
        Answer::ok(json!({ "value": [], "nextLink": format!("{JOB}/executions?skipToken=1") }))
    });
    // A part of a list is no list.
    let ended = server.run(&["job", "list"]).ends_with(3);
    assert_eq!(ended.says(&["the list does not end", "no proxy's"]).stdout, "");
    assert_eq!(server.calls().len(), 100);
}

#[test]
fn what_is_busy_is_read_again_when_it_says() {
    let server = Server::start(|call| match call.nth {
        0 => Answer::Say(429, vec![("retry-after", "1".into())], Value::Null),
        1 => Answer::Say(503, vec![("retry-after", "1".into())], Value::Null),
        2 => Answer::error(500, "InternalServerError", "something"),
        3 => Answer::Cut,
        _ => Answer::ok(json!({ "value": [] })),
    });
    let ran = server.run(&["job", "list"]).ends_with(0);
    assert_eq!(server.calls().len(), 5);
    assert!(ran.took.as_secs() >= 2, "{:?}", ran.took);
}

#[test]
fn the_status_is_that_of_the_newest_unless_one_is_named() {
    let server = Server::start(|call| {
        let began = "2026-02-13T20:00:00+00:00";
        match call.what.rsplit('/').next().unwrap() {
            "executions" => {
                Answer::ok(json!({ "value": [execution("orders-9", "Running", began, None, None)] }))
            }
            "orders-1" if call.nth < 2 => Answer::again(execution("orders-1", "Running", began, None, None)),
            name => {
                Answer::ok(execution(name, "Succeeded", began, Some("2026-02-13T20:00:01+00:00"), Some(0)))
            }
        }
    });
    assert_eq!(server.run(&["job", "status"]).ends_with(0).json_lines()[0]["execution"], "orders-9");
    let one = server.run(&["job", "status", "orders-1"]).ends_with(0).json_lines();
    assert_eq!((&one[0]["execution"], &one[0]["status"]), (&json!("orders-1"), &json!("Running")));
    let over = server.run(&["job", "status", "orders-1", "--wait"]).ends_with(0).json_lines();
    assert_eq!(over[0]["status"], "Succeeded");
}

#[test]
fn one_execution_is_stopped_or_all_of_them() {
    let server = Server::start(|call| match call.what.as_str() {
        it if it == format!("POST {JOB}/executions/orders-1/stop") => Answer::Say(
            202,
            vec![("location", "/subscriptions/s/operationResults/1".into()), ("retry-after", "0".into())],
            Value::Null,
        ),
        it if it == format!("POST {JOB}/stop") => {
            Answer::ok(json!({ "value": [{ "name": "orders-1", "properties": { "status": "Running" } }] }))
        }
        "GET /subscriptions/s/operationResults/1" => Answer::Say(200, Vec::new(), Value::Null),
        _ => Answer::error(404, "NotFound", "no such thing"),
    });
    let one = server.run(&["job", "stop", "orders-1"]).ends_with(0).json_lines();
    assert_eq!(one, [json!({ "job": JOB, "stopped": "orders-1" })]);
    assert_eq!(server.asked("GET", "/operationResults/1"), 1);
    assert_eq!(server.run(&["job", "stop", "--all"]).ends_with(0).json_lines()[0]["stopped"], "all");
    server.run(&["job", "stop"]).ends_with(2);
    server.run(&["job", "stop", "../start"]).ends_with(2);
    server.run(&["job", "stop", "orders-7"]).ends_with(3).says(&["no such thing", "job list"]);
    assert_eq!(server.asked("POST", "/stop"), 3);
}

#[test]
fn an_accepted_stop_is_never_called_undone() {
    let server = Server::start(|call| match call.what.starts_with("POST") {
        true => {
            let location = ("location", "/subscriptions/s/operationResults/1".to_owned());
            Answer::Say(202, vec![location, ("retry-after", "0".into())], Value::Null)
        }
        false => Answer::error(403, "AuthorizationFailed", "why"),
    });
    let ran = server.run(&["job", "stop", "orders-1"]).ends_with(3);
    let ran = ran.says(&["no clear answer when asked to stop the execution: it was accepted", "job list"]);
    assert!(!ran.stderr.contains("Operator"), "{}", ran.stderr);
}
