//! `longshore build`: what the project file says of how its component is built.

use std::fs;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Instant;

use rustix::fs::Mode;
use rustix::process::{Pid, Signal, kill_process_group};
use serde::Serialize;

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
    let (file, command) = steps(project)?;
    let began = Instant::now();
    // What it makes is the user's, like the output of any other command.
    rustix::process::umask(umask);
    // The signals are heard before there is something to stop.
    let mut signals = StopSignals::listen()?;
    let building = start(command, file, format).during(|| "cannot start `sh`, which runs `build.command`")?;
    let group = Pid::from_child(&building);
    let mut ending = tokio::task::spawn_blocking(move || wait(building));
    let (status, stopped_by) = tokio::select! {
        ended = &mut ending => (ended??, None),
        signal = signals.next() => {
            // It ends with all that it has started. What has ended already needs no signal.
            let _ = kill_process_group(group, Signal::TERM);
            (ending.await??, Some(signal))
        }
    };
    if let Some(signal) = stopped_by {
        return Err(Failure::other(format!("the build was stopped by {signal}")));
    }
    if !status.success() {
        let shown = without_secrets(command);
        return Err(Failure::other(format!(
            "the build {}: `{shown}`, which is `build.command` in {}; what it said is above",
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

/// The project file, and the command that it says.
fn steps(project: &Project) -> Result<(&Path, &str), Failure> {
    let Some(file) = &project.file else {
        return Err(Failure::usage(format!(
            "there is no project file that says how to build: the working directory has no {PROJECT_FILE}; go to the project's folder, or name the file with --project; `longshore new` makes a project"
        )));
    };
    match &project.build.command {
        Some((command, _)) => Ok((Path::new(file), command)),
        None => Err(Failure::usage(format!(
            "{file} does not say how to build; write `[build]` in it, and below that `command = \"…\"` with what a shell runs"
        ))),
    }
}

/// Starts the command in the folder of the project file, in a process group of its own.
fn start(command: &str, file: &Path, format: Format) -> std::io::Result<Child> {
    let folder = file.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).current_dir(folder).stdin(Stdio::null()).process_group(0);
    if format == Format::Json {
        // Standard output holds the result alone.
        shell.stdout(std::io::stderr());
    }
    shell.spawn()
}

fn wait(mut building: Child) -> std::io::Result<ExitStatus> {
    building.wait()
}

fn how_it_ended(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "failed".into(),
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
