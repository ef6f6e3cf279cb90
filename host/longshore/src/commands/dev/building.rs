//! `[build]` of the project file: at the start, and whenever a source changes.

use std::path::PathBuf;

use rustix::fs::Mode;
use tokio::sync::mpsc;

use super::build_event::BuildEvent;
use super::build_result::BuildResult;
use super::lines::Lines;
use crate::cli::{Project, without_secrets};
use crate::commands::build_command::BuildCommand;
use crate::exit::Failure;
use longshore_dev::page::Board;
use longshore_dev::{SourceStamps, Sources};

/// How a handler is built; nothing, where the project file says nothing of it.
pub(super) struct Building {
    command: Option<(BuildCommand, Sources)>,
    /// The component, where it is a file.
    component: Option<PathBuf>,
}

impl Building {
    /// `queues` lie among the sources, perhaps, and are none.
    pub(super) fn of(
        project: &Project,
        umask: Mode,
        component: Option<PathBuf>,
        queues: Vec<PathBuf>,
    ) -> Self {
        let command = BuildCommand::of(project, umask).map(|command| {
            let named = project.build.sources.as_ref().map(|(sources, _)| sources.clone());
            let sources = Sources {
                directory: command.directory.clone(),
                named: named.unwrap_or_default(),
                made: component.iter().cloned().chain(queues).collect(),
            };
            (command, sources)
        });
        Self { command, component }
    }

    /// Builds for the first time, and waits until there is a component. The board says what it
    /// waits for.
    ///
    /// # Errors
    /// There is none, and nobody builds one; or the build failed and it `is_only` one.
    pub(super) async fn first(
        &self,
        lines: &mut Lines,
        board: &Board,
        is_only: bool,
    ) -> Result<SourceStamps, Failure> {
        let Some((command, sources)) = &self.command else {
            return match &self.component {
                Some(file) if !file.exists() => Err(Failure::fault(format!(
                    "there is no component {}; build it, or write [build] with its command in longshore.toml",
                    file.display()
                ))),
                _ => Ok(SourceStamps::default()),
            };
        };
        let mut stamps = sources.now();
        loop {
            lines.build(&building(command))?;
            board.say(Some("The handler is being built. Executions start when that is done.".into()));
            let result = BuildResult::of(command).await;
            let failed = result.failure.clone();
            let outcome = self.outcome(result);
            lines.build(&outcome)?;
            board.say(outcome.problem());
            match failed {
                Some(cause) if is_only => return Err(Failure::other(format!("the build failed: {cause}"))),
                Some(_) if !self.has_component() => stamps = sources.changed(&stamps).await,
                _ => return Ok(stamps),
            }
        }
    }

    /// Builds at each change from now on, and says so.
    pub(super) async fn watch(&self, mut built: SourceStamps, said: mpsc::UnboundedSender<BuildEvent>) {
        let Some((command, sources)) = &self.command else { return };
        loop {
            built = sources.changed(&built).await;
            let _ = said.send(building(command));
            let outcome = self.outcome(BuildResult::of(command).await);
            if said.send(outcome).is_err() {
                return;
            }
        }
    }

    fn has_component(&self) -> bool {
        self.component.as_ref().is_none_or(|it| it.exists())
    }

    fn outcome(&self, result: BuildResult) -> BuildEvent {
        let BuildResult { failure, output, took } = result;
        match failure {
            None => BuildEvent::Built { took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX) },
            Some(cause) => BuildEvent::NotBuilt { cause, output, has_component: self.has_component() },
        }
    }
}

fn building(command: &BuildCommand) -> BuildEvent {
    BuildEvent::Building { command: without_secrets(&command.command) }
}
