//! `longshore job start|status|list|stop`.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::{BREAKER_OPEN, FAULT, print_fields, print_json, print_table, usage};
use crate::cli::{self, Format, JobArg};
use crate::telemetry::PROGRESS;
use longshore_azure::Azure;
use longshore_azure::arm::{ArmError, ArmErrorKind, PATIENCE};
use longshore_azure::jobs::{Execution, Job};

/// For how long an execution that was just started may be unknown.
const UNKNOWN_AT_FIRST: Duration = Duration::from_secs(60);
/// How long Resource Manager may be out of reach while somebody waits: the execution goes on without it.
const OUTAGE: Duration = Duration::from_secs(15 * 60);

pub(super) async fn execute(verb: cli::Job, format: Format) -> anyhow::Result<ExitCode> {
    match verb {
        cli::Job::Start(args) => start(&args, format).await,
        cli::Job::Status(args) => status(&args, format).await,
        cli::Job::List(args) => list(&args, format).await,
        cli::Job::Stop(args) => stop(&args, format).await,
    }
}

/// The job that is meant.
pub(super) fn open(of: &JobArg) -> Job {
    Job::new(of.job.clone(), of.arm.arm_endpoint.clone(), Azure::shared())
}

/// An execution as it is printed.
#[derive(Serialize)]
struct Row {
    execution: String,
    status: String,
    started: Option<Timestamp>,
    ended: Option<Timestamp>,
    /// So far, while it runs.
    duration_ms: Option<u64>,
    exit_code: Option<i32>,
    reason: Option<String>,
    message: Option<String>,
}

impl Row {
    fn of(execution: &Execution, now: Timestamp) -> Self {
        let properties = &execution.properties;
        let duration = execution.duration(now);
        Self {
            execution: execution.name.clone(),
            status: properties.status.clone(),
            started: properties.start_time,
            ended: properties.end_time.filter(|_| execution.is_over()),
            duration_ms: duration.and_then(|it| u64::try_from(it.as_millis()).ok()),
            exit_code: execution.exit_code(),
            reason: properties.reason.clone().filter(|it| !it.is_empty()),
            message: properties.message.clone().filter(|it| !it.is_empty()),
        }
    }

    fn cells(&self) -> [(&'static str, String); 6] {
        let seconds = |ms: u64| humantime::format_duration(Duration::from_secs(ms / 1000)).to_string();
        [
            ("execution", self.execution.clone()),
            ("status", self.status.clone()),
            ("started", self.started.map(|at| at.strftime("%F %T").to_string()).unwrap_or_default()),
            ("duration", self.duration_ms.map(seconds).unwrap_or_default()),
            ("exit code", self.exit_code.map(|code| code.to_string()).unwrap_or_default()),
            ("reason", self.reason.clone().unwrap_or_default()),
        ]
    }
}

async fn start(args: &cli::job::Start, format: Format) -> anyhow::Result<ExitCode> {
    let job = open(&args.of);
    let overrides = args.overrides();
    let template = if overrides.is_empty() {
        if let Some(container) = &args.container {
            usage(&format!("--container {container} changes nothing without --env, --image or --args"));
        }
        None
    } else {
        let replacement =
            overrides.apply(&job.get().await?).map_err(|cause| anyhow!("{}: {cause}", job.id()))?;
        if !replacement.lost.is_empty() {
            let lost = replacement.lost.join(", ");
            tracing::warn!(%lost, "an execution with changes has no place for what the job's containers have");
        }
        Some(replacement.template)
    };
    let started = job.start(template.as_ref()).await?;
    tracing::info!(execution = started.name, "started");
    if args.wait {
        // Whoever is told to try again should not start another one.
        let started = &started.name;
        return wait(&job, started, UNKNOWN_AT_FIRST, format).await.with_context(|| {
            format!("{started} was started; `longshore job status {started} --wait` waits for it")
        });
    }
    #[derive(Serialize)]
    struct Begun<'a> {
        execution: &'a str,
        job: String,
    }
    let begun = Begun { execution: &started.name, job: job.id().to_string() };
    print_fields(&[("execution", started.name.clone()), ("job", begun.job.clone())], &begun, format)?;
    Ok(ExitCode::SUCCESS)
}

