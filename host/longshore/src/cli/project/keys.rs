//! The keys of a project file: the flags that have a variable, as clap knows them.

use std::collections::{BTreeMap, BTreeSet};

use clap::builder::ValueParser;
use clap::{Arg, ArgAction, Command, ValueHint, value_parser};

use super::super::nearest::nearest;
use super::super::variables::{PREFIX, is_switch, switch};
use super::choice::{NO_PROJECT, PROFILE, PROJECT};
use super::value::ProjectValue;

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ValueShape {
    /// `true` or `false`.
    Switch,
    /// A whole number.
    Number,
    /// A text.
    Text,
    /// A list of texts.
    List,
    /// A table of names and values, or a list of texts such as `NAME=VALUE`.
    Table,
}

/// One key.
#[derive(Clone, Debug)]
pub(crate) struct ProjectKey {
    arg: Arg,
    shape: ValueShape,
}

/// The key of a flag, which is its name; of an argument that has only a variable, the name that the
/// flag would have. `None` if it is no key.
pub(super) fn key_of(arg: &Arg) -> Option<String> {
    let variable = arg.get_env()?.to_str()?;
    if [PROJECT, PROFILE, NO_PROJECT].contains(&variable) {
        return None;
    }
    Some(variable.strip_prefix(PREFIX)?.to_lowercase().replace('_', "-"))
}

impl ProjectKey {
    fn of(arg: &Arg) -> Self {
        let parses = |parser: ValueParser| arg.get_value_parser().type_id() == parser.type_id();
        let name = arg.get_value_names().and_then(<[_]>::first).map(|it| it.as_str()).unwrap_or_default();
        let is_table = {
            let rest = name.trim_start_matches(|c: char| c.is_ascii_uppercase());
            rest.len() < name.len() && (rest.starts_with('=') || rest.starts_with("[="))
        };
        let shape = match arg.get_action() {
            _ if is_switch(arg) => ValueShape::Switch,
            ArgAction::Append if is_table => ValueShape::Table,
            ArgAction::Append => ValueShape::List,
            _ if parses(value_parser!(u16).into())
                || parses(value_parser!(u32).into())
                || parses(value_parser!(u64).into())
                || parses(value_parser!(usize).into()) =>
            {
                ValueShape::Number
            }
            _ => ValueShape::Text,
        };
        Self { arg: arg.clone(), shape }
    }

    /// The flag, as the first verb that has it declares it.
    pub(crate) fn arg(&self) -> &Arg {
        &self.arg
    }

    /// How its value is written.
    pub(crate) fn shape(&self) -> ValueShape {
        self.shape
    }

    /// What its value is.
    pub(super) fn hint(&self) -> ValueHint {
        self.arg.get_value_hint()
    }

    /// Whether its value is an address or a path.
    pub(crate) fn is_address(&self) -> bool {
        matches!(self.hint(), ValueHint::Url | ValueHint::FilePath | ValueHint::AnyPath)
    }

    /// Reads a value as the flag does.
    ///
    /// # Errors
    /// What the flag says of it, without the flag's name.
    pub(super) fn check(&self, key: &str, value: &str) -> Result<(), String> {
        if self.shape == ValueShape::Switch {
            return Ok(());
        }
        let mut flag = Arg::new("value").long(key.to_owned()).num_args(1);
        flag = flag.value_parser(self.arg.get_value_parser().clone()).action(ArgAction::Set);
        if let Some(names) = self.arg.get_value_names() {
            flag = flag.value_names(names.iter().cloned());
        }
        let named = format!(" for '{flag}'");
        let reader = Command::new("").no_binary_name(true).disable_help_flag(true).arg(flag);
        match reader.try_get_matches_from([format!("--{key}={value}")]) {
            Ok(_) => Ok(()),
            Err(error) => {
                let said = error.render().to_string();
                let said = said.strip_prefix("error: ").unwrap_or(&said);
                // Neither the usage nor the help of this one flag is of use.
                let end = ["\n\nUsage:", "\n\nFor more"].iter().filter_map(|it| said.find(it)).min();
                Err(said[..end.unwrap_or(said.len())].replacen(&named, "", 1).trim_end().to_owned())
            }
        }
    }
}

/// All keys, by their names.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProjectKeys {
    keys: BTreeMap<String, ProjectKey>,
    /// Those that exclude each other, in both directions.
    rivals: BTreeMap<String, BTreeSet<String>>,
}

impl ProjectKeys {
    /// Collects those of a command and of all verbs below it.
    pub(crate) fn of(command: &Command) -> Self {
        let mut keys = Self::default();
        keys.collect(command);
        keys
    }

    fn collect(&mut self, command: &Command) {
        for arg in command.get_arguments() {
            let Some(key) = key_of(arg) else { continue };
            for rival in command.get_arg_conflicts_with(arg).into_iter().filter_map(key_of) {
                self.rivals.entry(rival.clone()).or_default().insert(key.clone());
                self.rivals.entry(key.clone()).or_default().insert(rival);
            }
            self.keys.entry(key).or_insert_with(|| ProjectKey::of(arg));
        }
        command.get_subcommands().for_each(|verb| self.collect(verb));
    }

    /// A key by its name.
    pub(crate) fn get(&self, key: &str) -> Option<&ProjectKey> {
        self.keys.get(key)
    }

    /// All of them, in the order of their names.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &ProjectKey)> {
        self.keys.iter().map(|(name, key)| (name.as_str(), key))
    }

    /// The keys that cannot stand beside this one.
    pub(super) fn rivals(&self, key: &str) -> impl Iterator<Item = &String> {
        self.rivals.get(key).into_iter().flatten()
    }

    /// Whether a value switches off what is off anyway, and so contradicts nothing.
    pub(super) fn is_off(&self, key: &str, value: &ProjectValue) -> bool {
        self.get(key).is_some_and(|it| it.shape == ValueShape::Switch)
            && value.texts.iter().all(|text| switch(text) == Some(false))
    }

    /// The name that is nearest to one that is none, among these and some others.
    pub(super) fn nearest<'a>(&'a self, name: &str, others: &[&'a str]) -> &'a str {
        let names = self.keys.keys().map(String::as_str).chain(others.iter().copied());
        let name = name.to_lowercase().replace('_', "-");
        nearest(&name, names).unwrap_or_default()
    }
}
