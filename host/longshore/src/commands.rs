//! The verbs, one file each, and how the process ends.

mod added;
mod again;
mod build;
mod build_command;
mod check;
mod compile;
mod completions;
mod config;
mod confirm;
mod deploy;
#[cfg(feature = "dev")]
mod dev;
mod fields;
mod ids;
mod inspect;
mod invoke;
mod job;
mod loading;
mod man;
mod new;
#[cfg(feature = "dev")]
mod page;
mod peek;
mod poison;
mod preview;
mod print;
mod push;
mod queue;
mod releases;
mod rollback;
mod run;
mod send;
mod stop_signals;
#[cfg(feature = "dev")]
mod ui;

use std::process::ExitCode;

use clap::error::ErrorKind;
use rustix::fs::Mode;

use crate::cli::{Cli, Project, Verb, parse, refuse};
use crate::exit::{Exit, Failure};
use crate::shown::shown;
use crate::stderr::Stderr;
use crate::telemetry;
use longshore_azure::Azure;

/// Reads the command line, does what it says, and returns the exit code.
#[must_use]
pub fn main() -> ExitCode {
    // Queues hold what is nobody else's business, and caches what is executed.
    let asked_for = rustix::process::umask(Mode::RWXG | Mode::RWXO);
    let (cli, project) = match parse::<Cli>() {
        Ok(parsed) => parsed,
        Err(error) => return refuse(&error),
    };
    if let Err(error) = telemetry::start(&cli.log, cli.log_format) {
        return end(Err(Failure::usage(error)));
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return end(Err(Failure::other(format!("no threads to run on: {error}")))),
    };
    let done = runtime.block_on(execute(cli, &project, asked_for));
    // Everything that matters was awaited. What is still running must not keep the process alive.
    runtime.shutdown_background();
    end(done)
}

async fn execute(cli: Cli, project: &Project, umask: Mode) -> Result<Exit, Failure> {
    let format = cli.output;
    if cli.stop_with_input {
        tokio::spawn(stop_signals::terminate_with_input());
    }
    Azure::choose(cli.credential);
    match cli.verb {
        Verb::New(args) => new::execute(&args, umask, format),
        Verb::Build => build::execute(project, umask, format).await,
        Verb::Run(args) => run::execute(*args, format).await,
        #[cfg(feature = "dev")]
        Verb::Dev(args) => dev::execute(*args, project, umask, format).await,
        #[cfg(feature = "dev")]
        Verb::Ui(args) => ui::execute(*args, format).await,
        #[cfg(not(feature = "dev"))]
        Verb::Dev(_) | Verb::Ui(_) => Err(Failure::usage(
            "this longshore was built without the feature `dev`, as the image's is: take the one of a release, or build it with its default features",
        )),
        Verb::Send(args) => {
            if let Some(note) = args.note() {
                tracing::warn!("{note}");
            }
            send::execute(args, format).await
        }
        Verb::Peek(args) => peek::execute(&args, format).await,
        Verb::Check(args) => check::execute(*args, format).await,
        Verb::Poison(verb) => poison::execute(verb, format).await,
        Verb::Queue(verb) => queue::execute(verb, format).await,
        Verb::Job(verb) => job::execute(verb, format).await,
        Verb::Invoke(args) => invoke::execute(*args, format).await,
        Verb::Inspect(args) => inspect::execute(args, format).await,
        Verb::Compile(args) => compile::execute(args, umask, format).await,
        Verb::Push(args) => push::execute(args, format).await,
        Verb::Deploy(args) => deploy::execute(*args, project, format).await,
        Verb::Releases(args) => releases::execute(&args, project, format).await,
        Verb::Rollback(args) => rollback::execute(&args, format).await,
        Verb::Completions(args) => Ok(completions::execute(args)),
        Verb::Man(args) => man::execute(&args, umask, format),
        Verb::Config(args) => config::execute(&args, project, format),
    }
}

/// Says what went wrong, and returns the exit code.
fn end(done: Result<Exit, Failure>) -> ExitCode {
    print::finish();
    let lost = print::lost();
    let failure = match done {
        // What was printed is part of what was asked for. Any other failure says more.
        Ok(Exit::Done) if lost.is_some() => Failure::other(format!(
            "what was asked is done, but its result could not be written to standard output: {}",
            lost.unwrap_or_default()
        )),
        Ok(exit) => return exit.into(),
        Err(failure) => failure,
    };
    if failure.exit() == Exit::Usage {
        // As clap says it, but without the usage of the whole program: it would teach nothing of
        // the verb.
        let said = format!("{}\n", shown(&failure.message()));
        return refuse(&clap::Error::raw(ErrorKind::ArgumentConflict, said));
    }
    Stderr::TEXT.line(format!("longshore: {}\n", shown(&failure.message())).as_bytes());
    failure.exit().into()
}