async fn status(args: &cli::job::Status, format: Format) -> anyhow::Result<ExitCode> {
    let job = open(&args.of);
    let name = match &args.execution {
        Some(name) => name.clone(),
        None => match job.executions().await?.into_iter().next() {
            Some(newest) => newest.name,
            None => bail!("{} has no executions; `longshore job start` starts one", job.id()),
        },
    };
    if args.wait {
        return wait(&job, &name, Duration::ZERO, format).await;
    }
    show(&job.execution(&name, PATIENCE).await?.0, format)?;
    Ok(ExitCode::SUCCESS)
}

async fn list(args: &cli::job::List, format: Format) -> anyhow::Result<ExitCode> {
    let executions = open(&args.of).executions().await?;
    let wanted = |it: &&Execution| {
        args.status.as_ref().is_none_or(|status| it.properties.status.eq_ignore_ascii_case(status))
    };
    let now = Timestamp::now();
    let rows = executions.iter().filter(wanted).take(args.limit.unwrap_or(usize::MAX));
    let rows: Vec<Row> = rows.map(|execution| Row::of(execution, now)).collect();
    match format {
        Format::Json => rows.iter().try_for_each(print_json)?,
        Format::Table => {
            let header = ["execution", "status", "started", "duration", "exit code", "reason"];
            print_table(&header, rows.iter().map(|row| row.cells().map(|(_, cell)| cell).into()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn stop(args: &cli::job::Stop, format: Format) -> anyhow::Result<ExitCode> {
    #[derive(Serialize)]
    struct Stopped<'a> {
        job: String,
        stopped: &'a str,
    }
    let job = open(&args.of);
    job.stop(args.execution.as_deref()).await?;
    let stopped = args.execution.as_deref().unwrap_or("all");
    let result = Stopped { job: job.id().to_string(), stopped };
    print_fields(&[("job", result.job.clone()), ("stopped", stopped.to_owned())], &result, format)?;
    Ok(ExitCode::SUCCESS)
}

/// Shows what the execution is doing until it has ended; then what became of it.
async fn wait(job: &Job, name: &str, unknown_for: Duration, format: Format) -> anyhow::Result<ExitCode> {
    let begun = Instant::now();
    let line = status_line(name);
    let mut said = String::new();
    let over = loop {
        let (execution, again) = match job.execution(name, OUTAGE).await {
            Ok(answer) => answer,
            Err(ArmError { kind: ArmErrorKind::NotFound, .. }) if begun.elapsed() < unknown_for => {
                sleep(Duration::from_secs(1)).await;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let status = &execution.properties.status;
        if *status != said {
            tracing::info!(execution = name, %status, "the execution's status");
            said.clone_from(status);
        }
        line.set_message(format!("{name} {status}"));
        if execution.is_over() {
            break execution;
        }
        sleep(again).await;
    };
    line.finish_and_clear();
    show(&over, format)?;
    Ok(match over.exit_code() {
        _ if over.succeeded() => ExitCode::SUCCESS,
        // What the host in the execution said, this one says as well.
        Some(code) if code == i32::from(FAULT) || code == i32::from(BREAKER_OPEN) => {
            ExitCode::from(code.unsigned_abs() as u8)
        }
        _ => ExitCode::FAILURE,
    })
}

fn show(execution: &Execution, format: Format) -> anyhow::Result<()> {
    let row = Row::of(execution, Timestamp::now());
    let mut fields = row.cells().to_vec();
    fields.push(("message", row.message.clone().unwrap_or_default()));
    fields.retain(|(_, value)| !value.is_empty());
    print_fields(&fields, &row, format)
}

/// A line that is kept up to date, where standard error is a terminal.
fn status_line(name: &str) -> ProgressBar {
    let line = PROGRESS.add(ProgressBar::new_spinner());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} for {elapsed}") {
        line.set_style(style);
    }
    line.set_message(name.to_owned());
    line.enable_steady_tick(Duration::from_millis(200));
    line
}
