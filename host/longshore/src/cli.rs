//! Every verb and flag, declared with clap. Flags double as `LONGSHORE_…` variables, and as keys of
//! `longshore.toml`.

mod args;
mod check;
mod compile;
mod completions;
mod config;
mod deploy;
mod dev;
mod examples;
mod format;
mod given;
#[cfg(test)]
mod help;
mod inspect;
mod invoke;
mod job;
mod man;
mod nearest;
mod new;
mod outbox;
mod page;
mod parse;
mod peek;
mod poison;
mod project;
mod push;
mod queue;
mod refusal;
mod registry;
mod releases;
mod run;
mod sandbox;
mod send;
mod sessions;
#[cfg(test)]
mod tests;
mod text_file;
mod ui;
mod values;
mod variables;

use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use clap::{Parser, Subcommand};

use self::args::AZURE;
pub use self::args::{
    ArmArg, ComponentArg, ComponentPath, ConcurrencyArg, JobArg, JobOf, PoisonArg, PoisonOf, QueueArg,
};
pub use self::check::CheckArgs;
pub use self::compile::CompileArgs;
pub use self::completions::CompletionsArgs;
pub use self::config::{ConfigArgs, ConfigVerb};
pub use self::deploy::DeployArgs;
pub use self::dev::DevArgs;
#[cfg(feature = "dev")]
pub(crate) use self::dev::ScheduleArgs;
pub use self::format::Format;
use self::format::{FormatParser, OUTPUT};
pub use self::given::Given;
pub use self::inspect::InspectArgs;
pub use self::invoke::{InvokeArgs, InvokedWith};
pub use self::job::{JobListArgs, JobLogsArgs, JobStartArgs, JobStatusArgs, JobStopArgs, JobVerb};
pub use self::man::ManArgs;
pub use self::new::{Language, NewArgs};
pub use self::outbox::{EncodingOf, OutboxQueue};
#[cfg(feature = "dev")]
pub(crate) use self::page::PageArgs;
pub(crate) use self::parse::parse;
#[cfg(test)]
use self::parse::short_help;
pub use self::peek::PeekArgs;
pub use self::poison::{PoisonVerb, PurgeArgs, RedriveArgs, ReplayArgs, Selection};
pub(crate) use self::project::{
    BUILD, FILE_NAME as PROJECT_FILE, PROFILES, Project, ProjectKey, ProjectKeys, ProjectValue, ValueShape,
};
use self::project::{NO_PROJECT, PROFILE, PROJECT};
pub use self::push::PushArgs;
pub use self::queue::{QueueDeleteArgs, QueueSessionsArgs, QueueVerb};
pub(crate) use self::refusal::{refuse, without_secrets};
pub use self::registry::{FetchArgs, RegistryArgs, RegistryLogin};
pub use self::releases::{ReleasesArgs, RollbackArgs};
pub use self::run::RunArgs;
pub use self::sandbox::{GrantArgs, SandboxArgs};
pub use self::send::SendArgs;
pub use self::sessions::{OnPoison, SessionArgs};
pub use self::ui::UiArgs;
pub use self::values::Lines;
#[cfg(test)]
use self::variables::PREFIX;
pub(crate) use self::variables::{is_switch, is_unset, misspelt, switch};
use crate::exit::EXIT_CODES;
use crate::telemetry::LogFormat;
use longshore_azure::Credential;

