//! The cause beside a poison message: what the handler itself said of its end, where in its source,
//! and what it logged last. A body is in none of it, unless the handler wrote it there.

use std::path::Path;

use serde_json::Value;

use crate::directory::{Directory, ORDERS};
use crate::orders::order;
use crate::process::{Ended, longshore, run};
use crate::terminal::on_a_terminal;
use longshore_testkit::guest;

/// Runs until this message is poison, and returns its envelope as `poison show` gives it, what that
/// shows to people, and how the run ended.
#[track_caller]
fn poisoned(component: &Path, body: &str, flags: &[&str]) -> (Value, String, Ended) {
    let directory = Directory::new();
    let [id] = &directory.send([body])[..] else { panic!("one message was sent") };
    // The one that does what none should is loaded with a setting and a queue to send to.
    let outbox = directory.url("invoices");
    run(&mut longshore(["queue", "create", "--queue", &outbox])).succeeded();
    let outbox = format!("--outbox=invoices={outbox}");
    let fixed = ["--max-dequeue=1", "--deadline=20s", "--visibility=60s", "--config=key=value", &outbox];
    let flags = [&fixed, flags].concat();
    let mut worker = directory.worker_with(component, &flags);
    let ended = run(worker.env("CONTAINER_APP_JOB_EXECUTION_NAME", "orders-x7k2p")).succeeded();
    assert_eq!(ended.json()["poisoned"], 1, "{ended:?}");
    let show = |output: &str| {
        let mut program = longshore(["poison", "show", id, "--queue", &directory.url(ORDERS), output]);
        run(&mut program).succeeded()
    };
    (show("--output=json").json(), show("--output=table").stdout, ended)
}

/// Asserts that the words of a failure are its detail, and in the log of the run.
#[track_caller]
fn says(component: &Path, words: &str) {
    let (envelope, shown, ended) = poisoned(component, &order("o-1", "trap"), &[]);
    let detail = envelope["detail"].as_str().unwrap();
    assert_eq!(detail, format!("trap: {words}"));
    assert!(shown.contains(words), "{shown}");
    assert!(!shown.contains("unreachable"), "{shown}");
    let outcome = ended.stderr.lines().find(|line| line.contains("\"outcome\":\"poisoned\"")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(outcome).unwrap()["detail"], detail);
}

#[test]
fn a_panic_in_rust_is_shown_with_its_words_and_its_line() {
    let source = include_str!("../../../../guest/order/src/lib.rs");
    let line = 1 + source.lines().position(|line| line.contains("panic!(")).unwrap();
    says(&guest::order(), &format!("panicked at order/src/lib.rs:{line}:19: the order asks for a trap"));
}

#[test]
#[ignore = "needs Python: make test-services"]
fn an_exception_in_python_is_shown_with_its_type_its_words_and_its_line() {
    let source = include_str!("../../../../guest/python/order.py");
    let line = 1 + source.lines().position(|line| line.contains("raise RuntimeError(")).unwrap();
    says(&guest::python(), &format!("RuntimeError: the order asks for a trap at order.py:{line} in handle"));
}

#[test]
#[ignore = "needs Node.js: make test-services"]
fn an_error_in_javascript_is_shown_with_its_type_its_words_and_its_line() {
    let source = include_str!("../../../../guest/js/order.js");
    let line = 1 + source.lines().position(|line| line.contains("throw new Error(")).unwrap();
    says(&guest::javascript(), &format!("Error: the order asks for a trap at order.js:{line} in handle"));
}

