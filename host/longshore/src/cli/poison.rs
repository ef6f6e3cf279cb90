//! The flags of `longshore poison …`.

use clap::{Args, Subcommand, ValueHint};

use super::args::PoisonOf;
use super::examples;
use super::values::Unquoted;
use longshore_queue::QueueUrl;

/// Which poison messages.
#[derive(Clone, Debug, Default, Args)]
pub struct Selection {
    /// Only these messages: their ids, or beginnings that no other id has.
    #[arg(value_name = "ID")]
    pub ids: Vec<String>,

    /// Only messages that were poisoned for this reason, such as `rejected`.
    ///
    /// The reasons are `rejected`, `attempts-exhausted`, `undecodable` and `expiring`; on Service
    /// Bus also what the service or another client gave. The reason of a message without an
    /// envelope is `unknown`.
    #[arg(long, value_name = "WORD")]
    pub reason: Option<String>,

    /// Take this many messages at most.
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
}

/// Look after messages that could not be handled.
#[derive(Debug, Subcommand)]
pub enum PoisonVerb {
    /// List them by reason and cause: how many, and since when.
    ///
    /// With `--all` or ids they are listed one by one.
    #[command(after_long_help = examples::POISON_LIST)]
    List {
        /// Whose poison messages.
        #[command(flatten)]
        of: PoisonOf,
        /// Which of them.
        #[command(flatten)]
        which: Selection,
        /// List each message: its id, reason and detail, how often it was received, and when it was
        /// poisoned.
        #[arg(long)]
        all: bool,
    },
    /// Show one with its body, and with what its handler logged last.
    #[command(after_long_help = examples::POISON_SHOW)]
    Show {
        /// Whose poison messages.
        #[command(flatten)]
        of: PoisonOf,
        /// The message's id, or a beginning that no other id has.
        ///
        /// It is the message's own id, as `list` shows it, or the one in the poison queue.
        id: String,
    },
    /// Send them to their queue again, without the envelope, to be handled anew.
    ///
    /// Those of a subscription are sent to the queue that `--to` names.
    #[command(after_long_help = examples::POISON_REDRIVE)]
    Redrive(RedriveArgs),
    /// Delete them. On a terminal it asks first.
    #[command(after_long_help = examples::POISON_PURGE)]
    Purge(PurgeArgs),
}

/// Delete poison messages.
#[derive(Debug, Args)]
pub struct PurgeArgs {
    #[command(flatten)]
    pub(crate) of: PoisonOf,

    #[command(flatten)]
    pub(crate) which: Selection,

    /// Only say what would be deleted.
    #[arg(long)]
    pub dry_run: bool,

    /// Delete without asking.
    #[arg(long)]
    pub yes: bool,
}

/// Send poison messages to their queue again.
#[derive(Debug, Args)]
pub struct RedriveArgs {
    #[command(flatten)]
    pub(crate) of: PoisonOf,

    #[command(flatten)]
    pub(crate) which: Selection,

    /// Send them to this queue instead. A subscription needs one.
    ///
    /// Its topic would hand each message to all other subscriptions as well.
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url, value_parser = Unquoted::<QueueUrl>::new())]
    pub to: Option<QueueUrl>,

    /// Send this many messages a second at most.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), hide_short_help = true)]
    pub rate: Option<u32>,

    /// Only say what would be sent.
    #[arg(long)]
    pub dry_run: bool,

    /// Send messages of other queues as well, where several share one poison queue.
    #[arg(long, hide_short_help = true)]
    pub any_queue: bool,
}
