//! `job logs`, against a server that answers as Log Analytics documents it, over lines of its own.

mod analytics;
mod kusto;

use std::time::Duration;

use longshore_testkit::program::Ended;
use longshore_testkit::wait::until;
use serde_json::{Value, json};

use self::analytics::{Analytics, WORKSPACE, at, host_line, line};
use self::kusto::findings;
use crate::arm::server::{Answer, JOB, Server};

const ENVIRONMENT: &str =
    "/subscriptions/s/resourceGroups/rg/providers/Microsoft.App/managedEnvironments/env";

/// Resource Manager with a job in an environment that logs as these settings say.
fn manager(settings: Value) -> Server {
    Server::start(move |call| match call.what.as_str() {
        it if it == format!("GET {JOB}") => {
            Answer::ok(json!({ "properties": { "environmentId": ENVIRONMENT } }))
        }
        it if it == format!("GET {ENVIRONMENT}") => {
            Answer::ok(json!({ "properties": { "appLogsConfiguration": settings } }))
        }
        _ => Answer::error(404, "NotFound", "no such thing"),
    })
}

/// What is asked of Log Analytics with this login, about the workspace that is named.
fn logs(analytics: &Analytics, args: &[&str]) -> Ended {
    let arm = manager(Value::Null);
    arm.gives_tokens_for_logs();
    let ended = with(&arm, analytics, &[args, &["--workspace", WORKSPACE]].concat());
    assert!(arm.calls().is_empty(), "Resource Manager has nothing to do with it");
    ended
}

fn with(arm: &Server, analytics: &Analytics, args: &[&str]) -> Ended {
    arm.run_with(&[&["job", "logs"], args].concat(), &[("LONGSHORE_LOGS_ENDPOINT", &analytics.url())])
}

fn texts(ended: &Ended) -> Vec<String> {
    let lines = ended.json_lines();
    lines.iter().map(|it| it["text"].as_str().unwrap_or_else(|| panic!("{it}")).to_owned()).collect()
}

#[test]
fn every_line_is_shown_once_in_its_order_over_all_pages() {
    let analytics = Analytics::start();
    // More of one time than a page has, and some that fill a page by themselves.
    for n in 0..4500 {
        let time = if n < 2300 { 0 } else { n };
        analytics.write(line(at(time), "orders-1-a", &format!("{n:05}")));
    }
    for n in 0..60 {
        analytics.write(line(at(5000 + n), "orders-1-b", &format!("{n:02}{}", "é".repeat(20_000))));
    }
    analytics.write(line(at(6000), "orders-1-b", &format!("last {}", "\u{1}x".repeat(100_000))));
    let ended = logs(&analytics, &["--since", "3h"]).ends_with(0);
    let shown = texts(&ended);
    assert_eq!(shown.len(), 4561, "each once");
    assert!(shown[..4500].iter().enumerate().all(|(n, text)| *text == format!("{n:05}")));
    assert!(shown[4500..4560].iter().enumerate().all(|(n, text)| text.starts_with(&format!("{n:02}é"))));
    assert_eq!(shown[4560].chars().count(), 65_536, "a line is cut where it is longer than any of ours");
    assert!(analytics.asked() > 6, "{}", analytics.asked());
}

