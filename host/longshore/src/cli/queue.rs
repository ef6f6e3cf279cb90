//! The flags of `longshore queue …`.

use clap::{Args, Subcommand};

use super::args::QueueArg;
use super::examples;

/// Look after queues.
#[derive(Debug, Subcommand)]
pub enum QueueVerb {
    /// Make a queue; it is no error if it is there.
    #[command(after_long_help = examples::QUEUE_CREATE)]
    Create(QueueArg),
    /// List the queues of a queue's directory or account.
    #[command(after_long_help = examples::QUEUE_LIST)]
    List(QueueArg),
    /// Show how many messages a queue holds, invisible ones included.
    #[command(after_long_help = examples::QUEUE_STATS)]
    Stats(QueueArg),
    /// Delete a queue with all its messages. On a terminal it asks first.
    #[command(after_long_help = examples::QUEUE_DELETE)]
    Delete(QueueDeleteArgs),
    /// Give back to the disk what deleted messages have left in the file of a file queue and of
    /// the queues beside it.
    #[command(after_long_help = examples::QUEUE_COMPACT)]
    Compact(QueueArg),
}

/// Delete a queue.
#[derive(Debug, Args)]
pub struct QueueDeleteArgs {
    #[command(flatten)]
    pub(crate) queue: QueueArg,

    /// Delete without asking. It is needed where there is no terminal to ask on.
    #[arg(long)]
    pub yes: bool,
}
