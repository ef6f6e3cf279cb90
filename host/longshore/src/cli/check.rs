//! The flags of `longshore check`.

use clap::{Args, ValueHint};

use super::args::{ArmArg, ConcurrencyArg, PoisonArg};
use super::sandbox::SandboxArgs;
use super::values::Unquoted;
use longshore_azure::jobs::JobId;
use longshore_component::Source;
use longshore_queue::QueueUrl;

/// Say what can be known before the first message.
// The three that can be left out are declared here. A group of clap's that can be left out is taken
// for absent where its flag has a default, which is what a project file is to clap.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The queue [default with --job: the job's].
    ///
    /// It is named as for `run`.
    #[arg(long, env = "LONGSHORE_QUEUE", hide_env_values = true, value_name = "URL", value_hint = ValueHint::Url, value_parser = Unquoted::<QueueUrl>::new())]
    pub queue: Option<QueueUrl>,

    #[command(flatten)]
    pub(crate) poison: PoisonArg,

    /// The Container Apps job that unloads the queue, by its resource id.
    ///
    /// Does its set-up fit the host?
    #[arg(long, env = "LONGSHORE_JOB", value_name = "RESOURCE-ID")]
    pub job: Option<JobId>,

    #[command(flatten)]
    pub(crate) arm: ArmArg,

    /// Load this component as well.
    ///
    /// It is named as for `run`: `./order.wasm`, or `oci://REGISTRY/REPOSITORY:TAG`.
    #[arg(long, env = "LONGSHORE_COMPONENT", hide_env_values = true, value_name = "PATH", value_hint = ValueHint::FilePath, value_parser = Unquoted::<Source>::new())]
    pub component: Option<Source>,

    /// Send the poison queue a message that expires within seconds.
    ///
    /// Only sending tells whether the poison queue may be sent to.
    #[arg(long)]
    pub probe_send: bool,

    /// Send one to each queue of `--outbox` as well.
    ///
    /// It expires within seconds. Who reads such a queue may receive it for a second.
    #[arg(long)]
    pub probe_outbox: bool,

    #[command(flatten)]
    pub(crate) concurrency: ConcurrencyArg,

    #[command(flatten)]
    pub(crate) sandbox: SandboxArgs,
}
