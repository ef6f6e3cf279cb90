//! Queues are named by URL: what the forms are, and which queue a URL opens.

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use url::Url;

use super::file::FileQueue;
use super::storage::StorageQueue;
use super::{Queue, QueueError};
use crate::azure::Azure;

/// What is put behind a queue's name to name its poison queue.
const POISON_SUFFIX: &str = "-poison";

/// How Service Bus names the dead-letter sub-queue of an entity
/// ([Dead-letter queues](https://learn.microsoft.com/azure/service-bus-messaging/service-bus-dead-letter-queues)).
const DEAD_LETTER_PATH: &str = "/$deadletterqueue";

/// The address of a queue: its kind, where it is, its name, and a shared access signature if one was given.
///
/// | kind | form |
/// |---|---|
/// | local | `file:./queues/orders`, `file:///var/queues/orders`: a directory, and in it a queue |
/// | Storage queue | `https://ACCOUNT.queue.core.windows.net/orders`, optionally with a SAS query |
/// | Azurite | `http://127.0.0.1:10001/devstoreaccount1/orders` |
/// | Service Bus | `sb://NAMESPACE.servicebus.windows.net/orders` |
///
/// The path of a `file:` URL is taken as it stands: nothing in it is percent-decoded.
/// Neither `Display` nor `Debug` shows the signature.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct QueueUrl {
    place: Place,
    name: String,
}

/// Which service holds a queue, and where.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// A SQLite database on this host.
    File {
        /// The directory that holds the database, as it was written: relative to the working directory, or absolute.
        directory: PathBuf,
    },
    /// Azure Storage Queue, or Azurite.
    Storage {
        /// The account's endpoint, without a trailing slash: `https://ACCOUNT.queue.core.windows.net` or
        /// `http://127.0.0.1:10001/devstoreaccount1`.
        endpoint: String,
        /// The shared access signature that came with the URL.
        signature: Option<Signature>,
    },
    /// Azure Service Bus.
    ServiceBus {
        /// The host of the namespace: `NAMESPACE.servicebus.windows.net`.
        namespace: String,
    },
}

/// The query of a [shared access signature](https://learn.microsoft.com/rest/api/storageservices/delegate-access-with-shared-access-signature),
/// without its question mark. A secret, hence never shown by `Debug`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Signature(pub String);

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signature(…)")
    }
}

/// Why a URL names no queue.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{url}: {cause}; {mend}")]
pub struct InvalidQueueUrl {
    /// What was given, without anything that may be a secret.
    pub url: String,
    /// What is wrong with it.
    pub cause: String,
    /// What to write instead.
    pub mend: String,
}

impl QueueUrl {
    /// The name of the queue, within its directory, account or namespace.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Which service holds it, and where.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The poison queue: `<queue>-poison` beside the queue, with the same signature; on Service Bus the queue's own dead-letter sub-queue.
    ///
    /// # Errors
    /// The name with its suffix would be longer than the service allows.
    pub fn poison(&self) -> Result<Self, InvalidQueueUrl> {
        let name = match &self.place {
            Place::ServiceBus { .. } => format!("{}{DEAD_LETTER_PATH}", self.name),
            Place::File { .. } | Place::Storage { .. } => {
                let name = format!("{}{POISON_SUFFIX}", self.name);
                check_name(&name).map_err(|cause| InvalidQueueUrl {
                    url: self.to_string(),
                    cause: format!("its poison queue cannot be called `{name}`: {cause}"),
                    mend: "name a poison queue yourself, with `--poison-queue URL`".into(),
                })?;
                name
            }
        };
        Ok(Self { place: self.place.clone(), name })
    }

