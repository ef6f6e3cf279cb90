//! `longshore job start|status|list|stop|logs`.

mod logs;
mod open;

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use serde::Serialize;
use tokio::time::{Instant, sleep};

use self::open::open;
use super::print;
use crate::cli::{Format, JobListArgs, JobStartArgs, JobStatusArgs, JobStopArgs, JobVerb};
use crate::exit::{Clause, Exit, Failure};
use crate::telemetry::PROGRESS;
use longshore_azure::arm::{ArmError, ArmErrorKind, PATIENCE};
use longshore_azure::jobs::{Execution, Job};

/// For how long an execution that was just started may be unknown.
const UNKNOWN_AT_FIRST: Duration = Duration::from_secs(60);
/// How long a wait goes on while Resource Manager is out of reach: the execution goes on without
/// it.
const OUTAGE: Duration = Duration::from_secs(15 * 60);

pub(super) async fn execute(verb: JobVerb, format: Format) -> Result<Exit, Failure> {
    match verb {
        JobVerb::Start(args) => start(&args, format).await,
        JobVerb::Status(args) => status(&args, format).await,
        JobVerb::List(args) => list(&args, format).await,
        JobVerb::Stop(args) => stop(&args, format).await,
        JobVerb::Logs(args) => logs::execute(&args, format).await,
    }
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

async fn start(args: &JobStartArgs, format: Format) -> Result<Exit, Failure> {
    let job = open(&args.of);
    let overrides = args.overrides();
    let template = if overrides.is_empty() {
        if let Some(container) = &args.container {
            return Err(Failure::usage(format!(
                "--container {container} changes nothing without --env, --image or --args"
            )));
        }
        None
    } else {
        let replacement = overrides
            .apply(&job.get().await?)
            .map_err(|cause| Failure::other(format!("{}: {cause}", job.id())))?;
        if !replacement.lost.is_empty() {
            let lost = replacement.lost.join(", ");
            tracing::warn!(%lost, "an execution with changes has no place for what the job's containers have");
        }
        Some(replacement.template)
    };
    let started = job.start(template.as_ref()).await?;
    tracing::info!(execution = started.name, "started");
    if args.wait {
        // The error says to try again: that must not start another execution.
        let started = &started.name;
        return wait(&job, started, UNKNOWN_AT_FIRST, format).await.during(|| {
            format!("{started} was started; `longshore job status {started} --wait` waits for it")
        });
    }
    #[derive(Serialize)]
    struct Begun<'a> {
        execution: &'a str,
        job: String,
    }
    let begun = Begun { execution: &started.name, job: job.id().to_string() };
    print::fields(&[("execution", started.name.clone()), ("job", begun.job.clone())], &begun, format)?;
    Ok(Exit::Done)
}

async fn status(args: &JobStatusArgs, format: Format) -> Result<Exit, Failure> {
    let job = open(&args.of);
    let name = match &args.execution {
        Some(name) => name.clone(),
        None => match job.executions().await?.into_iter().next() {
            Some(newest) => newest.name,
            None => {
                let none = format!("{} has no executions; `longshore job start` starts one", job.id());
                return Err(Failure::other(none));
            }
        },
    };
    if args.wait {
        return wait(&job, &name, Duration::ZERO, format).await;
    }
    show(&job.execution(&name, PATIENCE).await?.0, format)?;
    Ok(Exit::Done)
}

async fn list(args: &JobListArgs, format: Format) -> Result<Exit, Failure> {
    let executions = open(&args.of).executions().await?;
    let wanted = |it: &&Execution| {
        args.status.as_ref().is_none_or(|status| it.properties.status.eq_ignore_ascii_case(status))
    };
    let now = Timestamp::now();
    let rows = executions.iter().filter(wanted).take(args.limit.unwrap_or(usize::MAX));
    let rows: Vec<Row> = rows.map(|execution| Row::of(execution, now)).collect();
    match format {
        Format::Json => rows.iter().try_for_each(print::json)?,
        Format::Table => {
            let header = ["execution", "status", "started", "duration", "exit code", "reason"];
            print::table(&header, rows.iter().map(|row| row.cells().map(|(_, cell)| cell).into()))?;
        }
    }
    Ok(Exit::Done)
}

async fn stop(args: &JobStopArgs, format: Format) -> Result<Exit, Failure> {
    #[derive(Serialize)]
    struct Stopped<'a> {
        job: String,
        stopped: &'a str,
    }
    let job = open(&args.of);
    job.stop(args.execution.as_deref()).await?;
    let stopped = args.execution.as_deref().unwrap_or("all");
    let result = Stopped { job: job.id().to_string(), stopped };
    print::fields(&[("job", result.job.clone()), ("stopped", stopped.to_owned())], &result, format)?;
    Ok(Exit::Done)
}

/// Shows what the execution is doing until it has ended; then what became of it.
async fn wait(job: &Job, name: &str, unknown_for: Duration, format: Format) -> Result<Exit, Failure> {
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
        _ if over.succeeded() => Exit::Done,
        // What the host in the execution said, this one says as well.
        code => match code.and_then(Exit::of_code) {
            Some(exit @ (Exit::Fault | Exit::BreakerOpen)) => exit,
            _ => Exit::Other,
        },
    })
}

fn show(execution: &Execution, format: Format) -> Result<(), Failure> {
    let row = Row::of(execution, Timestamp::now());
    let mut fields = row.cells().to_vec();
    fields.push(("message", row.message.clone().unwrap_or_default()));
    fields.retain(|(_, value)| !value.is_empty());
    print::fields(&fields, &row, format)
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
