//! Which queue a job drains, as far as the job tells: two jobs of one queue are twins.

use std::fmt;

use serde_json::Value;

use super::container::{argument, env, secret_of};
use longshore_queue::QueueUrl;

/// The queue of a job.
pub(super) enum Drained {
    Queue(Box<QueueUrl>),
    /// The URL is in this secret of the job, which is in a key vault or has its value in the job.
    Secret {
        name: String,
        key_vault: Option<String>,
    },
    /// Neither its variables nor its arguments name one that can be read.
    Unknown,
}

impl Drained {
    /// What the host in this container drains. An argument goes before a variable.
    pub(super) fn by(job: &Value, container: usize) -> Self {
        let properties = &job["properties"];
        let template = &properties["template"];
        let queue = |url: &str| url.parse().map_or(Self::Unknown, |url| Self::Queue(Box::new(url)));
        if let Some(url) = argument(&template["containers"][container], "queue") {
            return queue(url);
        }
        let Some(variable) = env(template, container).find(|it| it["name"] == "LONGSHORE_QUEUE") else {
            return Self::Unknown;
        };
        let Some(name) = secret_of(variable) else {
            return queue(variable["value"].as_str().unwrap_or_default());
        };
        let mut secrets = properties["configuration"]["secrets"].as_array().into_iter().flatten();
        let secret = secrets.find(|it| it["name"] == name);
        let key_vault = secret.and_then(|it| it["keyVaultUrl"].as_str()).map(str::to_owned);
        Self::Secret { name: name.to_owned(), key_vault }
    }

    /// Whether both are known to be one queue. Values of secrets are not told: a secret in a key
    /// vault is the same by its URL, and one without by its name.
    pub(super) fn is_known_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Queue(one), Self::Queue(other)) => one.is_same_queue(other),
            (
                Self::Secret { name: one, key_vault: one_vault },
                Self::Secret { name: other, key_vault: other_vault },
            ) => one_vault == other_vault && (one_vault.is_some() || one == other),
            _ => false,
        }
    }
}

impl fmt::Display for Drained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Queue(url) => write!(f, "{url}"),
            Self::Secret { name, .. } => write!(f, "the queue that its secret {name} names"),
            Self::Unknown => write!(f, "a queue that cannot be read from it"),
        }
    }
}
