//! The flags of `longshore ui`.

use clap::Args;

use super::args::{ArmArg, PoisonOf};
use super::page::{PAGE, PageArgs};
use longshore_azure::jobs::JobId;

/// Show a queue and its job on a page.
#[derive(Debug, Args)]
#[cfg_attr(not(feature = "dev"), allow(dead_code, reason = "a host without `dev` refuses the verb"))]
pub struct UiArgs {
    #[command(flatten)]
    pub(crate) of: PoisonOf,

    /// The job whose executions are shown: `/subscriptions/…/jobs/NAME`.
    #[arg(long, env = "LONGSHORE_JOB", value_name = "RESOURCE-ID")]
    pub job: Option<JobId>,

    #[command(flatten)]
    pub(crate) arm: ArmArg,

    /// Show buttons that send, redrive and purge messages, and stop executions. Without it the page
    /// changes nothing.
    #[arg(long, help_heading = PAGE)]
    pub allow_actions: bool,

    #[command(flatten)]
    pub(crate) page: PageArgs,
}
