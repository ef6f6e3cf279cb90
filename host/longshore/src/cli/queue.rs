//! The flags of `longshore queue …`.

use clap::Subcommand;

use super::args::QueueArg;
use super::examples;

/// Look after queues.
#[derive(Debug, Subcommand)]
pub enum QueueVerb {
    /// Make a queue; it is no error if it is there.
    #[command(after_long_help = examples::QUEUE_CREATE)]
    Create(QueueArg),
    /// Show how many messages a queue holds, invisible ones included.
    #[command(after_long_help = examples::QUEUE_STATS)]
    Stats(QueueArg),
    /// Give back to the disk what deleted messages have left in the file of a file queue and of
    /// the queues beside it.
    #[command(after_long_help = examples::QUEUE_COMPACT)]
    Compact(QueueArg),
}
