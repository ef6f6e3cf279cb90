//! The variables that double as flags: which of them say something, and which are misspelt.

use clap::builder::{BoolishValueParser, TypedValueParser};
use clap::{Arg, Command};

use super::nearest::nearest;

/// What the names of our variables begin with.
pub(crate) const PREFIX: &str = "LONGSHORE_";

/// Variables that are no flags: a secret has no place on a command line.
const WITHOUT_A_FLAG: [&str; 3] =
    ["LONGSHORE_REGISTRY_USER", "LONGSHORE_REGISTRY_PASSWORD", "LONGSHORE_REGISTRY_HOST"];

/// Makes each flag forget a variable that says nothing.
pub(super) fn without_unset(command: Command) -> Command {
    let forget = |arg: Arg| if says_nothing(&arg) { arg.env(None::<&str>) } else { arg };
    // A command that is changed is made anew, which takes time at each start.
    let command = if command.get_arguments().any(says_nothing) { command.mut_args(forget) } else { command };
    if command.get_subcommands().any(has_unset) { command.mut_subcommands(without_unset) } else { command }
}

fn has_unset(command: &Command) -> bool {
    command.get_arguments().any(says_nothing) || command.get_subcommands().any(has_unset)
}

fn says_nothing(arg: &Arg) -> bool {
    let value = arg.get_env().and_then(std::env::var_os);
    value.as_deref().and_then(|value| value.to_str()).is_some_and(|value| is_unset(arg, value))
}

/// Whether the variable of a flag holds something, be it only that the flag is off.
pub(super) fn says_something(arg: &Arg) -> bool {
    let value = arg.get_env().and_then(std::env::var_os);
    value.is_some_and(|value| !value.to_string_lossy().trim().is_empty())
}

/// Whether a variable's value says nothing: it is empty, or switches off what is off anyway. Such a
/// variable contradicts no flag.
pub(crate) fn is_unset(arg: &Arg, value: &str) -> bool {
    value.trim().is_empty() || is_switch(arg) && switch(value) == Some(false)
}

/// Whether a flag takes no value.
pub(crate) fn is_switch(arg: &Arg) -> bool {
    !arg.get_action().takes_values()
}

/// What the value of a switch's variable says; `None` if it is neither yes nor no.
pub(crate) fn switch(value: &str) -> Option<bool> {
    BoolishValueParser::new().parse_ref(&Command::new(""), None, value.as_ref()).ok()
}

/// What to say of the first variable that is called as ours are, and is none of them.
pub(crate) fn misspelt(names: impl Iterator<Item = String>, command: &Command) -> Option<String> {
    let mut known = WITHOUT_A_FLAG.to_vec();
    collect(command, &mut known);
    let mut unknown = names.filter(|name| name.starts_with(PREFIX) && !known.contains(&name.as_str()));
    let name = unknown.next()?;
    let nearest = nearest(&name.to_ascii_uppercase(), known.iter().copied())?;
    Some(format!(
        "there is no variable {name}; the nearest is {nearest}: set that one, or take the other away; `longshore run --help` lists them"
    ))
}

fn collect<'a>(command: &'a Command, names: &mut Vec<&'a str>) {
    names.extend(command.get_arguments().filter_map(|arg| arg.get_env()?.to_str()));
    command.get_subcommands().for_each(|verb| collect(verb, names));
}
