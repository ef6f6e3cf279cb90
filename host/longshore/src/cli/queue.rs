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
}
