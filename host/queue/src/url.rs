//! Queues are named by URL: what the forms are, and which queue a URL opens.

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use url::Url;

/// What is put behind a queue's name to name its poison queue.
const POISON_SUFFIX: &str = "-poison";

/// How Service Bus names the dead-letter sub-queue of an entity
/// ([Dead-letter queues](https://learn.microsoft.com/azure/service-bus-messaging/service-bus-dead-letter-queues)).
pub const DEAD_LETTER_PATH: &str = "/$deadletterqueue";

/// The address of a queue: its kind, where it is, its name, and a shared access signature if one was given.
///
/// | kind | form |
/// |---|---|
/// | local | `file:./queues/orders`, `file:///var/queues/orders`: a directory, and in it a queue |
/// | Storage queue | `https://ACCOUNT.queue.core.windows.net/orders`, optionally with a SAS query |
/// | Azurite | `http://127.0.0.1:10001/devstoreaccount1/orders` |
/// | Service Bus | `sb://NAMESPACE.servicebus.windows.net/orders`, with `?transport=websockets` if that must be |
/// | the same with a key | `Endpoint=sb://…/;SharedAccessKeyName=…;SharedAccessKey=…;EntityPath=orders` |
/// | its emulator | the same with `UseDevelopmentEmulator=true` |
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
        /// The host of the namespace, `NAMESPACE.servicebus.windows.net`, with a port if one was given.
        namespace: String,
        /// The shared key that came with a connection string; without one it is the identity that connects.
        access: Option<SharedAccess>,
        /// What AMQP travels on.
        transport: Transport,
    },
}

/// What AMQP travels on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Transport {
    /// TLS; and where nothing answers on its usual port, a WebSocket.
    #[default]
    Amqps,
    /// A WebSocket over TLS.
    WebSockets,
    /// Nothing but TCP, as the emulator has it.
    Plain,
}

/// A [shared access policy](https://learn.microsoft.com/azure/service-bus-messaging/service-bus-sas#shared-access-authorization-policies):
/// its name, and a key of it. The key is a secret, hence never shown by `Debug`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SharedAccess {
    /// The policy's name.
    pub name: String,
    /// One of its keys, as it stands in connection strings.
    pub key: String,
}

impl fmt::Debug for SharedAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedAccess({}, …)", self.name)
    }
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

    /// Whether it is the dead-letter sub-queue of a Service Bus queue.
    pub fn is_dead_letter_queue(&self) -> bool {
        matches!(self.place, Place::ServiceBus { .. }) && self.name.ends_with(DEAD_LETTER_PATH)
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
        let transport = match url.query() {
            None | Some("") => Transport::Amqps,
            Some("transport=websockets") => Transport::WebSockets,
            Some(_) => {
                let cause = "it has a query that is not `transport=websockets`";
                return Err(invalid(text, cause, mend.into()));
            }
        };
        let name = url.path().trim_matches('/');
        let entity = name.strip_suffix(DEAD_LETTER_PATH).unwrap_or(name);
        // https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules, Microsoft.ServiceBus
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
        if entity.is_empty() || entity.len() > 260 || !entity.chars().all(allowed) {
            let cause =
                "the path is not that of a Service Bus queue: 1 to 260 letters, digits, `.`, `-`, `_`, `/`";
            return Err(invalid(text, cause, mend.into()));
        }
        let Some(host) = url.host_str().filter(|host| !host.is_empty()) else {
            return Err(invalid(text, "it has no host", mend.into()));
        };
        let namespace = match url.port() {
            Some(port) => format!("{}:{port}", host.to_ascii_lowercase()),
            None => host.to_ascii_lowercase(),
        };
        Ok(Self { place: Place::ServiceBus { namespace, access: None, transport }, name: name.to_owned() })
    }

    /// Reads a [connection string](https://learn.microsoft.com/azure/service-bus-messaging/service-bus-dotnet-get-started-with-queues#get-the-connection-string)
    /// that names its queue.
    fn parse_connection_string(text: &str) -> Result<Self, InvalidQueueUrl> {
        let invalid = |cause: &str| {
            let mend = "write `Endpoint=sb://NAMESPACE.servicebus.windows.net/;SharedAccessKeyName=…;SharedAccessKey=…;EntityPath=QUEUE`";
            InvalidQueueUrl { url: "the connection string".into(), cause: cause.into(), mend: mend.into() }
        };
        let fields: Vec<_> = text.split(';').filter_map(|field| field.trim().split_once('=')).collect();
        let field = |name: &str| {
            let found = fields.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
            found.map(|(_, value)| *value).filter(|value| !value.is_empty())
        };
        let queue = field("EntityPath").ok_or_else(|| invalid("it names no queue"))?;
        let endpoint = field("Endpoint").unwrap_or_default().trim_end_matches('/');
        let mut parsed =
            format!("{endpoint}/{queue}").parse::<Self>().map_err(|error| invalid(&error.cause))?;
        let Place::ServiceBus { access, transport, .. } = &mut parsed.place else {
            return Err(invalid("its endpoint is not that of Service Bus"));
        };
        let (Some(name), Some(key)) = (field("SharedAccessKeyName"), field("SharedAccessKey")) else {
            return Err(invalid("it has no shared key"));
        };
        *access = Some(SharedAccess { name: name.to_owned(), key: key.to_owned() });
        let is = |name, value: &str| field(name).is_some_and(|it| it.eq_ignore_ascii_case(value));
        if is("UseDevelopmentEmulator", "true") {
            *transport = Transport::Plain;
        } else if is("TransportType", "AmqpWebSockets") {
            *transport = Transport::WebSockets;
        }
        Ok(parsed)
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
        if text.get(..9).is_some_and(|start| start.eq_ignore_ascii_case("Endpoint=")) {
            return Self::parse_connection_string(text);
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
            Place::ServiceBus { namespace, .. } => write!(f, "sb://{namespace}/{}", self.name),
        }
    }
}

impl fmt::Debug for QueueUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QueueUrl({self})")
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
