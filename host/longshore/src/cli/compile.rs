//! The flags of `longshore compile`.

use std::path::PathBuf;

use clap::Args;

use super::args::ComponentPath;
use super::registry::FetchArgs;
use longshore_sandbox::Cpu;

/// Compile a component ahead of time.
#[derive(Debug, Args)]
pub struct CompileArgs {
    #[command(flatten)]
    pub(crate) component: ComponentPath,

    /// Where to write the result.
    #[arg(short = 'o', long = "to", value_name = "FILE")]
    pub to: PathBuf,

    /// The target: `x86_64-unknown-linux-gnu` [default: this machine's].
    #[arg(long, value_name = "TRIPLE", conflicts_with = "cpu")]
    pub target: Option<String>,

    /// Which processors the result runs on: all of the target, or only those with the features of
    /// this machine's.
    #[arg(long, value_enum, default_value_t)]
    pub cpu: Cpu,

    #[command(flatten)]
    pub(crate) registry: FetchArgs,
}
