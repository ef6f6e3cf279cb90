//! Which service holds a queue, and where.

use std::fmt;
use std::path::PathBuf;

/// Which service holds a queue, and where.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// A SQLite database on this host.
    File {
        /// The directory that holds the database, as it was written: relative to the working
        /// directory, or absolute.
        directory: PathBuf,
    },
    /// Azure Storage Queue, or Azurite.
    Storage {
        /// The account's endpoint, without a trailing slash:
        /// `https://ACCOUNT.queue.core.windows.net` or `http://127.0.0.1:10001/devstoreaccount1`.
        endpoint: String,
        /// What the URL or the connection string brought to prove who asks. Without it the
        /// identity does.
        access: Option<StorageAccess>,
    },
    /// Azure Service Bus.
    ServiceBus {
        /// The host of the namespace, `NAMESPACE.servicebus.windows.net`, with a port if one was
        /// given.
        namespace: String,
        /// The shared key that came with a connection string. Without one the identity connects.
        access: Option<SharedAccess>,
        /// What AMQP travels on.
        transport: Transport,
    },
}

/// What proves to a storage account who asks, besides a token of the identity.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum StorageAccess {
    /// A signature that somebody else made.
    Signature(Signature),
    /// A key of the account, which signatures are made with.
    Key(AccountKey),
}

/// An [account
/// key](https://learn.microsoft.com/azure/storage/common/storage-account-keys-manage), which opens
/// the whole account: a secret, hence never shown by `Debug`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct AccountKey {
    /// The account's name.
    pub account: String,
    /// The key, as it stands in connection strings: base64.
    pub key: String,
}

impl fmt::Debug for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccountKey({}, …)", self.account)
    }
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

/// A [shared access
/// policy](https://learn.microsoft.com/azure/service-bus-messaging/service-bus-sas#shared-access-authorization-policies):
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

/// The query of a [shared access
/// signature](https://learn.microsoft.com/rest/api/storageservices/delegate-access-with-shared-access-signature),
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
        let key = AccountKey { account: "acme".into(), key: "secret".into() };
        assert_eq!(format!("{:?}", StorageAccess::Key(key)), "Key(AccountKey(acme, …))");
    }
}
