//! `longshore completions`: what completes verbs and flags in a shell.

use clap::CommandFactory;

use super::print;
use crate::cli::{Cli, CompletionsArgs};
use crate::exit::Exit;

pub(super) fn execute(args: CompletionsArgs) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "longshore", &mut script);
    print::text(String::from_utf8_lossy(&script).trim_end());
    Exit::Done
}
