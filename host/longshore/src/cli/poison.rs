//! The flags of `longshore poison …`.

use std::time::Duration;

use clap::{Args, Subcommand, ValueHint};
use jiff::Timestamp;
use regex::Regex;

use super::args::{ComponentArg, PoisonOf};
use super::examples;
use super::format::OUTPUT;
use super::sandbox::SandboxArgs;
use super::values::{Unquoted, duration, some_time};
use longshore_queue::QueueUrl;
use longshore_queue::encoding::Encoding;

/// Which poison messages.
#[derive(Clone, Debug, Default, Args)]
pub struct Selection {
    /// Only these messages: their ids, or beginnings or ends that no other id has.
    #[arg(value_name = "ID")]
    pub ids: Vec<String>,

    /// Only messages that were poisoned for this reason, such as `rejected`.
    ///
    /// The reasons are `rejected`, `attempts-exhausted`, `undecodable` and `expiring`; on Service
    /// Bus also what the service or another client gave. The reason of a message without an
    /// envelope is `unknown`.
    #[arg(long, value_name = "WORD")]
    pub reason: Option<String>,

    /// Only messages whose detail matches this regular expression: `card (closed|expired)`.
    ///
    /// It matches anywhere in the detail, as `list --all` shows it. Of a message that cannot be
    /// read that is why: `cannot be read`. `(?i)` before it makes capitals and small letters the
    /// same. The syntax is that of Rust's crate `regex`, which takes a time that is linear in the
    /// detail's length.
    #[arg(long, value_name = "PATTERN", value_parser = pattern, hide_short_help = true)]
    pub detail: Option<Regex>,

    /// Only messages that this component failed on: its digest, or a beginning of it.
    ///
    /// A dead-letter sub-queue of Service Bus does not keep it.
    // It is no path, and has no variable: that of a component is another thing.
    #[arg(long, value_name = "DIGEST", hide_short_help = true)]
    pub component: Option<String>,

    /// Only messages that were poisoned longer ago than this: `2h`, `3days`.
    ///
    /// Where a poison queue does not say when that was, the time counts since the message was put
    /// into it.
    #[arg(long, value_name = "D", value_parser = duration, hide_short_help = true)]
    pub older_than: Option<Duration>,

    /// Only messages that were poisoned in this time up to now.
    #[arg(long, value_name = "D", value_parser = duration, hide_short_help = true)]
    pub newer_than: Option<Duration>,

    /// Take this many messages at most.
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
}

impl Selection {
    /// Whether it says which messages are meant. Without that it is all of them: a limit alone
    /// says how many, and an empty pattern matches everything.
    pub(crate) fn chooses(&self) -> bool {
        !self.ids.is_empty()
            || self.reason.is_some()
            || self.detail.as_ref().is_some_and(|pattern| !pattern.as_str().is_empty())
            || self.component.is_some()
            || self.older_than.is_some()
            || self.newer_than.is_some()
    }
}

/// How much of a poison queue may be taken, whatever has come since somebody looked.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct TakeBounds {
    /// Only messages that were in the poison queue by then: `2026-01-31T08:15:00.250Z`.
    ///
    /// The time is that of the service, as `inserted_until` of a dry run's JSON. What came later
    /// stays, and is counted as `newer`. A dead-letter sub-queue of Service Bus keeps the time at
    /// which a message was sent: give --at-most as well.
    #[arg(long, value_name = "TIMESTAMP", value_parser = timestamp, hide_short_help = true)]
    pub inserted_until: Option<Timestamp>,

    /// Take this many messages at most, and count those that match beyond them.
    ///
    /// It is the number that somebody was asked about. The others stay, and are counted as
    /// `not_asked_about`.
    #[arg(long, value_name = "N", hide_short_help = true)]
    pub at_most: Option<u64>,
}

