//! The flags of `longshore releases` and `longshore rollback`.

use clap::Args;

use super::args::{ArmArg, JobOf};
use super::registry::RegistryLogin;
use longshore_azure::jobs::JobId;
use longshore_component::registry::Repository;

/// List what was deployed, the newest first.
#[derive(Debug, Args)]
pub struct ReleasesArgs {
    /// The Container Apps job, by its resource id.
    ///
    /// Which release does it run, and which ones did its executions run?
    #[arg(long, env = "LONGSHORE_JOB", value_name = "RESOURCE-ID")]
    pub job: Option<JobId>,

    #[command(flatten)]
    pub(crate) arm: ArmArg,

    /// Where the releases are: `oci://REGISTRY/REPOSITORY` [default: where the job's is].
    ///
    /// Without a job it is where the component of the project file is.
    #[arg(long, value_name = "ADDRESS")]
    pub repository: Option<Repository>,

    /// Show this many at most, the newest.
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,

    #[command(flatten)]
    pub(crate) registry: RegistryLogin,
}

/// Have a Container Apps job run an earlier release.
#[derive(Debug, Args)]
pub struct RollbackArgs {
    #[command(flatten)]
    pub(crate) of: JobOf,

    /// The release, by its digest or a tag [default: the one before].
    ///
    /// The one before is what was pushed before the one that the job runs.
    #[arg(long, value_name = "DIGEST|TAG")]
    pub to: Option<String>,

    /// Say what would change, and change nothing.
    #[arg(long)]
    pub dry_run: bool,

    #[command(flatten)]
    pub(crate) registry: RegistryLogin,
}
