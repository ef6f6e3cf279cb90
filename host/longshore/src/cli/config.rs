//! The flags of `longshore config`: all that have a variable.

use std::fmt;

use clap::{ArgMatches, Args, Command, FromArgMatches, Subcommand};

use super::args::JobOf;
use super::dev::ScheduleArgs;
use super::examples;
use super::job::LogsArg;
use super::run::RunArgs;

/// Show what is in force.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct ConfigArgs {
    /// What else than that.
    #[command(subcommand)]
    pub verb: Option<ConfigVerb>,

    #[command(flatten)]
    pub(crate) given: AnyFlags,
}

/// What `longshore config` shows else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub enum ConfigVerb {
    /// Print the JSON Schema of `longshore.toml`, for editors.
    #[command(after_long_help = examples::CONFIG_SCHEMA)]
    Schema,
}

/// Every flag that has a variable, as clap read it. None is required.
#[derive(Clone)]
pub(crate) struct AnyFlags(ArgMatches);

impl AnyFlags {
    /// Where each value comes from, and what it is.
    pub(crate) fn matches(&self) -> &ArgMatches {
        &self.0
    }
}

/// A value may be a secret.
impl fmt::Debug for AnyFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl FromArgMatches for AnyFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self(matches.clone()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0 = matches.clone();
        Ok(())
    }
}

impl Args for AnyFlags {
    fn augment_args(command: Command) -> Command {
        // A test compares these with what all verbs have together.
        let command = LogsArg::augment_args(JobOf::augment_args(RunArgs::augment_args(command)));
        let command = ScheduleArgs::augment_args(command);
        // The help of the other verbs explains them.
        command.mut_args(|arg| arg.required(false).hide(true))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}
