//! `longshore run` as programs and operators rely on it: exit codes, the summary, flags and their
//! variables.

use std::collections::BTreeSet;
use std::time::Duration;

use clap::CommandFactory;

use crate::directory::{Directory, ORDERS};
use crate::orders::order;
use crate::process::{cache, longshore, run};
use longshore_testkit::guest;

#[test]
fn the_exit_code_is_0_when_all_is_settled_although_messages_failed() {
    let directory = Directory::new();
    directory.send([order("o-1", "reject"), order("o-2", "ok"), "{".into()]);
    let ended = run(&mut directory.worker(&[])).succeeded();
    assert_eq!(ended.json()["poison_reasons"], serde_json::json!({ "rejected": 2 }));
}

#[test]
fn the_exit_code_is_1_for_what_has_no_code_of_its_own() {
    let directory = Directory::new();
    let (queue, too_large) = (directory.url(ORDERS), "x".repeat(64 * 1024 + 1));
    for arguments in [
        vec!["send", "--queue", &queue, "--file", "./missing.jsonl"],
        vec!["send", "--queue", &queue, &too_large],
    ] {
        let ended = run(&mut longshore(&arguments));
        assert_eq!(ended.code(), 1, "{:?}: {ended:?}", &arguments[..3]);
    }
    let no_time = run(&mut longshore(["invoke", "{}", "--component=o.wasm", "--deadline=0"]));
    no_time.ends_with(2).says(&["leaves no time"]);
    let rejected = order("o-1", "reject");
    let mut invoke = longshore(["invoke", &rejected, "--component"]);
    let ended = run(invoke.arg(guest::order()).arg("--cache-dir").arg(cache()));
    assert_eq!(ended.code(), 1, "what a handler says is no fault of the host: {ended:?}");
}

#[test]
fn the_exit_code_is_3_in_every_verb_whose_component_cannot_be_had_or_loaded() {
    let directory = Directory::new();
    let core = directory.path("core.wasm");
    std::fs::write(&core, wat::parse_str("(module)").unwrap()).unwrap();
    let (core, queue) = (core.to_str().unwrap(), directory.url(ORDERS));
    let to = directory.path("compiled");
    let to = to.to_str().unwrap();
    for (component, words) in [("./missing.wasm", "is the path right"), (core, "core module")] {
        for arguments in [
            vec!["inspect", component],
            vec!["invoke", "--component", component, "{}"],
            vec!["push", component, "oci://127.0.0.1:1/order:1"],
            vec!["check", "--queue", &queue, "--component", component],
        ] {
            let ended = run(&mut longshore(&arguments)).never_panicked();
            assert_eq!(ended.code(), 3, "{arguments:?}: {ended:?}");
            assert!((ended.stdout + &ended.stderr).contains(words), "{arguments:?} does not say {words}");
        }
        let ended = run(&mut longshore(["compile", component, "--to", to])).never_panicked();
        assert_eq!(ended.code(), 3, "compile {component}: {ended:?}");
    }
}

#[test]
fn the_exit_code_is_2_and_a_sentence_says_why_when_flags_contradict_each_other() {
    let directory = Directory::new();
    directory.send([order("o-1", "ok")]);
    let url = directory.url(ORDERS);
    let run_with = |flags: &[&'static str]| {
        let mut all = vec!["run", "--component=o.wasm", "--queue", &url];
        all.extend(flags);
        run(&mut longshore(all))
    };
    let itself = format!("{}/../{}/orders/", url.trim_end_matches("/orders"), {
        let directory = directory.path("");
        directory.file_name().unwrap().to_str().unwrap().to_owned()
    });
    for queue in [&url, &itself] {
        let ended =
            run(longshore(["run", "--component=o.wasm", "--queue", &url, "--poison-queue"]).arg(queue));
        assert_eq!(ended.code(), 2, "{queue}: {ended:?}");
        ended.says(&["is the queue itself", "name another with --poison-queue"]);
    }
    for (flags, words) in [
        (&["--forever", "--linger=5s"][..], "cannot be used with"),
        (&["--forever", "--time-budget=5m"], "cannot be used with"),
        (&["--time-budget=30s", "--deadline=30s"], "leaves no time to receive"),
        (&["--time-budget=10s"], "leaves no time to receive"),
        (&["--visibility=900ms"], "is not between 1s and 7days"),
        (&["--visibility=8d"], "is not between 1s and 7days"),
        (&["--deadline=0"], "leaves no time"),
        (&["--load-timeout=0"], "leaves no time"),
        (&["--forever", "--lease=fixed", "--deadline=7days"], "longer than a lease"),
        (&["--forever", "--deadline=167h 59m 31s"], "take --lease renew"),
        (&["--linger=10000000000days"], "longer than ten years"),
        (&["--retry-base=1m", "--retry-cap=30s"], "is shorter than"),
        (&["--deadline=soon"], "write it as in 30s"),
        (&["--concurrency=0"], "1..=1000"),
        (&["--max-dequeue=0"], "--max-dequeue"),
        (&["--log=longshore=loud"], "write a level such as info"),
        (&["--poison-queue=orders"], "write `file:./queues/orders`"),
    ] {
        let ended = run_with(flags).never_panicked();
        assert_eq!(ended.code(), 2, "{flags:?}: {ended:?}");
        assert!(ended.stderr.contains(words), "{flags:?}: {}", ended.stderr);
    }
    for arguments in [
        vec!["send", "--queue", &url],
        vec!["send", "--queue", &url, "--sample=3", "{}"],
        vec!["send", "--queue", &url, "--delay=8d", "{}"],
        vec!["run", "--queue", &url],
        vec!["fly"],
    ] {
        let ended = run(&mut longshore(&arguments)).never_panicked();
        assert_eq!(ended.code(), 2, "{arguments:?}: {ended:?}");
        assert!(!ended.stderr.is_empty());
    }
    assert_eq!(directory.rows(ORDERS)[0].dequeue_count, 0, "nothing was received, and nothing sent");
    assert_eq!(directory.rows(ORDERS).len(), 1);
}

