//! `--outbox` and `--outbox-encoding`: the queues that handlers may send messages to, and how
//! bodies are written there.

use std::str::FromStr;

use longshore_queue::QueueUrl;
use longshore_queue::url::InvalidQueueUrl;
use longshore_worker::outbox::OutboxEncoding;

/// A queue that handlers may send messages to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxQueue {
    /// What handlers call it.
    pub name: String,
    /// Where it is.
    pub url: QueueUrl,
}

impl FromStr for OutboxQueue {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, url) = text.split_once('=').ok_or("write it as NAME=QUEUE-URL")?;
        if name.is_empty() {
            return Err("the queue has no name; write it as NAME=QUEUE-URL".into());
        }
        let url = url.parse().map_err(|error: InvalidQueueUrl| error.to_string())?;
        Ok(Self { name: name.to_owned(), url })
    }
}

/// How bodies are written to one of these queues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodingOf {
    /// What handlers call the queue.
    pub name: String,
    /// How.
    pub encoding: OutboxEncoding,
}

impl FromStr for EncodingOf {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const FORM: &str = "write it as NAME=base64, with a name that --outbox grants";
        let (name, encoding) = text.split_once('=').ok_or(FORM)?;
        let encoding = match encoding {
            "text" => OutboxEncoding::Text,
            "base64" => OutboxEncoding::Base64,
            _ => return Err(format!("an encoding is text or base64; {FORM}")),
        };
        Ok(Self { name: name.to_owned(), encoding })
    }
}
