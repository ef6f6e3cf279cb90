//! The flags of `longshore invoke`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueHint};

use super::sandbox::SandboxArgs;
use super::values::{Unquoted, property, some_time};
use longshore_component::{Source, SourceError};
use longshore_queue::encoding::Encoding;

/// Hand one message to a component.
#[derive(Debug, Args)]
#[command(override_usage = "longshore invoke [OPTIONS] [PATH] BODY")]
pub struct InvokeArgs {
    /// The component: `./order.wasm`, or `oci://REGISTRY/REPOSITORY:TAG`.
    ///
    /// It may stand before the body as well, as with `inspect` and `compile`. In a registry it is
    /// named by a tag, or by its digest: `oci://REGISTRY/REPOSITORY@sha256:…`.
    #[arg(long, env = "LONGSHORE_COMPONENT", hide_env_values = true, value_name = "PATH", value_hint = ValueHint::FilePath, value_parser = Unquoted::<Source>::new())]
    pub component: Option<Source>,

    /// The component, unless `--component` names it.
    #[arg(value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub first: Option<String>,

    /// The message's body; `-` reads it from standard input.
    #[arg(value_name = "BODY")]
    pub second: Option<String>,

    /// Read the body from a file.
    #[arg(long, value_name = "F")]
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

    /// The session that the message belongs to, as on a queue that has sessions: the handler may
    /// read and set the session's state.
    #[arg(long, value_name = "ID", hide_short_help = true)]
    pub session_id: Option<String>,

    /// Read the state of that session from a file; without it there is none yet.
    #[arg(long, value_name = "F", requires = "session_id", value_hint = ValueHint::FilePath, hide_short_help = true)]
    pub session_state: Option<PathBuf>,

    /// How long the handler may take.
    #[arg(long, env = "LONGSHORE_DEADLINE", value_name = "D", default_value = "30s", value_parser = some_time)]
    pub deadline: Duration,

    /// How the body is encoded.
    #[arg(long, env = "LONGSHORE_ENCODING", value_enum, default_value_t, hide_short_help = true)]
    pub encoding: Encoding,

    #[command(flatten)]
    pub(crate) sandbox: SandboxArgs,
}

/// What `invoke` is about: a component, and where the body of its message comes from.
#[derive(Debug)]
pub struct InvokedWith {
    /// The component.
    pub component: Source,
    /// The body as a word; `None` where `--file` names it.
    pub body: Option<String>,
}

impl InvokeArgs {
    /// The component and the body. A component before the body beats the one of a variable or of a
    /// project file.
    ///
    /// # Errors
    /// When one of them is missing, or there is one word too many.
    pub fn invoked(&self) -> Result<InvokedWith, String> {
        const FORM: &str = "write `longshore invoke order.wasm BODY`";
        let (path, body) = match (&self.first, &self.second, &self.file) {
            (None, _, None) => return Err(format!("no body was given; {FORM}, or name a --file")),
            (path, None, Some(_)) => (path.as_ref(), None),
            (Some(path), Some(body), None) => (Some(path), Some(body)),
            // One word is the body.
            (body, None, None) => (None, body.as_ref()),
            _ => return Err(format!("there is a body besides that of --file; {FORM}, or leave it out")),
        };
        let component = match (path, &self.component) {
            (Some(path), _) => path.parse().map_err(|error: SourceError| error.to_string())?,
            (None, Some(component)) => component.clone(),
            (None, None) => {
                return Err(format!("no component is named; {FORM}, or name it with --component"));
            }
        };
        Ok(InvokedWith { component, body: body.cloned() })
    }
}
