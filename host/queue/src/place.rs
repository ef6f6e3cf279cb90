//! Which service holds a queue, and where.

use std::fmt;
use std::path::{Component, Path, PathBuf};

/// Which service holds a queue, and where.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// A SQLite database on this host.
    File {
        /// The directory that holds the database, as it was written: relative to the working directory,
        /// or absolute.
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
        /// The shared key that came with a connection string. Without one the identity connects.
        access: Option<SharedAccess>,
        /// What AMQP travels on.
        transport: Transport,
    },
}

/// The ports that a namespace answers on where none is named.
const USUAL_PORTS: [&str; 3] = ["443", "5671", "5672"];

impl Place {
    /// Whether both are one directory, account or namespace, however each is spelt.
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::File { directory }, Self::File { directory: other }) => whole(directory) == whole(other),
            (Self::Storage { endpoint, .. }, Self::Storage { endpoint: other, .. }) => {
                account(endpoint) == account(other)
            }
            (Self::ServiceBus { namespace, .. }, Self::ServiceBus { namespace: other, .. }) => {
                address(namespace, &USUAL_PORTS) == address(other, &USUAL_PORTS)
            }
            _ => false,
        }
    }
}

/// A directory by its one true path; one that is not there by what its path says.
fn whole(directory: &Path) -> PathBuf {
    if let Ok(found) = directory.canonicalize() {
        return found;
    }
    let mut path = PathBuf::new();
    for component in std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned()).components() {
        match component {
            Component::ParentDir => drop(path.pop()),
            Component::CurDir => {}
            other => path.push(other),
        }
    }
    path
}

/// Where an account's endpoint is, and the account's name where it stands in the path.
fn account(endpoint: &str) -> (String, String) {
    let endpoint = endpoint.split_once("://").map_or(endpoint, |(_, address)| address);
    let (host, account) = endpoint.split_once('/').unwrap_or((endpoint, ""));
    (address(host, &[]), account.to_ascii_lowercase())
}

/// A host in one spelling, with its port unless that is one of the usual ones.
fn address(host: &str, usual_ports: &[&str]) -> String {
    let (host, port) = match host.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|it| it.is_ascii_digit()) => (host, port),
        _ => (host, ""),
    };
    let port = if usual_ports.contains(&port) { "" } else { port };
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let bare = host.trim_matches(['[', ']']);
    let this_host = bare == "localhost"
        || bare.ends_with(".localhost")
        || bare.parse::<std::net::IpAddr>().is_ok_and(|it| it.is_loopback() || it.is_unspecified());
    format!("{}:{port}", if this_host { "localhost" } else { &host })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_signatures_are_never_shown() {
        let access = SharedAccess { name: "all".into(), key: "secret".into() };
        assert_eq!(format!("{access:?}"), "SharedAccess(all, …)");
        assert_eq!(format!("{:?}", Signature("sig=secret".into())), "Signature(…)");
    }
}
