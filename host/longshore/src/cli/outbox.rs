//! `--outbox`: the queues that handlers may send messages to.

use longshore_queue::QueueUrl;
use longshore_queue::url::InvalidQueueUrl;

/// A queue that handlers may send messages to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxQueue {
    /// What handlers call it.
    pub name: String,
    /// Where it is.
    pub url: QueueUrl,
}

impl std::str::FromStr for OutboxQueue {
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
