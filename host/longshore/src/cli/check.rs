//! The flags of `longshore check`.

use clap::Args;

use super::values::Unquoted;
use super::{ArmArg, PoisonArg, SandboxArgs};
use longshore_azure::jobs::JobId;
use longshore_component::Source;
use longshore_queue::QueueUrl;

/// Say what can be known before the first message.
#[derive(Debug, Args)]
pub struct Check {
    /// The queue, as `run` takes it [default with --job: the job's].
    #[arg(long, env = "LONGSHORE_QUEUE", hide_env_values = true, value_name = "URL", required_unless_present = "job", value_parser = Unquoted::<QueueUrl>::new())]
    pub queue: Option<QueueUrl>,

    #[command(flatten)]
    pub(crate) poison: PoisonArg,

    /// The Container Apps job that unloads it, by its resource id: does its set-up go with what the host does?
    #[arg(long, value_name = "RESOURCE-ID")]
    pub job: Option<JobId>,

    #[command(flatten)]
    pub(crate) arm: ArmArg,

    /// Load this component as well: `./order.wasm`, or `oci://REGISTRY/REPOSITORY:TAG`.
    #[arg(long, env = "LONGSHORE_COMPONENT", value_name = "PATH")]
    pub component: Option<Source>,

    /// Find out whether the poison queue may be sent to, by sending a message that expires within seconds.
    #[arg(long)]
    pub probe_send: bool,

    #[command(flatten)]
    pub(crate) sandbox: SandboxArgs,
}
