//! What holds for all flags together.

use std::collections::BTreeSet;
use std::path::Path;

use clap::{Command, CommandFactory, Parser};

use super::{Cli, PREFIX, Verb, misspelt};
use longshore_queue::kind::KINDS;
use longshore_sandbox::Settings;

#[test]
fn the_declaration_holds_together() {
    Cli::command().debug_assert();
}

#[test]
fn a_flags_variable_is_its_name_in_capitals() {
    fn look(command: &Command, found: &mut usize) {
        for arg in command.get_arguments() {
            let (Some(flag), Some(variable)) = (arg.get_long(), arg.get_env()) else { continue };
            assert_eq!(
                variable.to_str().unwrap(),
                format!("LONGSHORE_{}", flag.to_uppercase().replace('-', "_"))
            );
            *found += 1;
        }
        command.get_subcommands().for_each(|verb| look(verb, found));
    }
    let mut found = 0;
    look(&Cli::command(), &mut found);
    assert!(found > 40, "{found}");
}

#[test]
fn the_defaults_of_the_flags_are_those_of_the_worker() {
    let cli = Cli::parse_from(["longshore", "run", "--queue", "file:./q/orders", "--component", "o.wasm"]);
    let Verb::Run(run) = cli.verb else { panic!("not run") };
    assert_eq!(format!("{:?}", run.config().unwrap()), format!("{:?}", longshore_worker::Config::default()));
}

#[test]
fn the_defaults_of_the_flags_are_those_of_the_sandbox() {
    let cli = Cli::parse_from(["longshore", "run", "--queue", "file:./q/orders", "--component", "o.wasm"]);
    let Verb::Run(run) = cli.verb else { panic!("not run") };
    assert_eq!(format!("{:?}", run.sandbox.settings(16).unwrap()), format!("{:?}", Settings::default()));
}

#[test]
fn each_flag_stands_under_the_heading_of_its_kind() {
    let command = Cli::command();
    for verb in ["run", "invoke", "check"] {
        let verb = command.find_subcommand(verb).unwrap();
        for (flag, heading) in [
            ("env", "Grants"),
            ("outbox", "Grants"),
            ("memory", "Limits of one handler"),
            ("reuse", "Limits of one handler"),
            ("cache_dir", "Components from a registry"),
        ] {
            let found = verb.get_arguments().find(|it| it.get_id() == flag).unwrap();
            assert_eq!(found.get_help_heading(), Some(heading), "{} --{flag}", verb.get_name());
        }
    }
}

#[test]
fn no_heading_stands_twice_in_a_help_and_each_kind_of_queue_in_all_that_take_one() {
    fn look(command: &mut Command) {
        let help = command.render_long_help().to_string();
        let is_heading = |line: &&str| line.ends_with(':') && !line.starts_with([' ', '-']);
        let headings: Vec<_> = help.lines().filter(is_heading).collect();
        let different: BTreeSet<_> = headings.iter().collect();
        assert_eq!(headings.len(), different.len(), "{}: {headings:?}", command.get_name());
        let takes_a_queue = command.get_arguments().any(|arg| arg.get_id() == "queue" && !arg.is_hide_set());
        if takes_a_queue && command.get_name() != "check" {
            for kind in KINDS {
                assert!(help.contains(&kind.scheme()), "{}: {}", command.get_name(), kind.name);
            }
        }
        command.get_subcommands_mut().for_each(look);
    }
    let mut command = Cli::command();
    command.build();
    look(&mut command);
}

#[test]
fn grants_are_repeated_flags() {
    let flags = ["--config", "a=1", "--config", "b=x=\ny=", "--env", "KEY=1", "--allow-http", "example.com"];
    let verb =
        ["longshore", "invoke", "--component", "o.wasm", "--outbox", "invoices=file:./q/invoices", "{}"];
    let cli = Cli::parse_from(verb.into_iter().chain(flags));
    let Verb::Invoke(invoke) = cli.verb else { panic!("not invoke") };
    let grants = invoke.sandbox.grants.grants().unwrap();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(grants.config, [pair("a", "1"), pair("b", "x=\ny=")], "a flag is one setting");
    assert_eq!(grants.env, [pair("KEY", "1")]);
    assert_eq!((grants.http.len(), grants.outbox), (1, vec!["invoices".to_owned()]));
}

#[test]
fn what_names_no_queue_is_no_outbox() {
    for (outbox, words) in
        [("json", "write it as NAME=QUEUE-URL"), ("=file:./q/one", "has no name"), ("a=nonsense", "nonsense")]
    {
        let words_of = |error: clap::Error| error.to_string();
        let refused =
            Cli::try_parse_from(["longshore", "inspect", "o.wasm", "--outbox", outbox]).map_err(words_of);
        assert!(refused.as_ref().is_err_and(|error| error.contains(words)), "{outbox}: {refused:?}");
    }
}

