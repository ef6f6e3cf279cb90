//! `[build]` of the project file: at the start, and whenever a source changes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::Mode;
use tokio::sync::mpsc;

use super::build_event::BuildEvent;
use super::lines::Lines;
use crate::cli::{Project, without_secrets};
use crate::exit::Failure;
use longshore_dev::{BuildResult, Builder, SourceStamps};

/// How a handler is built; nothing, where the project file says nothing of it.
pub(super) struct Building {
    builder: Option<Arc<Builder>>,
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
        let builder = project.build.command.as_ref().map(|(command, _)| {
            let file = project.file.as_deref().map(Path::new);
            let directory = file.and_then(Path::parent).filter(|it| !it.as_os_str().is_empty());
            let sources = project.build.sources.as_ref().map(|(sources, _)| sources.clone());
            Arc::new(Builder {
                // What it makes is the user's, as that of any other command.
                command: format!("umask {:04o}\n{command}", umask.bits() & 0o777),
                directory: directory.unwrap_or(Path::new(".")).to_owned(),
                sources: sources.unwrap_or_default(),
                made: component.iter().cloned().chain(queues).collect(),
            })
        });
        Self { builder, component }
    }

    /// Builds for the first time, and waits until there is a component.
    ///
    /// # Errors
    /// There is none, and nobody builds one; or the build failed and it `is_only` one.
    pub(super) async fn first(&self, lines: &mut Lines, is_only: bool) -> Result<SourceStamps, Failure> {
        let Some(builder) = &self.builder else {
            return match &self.component {
                Some(file) if !file.exists() => Err(Failure::fault(format!(
                    "there is no component {}; build it, or write [build] with its command in longshore.toml",
                    file.display()
                ))),
                _ => Ok(SourceStamps::default()),
            };
        };
        let mut stamps = builder.sources_now();
        loop {
            lines.build(&building(builder))?;
            let result = builder.build().await;
            let failed = result.failure.clone();
            lines.build(&self.outcome(result))?;
            match failed {
                Some(cause) if is_only => return Err(Failure::other(format!("the build failed: {cause}"))),
                Some(_) if !self.has_component() => stamps = builder.changed(&stamps).await,
                _ => return Ok(stamps),
            }
        }
    }

    /// Builds at each change from now on, and says so.
    pub(super) async fn watch(&self, mut built: SourceStamps, said: mpsc::UnboundedSender<BuildEvent>) {
        let Some(builder) = &self.builder else { return };
        loop {
            built = builder.changed(&built).await;
            let _ = said.send(building(builder));
            let outcome = self.outcome(builder.build().await);
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

fn building(builder: &Builder) -> BuildEvent {
    // Without the line before it that sets the umask.
    let command = builder.command.split_once('\n').map_or(&*builder.command, |(_, command)| command);
    BuildEvent::Building { command: without_secrets(command) }
}
