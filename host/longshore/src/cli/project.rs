//! `longshore.toml`, the project file: flags that are written down beside a handler.
//!
//! Each flag that has a variable is a key. To clap the values of the file are defaults, so flags
//! and variables beat them.

mod choice;
mod document;
#[cfg(test)]
mod fuzz;
mod keys;
mod relative;
#[cfg(test)]
mod tests;
mod token_hosts;
mod value;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command};

use self::choice::Choice;
pub(super) use self::choice::{NO_PROJECT, PROFILE, PROJECT};
use self::document::{Document, Table};
pub(crate) use self::keys::{ProjectKey, ProjectKeys, ValueShape};
pub(crate) use self::value::{BUILD, BuildSteps, PROFILES, ProjectValue};
use super::text_file::read_text;
use super::variables::says_something;

/// The name of the file in the working directory that is read although nobody names it.
pub(crate) const FILE_NAME: &str = "longshore.toml";

/// The project file as far as it counts: the keys of the profile that was chosen, and those of the
/// base that no key of the profile replaces.
#[derive(Debug, Default)]
pub(crate) struct Project {
    /// The file, as it is named; `None` without one.
    pub(crate) file: Option<String>,
    /// The profile that was chosen.
    pub(crate) profile: Option<String>,
    /// How the component is built.
    pub(crate) build: BuildSteps,
    values: BTreeMap<String, ProjectValue>,
    /// What the profile replaces.
    replaced: Table,
    keys: ProjectKeys,
}

impl Project {
    /// Reads the file that the command line, a variable or the working directory names. Without one
    /// it is empty.
    ///
    /// # Errors
    /// What is wrong with the file, and where. It shows no value that may be a secret.
    pub(crate) fn find(command: &Command, arguments: &[std::ffi::OsString]) -> Result<Self, String> {
        let Choice { file, profile, is_off } = Choice::of(command, arguments);
        if is_off {
            return Ok(Self::default());
        }
        let path = match &file {
            Some(file) => Path::new(file),
            // A link to nothing is there, and an error.
            None if Path::new(FILE_NAME).symlink_metadata().is_ok() => {
                trusted(Path::new(FILE_NAME))?;
                Path::new(FILE_NAME)
            }
            None => match profile {
                None => return Ok(Self::default()),
                Some(profile) => {
                    return Err(format!(
                        "there is no project file that could have the profile `{profile}`: the working directory has no {FILE_NAME}; name the file with --project, or leave the profile out"
                    ));
                }
            },
        };
        let text = read_text(path).map_err(|cause| {
            format!(
                "the project file {} {cause}; name another with --project, or read none with --no-project",
                path.display()
            )
        })?;
        Self::read(&text, path, profile, ProjectKeys::of(command))
    }

    /// Reads the text of a file.
    fn read(text: &str, path: &Path, profile: Option<String>, keys: ProjectKeys) -> Result<Self, String> {
        let file = path.display().to_string();
        // What stands in the working directory stays as it is written.
        let directory = path.parent().unwrap_or(Path::new(""));
        let document = Document::read(text, &keys, directory)
            .map_err(|wrong| format!("{file}:{}:{}: {}", wrong.line, wrong.column, wrong.cause))?;
        let Document { base, mut profiles, build } = document;
        let Some(name) = profile else {
            let replaced = Table::new();
            return Ok(Self { file: Some(file), profile: None, build, values: base, replaced, keys });
        };
        let Some(table) = profiles.remove(&name) else {
            let names = profiles.keys().map(|it| format!("`{it}`")).collect::<Vec<_>>().join(", ");
            let has = if names.is_empty() { "no profiles".to_owned() } else { format!("only {names}") };
            return Err(format!(
                "{file} has {has}, and no `{name}`; write [profile.{name}] in it, or choose another with --profile"
            ));
        };
        let replaced = base.iter().filter(|(key, _)| table.contains_key(*key));
        let replaced = replaced.map(|(key, value)| (key.clone(), value.clone())).collect();
        let values = layered(base, table, &keys);
        Ok(Self { file: Some(file), profile: Some(name), build, values, replaced, keys })
    }

    /// The command, with what the file says as defaults.
    pub(crate) fn apply(&self, command: Command) -> Command {
        if self.values.is_empty() {
            return command;
        }
        command.mut_args(|arg| self.with_default(arg)).mut_subcommands(|verb| self.apply(verb))
    }

    fn with_default(&self, arg: Arg) -> Arg {
        let value = keys::key_of(&arg).and_then(|key| self.values.get(&key));
        match value {
            // A variable that switches off is unset to clap, and beats the file nevertheless.
            Some(value) if !says_something(&arg) => arg.required(false).default_values(&value.texts),
            _ => arg,
        }
    }

    /// Forgets each key that contradicts a flag or a variable, since these beat it. Says whether
    /// there was one.
    pub(crate) fn yields_to(&mut self, matches: &ArgMatches) -> bool {
        let given = explicit(matches);
        let before = self.values.len();
        let keys = &self.keys;
        self.values.retain(|key, _| keys.rivals(key).all(|rival| !given.contains(rival)));
        self.values.len() < before
    }

    /// What the file says of a key.
    pub(crate) fn value(&self, key: &str) -> Option<&ProjectValue> {
        self.values.get(key)
    }

    /// What the rest of the file says of a key that the profile replaces.
    pub(crate) fn replaced(&self, key: &str) -> Option<&ProjectValue> {
        self.replaced.get(key)
    }

    /// All that the file says, in the order of the keys.
    pub(crate) fn values(&self) -> impl Iterator<Item = (&ProjectKey, &str, &ProjectValue)> {
        self.values.iter().filter_map(|(key, value)| Some((self.keys.get(key)?, key.as_str(), value)))
    }
}

/// Whether a file that nobody named is one's own: it says what is executed, and where tokens go.
fn trusted(path: &Path) -> Result<(), String> {
    use std::os::unix::fs::MetadataExt;
    // What cannot be looked at cannot be read either, which is told there.
    let Ok(found) = path.metadata() else { return Ok(()) };
    let owner = found.uid();
    if owner == rustix::process::geteuid().as_raw() || owner == 0 {
        return Ok(());
    }
    Err(format!(
        "the project file {} belongs to another user, and says what is executed; name it with --project if you trust it, or read none with --no-project",
        path.display()
    ))
}

/// The base, with the profile over it.
fn layered(mut base: Table, profile: Table, keys: &ProjectKeys) -> Table {
    for (key, value) in &profile {
        if !keys.is_off(key, value) {
            keys.rivals(key).for_each(|rival| {
                base.remove(rival);
            });
        }
    }
    base.extend(profile);
    base
}

/// The keys that a flag or a variable gives.
fn explicit(matches: &ArgMatches) -> BTreeSet<String> {
    let (mut keys, mut level) = (BTreeSet::new(), Some(matches));
    while let Some(matches) = level {
        let given = matches.ids().filter(|id| {
            matches!(
                matches.value_source(id.as_str()),
                Some(ValueSource::CommandLine | ValueSource::EnvVariable)
            )
        });
        keys.extend(given.map(|id| id.as_str().replace('_', "-")));
        level = matches.subcommand().map(|(_, matches)| matches);
    }
    keys
}
