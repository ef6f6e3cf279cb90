//! The flags of `longshore dev`: those of `run`, and what Azure Container Apps is told of the job.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, ValueHint, value_parser};

use super::page::{PAGE, PageArgs};
use super::run::RunArgs;
use super::values::{duration, some_time};

/// The heading of what Azure is told of the job.
const JOB: &str = "The job";

/// Run the job on this machine as Azure would.
#[derive(Debug, Args)]
pub struct DevArgs {
    #[command(flatten)]
    pub(crate) schedule: ScheduleArgs,

    /// The parameters of the deployment, as JSON: the job has its settings from there.
    ///
    /// They beat the project file; flags and variables beat them. `bicep build-params` makes JSON
    /// of a `.bicepparam`.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = JOB)]
    pub parameters: Option<PathBuf>,

    /// Work off the queue, say what happened, and end. With an execution that failed it ends after
    /// those that still run.
    #[arg(long)]
    pub once: bool,

    /// Serve no page.
    #[arg(long, help_heading = PAGE, conflicts_with_all = ["port", "numeric_address", "no_bodies"])]
    pub no_page: bool,

    #[command(flatten)]
    pub(crate) page: PageArgs,

    #[command(flatten)]
    pub(crate) run: ForwardedRun,
}

/// What Azure Container Apps and KEDA are told of the job.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = JOB)]
pub(crate) struct ScheduleArgs {
    /// How many executions run at once at most: `maxExecutions`.
    #[arg(long, env = "LONGSHORE_MAX_EXECUTIONS", value_name = "N", default_value_t = 10, value_parser = value_parser!(u32).range(1..=1000))]
    pub max_executions: u32,

    /// How many messages one execution is meant to take: `queueLength` [default: what infra/
    /// computes from --cpu, --handling and --busy].
    #[arg(long, env = "LONGSHORE_QUEUE_LENGTH", value_name = "N", value_parser = value_parser!(u64).range(1..))]
    pub queue_length: Option<u64>,

    /// The cores of a replica, which has 2 GiB of memory for each.
    #[arg(long, env = "LONGSHORE_CPU", value_name = "N", default_value = "0.5", value_parser = ["0.25", "0.5", "0.75", "1.0", "1.25", "1.5", "1.75", "2.0"], hide_short_help = true)]
    pub cpu: String,

    /// What a handler takes for an ordinary message.
    #[arg(long, env = "LONGSHORE_HANDLING", value_name = "D", default_value = "500ms", value_parser = some_time, hide_short_help = true)]
    pub handling: Duration,

    /// For how much work one execution is started.
    #[arg(long, env = "LONGSHORE_BUSY", value_name = "D", default_value = "30s", value_parser = some_time, hide_short_help = true)]
    pub busy: Duration,

    /// How often KEDA looks at the queue: `pollingInterval`.
    #[arg(long, env = "LONGSHORE_POLL", value_name = "D", default_value = "30s", value_parser = some_time)]
    pub poll: Duration,

    /// How long an execution takes from its creation to its start.
    #[arg(long, env = "LONGSHORE_START_DELAY", value_name = "D", default_value = "15s", value_parser = duration)]
    pub start_delay: Duration,

    /// How long an execution may last: `replicaTimeout` [default: what infra/ computes, 120s and
    /// --time-budget and --grace and 10s].
    #[arg(long, env = "LONGSHORE_REPLICA_TIMEOUT", value_name = "D", value_parser = some_time)]
    pub replica_timeout: Option<Duration>,

    /// How often a container that failed is started again within its execution:
    /// `replicaRetryLimit`.
    #[arg(long, env = "LONGSHORE_RETRY_LIMIT", value_name = "N", default_value_t = 0, value_parser = value_parser!(u32).range(..=100), hide_short_help = true)]
    pub retry_limit: u32,

    /// Divide the time between polls, the start delay and the replica timeout by this. Leases and
    /// retries take the time that they take.
    #[arg(long, env = "LONGSHORE_SPEED", value_name = "N", default_value_t = 1, value_parser = value_parser!(u32).range(1..=1000))]
    pub speed: u32,
}

/// The flags of `run`, and the words with which a child process is given the same.
#[derive(Debug)]
#[cfg_attr(not(feature = "dev"), allow(dead_code, reason = "a host without `dev` refuses the verb"))]
pub(crate) struct ForwardedRun {
    pub(crate) args: RunArgs,
    /// What stands on the command line. Variables and the project file reach the child by
    /// themselves.
    pub(crate) words: Vec<OsString>,
    /// Whether the command line asks for a run without an end.
    pub(crate) says_forever: bool,
}

