//! The flags of `longshore job …`.

use clap::{Args, Subcommand};

use super::args::JobOf;
use super::examples;
use super::values::{Lines, flat, lines, property};
use longshore_azure::jobs::Overrides;

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

/// A name that becomes a segment of a path.
fn execution(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._()".contains(c);
    if text.is_empty() || !text.chars().all(allowed) || text.chars().all(|c| c == '.') {
        return Err("an execution is named as `longshore job list` shows it".into());
    }
    Ok(text.to_owned())
}
