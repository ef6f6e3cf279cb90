//! One flag, one thing: `--output` is a format, and `--outbox` names queues. Neither takes the
//! other away.

use crate::process::{Ended, cache, longshore, run};
use longshore_testkit::guest;

/// Queues that a flag and its variable name. Nothing is sent to them: `invoke` only shows what
/// would be sent.
const INVOICES: &str = "invoices=file:./queues/invoices";
const RECEIPTS: &str = "receipts=file:./queues/receipts";

/// What became of a message whose handler sends to `invoices`.
fn invoke(variables: &[(&str, &str)], flags: &[&str]) -> Ended {
    let mut command = longshore(["invoke", "outputs:1", "--config=greeting=hello", "--component"]);
    command.arg(guest::rogue()).arg("--cache-dir").arg(cache());
    run(command.envs(variables.iter().copied()).args(flags)).never_panicked()
}

/// Whether the handler could send to `invoices`. Only a result in JSON can be asked.
fn would_send(ended: &Ended) -> bool {
    ended.json()["outbox"][0]["output"] == "invoices"
}

#[test]
fn a_format_and_an_outbox_stand_beside_each_other_wherever_they_come_from() {
    let json = ("LONGSHORE_OUTPUT", "json");
    let table = ("LONGSHORE_OUTPUT", "table");
    let invoices = ("LONGSHORE_OUTBOX", INVOICES);
    for (variables, flags) in [
        (&[json, invoices][..], &[][..]),
        (&[invoices], &["--output", "json"]),
        (&[json], &["--outbox", INVOICES]),
        (&[], &["--outbox", INVOICES, "--output", "json"]),
        (&[table, invoices], &["--output", "json"]),
        (&[json, invoices], &["--outbox", INVOICES]),
    ] {
        let ended = invoke(variables, flags).succeeded();
        assert!(would_send(&ended), "{variables:?} {flags:?}: {ended:?}");
    }
}

#[test]
fn a_format_beats_the_variable_of_its_name() {
    let variables = [("LONGSHORE_OUTPUT", "json"), ("LONGSHORE_OUTBOX", INVOICES)];
    let ended = invoke(&variables, &["--output", "table"]).succeeded();
    assert!(ended.stdout.starts_with("outcome "), "{ended:?}");
    assert!(ended.stdout.contains("to invoices: 0"), "the queues of the variable stay: {ended:?}");
}

#[test]
fn an_outbox_replaces_all_queues_of_the_variable_of_its_name() {
    let both = format!("{INVOICES}\n{RECEIPTS}");
    let variables = [("LONGSHORE_OUTPUT", "json"), ("LONGSHORE_OUTBOX", both.as_str())];
    assert!(would_send(&invoke(&variables, &[]).succeeded()));
    let ended = invoke(&variables, &["--outbox", RECEIPTS]);
    assert_eq!((ended.code(), &ended.json()["reason"]), (1, &"unknown-output".into()), "{ended:?}");
    let repeated = invoke(&variables, &["--outbox", RECEIPTS, "--outbox", INVOICES]);
    assert!(would_send(&repeated.succeeded()));
}

#[test]
fn the_filter_that_the_help_shows_shows_more_lines_of_the_worker() {
    let help = run(&mut longshore(["run", "--help"])).succeeded().stdout;
    let filters: Vec<_> = help.split('`').filter(|it| it.ends_with("=debug")).collect();
    let [filter] = filters[..] else { panic!("one example: {help}") };
    let directory = tempfile::tempdir().unwrap();
    let queue = format!("file:{}", directory.path().join("orders").display());
    run(&mut longshore(["queue", "create", "--queue", &queue])).succeeded();
    run(&mut longshore(["send", "--queue", &queue, "--sample", "1"])).succeeded();
    let mut worker =
        longshore(["run", "--log-format", "json", "--log", filter, "--queue", &queue, "--component"]);
    let ended = run(worker.arg(guest::order()).arg("--cache-dir").arg(cache())).succeeded();
    let shown = |line: &str| line.contains("\"DEBUG\"") && line.contains("longshore_worker::");
    assert!(ended.stderr.lines().any(shown), "{filter}: {ended:?}");
}

#[test]
fn a_name_of_two_queues_is_refused_before_anything_is_handled() {
    let other = ["--outbox", INVOICES, "--outbox", "invoices=file:./queues/others"];
    let ended = invoke(&[], &other);
    assert_eq!(ended.code(), 2, "{ended:?}");
    assert!(ended.stderr.contains("--outbox names two queues `invoices`"), "{ended:?}");
    let both = format!("{INVOICES}\n{INVOICES}");
    assert_eq!(invoke(&[("LONGSHORE_OUTBOX", both.as_str())], &[]).code(), 2, "in the variable");
}

#[test]
fn an_output_is_no_queue_and_an_outbox_is_no_format() {
    for (flags, words) in [
        (["--output", INVOICES], "[possible values: table, json]"),
        (["--output", "xml"], "[possible values: table, json]"),
        (["--outbox", "json"], "write it as NAME=QUEUE-URL"),
        (["--output-format", "raw"], "unexpected argument '--output-format'"),
    ] {
        let ended = invoke(&[], &flags);
        assert_eq!(ended.code(), 2, "{flags:?}: {ended:?}");
        assert!(ended.stderr.contains(words), "{flags:?}: {}", ended.stderr);
    }
}

#[test]
fn the_help_says_that_a_flag_beats_its_variable() {
    let help = run(&mut longshore(["run", "--help"])).succeeded().stdout;
    let flat = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in ["a flag beats its variable", "A flag replaces all queues of the variable"] {
        assert!(flat.contains(words), "{words}: {help}");
    }
}

#[test]
fn each_shell_gets_completions_that_know_every_verb_and_bash_reads_them() {
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let script = run(longshore(["completions", shell]).current_dir("/")).succeeded().stdout;
        for word in ["redrive", "--component", "--http-identity"] {
            assert!(script.contains(word.trim_start_matches("--")), "{shell}: {word}");
        }
        if shell == "bash" {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), &script).unwrap();
            let mut bash = std::process::Command::new("bash");
            bash.args(["--norc", "--noprofile", "-c"]).arg(format!(
                ". {}\nCOMP_WORDS=(longshore poi); COMP_CWORD=1; _longshore longshore poi longshore; echo \"${{COMPREPLY[@]}}\"",
                file.path().display()
            ));
            let completed = bash.output().unwrap();
            let words = String::from_utf8_lossy(&completed.stdout);
            assert_eq!(words.trim(), "poison", "{}", String::from_utf8_lossy(&completed.stderr));
        }
    }
}