    fn parse_file(text: &str, path: &str) -> Result<Self, InvalidQueueUrl> {
        let invalid = |cause: &str| {
            invalid(text, cause, "write `file:DIRECTORY/QUEUE`, as in `file:./queues/orders`".into())
        };
        let path = match path.strip_prefix("//") {
            Some(rest) => {
                let path = rest.strip_prefix("localhost").unwrap_or(rest);
                if !path.starts_with('/') {
                    return Err(invalid("a file URL with two slashes names a host"));
                }
                Path::new(path)
            }
            None => Path::new(path),
        };
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| invalid("no queue is named"))?;
        check_name(name).map_err(|cause| invalid(&format!("`{name}` is no queue name: {cause}")))?;
        let directory = match path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        Ok(Self { place: Place::File { directory: directory.to_owned() }, name: name.to_owned() })
    }

    fn parse_storage(text: &str, url: &Url) -> Result<Self, InvalidQueueUrl> {
        let invalid = |cause: String, mend: &str| invalid(text, &cause, mend.into());
        let host = url.host_str().unwrap_or_default();
        // An account is part of the host's name on Azure, and the first segment of the path where the host is
        // an address or a name of our own (Azurite, a container beside us).
        let in_host = host.contains(".queue.");
        let mend = if in_host {
            "write `https://ACCOUNT.queue.core.windows.net/QUEUE`"
        } else {
            "write `http://HOST:10001/ACCOUNT/QUEUE`, or `https://ACCOUNT.queue.core.windows.net/QUEUE`"
        };
        if in_host && url.scheme() == "http" && !host.ends_with(".localhost") {
            return Err(invalid("a token does not travel in the clear".into(), mend));
        }
        let path = url.path().trim_matches('/');
        let (account, name) = match path.split_once('/') {
            None if in_host && !path.is_empty() => (None, path),
            Some((account, name)) if !in_host && !account.is_empty() => (Some(account), name),
            _ => return Err(invalid("the path is not that of a queue".into(), mend)),
        };
        check_name(name).map_err(|cause| invalid(format!("`{name}` is no queue name: {cause}"), mend))?;
        let signature = match url.query() {
            None | Some("") => None,
            Some(query) if url.query_pairs().any(|(key, _)| key == "sig") => {
                Some(Signature(query.to_owned()))
            }
            Some(_) => {
                return Err(invalid(
                    "the query is not a shared access signature, it has no `sig`".into(),
                    "give the whole SAS, in quotes so that the shell leaves its `&` alone, or none",
                ));
            }
        };
        let origin = url.origin().ascii_serialization();
        let endpoint = match account {
            Some(account) => format!("{origin}/{account}"),
            None => origin,
        };
        Ok(Self { place: Place::Storage { endpoint, signature }, name: name.to_owned() })
    }

    fn parse_service_bus(text: &str, url: &Url) -> Result<Self, InvalidQueueUrl> {
        let mend = "write `sb://NAMESPACE.servicebus.windows.net/QUEUE`";
        let name = url.path().trim_matches('/');
        let entity = name.strip_suffix(DEAD_LETTER_PATH).unwrap_or(name);
        // https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules, Microsoft.ServiceBus
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
        if entity.is_empty() || entity.len() > 260 || !entity.chars().all(allowed) {
            let cause =
                "the path is not that of a Service Bus queue: 1 to 260 letters, digits, `.`, `-`, `_`, `/`";
            return Err(invalid(text, cause, mend.into()));
        }
        match (url.host_str(), url.query()) {
            (Some(host), None) if !host.is_empty() => Ok(Self {
                place: Place::ServiceBus { namespace: host.to_ascii_lowercase() },
                name: name.to_owned(),
            }),
            _ => Err(invalid(text, "it has no host, or it has a query", mend.into())),
        }
    }
}

impl FromStr for QueueUrl {
    type Err = InvalidQueueUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let forms = "write `file:./queues/orders`, `https://ACCOUNT.queue.core.windows.net/orders` or \
                     `sb://NAMESPACE.servicebus.windows.net/orders`";
        if let Some(path) = text.strip_prefix("file:") {
            return Self::parse_file(text, path);
        }
        let url = Url::parse(text).map_err(|error| invalid(text, &error.to_string(), forms.into()))?;
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err(invalid(text, "a queue URL has no user, password or fragment", forms.into()));
        }
        match url.scheme() {
            "http" | "https" => Self::parse_storage(text, &url),
            "sb" => Self::parse_service_bus(text, &url),
            other => Err(invalid(text, &format!("no kind of queue is called `{other}`"), forms.into())),
        }
    }
}

impl fmt::Display for QueueUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::File { directory } => write!(f, "file:{}", directory.join(&self.name).display()),
            Place::Storage { endpoint, .. } => write!(f, "{endpoint}/{}", self.name),
            Place::ServiceBus { namespace } => write!(f, "sb://{namespace}/{}", self.name),
        }
    }
}

impl fmt::Debug for QueueUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QueueUrl({self})")
    }
}

/// Opens the queue behind a URL.
///
/// # Errors
/// [`QueueError::Fault`] when this kind of queue cannot be opened.
pub async fn open(url: &QueueUrl) -> Result<Arc<dyn Queue>, QueueError> {
    match url.place() {
        Place::File { directory } => Ok(Arc::new(FileQueue::open(url.clone(), directory)?)),
        Place::Storage { .. } => Ok(Arc::new(StorageQueue::open(url.clone(), Azure::shared())?)),
        Place::ServiceBus { .. } => Err(not_built(url, "Service Bus queues")),
    }
}

fn not_built(url: &QueueUrl, kind: &str) -> QueueError {
    QueueError::Fault {
        cause: format!("{url}: this version of longshore opens no {kind}"),
        mend: "use a `file:` queue, or a later version".into(),
    }
}

/// Checks a name against the service's rule
/// ([Naming queues](https://learn.microsoft.com/rest/api/storageservices/naming-queues-and-metadata)).
fn check_name(name: &str) -> Result<(), &'static str> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !(3..=63).contains(&name.len()) {
        Err("a queue's name has 3 to 63 characters")
    } else if !name.chars().all(allowed) {
        Err("a queue's name is made of lowercase letters, digits and dashes")
    } else if name.starts_with('-') || name.ends_with('-') || name.contains("--") {
        Err("dashes stand alone, between letters or digits")
    } else {
        Ok(())
    }
}

fn invalid(text: &str, cause: &str, mend: String) -> InvalidQueueUrl {
    InvalidQueueUrl { url: without_secrets(text), cause: cause.into(), mend }
}

/// What may be repeated of a text that is perhaps a connection string, or a URL with a password or a signature.
fn without_secrets(text: &str) -> String {
    let shown = text.split(['?', '#']).next().unwrap_or_default();
    if shown.contains(['@', ';', '=']) { "the queue's URL".into() } else { format!("`{shown}`") }
}
