//! Variables as people write them, and what is never shown of them.

use crate::directory::{Directory, ORDERS};
use crate::orders::order;
use crate::process::{Ended, cache, longshore, run};
use longshore_testkit::guest;

/// What must not be seen.
const SECRET: &str = "swordfish7";

/// A worker with these variables, on a queue with one message.
fn drain(variables: &[(&str, &str)], flags: &[&str]) -> Ended {
    let directory = Directory::new();
    directory.send([order("o-1", "ok")]);
    let mut worker = longshore(["run", "--output=json", "--queue", &directory.url(ORDERS), "--component"]);
    worker.arg(guest::order()).arg("--cache-dir").arg(cache()).args(flags);
    run(worker.envs(variables.iter().copied())).never_panicked()
}

#[test]
fn what_is_off_contradicts_no_flag_and_what_is_on_does() {
    for off in ["0", "false", "False", "no", "off", "", " "] {
        let ended = drain(&[("LONGSHORE_FOREVER", off), ("LONGSHORE_LINGER", "0")], &[]).succeeded();
        assert_eq!(ended.json()["completed"], 1, "{off}: {ended:?}");
    }
    for on in ["1", "true", "yes", "YES", "on"] {
        let ended = drain(&[("LONGSHORE_FOREVER", on), ("LONGSHORE_LINGER", "0")], &[]).ends_with(2);
        ended.says(&["--forever", "cannot be used with"]);
    }
    drain(&[("LONGSHORE_FOREVER", "maybe")], &[]).ends_with(2).says(&["maybe"]);
    let trusted = [("LONGSHORE_TRUST_TAG", "false"), ("LONGSHORE_REQUIRE_DIGEST", "true")];
    drain(&trusted, &["--linger=0"]).succeeded();
}

#[test]
fn an_empty_variable_is_unset() {
    let names =
        ["MAX_MESSAGES", "POISON_QUEUE", "HOLD", "CONCURRENCY", "DEADLINE", "LEASE", "LOG", "OUTBOX", "ENV"];
    let variables: Vec<_> = names.iter().map(|name| (format!("LONGSHORE_{name}"), "")).collect();
    let variables: Vec<_> = variables.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let ended = drain(&variables, &["--linger=0"]).succeeded();
    assert_eq!(ended.json()["completed"], 1);
    let missing = run(longshore(["run", "--component=o.wasm"]).env("LONGSHORE_QUEUE", "")).ends_with(2);
    missing.says(&["--queue", "required"]);
    let mut help = longshore(["run", "--help"]);
    let help = run(help.env("LONGSHORE_MAX_MESSAGES", "").env("LONGSHORE_FOREVER", "no")).succeeded();
    assert!(help.stdout.contains("LONGSHORE_MAX_MESSAGES") && help.stdout.contains("LONGSHORE_FOREVER"));
}

#[test]
fn a_misspelt_variable_is_refused_with_the_nearest_name_and_the_help_is_shown_all_the_same() {
    let ended = drain(&[("LONGSHORE_MAX_DEQEUE", "7")], &[]).ends_with(2);
    ended.says(&["LONGSHORE_MAX_DEQEUE", "the nearest is LONGSHORE_MAX_DEQUEUE"]);
    // It may be why something is missing.
    let mut missing = longshore(["run", "--component=o.wasm"]);
    run(missing.env("LONGSHORE_QEUE", "file:./q/orders")).ends_with(2).says(&["nearest is LONGSHORE_QUEUE"]);
    for flag in ["--help", "--version"] {
        run(longshore([flag]).env("LONGSHORE_MAX_DEQEUE", "7")).succeeded();
    }
}

#[test]
fn a_wrong_line_is_named_by_its_number_and_none_of_its_variable_is_shown() {
    let lines = format!("first={SECRET}\n\n{SECRET}\nlast={SECRET}");
    for (variable, line) in [("LONGSHORE_CONFIG", lines.as_str()), ("LONGSHORE_ENV", &lines)] {
        let ended = drain(&[(variable, line)], &[]).ends_with(2);
        ended.says(&[&format!("line 3 of {variable}")]);
        assert!(!ended.stderr.contains(SECRET) && !ended.stdout.contains(SECRET), "{ended:?}");
    }
    let outbox = format!("a=https://account.queue.core.windows.net/orders?sig={SECRET}\nb={SECRET}");
    let ended = drain(&[("LONGSHORE_OUTBOX", &outbox)], &[]).ends_with(2);
    ended.says(&["line 2 of LONGSHORE_OUTBOX"]);
    for flags in [
        &["--config", SECRET][..],
        &["--config", &format!("={SECRET}")],
        &["--config", &format!("key=@{SECRET}")],
        &["--env", SECRET],
    ] {
        let ended = drain(&[], flags).ends_with(2);
        assert!(!ended.stderr.contains(SECRET) && ended.stderr.contains(flags[0]), "{ended:?}");
    }
    let start = ["job", "start", "--env", SECRET, "--job"];
    let job = "/subscriptions/s/resourceGroups/g/providers/Microsoft.App/jobs/orders";
    let ended = run(longshore(start).arg(job)).ends_with(2);
    assert!(!ended.stderr.contains(SECRET), "{ended:?}");
}

#[test]
fn a_setting_of_several_lines_is_one_value_from_a_flag_and_from_a_file() {
    let pem = "-----BEGIN KEY-----\nabc=\n-----END KEY-----\n";
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("key.pem");
    std::fs::write(&file, pem).unwrap();
    let from_file = format!("greeting=@{}", file.display());
    let read = |flags: &[&str], variables: &[(&str, &str)]| {
        let mut invoke = longshore(["invoke", "config:greeting", "--output=json", "--component"]);
        invoke.arg(guest::rogue()).arg("--cache-dir").arg(cache());
        invoke.args(["--outbox=invoices=file:./q/invoices"]).args(flags).envs(variables.iter().copied());
        run(&mut invoke).ends_with(1).json()["detail"].as_str().unwrap().to_owned()
    };
    for (detail, value) in [
        (read(&["--config", &format!("greeting={pem}")], &[]), pem),
        (read(&["--config", &from_file], &[]), pem),
        (read(&[], &[("LONGSHORE_CONFIG", &from_file)]), pem),
        (read(&["--config", "greeting=@@bob"], &[]), "@bob"),
    ] {
        assert!(detail.contains(&format!("{value:?}")), "{detail}");
    }
}
