//! The flags of `longshore invoke`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::args::ComponentArg;
use super::sandbox::SandboxArgs;
use super::values::{property, some_time};
use longshore_queue::encoding::Encoding;

/// Hand one message to a component.
#[derive(Debug, Args)]
pub struct InvokeArgs {
    #[command(flatten)]
    pub(crate) component: ComponentArg,

    /// The message's body; `-` reads it from standard input.
    #[arg(value_name = "BODY", required_unless_present = "file")]
    pub body: Option<String>,

    /// Read the body from a file.
    #[arg(long, value_name = "F", conflicts_with = "body")]
    pub file: Option<PathBuf>,

    /// The message's id.
    #[arg(long, default_value = "invoke", hide_short_help = true)]
    pub id: String,

    /// The name of the queue that the handler sees.
    #[arg(long, default_value = "invoke", hide_short_help = true)]
    pub queue_name: String,

    /// How often the message was received, as the handler sees it.
    #[arg(long, value_name = "N", default_value_t = 1, hide_short_help = true)]
    pub dequeue_count: u32,

    /// A property of the message.
    #[arg(long = "property", value_name = "NAME=VALUE", value_parser = property, hide_short_help = true)]
    pub properties: Vec<(String, String)>,

    /// How long the handler may take.
    #[arg(long, env = "LONGSHORE_DEADLINE", value_name = "D", default_value = "30s", value_parser = some_time)]
    pub deadline: Duration,

    /// How the body is encoded.
    #[arg(long, env = "LONGSHORE_ENCODING", value_enum, default_value_t, hide_short_help = true)]
    pub encoding: Encoding,

    #[command(flatten)]
    pub(crate) sandbox: SandboxArgs,
}
