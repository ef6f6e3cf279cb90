//! What happens to the handler while it is being written.

use serde::Serialize;

/// Something that happened to the handler.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(super) enum BuildEvent {
    /// It is being built.
    Building {
        /// How.
        command: String,
    },
    /// It was built.
    Built {
        /// How long that took.
        took_ms: u64,
    },
    /// It could not be built, and stays as it was.
    NotBuilt {
        /// How the build ended.
        cause: String,
        /// The end of what it said.
        output: String,
        /// Whether there is an older one that goes on.
        has_component: bool,
    },
}

impl BuildEvent {
    /// Why there is nothing new, if that is so.
    pub(super) fn problem(&self) -> Option<String> {
        match self {
            Self::NotBuilt { cause, output, .. } => Some(format!("the build failed: {cause}\n{output}")),
            Self::Building { .. } | Self::Built { .. } => None,
        }
    }
}
