//! The flags of `longshore completions`.

use clap::Args;
use clap_complete::Shell;

/// What completes verbs and flags, for one shell.
#[derive(Clone, Copy, Debug, Args)]
pub struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum)]
    pub shell: Shell,
}