/// Flags that every child is given anew.
const SET_FOR_CHILDREN: [&str; 5] = ["output", "log_format", "stop_with_input", "watch", "forever"];

/// Flags of every verb that take a value, and that a child is given as they are.
const GLOBALS: [&str; 4] = ["log", "credential", "project", "profile"];

impl ForwardedRun {
    /// Whether a flag stands on the command line.
    fn says(matches: &ArgMatches, arg: &Arg) -> bool {
        let id = arg.get_id().as_str();
        matches.try_contains_id(id).is_ok() && matches.value_source(id) == Some(ValueSource::CommandLine)
    }

    fn words(matches: &ArgMatches) -> Vec<OsString> {
        let global = |name: &str| Arg::new(name.to_owned()).long(name.replace('_', "-"));
        let mut globals = GLOBALS.map(global).to_vec();
        globals.push(global("no_project").action(ArgAction::SetTrue));
        let run = RunArgs::augment_args(Command::new("run"));
        let is_forwarded =
            |arg: &&Arg| !SET_FOR_CHILDREN.contains(&arg.get_id().as_str()) && Self::says(matches, arg);
        let forwarded = globals.iter().chain(run.get_arguments()).filter(is_forwarded);
        let mut words = Vec::new();
        for arg in forwarded {
            let Some(long) = arg.get_long() else { continue };
            if !arg.get_action().takes_values() {
                words.push(format!("--{long}").into());
                continue;
            }
            for value in matches.get_raw(arg.get_id().as_str()).into_iter().flatten() {
                let mut word = OsString::from(format!("--{long}="));
                word.push(value);
                words.push(word);
            }
        }
        words
    }
}

impl FromArgMatches for ForwardedRun {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let is_given = matches.value_source("forever") == Some(ValueSource::CommandLine);
        Ok(Self {
            args: RunArgs::from_arg_matches(matches)?,
            words: Self::words(matches),
            says_forever: is_given && matches.get_flag("forever"),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for ForwardedRun {
    fn augment_args(command: Command) -> Command {
        // An execution ends, and looks at a component that is a file anyway.
        let hide = |arg: Arg| arg.hide(true);
        // What is shown in short is how `dev` differs from `run`.
        let of_run = |it: &Arg| !["queue", "component"].contains(&it.get_id().as_str());
        let run = RunArgs::augment_args(Command::new("run"));
        let details: Vec<_> = run.get_arguments().filter(|it| of_run(it)).map(Arg::get_id).cloned().collect();
        let command = RunArgs::augment_args(command).mut_arg("watch", hide).mut_arg("forever", hide);
        details.into_iter().fold(command, |command, id| command.mut_arg(id, |arg| arg.hide_short_help(true)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::{GLOBALS, SET_FOR_CHILDREN};
    use crate::cli::{Cli, Verb};

    #[test]
    fn every_flag_of_every_verb_is_handed_on_or_set_for_the_child() {
        let command = Cli::command();
        let globals = command.get_arguments().filter(|arg| arg.is_global_set());
        let mut names: Vec<_> = globals.map(|arg| arg.get_id().as_str()).collect();
        let mut known = [&GLOBALS[..], &["no_project"], &SET_FOR_CHILDREN[..3]].concat();
        names.sort_unstable();
        known.sort_unstable();
        assert_eq!(names, known);
    }

    #[test]
    fn what_stands_on_the_command_line_is_what_an_execution_is_given() {
        let words =
            ["longshore", "dev", "--queue=file:./q/orders", "--component", "o.wasm", "--speed=10", "--once"];
        let more = [
            "--env",
            "A=1",
            "--env=B=x y",
            "--require-digest",
            "--log=debug",
            "--output=json",
            "--deadline=5s",
        ];
        let cli = Cli::parse_from(words.into_iter().chain(more));
        let Verb::Dev(dev) = cli.verb else { panic!("not dev") };
        let mut given: Vec<_> = dev.run.words.iter().map(|it| it.to_str().unwrap()).collect();
        given.sort_unstable();
        let expected = [
            "--component=o.wasm",
            "--deadline=5s",
            "--env=A=1",
            "--env=B=x y",
            "--log=debug",
            "--queue=file:./q/orders",
            "--require-digest",
        ];
        assert_eq!(given, expected);
    }
}