#[test]
fn the_exit_code_is_3_and_the_mend_is_named_when_the_queue_is_not_there() {
    let directory = Directory::new();
    let missing = directory.url("missing");
    let nowhere = format!("file:{}/orders", directory.path("nowhere").display());
    for (queue, mend) in [(&missing, "longshore queue create --queue"), (&nowhere, "longshore queue create")]
    {
        for verb in [
            &["run", "--component=o.wasm"][..],
            &["peek"],
            &["send", "{}"],
            &["queue", "stats"],
            &["poison", "list", "--all"],
        ] {
            let ended = run(longshore(verb).arg("--queue").arg(queue)).never_panicked();
            assert_eq!(ended.code(), 3, "{verb:?}: {ended:?}");
            let last = ended.stderr.lines().last().unwrap();
            assert!(last.starts_with("longshore: ") && last.contains(mend), "{verb:?}: {last}");
        }
    }
}

#[test]
fn the_exit_code_is_4_when_the_breaker_is_open_at_the_end() {
    let directory = Directory::new();
    directory.send((0..8).map(|n| order(&format!("o-{n}"), "retry")));
    let ended = run(&mut directory.worker(&["--breaker=20", "--hold=0"])).never_panicked();
    assert_eq!(ended.code(), 4, "{ended:?}");
    assert_eq!((&ended.json()["received"], &ended.json()["poisoned"]), (&5.into(), &0.into()));
    assert!(ended.stderr.lines().last().unwrap().contains("circuit breaker"), "{}", ended.stderr);
}

