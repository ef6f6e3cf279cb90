//! The flags of `longshore job …`.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::args::{AZURE, JobOf};
use super::examples;
use super::values::{Lines, flat, lines, parse, property, some_time};
use longshore_azure::jobs::Overrides;
use longshore_azure::logs::{LogsEndpoint, WorkspaceId};

/// Start and stop executions of a Container Apps job, and see what became of them.
#[derive(Debug, Subcommand)]
pub enum JobVerb {
    /// Start an execution, as the job is or with something changed for this one.
    #[command(after_long_help = examples::JOB_START)]
    Start(JobStartArgs),
    /// Show one execution.
    #[command(after_long_help = examples::JOB_STATUS)]
    Status(JobStatusArgs),
    /// List the job's executions, the newest first.
    #[command(after_long_help = examples::JOB_LIST)]
    List(JobListArgs),
    /// Stop executions: each gets SIGTERM, and 30 s.
    #[command(after_long_help = examples::JOB_STOP)]
    Stop(JobStopArgs),
    /// Show what executions logged, from Log Analytics.
    ///
    /// A line is there some minutes after it was written.
    #[command(after_long_help = examples::JOB_LOGS)]
    Logs(JobLogsArgs),
}

/// Start an execution.
#[derive(Debug, Args)]
pub struct JobStartArgs {
    #[command(flatten)]
    pub(crate) of: JobOf,

    /// Wait until the execution ends. The exit code is 0 if it succeeded, 3 or 4 if that was its
    /// own, else 1.
    #[arg(long)]
    pub wait: bool,

    /// A variable of the container: another value, or one more. Can be repeated.
    // No variable of its own: LONGSHORE_ENV is what `run` grants to handlers.
    #[arg(long, value_name = "NAME=VALUE", value_parser = lines(property))]
    pub env: Vec<Lines<(String, String)>>,

    /// Another image.
    #[arg(long, value_name = "IMAGE")]
    pub image: Option<String>,

    /// Other arguments than the job's: everything that follows, such as `--args run --max-messages
    /// 10`.
    #[arg(long, value_name = "ARG", num_args = 1.., allow_hyphen_values = true)]
    pub args: Option<Vec<String>>,

    /// Which container that is for, if the job has several.
    #[arg(long, value_name = "NAME")]
    pub container: Option<String>,
}

impl JobStartArgs {
    /// What is to be different in this execution.
    pub fn overrides(&self) -> Overrides {
        Overrides {
            container: self.container.clone(),
            image: self.image.clone(),
            args: self.args.clone(),
            env: flat(&self.env),
        }
    }
}

/// Show one execution.
#[derive(Debug, Args)]
pub struct JobStatusArgs {
    #[command(flatten)]
    pub(crate) of: JobOf,

    /// The execution, as `list` shows it [default: the newest].
    #[arg(value_name = "EXECUTION", value_parser = execution)]
    pub execution: Option<String>,

    /// Wait until it ends, as `start --wait` does.
    #[arg(long)]
    pub wait: bool,
}

/// List executions.
#[derive(Debug, Args)]
pub struct JobListArgs {
    #[command(flatten)]
    pub(crate) of: JobOf,

    /// Show this many at most, the newest.
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,

    /// Only those in this state: `Running`, `Failed`, `Succeeded`, `Stopped`, …
    #[arg(long, value_name = "WORD")]
    pub status: Option<String>,
}

/// Stop executions.
#[derive(Debug, Args)]
pub struct JobStopArgs {
    #[command(flatten)]
    pub(crate) of: JobOf,

    /// The execution, as `list` shows it.
    #[arg(value_name = "EXECUTION", value_parser = execution, required_unless_present = "all")]
    pub execution: Option<String>,

    /// Stop all that run.
    #[arg(long, conflicts_with = "execution")]
    pub all: bool,
}

/// Show what executions logged.
#[derive(Debug, Args)]
pub struct JobLogsArgs {
    #[command(flatten)]
    pub(crate) of: JobOf,

    /// Only lines of this execution, as `list` shows it.
    #[arg(long, value_name = "NAME", value_parser = execution)]
    pub execution: Option<String>,

    /// Only lines about messages of this id, or with this beginning or end of it.
    #[arg(long, value_name = "ID", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub message: Option<String>,

    /// Only lines that were written in this time up to now [default: `1h`; `7days` with
    /// `--execution` or `--message`].
    #[arg(long, value_name = "D", value_parser = some_time)]
    pub since: Option<Duration>,

    /// Go on with the lines that come, until a signal such as that of Ctrl-C.
    #[arg(long)]
    pub follow: bool,

    #[command(flatten)]
    pub(crate) logs: LogsArg,
}

/// Where the log is.
#[derive(Clone, Debug, Args)]
pub(crate) struct LogsArg {
    /// The Log Analytics workspace, by its id [default: that of the job's environment].
    ///
    /// The portal calls it *Workspace ID*. With it nothing is asked of Resource Manager.
    #[arg(long, env = "LONGSHORE_WORKSPACE", value_name = "ID", value_parser = parse::<WorkspaceId>)]
    pub workspace: Option<WorkspaceId>,

    /// Log Analytics, of another cloud than that of Resource Manager. Plain HTTP is for servers on
    /// this very host.
    #[arg(long, help_heading = AZURE, hide_short_help = true, env = "LONGSHORE_LOGS_ENDPOINT", value_name = "URL", value_parser = parse::<LogsEndpoint>)]
    pub logs_endpoint: Option<LogsEndpoint>,
}

/// A name that becomes a segment of a path.
fn execution(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._()".contains(c);
    if text.is_empty() || !text.chars().all(allowed) || text.chars().all(|c| c == '.') {
        return Err("an execution is named as `longshore job list` shows it".into());
    }
    Ok(text.to_owned())
}