/// Unloads a queue, and hands each message to a sandboxed WebAssembly component.
#[derive(Debug, Parser)]
#[command(name = "longshore", version, after_long_help = format!("{EXIT_CODES}\n\n{}", examples::LONGSHORE), propagate_version = true)]
pub struct Cli {
    /// How results are printed.
    ///
    /// They go to standard output. Here as everywhere, a flag beats its variable.
    #[arg(
        long,
        global = true,
        help_heading = OUTPUT,
        value_parser = FormatParser,
        default_value = "table",
        value_name = "FORMAT",
        env = "LONGSHORE_OUTPUT"
    )]
    pub output: Format,

    /// Which log lines are written, to standard error: a level, or filters such as
    /// `info,longshore_worker=debug`.
    #[arg(
        long,
        global = true,
        help_heading = OUTPUT,
        hide_short_help = true,
        default_value = "info",
        env = "LONGSHORE_LOG",
        value_name = "FILTER"
    )]
    pub log: String,

    /// How log lines look; auto: for people on a terminal, JSON elsewhere.
    #[arg(
        long,
        global = true,
        help_heading = OUTPUT,
        hide_short_help = true,
        value_enum,
        default_value_t,
        env = "LONGSHORE_LOG_FORMAT"
    )]
    pub log_format: LogFormat,

    /// Who the host is to Azure.
    #[arg(long, global = true, help_heading = AZURE, hide_short_help = true, value_enum, default_value_t, env = "LONGSHORE_CREDENTIAL")]
    pub credential: Credential,

    /// The project file. Its keys are flags, for all verbs; a flag beats its variable, and a
    /// variable beats the file [default: `longshore.toml` in the working directory, if it is
    /// there].
    // The variables are constants, since this module is not all that reads them.
    #[arg(long, global = true, help_heading = "Project", hide_short_help = true, env = PROJECT, value_name = "FILE")]
    pub project: Option<PathBuf>,

    /// The part of the project file that beats the rest of it: `azure` chooses `[profile.azure]`.
    #[arg(long, global = true, help_heading = "Project", hide_short_help = true, env = PROFILE, value_name = "NAME")]
    pub profile: Option<String>,

    /// Read no project file.
    #[arg(long, global = true, help_heading = "Project", hide_short_help = true, env = NO_PROJECT, value_parser = BoolishValueParser::new())]
    pub no_project: bool,

    /// Stop as after SIGTERM when standard input ends. `longshore dev` holds the other end of a
    /// pipe there: nothing that it starts outlives it.
    // No variable: it is for the one process that has made the pipe.
    #[arg(long, global = true, hide = true)]
    pub stop_with_input: bool,

    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What `longshore` can do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Make the project of a handler.
    ///
    /// It has a source, tests, sample messages and a project file.
    #[command(after_long_help = examples::NEW)]
    New(NewArgs),
    /// Build the component as `[build]` in the project file says.
    #[command(after_long_help = examples::BUILD)]
    Build,
    /// Work off a queue: lease, handle and settle messages until none is left.
    #[command(after_long_help = examples::RUN)]
    Run(Box<RunArgs>),
    /// Run the job on this machine as KEDA and Container Apps would.
    ///
    /// Each execution is a process of `longshore run` with the same flags. It reads variables and
    /// the project file by itself.
    #[command(after_long_help = examples::DEV)]
    Dev(Box<DevArgs>),
    /// Show a queue and its job on a page.
    ///
    /// It is for this machine only.
    #[command(after_long_help = examples::UI)]
    Ui(Box<UiArgs>),
    /// Put messages into a queue.
    #[command(after_long_help = examples::SEND)]
    Send(SendArgs),
    /// Look at the first messages of a queue without leasing or counting them.
    #[command(after_long_help = examples::PEEK)]
    Peek(PeekArgs),
    /// Say what is there and what the identity may do, before the first message and without
    /// touching any.
    #[command(after_long_help = examples::CHECK)]
    Check(Box<CheckArgs>),
    /// Look after messages that could not be handled.
    #[command(subcommand)]
    Poison(PoisonVerb),
    /// Look after queues.
    #[command(subcommand)]
    Queue(QueueVerb),
    /// Start and stop executions of the Container Apps job, and see what became of them.
    #[command(subcommand)]
    Job(JobVerb),
    /// Hand one message to a component, without any queue, in the same sandbox.
    #[command(after_long_help = examples::INVOKE)]
    Invoke(Box<InvokeArgs>),
    /// Show what a component imports and exports, and whether this host offers it.
    #[command(after_long_help = examples::INSPECT)]
    Inspect(InspectArgs),
    /// Compile a component ahead of time, for `--precompiled`.
    #[command(after_long_help = examples::COMPILE)]
    Compile(CompileArgs),
    /// Push a component to a registry, to be run from there.
    #[command(after_long_help = examples::PUSH)]
    Push(PushArgs),
    /// Push a handler, and have a Container Apps job run it.
    ///
    /// The job gets the grants and the settings of the project file.
    #[command(after_long_help = examples::DEPLOY)]
    Deploy(Box<DeployArgs>),
    /// List what was deployed, the newest first.
    ///
    /// The registry knows the releases, and the job which ones its executions ran.
    #[command(after_long_help = examples::RELEASES)]
    Releases(ReleasesArgs),
    /// Have a Container Apps job run an earlier release.
    #[command(after_long_help = examples::ROLLBACK)]
    Rollback(RollbackArgs),
    /// Print what completes verbs and flags in a shell.
    #[command(after_long_help = examples::COMPLETIONS)]
    Completions(CompletionsArgs),
    /// Write a man page for each verb.
    #[command(hide = true, after_long_help = examples::MAN)]
    Man(ManArgs),
    /// Show what is in force, and where each value comes from.
    #[command(after_long_help = examples::CONFIG)]
    Config(Box<ConfigArgs>),
}