#[test]
fn the_summary_has_exactly_the_documented_keys() {
    let directory = Directory::new();
    let ended = run(&mut directory.worker(&[])).succeeded();
    let summary = ended.json();
    let keys: BTreeSet<_> = summary.as_object().unwrap().keys().map(String::as_str).collect();
    let documented = [
        "abandoned",
        "completed",
        "cpu_us",
        "duration_ms",
        "ended",
        "handler_us",
        "lease_lost",
        "peak_memory_bytes",
        "poison_reasons",
        "poisoned",
        "received",
        "retried",
    ];
    assert_eq!(keys, documented.into());
    assert_eq!(ended.stdout.lines().count(), 1, "one object, and nothing else: {}", ended.stdout);
    assert!(ended.stdout.starts_with(r#"{"ended":"drained","received":0,"#), "{}", ended.stdout);
}

#[test]
fn the_summary_says_why_the_run_ended() {
    let directory = Directory::new();
    let retries: Vec<_> = (0..8).map(|n| order(&format!("o-{n}"), "retry")).collect();
    for (flags, code, expected) in [
        (&["--max-messages=1"][..], 0, "max-messages"),
        (&["--hold=0"], 4, "breaker-open"),
        (&["--time-budget=1001ms"], 0, "time-budget"),
    ] {
        directory.send(&retries);
        let flags =
            if expected == "breaker-open" { [flags, &["--breaker=20"]].concat() } else { flags.to_vec() };
        let ended = run(&mut directory.worker(&flags)).ends_with(code);
        assert_eq!(ended.json()["ended"], expected, "{ended:?}");
    }
    let missing = directory.path("missing.wasm");
    let ended = run(&mut directory.worker_with(&missing, &["--hold=0"])).ends_with(3);
    assert_eq!(ended.json()["ended"], "component-unavailable");
    let mut worker = directory.worker(&["--forever"]).start();
    worker.wait_for_line("\"started\"");
    worker.terminate();
    assert_eq!(worker.wait().succeeded().json()["ended"], "stopped");
}

#[test]
fn variables_do_what_their_flags_do_and_flags_win() {
    let directory = Directory::new();
    directory.send([order("o-1", "sleep:60000"), order("o-2", "ok"), order("o-3", "ok")]);
    let with_variables = |flags: &[&str]| {
        let mut command = longshore(["run"]);
        command
            .env("LONGSHORE_QUEUE", directory.url(ORDERS))
            .env("LONGSHORE_COMPONENT", guest::order())
            .env("LONGSHORE_CACHE_DIR", cache())
            .env("LONGSHORE_OUTPUT", "json")
            .env("LONGSHORE_POISON_QUEUE", directory.url("elsewhere"))
            .env("LONGSHORE_DEADLINE", "300ms")
            .env("LONGSHORE_MAX_DEQUEUE", "1")
            .env("LONGSHORE_MAX_MESSAGES", "1");
        run(command.args(flags)).succeeded()
    };
    let ended = with_variables(&[]);
    assert_eq!(ended.json()["received"], 1);
    assert!(ended.stderr.contains("no answer within 300ms"), "{}", ended.stderr);
    assert_eq!((directory.rows("elsewhere").len(), directory.rows(ORDERS).len()), (1, 2));
    assert_eq!(with_variables(&["--max-messages=2"]).json()["completed"], 2);
}

#[test]
fn every_flag_of_a_run_has_a_variable() {
    let ended = run(&mut longshore(["run", "--help"])).succeeded();
    let mut flag = None;
    let mut seen = 0;
    let flags = ended.stdout.split("Examples:").next().unwrap();
    for line in flags.lines().map(str::trim_start) {
        if let Some(name) = line.strip_prefix("--").or_else(|| Some(line.split_once(", --")?.1)) {
            assert_eq!(flag, None, "a flag without a variable");
            let name = name.split([' ', '=', '[']).next().unwrap();
            flag = Some(name.to_owned()).filter(|name| !["help", "version"].contains(&name.as_str()));
        }
        if let (Some(name), true) = (&flag, line.contains("[env: ")) {
            let variable = format!("LONGSHORE_{}", name.to_uppercase().replace('-', "_"));
            assert!(line.contains(&variable), "--{name}: {line}");
            flag = None;
            seen += 1;
        }
    }
    assert_eq!(flag, None, "a flag without a variable");
    assert!(seen > 20, "{seen} flags: {}", ended.stdout);
}

#[test]
fn each_verb_explains_itself() {
    /// Asks for the help of a verb and of all verbs below it. Returns how many these are.
    fn explained(command: &clap::Command, words: &[&str]) -> usize {
        let ended = run(longshore(words).arg("--help")).succeeded();
        let usage =
            format!("Usage: {}", ["longshore"].iter().chain(words).copied().collect::<Vec<_>>().join(" "));
        assert!(ended.stdout.contains(&usage), "{words:?}: {}", ended.stdout);
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        assert!(!about.is_empty(), "{words:?} does not say what it is for");
        let below = command.get_subcommands();
        1 + below.map(|verb| explained(verb, &[words, &[verb.get_name()]].concat())).sum::<usize>()
    }
    let verbs = explained(&longshore::cli::Cli::command(), &[]);
    assert!(verbs > 20, "{verbs}");
    let ended = run(&mut longshore(["--help"]));
    for code in ["0  done", "1  anything", "2  the command line", "3  a host", "4  the circuit breaker"] {
        assert!(ended.stdout.contains(code), "{code}: {}", ended.stdout);
    }
}

#[test]
fn a_run_without_end_takes_what_comes_later() {
    let directory = Directory::new();
    let mut worker = directory.worker(&["--forever"]).start();
    worker.wait_for_line("\"started\"");
    std::thread::sleep(Duration::from_millis(500));
    directory.send([order("o-late", "ok")]);
    worker.wait_for_line("handled order o-late");
    worker.terminate();
    assert_eq!(worker.wait().succeeded().json()["completed"], 1);
}
