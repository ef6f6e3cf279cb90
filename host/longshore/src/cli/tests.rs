//! What holds for all flags together.

use std::collections::BTreeSet;

use clap::{Command, CommandFactory, Parser};

use super::{Cli, Verb};
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
    assert_eq!(format!("{:?}", run.sandbox.settings(16)), format!("{:?}", Settings::default()));
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
fn grants_are_repeated_flags_or_lines() {
    let flags = ["--config", "a=1", "--config", "b=x=y\nc=", "--env", "KEY=1", "--allow-http", "example.com"];
    let verb =
        ["longshore", "invoke", "--component", "o.wasm", "--outbox", "invoices=file:./q/invoices", "{}"];
    let cli = Cli::parse_from(verb.into_iter().chain(flags));
    let Verb::Invoke(invoke) = cli.verb else { panic!("not invoke") };
    let grants = invoke.sandbox.grants.grants();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(grants.config, [pair("a", "1"), pair("b", "x=y"), pair("c", "")]);
    assert_eq!(grants.env, [pair("KEY", "1")]);
    assert_eq!((grants.http.len(), grants.outputs), (1, vec!["invoices".to_owned()]));
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
    let secrets = ["component", "config", "env", "outbox", "poison_queue", "queue"];
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
    assert!(Cli::try_parse_from(["longshore", "check"]).is_err(), "neither a queue nor a job");
}
