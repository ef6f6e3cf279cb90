//! The flags of `longshore send`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::args::QueueArg;
use super::values::{duration, property, show};
use longshore_worker::platform::POLLING_INTERVAL;

/// Put messages into a queue.
#[derive(Debug, Args)]
pub struct SendArgs {
    #[command(flatten)]
    pub(crate) queue: QueueArg,

    /// Message bodies; `-` reads one from each line of standard input.
    #[arg(value_name = "BODY", required_unless_present_any = ["file", "sample"])]
    pub bodies: Vec<String>,

    /// Send each line of a file as a message.
    ///
    /// That fits JSON lines. Empty lines are skipped.
    #[arg(long, value_name = "F", conflicts_with_all = ["bodies", "sample"])]
    pub file: Option<PathBuf>,

    /// Send this many sample orders.
    ///
    /// Some of them fail, in each way there is.
    #[arg(long, value_name = "N", conflicts_with = "bodies")]
    pub sample: Option<u64>,

    /// How long the messages stay invisible.
    ///
    /// KEDA counts them meanwhile: each of its polls starts an execution that finds nothing.
    #[arg(long, value_name = "D", value_parser = duration, default_value = "0")]
    pub delay: Duration,

    /// Send the bodies as base64.
    #[arg(long)]
    pub base64: bool,

    /// The id of the message, if it is only one.
    ///
    /// Storage queues give their own ids and refuse this.
    #[arg(long, value_name = "ID", conflicts_with_all = ["file", "sample"])]
    pub id: Option<String>,

    /// What the bodies are, as in `application/json`: the property `content-type`. Storage queues
    /// refuse it.
    #[arg(long, value_name = "TYPE", hide_short_help = true)]
    pub content_type: Option<String>,

    /// A property of the messages. Can be repeated.
    ///
    /// It reaches the handler. Storage queues have no properties.
    #[arg(long, value_name = "NAME=VALUE", value_parser = property)]
    pub property: Vec<(String, String)>,
}

impl SendArgs {
    /// What to know of what was asked, if there is something.
    pub fn note(&self) -> Option<String> {
        let counted = self.queue.queue.kind().scaler.is_some();
        (counted && self.delay > POLLING_INTERVAL).then(|| {
            format!(
                "KEDA counts messages that are hidden: until they are due, each of its polls may start an execution that finds nothing; send them when they are due, or with a --delay of {} at most",
                show(POLLING_INTERVAL)
            )
        })
    }
}