/// Look after messages that could not be handled.
#[derive(Debug, Subcommand)]
pub enum PoisonVerb {
    /// List poison messages by reason and cause: how many, and since when.
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
    /// Show one poison message with its body, and with what its handler logged last.
    #[command(after_long_help = examples::POISON_SHOW)]
    Show {
        /// Whose poison messages.
        #[command(flatten)]
        of: PoisonOf,
        /// The message's id, or a beginning or an end that no other id has.
        ///
        /// It is the message's own id, as `list` shows it, or the one in the poison queue.
        id: String,
    },
    /// Hand one poison message to a component here, in the sandbox, and leave the queue as it is.
    ///
    /// What the handler would send to an outbox is shown and not sent. What it is granted to call
    /// over HTTP is really called.
    #[command(after_long_help = examples::POISON_REPLAY)]
    Replay(Box<ReplayArgs>),
    /// Send poison messages to their queue again, without the envelope.
    ///
    /// Those of a subscription are sent to the queue that `--to` names.
    #[command(after_long_help = examples::POISON_REDRIVE)]
    Redrive(RedriveArgs),
    /// Delete poison messages. On a terminal it asks first.
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

    #[command(flatten)]
    pub(crate) bounds: TakeBounds,

    /// Delete nothing, and list what would be deleted.
    #[arg(long)]
    pub dry_run: bool,

    /// Delete without asking.
    ///
    /// Where nobody can be asked, as in a script, a purge without ids and filters needs it.
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

    #[command(flatten)]
    pub(crate) bounds: TakeBounds,

    /// Send them to this queue instead. A subscription needs one.
    ///
    /// Its topic would hand each message to all other subscriptions as well.
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url, value_parser = Unquoted::<QueueUrl>::new())]
    pub to: Option<QueueUrl>,

    /// Send this many messages a second at most.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), hide_short_help = true)]
    pub rate: Option<u32>,

    /// Send nothing, and list what would be sent.
    #[arg(long)]
    pub dry_run: bool,

    /// Send messages of other queues as well, where several share one poison queue.
    #[arg(long, hide_short_help = true)]
    pub any_queue: bool,
}

/// Hand one poison message to a component, here.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    #[command(flatten)]
    pub(crate) of: PoisonOf,

    #[command(flatten)]
    pub(crate) component: ComponentArg,

    /// The message's id, or a beginning or an end that no other id has.
    pub id: String,

    /// How often the message was received, as the handler sees it [default: as often as it was].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), hide_short_help = true)]
    pub dequeue_count: Option<u32>,

    /// How long the handler may take.
    #[arg(long, env = "LONGSHORE_DEADLINE", value_name = "D", default_value = "30s", value_parser = some_time, hide_short_help = true)]
    pub deadline: Duration,

    /// How the body is encoded.
    #[arg(long, env = "LONGSHORE_ENCODING", value_enum, default_value_t, hide_short_help = true)]
    pub encoding: Encoding,

    /// Which log lines are written, to standard error: a level, or filters such as
    /// `info,guest=trace`.
    // It takes the place of the flag of all verbs, for the sake of its default. Its value is that
    // of `Cli::log`.
    #[arg(long, help_heading = OUTPUT, hide_short_help = true, default_value = "info,guest=debug", env = "LONGSHORE_LOG", value_name = "FILTER")]
    pub log: String,

    #[command(flatten)]
    pub(crate) sandbox: SandboxArgs,
}

/// A moment with its offset from UTC.
fn timestamp(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|error| format!("{error}; write it as in 2026-01-31T08:15:00Z"))
}

/// A regular expression. The error of the crate draws several lines.
fn pattern(text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|error| {
        if let regex::Error::CompiledTooBig(_) = error {
            return "it stands for too many texts; repeat less in it".to_owned();
        }
        let said = error.to_string();
        let cause = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
        format!(
            "{}; write `\\` before a character that is meant as it is",
            cause.trim().trim_start_matches("error: ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::pattern;

    #[test]
    fn a_pattern_that_is_none_is_refused_with_the_mend_that_fits() {
        let refused = |text: &str| pattern(text).unwrap_err();
        assert_eq!(refused("("), "unclosed group; write `\\` before a character that is meant as it is");
        assert_eq!(refused("x{1000}{1000}"), "it stands for too many texts; repeat less in it");
        assert!(pattern("card (closed|expired)").is_ok());
    }
}
