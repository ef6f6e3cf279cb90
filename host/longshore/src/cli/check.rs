//! The flags of `longshore check`.

use clap::Args;

use super::args::{ArmArg, ComponentArg, ConcurrencyArg, JobArg, PoisonArg, QueueArg};
use super::sandbox::SandboxArgs;

/// Say what can be known before the first message.
#[derive(Debug, Args)]
#[command(mut_arg("queue", |arg| {
    arg.required(false)
        .required_unless_present("job")
        .help("The queue, as `run` takes it [default with --job: the job's]")
}))]
#[command(mut_arg("component", |arg| {
    arg.required(false)
        .help("Load this component as well: `./order.wasm`, or `oci://REGISTRY/REPOSITORY:TAG`")
}))]
#[command(mut_arg("job", |arg| {
    arg.required(false)
        .help("The Container Apps job that unloads the queue, by its resource id: does its set-up fit the host?")
}))]
pub struct CheckArgs {
    #[command(flatten)]
    pub(crate) queue: Option<QueueArg>,

    #[command(flatten)]
    pub(crate) poison: PoisonArg,

    #[command(flatten)]
    pub(crate) job: Option<JobArg>,

    #[command(flatten)]
    pub(crate) arm: ArmArg,

    #[command(flatten)]
    pub(crate) component: Option<ComponentArg>,

    /// Find out whether the poison queue may be sent to, by sending a message that expires within
    /// seconds.
    #[arg(long)]
    pub probe_send: bool,

    #[command(flatten)]
    pub(crate) concurrency: ConcurrencyArg,

    #[command(flatten)]
    pub(crate) sandbox: SandboxArgs,
}
