//! The flags of `longshore peek`.

use clap::Args;

use super::args::QueueArg;

/// Look at the first messages of a queue.
#[derive(Debug, Args)]
pub struct PeekArgs {
    #[command(flatten)]
    pub(crate) queue: QueueArg,

    /// Only these messages: their ids, or beginnings or ends that no other id has.
    #[arg(value_name = "ID")]
    pub ids: Vec<String>,

    /// How many messages to show at most.
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
}
