//! The flags of `longshore deploy`.

use clap::{Args, ValueHint};

use super::args::JobOf;
use super::registry::FetchArgs;
use super::values::Unquoted;
use longshore_component::Source;
use longshore_component::registry::Repository;

/// Push a handler, and have a Container Apps job run it.
#[derive(Debug, Args)]
pub struct DeployArgs {
    /// The component: `./order.wasm`, or `oci://REGISTRY/REPOSITORY@sha256:…`.
    ///
    /// A file is pushed, compiled for the job; what is in a registry is only pointed at. Where a
    /// profile names an address in a registry and the rest of the project file a file, the file is
    /// pushed there.
    #[arg(value_name = "COMPONENT", env = "LONGSHORE_COMPONENT", hide_env_values = true, value_hint = ValueHint::FilePath, value_parser = Unquoted::<Source>::new())]
    pub component: Source,

    #[command(flatten)]
    pub(crate) of: JobOf,

    /// Where to push it: `oci://REGISTRY/REPOSITORY` [default: where the job's is].
    ///
    /// If a profile of the project file names an address in a registry, it is the default.
    #[arg(long, value_name = "ADDRESS")]
    pub repository: Option<Repository>,

    /// The tag of the release [default: the time in UTC, as in 20261126-181502].
    #[arg(long, value_name = "TAG")]
    pub tag: Option<String>,

    /// The system to compile for. Can be repeated.
    #[arg(long, value_name = "TRIPLE", hide_short_help = true, default_value = "x86_64-unknown-linux-gnu")]
    pub target: Vec<String>,

    /// Say what would change, and change nothing: neither the registry nor the job.
    #[arg(long)]
    pub dry_run: bool,

    #[command(flatten)]
    pub(crate) registry: FetchArgs,
}
