//! The flags of `longshore completions`.

use clap::Args;
use clap_complete::Shell;

/// What completes verbs and flags, for one shell.
#[derive(Clone, Copy, Debug, Args)]
#[command(after_help = "Examples:
  longshore completions bash > ~/.local/share/bash-completion/completions/longshore
  longshore completions zsh > ~/.zfunc/_longshore
  longshore completions fish > ~/.config/fish/completions/longshore.fish
  longshore completions powershell >> $PROFILE")]
pub struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum)]
    pub shell: Shell,
}
