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
    /// List the sessions of a Service Bus queue or subscription: how many messages each has, and
    /// which stand still after a poisoned message. Whoever lists them holds each for a moment.
    #[command(after_long_help = examples::QUEUE_SESSIONS)]
    Sessions(QueueSessionsArgs),
    /// Delete a queue with all its messages. On a terminal it asks first.
    #[command(after_long_help = examples::QUEUE_DELETE)]
    Delete(QueueDeleteArgs),
    /// Give back to the disk what deleted messages have left in the file of a file queue and of
    /// the queues beside it.
    #[command(after_long_help = examples::QUEUE_COMPACT)]
    Compact(QueueArg),
}

/// List sessions, or let some go on.
#[derive(Debug, Args)]
pub struct QueueSessionsArgs {
    #[command(flatten)]
    pub(crate) queue: QueueArg,

    /// Let this session go on, which stands still after a poisoned message (--on-poison stop).
    /// Give it again for each.
    #[arg(long = "continue", value_name = "SESSION")]
    pub(crate) go_on: Vec<String>,
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
