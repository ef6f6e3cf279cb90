//! Sessions that wait or stand still: what is said of them, who is held up, and how they go on.

use serde_json::json;

use crate::servicebus::broker::calm;
use crate::servicebus::host::Host;
use crate::servicebus::sessions::{handled, with_a_message_in_hand};

#[test]
fn more_than_a_hundred_sessions_that_wait_for_a_retry_hold_up_no_other() {
    let host = Host::of_sessions(calm(), 60);
    let waiting = 150;
    for session in 0..waiting {
        host.send_into(&format!("w{session}"), &["retry-after:600000"]);
    }
    host.send_into("last", &["ok"]);
    let component = longshore_testkit::guest::order();
    let mut run = host.program(&["run", "--component", component.to_str().unwrap(), "--sessions", "16"]);
    run.args(["--breaker", "0", "--max-retry-delay", "15m", "--max-messages", &(waiting + 1).to_string()]);
    let ended = run.run().succeeded();
    let ran = ended.json();
    assert_eq!((&ran["completed"], &ran["received"]), (&json!(1), &json!(waiting + 1)), "{ran}");
    assert!(!ended.stderr.contains("no further session is accepted"), "{}", ended.stderr);
}

#[test]
fn sessions_that_stand_still_are_listed_and_go_on_when_they_are_named() {
    let host = Host::of_sessions(calm(), 30);
    host.send_into("red", &["ok", "reject", "ok", "ok"]);
    host.send_into("blue", &["reject", "ok"]);
    host.run(&["--on-poison", "stop", "--hold", "0"]).run().succeeded();
    host.send_into("green", &["ok"]);
    let listed = || {
        let mut listed = host.program(&["queue", "sessions"]).run().succeeded().json_lines();
        listed.sort_by_key(|it| it["session"].to_string());
        listed
    };
    let look = |session: &str, messages: u64, standing: &str| json!({ "session": session, "messages": messages, "standing": standing });
    assert_eq!(
        listed(),
        [look("blue", 1, "stands-still"), look("green", 1, "free"), look("red", 2, "stands-still")]
    );
    let table = host.program(&["queue", "sessions", "--output", "table"]).run().succeeded();
    assert!(table.stdout.contains("stands still after a poisoned message"), "{}", table.stdout);
    for (session, told) in calm().sessions(&host.name).as_object().unwrap() {
        assert!(told["deliveries"].as_array().unwrap().iter().all(|it| it == 0), "{session}: {told}");
    }
    let args = ["queue", "sessions", "--continue", "red", "--continue", "green"];
    let going = host.program(&args).run().succeeded().json_lines();
    assert_eq!(going[0], json!({ "session": "red", "continued": true, "standing": "stands-still" }));
    assert_eq!(going[1], json!({ "session": "green", "continued": false, "standing": "free" }));
    let ended = host.run(&["--on-poison", "stop", "--hold", "0"]).run().succeeded();
    let handled = handled(&ended.stderr);
    assert_eq!((&handled["red"][..], handled.get("blue")), (&["2".into(), "3".into()][..], None));
    assert_eq!(listed(), [look("blue", 1, "stands-still")]);
}

#[test]
fn a_session_that_is_held_is_listed_as_that_and_cannot_be_let_go_on() {
    let host = Host::of_sessions(calm(), 30);
    host.send_into("red", &["sleep:20000"]);
    let running = with_a_message_in_hand(&host);
    assert_eq!(host.json(&["queue", "sessions"])["standing"], "taken");
    let refused = host.program(&["queue", "sessions", "--continue", "red"]).run().ends_with(1);
    refused.says(&["held by a run: red", "try again then"]);
    assert_eq!(running.wait().succeeded().json()["completed"], 1);
}

#[test]
fn only_what_has_sessions_lists_them() {
    let plain = Host::new(calm(), 30);
    plain.program(&["queue", "sessions"]).run().ends_with(2).says(&["has no sessions"]);
    let refused = plain.program(&["queue", "sessions", "--continue", "red"]).run().ends_with(3);
    refused.says(&["does not require sessions; name a queue or a subscription"]);
}

#[test]
fn tables_of_messages_name_the_session_of_each() {
    let host = Host::of_sessions(calm(), 30);
    host.send_into("red", &["reject"]);
    let table =
        |args: &[&str]| host.program(&[args, &["--output", "table"]].concat()).run().succeeded().stdout;
    let has_session = |table: &str| {
        let mut lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        lines.next().is_some_and(|head| head[1] == "session")
            && lines.next().is_some_and(|row| row[1] == "red")
    };
    let peeked = table(&["peek"]);
    assert!(has_session(&peeked), "{peeked}");
    host.run(&[]).run().succeeded();
    let listed = table(&["poison", "list", "--all"]);
    assert!(has_session(&listed), "{listed}");
    let id = host.json(&["poison", "list", "--all"])["id"].as_str().unwrap().to_owned();
    let shown = table(&["poison", "show", &id]);
    assert!(shown.lines().any(|line| line.split_whitespace().eq(["session", "red"])), "{shown}");
    let plain = Host::new(calm(), 30);
    plain.send(&["ok"]);
    let peeked = plain.program(&["peek", "--output", "table"]).run().succeeded().stdout;
    assert!(!peeked.contains("session"), "{peeked}");
}

#[test]
fn sessions_go_on_although_somebody_looks_at_them_meanwhile() {
    let host = Host::of_sessions(calm(), 30);
    let names: Vec<_> = (0..20).map(|n| format!("s{n}")).collect();
    for name in &names {
        host.send_into(name, &["reject", "ok"]);
    }
    host.run(&["--on-poison", "stop", "--hold", "0"]).run().succeeded();
    let named = names.iter().flat_map(|name| ["--continue", name]);
    let args: Vec<_> = ["queue", "sessions"].into_iter().chain(named).collect();
    let all = [&args[..], &args, &["queue", "sessions"]].map(|args| host.program(args).start());
    for each in all {
        each.wait().succeeded();
    }
    let ended = host.run(&["--on-poison", "stop", "--hold", "0"]).run().succeeded();
    assert_eq!(ended.json()["completed"], names.len(), "{ended:?}");
}