#[test]
fn what_may_hold_a_secret_is_hidden_in_every_verb_and_nothing_else_is() {
    fn look(command: &Command, hidden: &mut BTreeSet<String>, shown: &mut BTreeSet<String>) {
        for arg in command.get_arguments().filter(|arg| arg.get_env().is_some()) {
            let set = if arg.is_hide_env_values_set() { &mut *hidden } else { &mut *shown };
            set.insert(arg.get_id().to_string());
        }
        command.get_subcommands().for_each(|verb| look(verb, hidden, shown));
    }
    let (mut hidden, mut shown) = (BTreeSet::new(), BTreeSet::new());
    look(&Cli::command(), &mut hidden, &mut shown);
    assert_eq!(hidden.intersection(&shown).collect::<Vec<_>>(), Vec::<&String>::new());
    let secrets = ["component", "config", "env", "http_header", "outbox", "poison_queue", "queue"];
    assert_eq!(hidden, secrets.map(str::to_owned).into());
}

#[test]
fn what_a_check_is_given_reaches_it_beside_what_is_left_out() {
    const JOB: &str = "/subscriptions/s/resourceGroups/g/providers/Microsoft.App/jobs/orders";
    let check = |flags: &[&str]| {
        let cli = Cli::try_parse_from(["longshore", "check"].iter().chain(flags)).unwrap();
        let Verb::Check(check) = cli.verb else { panic!("not check") };
        (check.queue.is_some(), check.job.is_some(), check.component.is_some())
    };
    let endpoint = "--arm-endpoint=https://management.usgovcloudapi.net";
    assert_eq!(check(&["--queue=file:./q/orders", endpoint]), (true, false, false));
    assert_eq!(check(&["--job", JOB]), (false, true, false));
    let all = ["--job", JOB, endpoint, "--queue=file:./q/orders", "--component=o.wasm"];
    assert_eq!(check(&all), (true, true, true));
}

/// What is said of a variable, if it is none of ours.
fn misspelt_one(name: &str) -> Option<String> {
    misspelt(std::iter::once(name.to_owned()), &Cli::command())
}

#[test]
fn a_misspelt_variable_is_told_from_ours_with_the_nearest_name() {
    for (name, nearest) in [
        ("LONGSHORE_MAX_DEQEUE", "LONGSHORE_MAX_DEQUEUE"),
        ("LONGSHORE_CONCURENCY", "LONGSHORE_CONCURRENCY"),
        ("LONGSHORE_OUTPUTS", "LONGSHORE_OUTPUT"),
        ("LONGSHORE_queue", "LONGSHORE_QUEUE"),
        ("LONGSHORE_REGISTRY_PASWORD", "LONGSHORE_REGISTRY_PASSWORD"),
    ] {
        let said = misspelt_one(name).unwrap();
        assert!(said.contains(&format!("nearest is {nearest}:")), "{said}");
    }
    for name in ["LONGSHORE_MAX_DEQUEUE", "LONGSHORE_REGISTRY_USER", "LONGSHORE_JOB", "PATH", "longshore_x"] {
        assert_eq!(misspelt_one(name), None, "{name}");
    }
}

#[test]
fn every_variable_that_the_host_reads_by_itself_is_known() {
    fn look(directory: &Path, found: &mut usize) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                look(&path, found);
            } else if path.extension().is_some_and(|it| it == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let name = |it: &str| {
                    let ends = |c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
                    format!("{PREFIX}{}", it.split(ends).next().unwrap_or_default())
                };
                // The beginning alone names none.
                for name in text.split("\"LONGSHORE_").skip(1).map(name).filter(|it| it != PREFIX) {
                    assert_eq!(misspelt_one(&name), None, "{}", path.display());
                    *found += 1;
                }
            }
        }
    }
    let host = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut found = 0;
    for crate_of_it in ["azure", "component", "queue", "sandbox", "worker"] {
        look(&host.join(crate_of_it).join("src"), &mut found);
    }
    assert!(found > 0, "a login is read there");
}

#[test]
fn a_long_delay_on_a_queue_that_keda_counts_is_said() {
    let note = |queue: &str, delay: &str| {
        let cli = Cli::parse_from(["longshore", "send", "{}", "--queue", queue, "--delay", delay]);
        let Verb::Send(send) = cli.verb else { panic!("not send") };
        send.note()
    };
    let (storage, bus) =
        ("https://account.queue.core.windows.net/orders", "sb://ns.servicebus.windows.net/orders");
    for (queue, delay, said) in [
        (storage, "1h", true),
        (bus, "31s", true),
        (storage, "30s", false),
        (storage, "0", false),
        ("file:./q/orders", "1h", false),
    ] {
        assert_eq!(
            note(queue, delay).is_some_and(|it| it.contains("--delay of 30s at most")),
            said,
            "{queue} {delay}"
        );
    }
}

#[test]
fn a_replay_logs_what_the_handler_says_unless_it_is_told_otherwise() {
    let replay = ["poison", "replay", "--queue", "file:./q/orders", "--component", "o.wasm", "0198"];
    let log = |before: &[&str], after: &[&str]| {
        let words = [&["longshore"], before, &replay, after].concat();
        Cli::try_parse_from(words).unwrap().log
    };
    assert_eq!(log(&[], &[]), "info,guest=debug");
    assert_eq!(log(&[], &["--log", "warn"]), "warn");
    assert_eq!(log(&["--log", "info"], &[]), "info");
    let listed = Cli::parse_from(["longshore", "poison", "list", "--queue", "file:./q/orders"]);
    assert_eq!(listed.log, "info");
}
