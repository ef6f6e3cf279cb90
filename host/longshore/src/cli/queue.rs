//! The flags of `longshore queue …`.

use clap::Subcommand;

use super::args::QueueArg;

/// Look after queues.
#[derive(Debug, Subcommand)]
pub enum QueueVerb {
    /// Make a queue; it is no error if it is there.
    Create(QueueArg),
    /// Show how many messages a queue holds, invisible ones included.
    Stats(QueueArg),
    /// Give back to the disk what deleted messages have left in the file of a file queue and of
    /// the queues beside it.
    Compact(QueueArg),
}