#[test]
fn an_envelope_has_the_last_lines_of_the_log_the_execution_and_the_times_of_the_attempt() {
    let (envelope, shown, _) = poisoned(&guest::rogue(), "lines-and-reject:1000", &["--log-limit=1024"]);
    let lines: Vec<_> = envelope["log"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
    assert_eq!(lines.last(), Some(&"line 1000"));
    let bytes: usize = lines.iter().map(|line| line.len() + 1).sum();
    assert!((4_000..=4_096).contains(&bytes), "{bytes} bytes");
    assert_eq!(envelope["execution"], "orders-x7k2p");
    let time = |name: &str| envelope["attempt"][name].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let inserted: jiff::Timestamp = envelope["inserted"].as_str().unwrap().parse().unwrap();
    assert!(inserted <= time("started") && time("started") <= time("ended"), "{envelope}");
    for part in [
        "execution  orders-x7k2p",
        "attempt    20",
        " earlier lines are left out]\n           line ",
        "\n           line 1000",
    ] {
        assert!(shown.contains(part), "`{part}` is not in {shown}");
    }
}

#[test]
fn fewer_bytes_of_the_log_are_kept_where_that_is_asked_for_and_none_with_0() {
    let lines = |flag: &str| {
        let (envelope, ..) = poisoned(&guest::rogue(), "lines-and-reject:300", &[flag]);
        envelope["log"].as_array().map_or(0, Vec::len)
    };
    assert_eq!((lines("--poison-log=20"), lines("--poison-log=0")), (2, 0));
    let mut many = longshore(["run", "--queue=file:./q/orders", "--component=x.wasm", "--poison-log=40000"]);
    many.run().ends_with(2).says(&["40000", "0..=32768"]);
}

#[test]
fn lines_for_finding_mistakes_are_kept_only_where_the_log_shows_them() {
    for (flag, expected) in [("--log=info", false), ("--log=warn", false), ("--log=debug", true)] {
        let (envelope, ..) = poisoned(&guest::rogue(), "levels-and-reject:0", &[flag]);
        let log = envelope["log"].to_string();
        assert!(log.contains("INFO ") && log.contains("ERROR "), "{flag}: {log}");
        assert_eq!(log.contains("DEBUG "), expected, "{flag}: {log}");
        assert!(!log.contains("TRACE "), "{flag}: {log}");
    }
}

#[test]
fn a_secret_in_a_body_is_in_no_log_line_unless_the_handler_printed_it() {
    const SECRET: &str = "swordfish-4711";
    let beside = |envelope: &Value| {
        let mut envelope = envelope.clone();
        envelope["body"] = Value::Null;
        envelope.to_string()
    };
    for msg in ["trap", "reject", "retry"] {
        let body = order("o-1", msg).replace('{', &format!("{{\"card\": \"{SECRET}\", "));
        let (envelope, _, ended) = poisoned(&guest::order(), &body, &[]);
        assert!(envelope["body"].as_str().unwrap().contains(SECRET));
        assert!(!beside(&envelope).contains(SECRET), "{envelope}");
        assert!(!ended.stderr.contains(SECRET) && !ended.stdout.contains(SECRET), "{ended:?}");
    }
    let printed = format!("quote-and-panic:{SECRET}");
    let (envelope, ..) = poisoned(&guest::rogue(), &printed, &[]);
    assert!(envelope["log"].to_string().contains(SECRET), "{envelope}");
    assert!(!envelope["detail"].to_string().contains(SECRET), "{envelope}");
    let (envelope, ..) = poisoned(&guest::rogue(), &printed, &["--poison-log=0"]);
    assert!(!beside(&envelope).contains(SECRET), "{envelope}");
}

#[test]
fn what_a_handler_wrote_is_shown_and_does_nothing_to_a_terminal() {
    let evil = "quote-and-panic:\u{1b}]52;c;x\u{7}\u{202e}evil";
    let (envelope, shown, _) = poisoned(&guest::rogue(), evil, &[]);
    assert!(envelope["log"].to_string().contains("\\u001b"), "{envelope}");
    let log = shown.lines().find(|line| line.starts_with("log")).unwrap();
    assert!(log.contains("\\u{1b}]52;c;x\\u{7}\\u{202e}evil"), "{log}");
}

#[test]
fn poison_is_listed_by_reason_and_cause_and_one_by_one_where_that_is_asked_for() {
    let directory = Directory::new();
    let bodies = [order("o-1", "trap"), order("o-2", "trap"), order("o-3", "reject"), "no JSON".to_owned()];
    let sent = directory.send(&bodies);
    run(&mut directory.worker(&["--max-dequeue=1"])).succeeded();
    let list = |words: &[&str]| {
        let mut program = longshore(["poison", "list", "--output=json", "--queue", &directory.url(ORDERS)]);
        run(program.args(words)).succeeded().json_lines()
    };
    let groups = list(&[]);
    let shown: Vec<_> = groups.iter().map(|it| (it["reason"].as_str().unwrap(), &it["messages"])).collect();
    assert_eq!(shown.len(), 3, "{groups:?}");
    assert_eq!(shown[0], ("attempts-exhausted", &2.into()));
    assert!(groups[0]["cause"].as_str().unwrap().ends_with("the order asks for a trap"), "{groups:?}");
    assert!(groups[0]["oldest"].as_str() <= groups[0]["newest"].as_str(), "{groups:?}");
    assert!(sent[..2].iter().any(|id| groups[0]["newest_id"] == **id), "{groups:?}");
    assert_eq!(list(&["--reason=rejected"]).len(), 2);
    assert_eq!((list(&["--all"]).len(), list(&["--all", "--limit=3"]).len()), (4, 3));
    assert_eq!(list(&[&sent[2]])[0]["id"], *sent[2], "an id names one message");
    let url = directory.url(ORDERS);
    let table = longshore(["poison", "list", "--queue", &url]).run().succeeded().stdout;
    assert!(table.lines().next().unwrap().trim().starts_with("messages  reason"), "{table}");
    assert!(table.lines().count() == 4 && !table.contains(&sent[2]) | table.contains("newest id"), "{table}");
}

#[test]
fn on_a_terminal_each_message_is_one_short_line_and_the_rate_is_on_the_bar() {
    let directory = Directory::new();
    let sent = directory.send([order("o-1", "ok"), order("o-2", "reject"), order("o-3", "trap")]);
    let (queue, component) = (directory.url(ORDERS), guest::order());
    let cache = crate::process::cache();
    let words = ["run", "--max-dequeue=1", "--breaker=0", "--queue", &queue, "--component"];
    let words = [&words[..], &[component.to_str().unwrap(), "--cache-dir", cache.to_str().unwrap()]].concat();
    let said = on_a_terminal(&words, "");
    let lines = plain(&said);
    let of = |id: &str, outcome: &str| {
        let end = format!("…{}", &id[id.len() - 8..]);
        let found: Vec<_> = lines.iter().filter(|it| it.contains(&end) && it.contains(outcome)).collect();
        assert!(found.len() == 1 && found[0].chars().count() <= 100, "{end} {outcome}: {lines:#?}");
    };
    of(&sent[0], "  completed  ");
    of(&sent[1], "  poisoned  ");
    of(&sent[2], "  attempts-exhausted: trap: panicked at order/src/lib.rs");
    assert!(said.contains("\u{1b}[33m"), "what is poisoned is painted: {said}");
    assert!(lines.iter().any(|line| line.contains("/s, ") && line.contains(" in flight")), "{lines:#?}");
}

#[test]
fn on_a_terminal_an_open_breaker_shows_itself() {
    let directory = Directory::new();
    directory.send((0..6).map(|n| order(&format!("o-{n}"), "retry")));
    let (queue, component) = (directory.url(ORDERS), guest::order());
    let cache = crate::process::cache();
    let words = ["run", "--breaker=1", "--hold=2s", "--retry-cap=2s", "--queue", &queue, "--component"];
    let words = [&words[..], &[component.to_str().unwrap(), "--cache-dir", cache.to_str().unwrap()]].concat();
    let lines = plain(&on_a_terminal(&words, ""));
    let bar = lines.iter().find(|line| line.starts_with("BREAKER OPEN, next try in"));
    assert!(bar.is_some_and(|bar| bar.chars().count() <= 100), "{lines:#?}");
}

/// What a terminal shows, without what moves its cursor and paints.
fn plain(said: &str) -> Vec<String> {
    let mut text = String::new();
    let mut rest = said;
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        text.push_str(before);
        let after = after.strip_prefix('[').unwrap_or(after);
        let end =
            after.find(|character: char| character.is_ascii_alphabetic()).map_or(after.len(), |at| at + 1);
        rest = &after[end..];
    }
    text.push_str(rest);
    text.split(['\r', '\n']).map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}