#[test]
fn only_lines_of_the_job_the_execution_the_message_and_the_time_are_shown() {
    let analytics = Analytics::start();
    analytics.write(line(at(-9000), "orders-1-a", "too old"));
    analytics.write(host_line(at(1), "orders-1-a", "m-1", "one"));
    analytics.write(host_line(at(2), "orders-12-b", "m-2", "two"));
    analytics.write(line(at(3), "orders-1-a", "no line of the host's"));
    analytics.write_of("payments", line(at(4), "payments-1-a", "of another job"));
    let shown = |args: &[&str]| {
        let lines = logs(&analytics, args).ends_with(0).json_lines();
        lines
            .iter()
            .map(|it| it["line"]["message"].as_str().or(it["text"].as_str()).unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(shown(&["--since", "2h"]), ["one", "two", "no line of the host's"]);
    assert_eq!(shown(&["--execution", "orders-1"]), ["too old", "one", "no line of the host's"]);
    assert_eq!(shown(&["--message", "m-2"]), ["two"]);
    assert_eq!(shown(&["--message", "2"]), ["two"], "a terminal shows ids by their end");
    assert_eq!(shown(&["--message", "m-", "--execution", "orders-1"]), ["one"]);
    assert_eq!(shown(&["--message", "M-2"]), Vec::<String>::new());
    assert_eq!(shown(&["--since", "1s"]), Vec::<String>::new());
    logs(&analytics, &["--message", ""]).ends_with(2);
    logs(&analytics, &["--execution", "a'b"]).ends_with(2);
    logs(&analytics, &["--since", "0"]).ends_with(2);
}

#[test]
fn people_get_a_line_of_text_for_each_and_programs_an_object() {
    let analytics = Analytics::start();
    analytics.write(host_line(at(1), "orders-1-a", "m-1", "evil \u{1b}]52;c;x\u{7} \u{202e}"));
    let people = logs(&analytics, &["--output", "table"]).ends_with(0);
    let words = "1-a WARN  evil \\u{1b}]52;c;x\\u{7} \\u{202e} message_id=m-1 outcome=poisoned";
    assert!(people.stdout.contains(words), "{}", people.stdout);
    let program = logs(&analytics, &[]).ends_with(0).json();
    assert_eq!((&program["replica"], &program["line"]["message_id"]), (&json!("orders-1-a"), &json!("m-1")));
    assert!(program["time"].as_str().is_some_and(|it| it.ends_with('Z')), "{program}");
}

#[test]
fn the_workspace_is_that_of_the_job_s_environment() {
    let analytics = Analytics::start();
    analytics.write(line(at(1), "orders-1-a", "here"));
    let arm = manager(json!({
        "destination": "log-analytics", "logAnalyticsConfiguration": { "customerId": WORKSPACE },
    }));
    arm.gives_tokens_for_logs();
    assert_eq!(texts(&with(&arm, &analytics, &[]).ends_with(0)), ["here"]);
    assert!(arm.calls().iter().all(|call| !call.token.contains("logs")), "a token for each service");
    assert!(analytics.tokens().iter().all(|token| token.contains("logs")));
}

#[test]
fn the_workspace_may_be_that_of_a_diagnostic_setting() {
    let workspace = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.OperationalInsights/workspaces/w";
    let setting = |category: &str, workspace: &str| json!({ "properties": { "workspaceId": workspace, "logs": [{ "category": category, "enabled": true }] } });
    let arm = Server::start(move |call| match call.what.as_str() {
        it if it == format!("GET {JOB}") => {
            Answer::ok(json!({ "properties": { "environmentId": ENVIRONMENT } }))
        }
        it if it == format!("GET {ENVIRONMENT}") => Answer::ok(
            json!({ "properties": { "appLogsConfiguration": { "destination": "azure-monitor" } } }),
        ),
        it if it == format!("GET {ENVIRONMENT}/providers/Microsoft.Insights/diagnosticSettings") => {
            Answer::ok(json!({ "value": [
                setting("ContainerAppSystemLogs", "/subscriptions/s/other"),
                setting("ContainerAppConsoleLogs", workspace),
            ] }))
        }
        it if it == format!("GET {workspace}") => {
            Answer::ok(json!({ "properties": { "customerId": WORKSPACE } }))
        }
        _ => Answer::error(404, "NotFound", "no such thing"),
    });
    arm.gives_tokens_for_logs();
    let analytics = Analytics::start();
    analytics.write(line(at(1), "orders-1-a", "here"));
    assert_eq!(texts(&with(&arm, &analytics, &[]).ends_with(0)), ["here"]);
}

#[test]
fn a_log_that_goes_nowhere_is_said_and_no_token_follows_what_an_answer_names() {
    let analytics = Analytics::start();
    for (settings, words) in [
        (Value::Null, "go to nowhere, and to no workspace"),
        (json!({ "destination": "" }), "--workspace"),
        (json!({ "destination": "log-analytics" }), "does not say the workspace's id"),
        (
            json!({ "destination": "log-analytics", "logAnalyticsConfiguration": { "customerId": "../../x" } }),
            "does not say the workspace's id",
        ),
    ] {
        with(&manager(settings), &analytics, &[]).ends_with(3).says(&[words]);
    }
    let stranger = Server::start(|_| Answer::ok(json!({})));
    for environment in
        [format!("{}{ENVIRONMENT}", stranger.url), "/subscriptions/../../x".into(), String::new()]
    {
        let arm = Server::start(move |call| {
            assert_eq!(call.what, format!("GET {JOB}"));
            Answer::ok(json!({ "properties": { "environmentId": environment } }))
        });
        with(&arm, &analytics, &[]).ends_with(3).says(&["names no environment"]);
    }
    assert!(stranger.calls().is_empty() && analytics.asked() == 0);
    let arm = manager(Value::Null);
    for wrong in ["http://logs.example", "https://logs.example/v1"] {
        arm.run_with(&["job", "logs"], &[("LONGSHORE_LOGS_ENDPOINT", wrong)]).ends_with(2);
    }
    arm.run_with(&["job", "logs", "--workspace", "orders"], &[]).ends_with(2).says(&["a GUID"]);
}

#[test]
fn an_answer_that_is_not_complete_is_shown_and_is_no_success() {
    let analytics = Analytics::start();
    analytics.write(line(at(1), "orders-1-a", "here"));
    analytics.adds(json!({ "error": {
        "code": "PartialError", "message": "There were some errors when processing your query.",
        "details": [{ "code": "EngineError", "message": "Something went wrong processing your query on the server.",
            "innererror": { "code": "-2133196797", "message": "The results of this query exceed the set limit of 64000000 bytes." } }],
    } }));
    let ended = logs(&analytics, &[]).ends_with(1);
    assert_eq!(texts(&ended), ["here"]);
    ended.says(&["the log is not complete", "exceed the set limit", "--since"]);
}

#[test]
fn a_time_that_cannot_be_read_hides_no_other_line() {
    let analytics = Analytics::start();
    let columns = ["Time", "Ingested", "Replica", "Log"].map(|name| json!({ "name": name }));
    let row = |time: &str, text: &str| json!([time, "", "orders-1-a", text]);
    let rows = [row("yesterday", "lost"), row("2026-11-27T00:00:00Z", "here")];
    analytics.answers(1, 200, json!({ "tables": [{ "columns": columns, "rows": rows }] }));
    let ended = logs(&analytics, &[]).ends_with(1);
    assert_eq!(texts(&ended), ["here"]);
    ended.says(&["the log is not complete", "1 line has a time that cannot be read, and is not shown"]);
}

#[test]
fn what_is_refused_is_said_with_its_mend_and_what_is_busy_is_asked_again() {
    let refusal = |code: &str, message: &str| json!({ "error": { "code": code, "message": message } });
    for (status, body, words) in [
        (
            403,
            refusal("InsufficientAccessError", "The provided credentials have insufficient access"),
            "Log Analytics Reader",
        ),
        (
            401,
            refusal("AuthorizationRequiredError", "Valid authentication was not provided"),
            "in one tenant",
        ),
        (404, refusal("WorkspaceNotFoundError", "It was not found"), WORKSPACE),
        (400, refusal("BadArgumentError", "No such table"), "ever log to the workspace"),
        (504, refusal("GatewayTimeout", "It took too long"), "--since"),
        (302, json!({}), "no proxy's"),
        (200, json!({ "tables": [] }), "it has no table"),
        (
            200,
            json!({ "tables": [{ "name": "PrimaryResult", "columns": [], "rows": [] }] }),
            "no column `Time`",
        ),
        (200, json!({ "tables": [], "padding": "x".repeat(5 << 20) }), "longer than 4194304 bytes"),
    ] {
        let analytics = Analytics::start();
        analytics.answers(usize::MAX, status, body);
        let ended = logs(&analytics, &[]).ends_with(3);
        ended.says(&["cannot read the job's log", words]);
        // Another answer to the same question would be as long.
        let most = if words.starts_with("longer than") { 1 } else { 8 };
        assert!(analytics.asked() <= most, "{status}: {}", analytics.asked());
    }
    let analytics = Analytics::start();
    analytics.write(line(at(1), "orders-1-a", "here"));
    analytics.answers(2, 429, refusal("ThrottledError", "Too many requests"));
    assert_eq!(texts(&logs(&analytics, &[]).ends_with(0)), ["here"]);
    assert_eq!(analytics.asked(), 3);
}

#[test]
fn lines_that_come_are_followed_each_once_until_a_signal() {
    let analytics = Analytics::start();
    for n in 0..3 {
        analytics.write(line(at(-10 + n), "orders-1-a", &format!("before {n}")));
    }
    let arm = manager(Value::Null);
    arm.gives_tokens_for_logs();
    let args = ["job", "logs", "--follow", "--workspace", WORKSPACE];
    let running = arm.program(&args, &[("LONGSHORE_LOGS_ENDPOINT", &analytics.url())]).start();
    let count = |running: &longshore_testkit::program::Process| running.stdout().lines().count();
    until("the lines that were there", || (count(&running) == 3).then_some(()));
    // The same line once more, one that comes late, and one that is new.
    analytics.write(line(at(-10), "orders-1-a", "before 0"));
    analytics.write(line(at(-9000), "orders-1-a", "too old"));
    analytics.write(line(at(-20), "orders-1-a", "late"));
    analytics.answers(1, 503, json!({}));
    analytics.write(line(at(0), "orders-1-a", "new"));
    until("the lines that came", || (count(&running) >= 6).then_some(()));
    analytics.write(line(at(1), "orders-1-a", "newest"));
    until("the newest line", || (count(&running) >= 7).then_some(()));
    std::thread::sleep(Duration::from_secs(6));
    running.terminate();
    let ended = running.wait().ends_with(0);
    let mut shown = texts(&ended);
    shown.sort();
    assert_eq!(shown, ["before 0", "before 0", "before 1", "before 2", "late", "new", "newest"]);
}

#[test]
fn the_query_is_one_that_the_parser_of_the_language_accepts_whatever_is_looked_for() {
    let analytics = Analytics::start();
    let evil =
        ["m-1", "it's", "' or 1==1 //", "\\' | take 1 //", "a\nb", "\u{1f4e6}\u{2028}", "'; .drop table x"];
    for message in evil {
        logs(&analytics, &["--message", message, "--execution", "orders-1"]).ends_with(0);
    }
    let queries = analytics.queries();
    assert_eq!(queries.len(), evil.len());
    let (said, literals) = findings(&queries);
    assert_eq!(said, vec![Vec::<String>::new(); evil.len()], "{queries:?}");
    for (message, literals) in evil.iter().zip(literals) {
        assert!(literals.contains(&(*message).to_owned()), "{message}: {literals:?}");
    }
    // What no escape would make of it is found.
    let broken = queries[0].replace("'m-1'", "'it's'");
    assert_ne!(broken, queries[0]);
    let wrong =
        [broken, queries[0].replace("JobName", "JobNam"), queries[0].replace("row_cumsum", "row_sum")];
    assert!(findings(&wrong).0.iter().all(|it| !it.is_empty()));
}
