//! `longshore build`: what the project file says of how its component is built.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use rustix::fs::Mode;
use serde::Serialize;

use super::build_command::{BuildCommand, how_it_ended};
use super::print;
use super::stop_signals::StopSignals;
use crate::cli::{Format, PROJECT_FILE, Project, without_secrets};
use crate::exit::{Clause, Exit, Failure};
use longshore_component::Source;

/// What was built.
#[derive(Serialize)]
struct Built {
    /// Null if the project file names no file as its component.
    component: Option<String>,
    bytes: Option<u64>,
    duration_ms: u128,
}

pub(super) async fn execute(project: &Project, umask: Mode, format: Format) -> Result<Exit, Failure> {
    let (file, building) = steps(project, umask)?;
    let began = Instant::now();
    // The signals are heard before there is something to stop.
    let mut signals = StopSignals::listen()?;
    // Standard output holds the result alone, where a program reads it.
    let stdout = if format == Format::Json { std::io::stderr().into() } else { Stdio::inherit() };
    let started = building.start(stdout, Stdio::inherit()).await;
    let mut running = started.during(|| "cannot start `sh`, which runs `build.command`")?;
    let status = tokio::select! {
        ended = running.ended() => ended?,
        signal = signals.next() => {
            // It ends with all that it has started; a second signal does not wait for it.
            running.stop(async {
                let _ = signals.next().await;
            }).await;
            return Err(Failure::other(format!("the build was stopped by {signal}")));
        }
    };
    // What it has left is ended before its result is told.
    drop(running);
    if !status.success() {
        let shown = without_secrets(&building.command);
        // What a shell says of a program that it does not find.
        let missing = match status.code() {
            Some(127) => {
                "; a program that it starts is not there: install what the project needs, as its README.md says"
            }
            _ => "",
        };
        return Err(Failure::other(format!(
            "the build {}: `{shown}`, which is `build.command` in {}; what it said is above{missing}",
            how_it_ended(status),
            file.display()
        )));
    }
    let component = component(project)?;
    let built = Built {
        component: component.as_ref().map(|(path, _)| path.display().to_string()),
        bytes: component.map(|(_, bytes)| bytes),
        duration_ms: began.elapsed().as_millis(),
    };
    let unnamed = || "none is named in the project file".to_owned();
    let fields = [
        ("component", built.component.clone().unwrap_or_else(unnamed)),
        ("bytes", built.bytes.map_or_else(|| "-".into(), |it| it.to_string())),
        ("took", format!("{:.1}s", began.elapsed().as_secs_f64())),
    ];
    print::fields(&fields, &built, format)?;
    Ok(Exit::Done)
}

/// The project file, and how it says to build.
fn steps(project: &Project, umask: Mode) -> Result<(&Path, BuildCommand), Failure> {
    let Some(file) = &project.file else {
        return Err(Failure::usage(format!(
            "there is no project file that says how to build: the working directory has no {PROJECT_FILE}; go to the project's folder, or name the file with --project; `longshore new` makes a project"
        )));
    };
    match BuildCommand::of(project, umask) {
        Some(command) => Ok((Path::new(file), command)),
        None => Err(Failure::usage(format!(
            "{file} does not say how to build; write `[build]` in it, and below that `command = \"…\"` with what a shell runs"
        ))),
    }
}

/// The file that the project file names as the component, and its size. It has to be there.
fn component(project: &Project) -> Result<Option<(PathBuf, u64)>, Failure> {
    let named = project.value("component").and_then(|it| it.texts.first());
    let Some(Source::File(path)) = named.and_then(|it| it.parse().ok()) else { return Ok(None) };
    let found = fs::metadata(&path).map_err(|error| {
        Failure::fault(format!(
            "the build ended well, and the component {} cannot be found: {error}; let `component` in the project file name what `build.command` writes",
            path.display()
        ))
    })?;
    let wrong = if !found.is_file() {
        "is no file"
    } else if found.len() == 0 {
        "is empty"
    } else {
        return Ok(Some((path, found.len())));
    };
    Err(Failure::fault(format!(
        "the build ended well, and the component {} {wrong}; let `component` in the project file name the file that `build.command` writes",
        path.display()
    )))
}
