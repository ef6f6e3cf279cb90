//! The verbs, one file each, and what they have in common: how they fail, and how they print.

mod check;
mod compile;
mod inspect;
mod invoke;
mod job;
mod peek;
mod poison;
mod push;
mod queue;
mod run;
mod send;

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use comfy_table::presets;
use comfy_table::{ContentArrangement, Table};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::cli::{Cli, Format, PoisonOf, RegistryArgs, Verb, refuse};
use crate::telemetry::{self, PROGRESS};
use longshore_azure::Azure;
use longshore_azure::arm::ArmError;
use longshore_component::Source;
use longshore_queue::{QueueError, QueueUrl};

/// The exit code of a host or configuration fault.
const FAULT: u8 = 3;
/// The exit code of a run that ended while the breaker was open.
const BREAKER_OPEN: u8 = 4;

/// Reads the command line, does what it says, and returns the exit code.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::try_parse().unwrap_or_else(|error| refuse(&error));
    if let Err(error) = telemetry::start(&cli.log, cli.log_format) {
        usage(&error);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&anyhow::anyhow!("no threads to run on: {error}")),
    };
    let done = runtime.block_on(execute(cli));
    // Nothing that is still running may keep the process alive: everything that matters was awaited.
    runtime.shutdown_background();
    done.unwrap_or_else(|error| fail(&error))
}

async fn execute(cli: Cli) -> anyhow::Result<ExitCode> {
    let format = cli.output;
    Azure::choose(cli.credential);
    match cli.verb {
        Verb::Run(args) => run::execute(*args, format).await,
        Verb::Send(args) => send::execute(args, format).await,
        Verb::Peek(args) => peek::execute(&args, format).await,
        Verb::Check(args) => check::execute(*args, format).await,
        Verb::Poison(verb) => poison::execute(verb, format).await,
        Verb::Queue(verb) => queue::execute(verb, format).await,
        Verb::Job(verb) => job::execute(verb, format).await,
        Verb::Invoke(args) => invoke::execute(*args, format).await,
        Verb::Inspect(args) => inspect::execute(args, format).await,
        Verb::Compile(args) => compile::execute(args, format).await,
        Verb::Push(args) => push::execute(args, format).await,
    }
}

/// Says what went wrong, and picks the exit code by what it was.
fn fail(error: &anyhow::Error) -> ExitCode {
    // A reader that has seen enough, such as `head`, is no error.
    if error
        .chain()
        .any(|it| it.downcast_ref::<io::Error>().is_some_and(|io| io.kind() == io::ErrorKind::BrokenPipe))
    {
        return ExitCode::SUCCESS;
    }
    say(format_args!("{error:#}"));
    if error.is::<QueueError>() || error.is::<ArmError>() { ExitCode::from(FAULT) } else { ExitCode::FAILURE }
}

/// A sentence for whoever started us; that nobody reads it is no reason to panic.
fn say(what: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "longshore: {what}");
}

/// Ends the process as clap does when flags contradict each other.
fn usage(message: &str) -> ! {
    Cli::command().error(ErrorKind::ArgumentConflict, message).exit()
}

/// The component as the flags of registries want it fetched.
fn source(registry: &RegistryArgs, component: Source) -> Source {
    registry.source(component).unwrap_or_else(|error| usage(&error))
}

/// The poison queue that was named, or the one beside the queue.
fn poison_url(of: &PoisonOf) -> QueueUrl {
    let PoisonOf { queue, poison } = of;
    poison
        .poison_queue
        .clone()
        .unwrap_or_else(|| queue.queue.poison().unwrap_or_else(|error| usage(&error.to_string())))
}

/// A counter of what is being done, drawn where standard error is a terminal.
fn counter(verb: &str) -> ProgressBar {
    let bar = PROGRESS.add(ProgressBar::no_length());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {pos} {msg} in {elapsed}") {
        bar.set_style(style);
    }
    bar.with_message(verb.to_owned())
}

/// One JSON object, on a line of its own.
fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    io::stdout().lock().write_all(&line)?;
    Ok(())
}

/// A table for people, as wide as the terminal.
fn print_table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> anyhow::Result<()> {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(header);
    if let Ok(size) = rustix::termios::tcgetwinsize(io::stdout()) {
        table.set_width(size.ws_col);
    }
    table.add_rows(rows);
    writeln!(io::stdout().lock(), "{table}")?;
    Ok(())
}

/// The name and value of each field, for results that are one object.
fn print_fields(fields: &[(&str, String)], value: &impl Serialize, format: Format) -> anyhow::Result<()> {
    if format == Format::Json {
        return print_json(value);
    }
    let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let mut out = io::stdout().lock();
    for (name, value) in fields {
        writeln!(out, "{name:width$}  {value}")?;
    }
    Ok(())
}
