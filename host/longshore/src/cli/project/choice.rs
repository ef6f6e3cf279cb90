//! Which project file is read, and which of its profiles.

use std::ffi::OsString;

use clap::parser::ValueSource;
use clap::{ArgMatches, Command};

use super::super::variables::switch;

/// The variables of the flags that choose. They are no keys: a file does not choose itself.
pub(in crate::cli) const PROJECT: &str = "LONGSHORE_PROJECT";
/// The variable of `--profile`.
pub(in crate::cli) const PROFILE: &str = "LONGSHORE_PROFILE";
/// The variable of `--no-project`.
pub(in crate::cli) const NO_PROJECT: &str = "LONGSHORE_NO_PROJECT";

/// What the command line and the variables say of the file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Choice {
    /// The file that they name.
    pub(super) file: Option<OsString>,
    /// The profile.
    pub(super) profile: Option<String>,
    /// Whether no file is read.
    pub(super) is_off: bool,
}

impl Choice {
    /// Looks before the command line is read, since the file is a part of what clap is told.
    pub(super) fn of(command: &Command, arguments: &[OsString]) -> Self {
        let variable =
            |name: &str| std::env::var_os(name).filter(|it| !it.to_string_lossy().trim().is_empty());
        let is_ours = |argument: &&OsString| {
            let bytes = argument.as_encoded_bytes();
            ["--project", "--profile", "--no-project"].iter().any(|flag| bytes.starts_with(flag.as_bytes()))
        };
        // Clap tells a flag from the value of another one. It is asked only where that matters: a
        // second reading of the command line takes time at each start.
        let matches = if arguments.iter().any(|it| is_ours(&it)) {
            command.clone().ignore_errors(true).try_get_matches_from(arguments).ok()
        } else {
            None
        };
        let is_given =
            |matches: &&ArgMatches, flag: &str| matches.value_source(flag) == Some(ValueSource::CommandLine);
        let given = |flag: &str| matches.as_ref().filter(|it| is_given(it, flag));
        let profile = given("profile").and_then(|it| it.get_one::<String>("profile").cloned());
        let file = given("project").and_then(|it| it.get_one::<std::path::PathBuf>("project").cloned());
        let says_off = |text: OsString| text.to_str().and_then(switch) == Some(true);
        Self {
            file: file.map(Into::into).or_else(|| variable(PROJECT)),
            profile: profile.or_else(|| variable(PROFILE).map(|it| it.to_string_lossy().into_owned())),
            is_off: given("no_project").is_some() || variable(NO_PROJECT).is_some_and(says_off),
        }
    }
}
