//! What holds for the help of all verbs.

use clap::{Command, CommandFactory, Parser};

use super::{Cli, short_help};

/// The width of a terminal that nobody has made wider.
const COLUMNS: usize = 80;
/// How many lines `-h` has at most: the screen of such a terminal.
const SCREEN: usize = 24;
/// The same where a verb grants something to a handler, or lists the verbs.
const LONG_SCREEN: usize = 40;

/// Every verb that does something, with the words that name it.
fn verbs() -> Vec<(Vec<String>, Command)> {
    fn collect(command: &Command, path: &[String], found: &mut Vec<(Vec<String>, Command)>) {
        for verb in command.get_subcommands().filter(|it| it.get_name() != "help") {
            let path = [path, &[verb.get_name().to_owned()]].concat();
            collect(verb, &path, found);
            found.push((path, verb.clone()));
        }
    }
    let mut command = Cli::command().term_width(COLUMNS);
    command.build();
    let mut found = Vec::new();
    collect(&command, &[], &mut found);
    found.push((Vec::new(), command));
    found
}

/// The commands of a verb's examples.
fn examples(verb: &Command) -> Vec<String> {
    let text = verb.get_after_long_help().map(ToString::to_string).unwrap_or_default();
    let examples = text.split_once("Examples:\n").map(|(_, examples)| examples).unwrap_or_default();
    let wide = examples.lines().find(|line| line.chars().count() > COLUMNS);
    assert_eq!(wide, None, "a help breaks this line where no shell would");
    examples.replace("\\\n    ", "").lines().map(str::to_owned).collect()
}

/// The words of a command as a shell splits it, up to what goes elsewhere.
fn words(command: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for c in command.trim().chars().chain([' ']) {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            (' ', None) => words.extend(Some(std::mem::take(&mut word)).filter(|it| !it.is_empty())),
            ('\'' | '"', None) => quote = Some(c),
            (c, _) => word.push(c),
        }
    }
    assert_eq!(quote, None, "a quote is open: {command}");
    let end = words.iter().position(|it| [">", ">>", "<"].contains(&it.as_str())).unwrap_or(words.len());
    words.truncate(end);
    words
}

#[test]
fn every_verb_ends_with_examples_that_the_program_takes() {
    const JOB: &str = "/subscriptions/s/resourceGroups/g/providers/Microsoft.App/jobs/orders";
    for (path, verb) in verbs() {
        let does_something = !verb.has_subcommands() || verb.get_name() == "config" || path.is_empty();
        let examples = examples(&verb);
        assert_eq!(examples.is_empty(), !does_something, "{path:?}");
        for example in &examples {
            let mut is_of_verb = path.is_empty();
            for command in example.split(" | ").filter(|it| it.trim_start().starts_with("longshore ")) {
                let words = words(&command.replace("$JOB", JOB));
                is_of_verb |=
                    words.iter().skip(1).zip(&path).filter(|(word, part)| word == part).count() == path.len();
                let parsed = Cli::try_parse_from(&words);
                assert!(parsed.is_ok(), "{example}: {}", parsed.unwrap_err());
            }
            assert!(is_of_verb, "{path:?} has another verb's example: {example}");
        }
    }
}

#[test]
fn the_short_help_of_every_verb_fits_a_screen() {
    for (path, verb) in verbs() {
        let grants = verb.get_arguments().any(|arg| arg.get_id() == "allow_http" && !arg.is_hide_set());
        let limit = if grants || path.is_empty() { LONG_SCREEN } else { SCREEN };
        let help = short_help(verb).render_help().to_string();
        let lines = help.lines().count();
        assert!(lines <= limit, "{path:?} has {lines} lines, more than {limit}:\n{help}");
        let wide = help.lines().find(|line| line.chars().count() > COLUMNS);
        assert_eq!(wide, None, "{path:?}");
        assert!(!help.contains("[env:"), "{path:?}: {help}");
    }
}

#[test]
fn a_flag_stands_only_with_verbs_that_use_it() {
    let has = |path: &[&str], flag: &str| {
        let found = verbs().into_iter().find(|(it, _)| it == path).unwrap_or_else(|| panic!("{path:?}"));
        found.1.get_arguments().any(|arg| arg.get_long() == Some(flag))
    };
    for (flag, with, without) in [
        ("require-digest", &["run", "invoke", "check", "inspect", "compile"][..], &["push", "peek"][..]),
        ("trust-tag", &["run", "invoke", "check"], &["inspect", "compile", "push"]),
        ("cache-dir", &["run", "invoke", "check", "inspect", "compile"], &["push", "send"]),
        ("registry-auth", &["run", "push", "inspect"], &["send", "completions"]),
        ("memory", &["run", "invoke", "check"], &["inspect", "compile"]),
        ("outbox", &["run", "invoke", "check", "inspect"], &["send", "peek", "compile"]),
        ("queue", &["run", "send", "peek", "check"], &["invoke", "inspect", "compile", "push"]),
    ] {
        with.iter().for_each(|verb| assert!(has(&[verb], flag), "{verb} --{flag}"));
        without.iter().for_each(|verb| assert!(!has(&[verb], flag), "{verb} --{flag}"));
    }
}
