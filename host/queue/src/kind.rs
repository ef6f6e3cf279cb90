//! What each kind of queue is, as data: one table that everybody asks.

use std::time::Duration;

use url::Url;

use crate::delivery_limit::{self, DeliveryLimit};
pub use crate::other_tool::OtherTool;
use crate::parse::malformed::Parsed;
use crate::parse::service_bus::DEAD_LETTER_PATH;
use crate::parse::{connection_string, file, service_bus, storage, storage_string};

/// What a kind of queue is.
#[derive(Debug)]
pub struct Kind {
    /// What it is called in sentences: `a Storage queue`.
    pub name: &'static str,
    /// What the messaging conventions of OpenTelemetry call it (`messaging.system`); for what they
    /// do not know, a name of our own.
    pub messaging_system: &'static str,
    /// How its URLs are written, the usual form first.
    pub forms: &'static [Form],
    /// Where its messages go that cannot be handled.
    pub poison: PoisonPlace,
    /// The largest body that it takes, in bytes.
    pub max_body: usize,
    /// Whether messages keep the properties and the id that their sender gave them.
    pub keeps_properties: bool,
    /// After how many deliveries the service itself moves a message to the poison queue, where it
    /// does. [`QueueUrl::delivery_limit`](crate::QueueUrl::delivery_limit) knows that of a
    /// subscription.
    pub delivery_limit: Option<&'static DeliveryLimit>,
    /// What lists and deletes its queues, where this program does not.
    pub managed_by: Option<OtherTool>,
    /// The tokens that it takes; `None` where no service asks for one.
    pub tokens: Option<TokenUse>,
    /// What KEDA counts it with; `None` where it cannot.
    pub scaler: Option<Scaler>,
    /// Whether its messages may be received by session.
    pub has_sessions: bool,
    /// The longest pause between two polls of an empty queue, for a host that polls without end.
    pub max_poll_pause: Duration,
    /// Whether a receive that waits is no request of its own: it raises how many messages the
    /// service may send, and others may wait beside it.
    pub receives_are_credit: bool,
}

/// One way to write the URLs of a kind.
#[derive(Debug)]
pub struct Form {
    /// What the text begins with: a scheme with its colon, or something that is no URL.
    pub start: &'static str,
    /// An example, for help and errors.
    pub example: &'static str,
    pub(crate) read: Reader,
}

/// What reads a text of one form.
#[derive(Debug)]
pub(crate) enum Reader {
    /// The text is a URL as RFC 3986 has it.
    Url(fn(&Url) -> Parsed),
    /// It is not. What comes behind [`Form::start`] is read.
    Text(fn(&str) -> Parsed),
    /// It is a list of fields in any order, which is read as a whole; `None` if it is of another
    /// kind.
    Fields(fn(&str) -> Option<Parsed>),
}

/// Where messages go that cannot be handled, unless another queue is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoisonPlace {
    /// To a queue beside it, whose name has this suffix.
    Beside(&'static str),
    /// To a dead-letter sub-queue of its own, which has this path behind the queue's.
    Within(&'static str),
}

/// The tokens that a service takes.
#[derive(Debug)]
pub struct TokenUse {
    /// Their scope.
    pub scope: &'static str,
    /// How the names of the service's own hosts end, in every cloud. A token may go there.
    pub hosts: &'static [&'static str],
}

/// How KEDA counts the messages of a queue, and what it calls things.
#[derive(Debug)]
pub struct Scaler {
    /// The scaler's name: the `type` of a rule.
    pub name: &'static str,
    /// The field that names the account or the namespace.
    pub owner: &'static str,
    /// The field that names the queue.
    pub queue: &'static str,
    /// The fields that name a topic and a subscription of it, where the service has those.
    pub subscription: Option<(&'static str, &'static str)>,
    /// The field that says for how many messages there is one execution.
    pub length: &'static str,
    /// The field that says how many messages start nothing yet.
    pub activation: &'static str,
    /// What the identity of a rule needs in order to count.
    pub needs: &'static str,
}

/// [`Kind::max_poll_pause`] where a poll is a call over the network, which may cost money.
const REMOTE_POLL_PAUSE: Duration = Duration::from_secs(30);

/// A queue in a directory of this host.
pub static FILE: Kind = Kind {
    name: "a file queue",
    messaging_system: "file",
    forms: &[Form { start: "file:", example: "file:./queues/orders", read: Reader::Text(file::parse) }],
    poison: PoisonPlace::Beside("-poison"),
    // That of Storage queues, so that what works here works there.
    max_body: 64 * 1024,
    keeps_properties: true,
    delivery_limit: None,
    managed_by: None,
    tokens: None,
    scaler: None,
    // A poll costs a look at a file.
    has_sessions: false,
    max_poll_pause: Duration::from_secs(1),
    receives_are_credit: false,
};

/// A queue of Azure Storage, or of Azurite.
pub static STORAGE: Kind = Kind {
    name: "a Storage queue",
    messaging_system: "azure.storage_queues",
    forms: &[
        Form {
            start: "https:",
            example: "https://ACCOUNT.queue.core.windows.net/orders",
            read: Reader::Url(storage::parse),
        },
        Form {
            start: "http:",
            example: "http://127.0.0.1:10001/devstoreaccount1/orders",
            read: Reader::Url(storage::parse),
        },
        Form {
            start: "UseDevelopmentStorage=",
            example: "UseDevelopmentStorage=true;QueueName=orders",
            read: Reader::Fields(storage_string::parse),
        },
    ],
    poison: PoisonPlace::Beside("-poison"),
    // https://learn.microsoft.com/azure/storage/queues/scalability-targets
    max_body: 64 * 1024,
    keeps_properties: false,
    delivery_limit: None,
    managed_by: None,
    tokens: Some(TokenUse {
        // https://learn.microsoft.com/rest/api/storageservices/authorize-with-azure-active-directory
        scope: "https://storage.azure.com/.default",
        hosts: &[
            ".queue.core.windows.net",
            ".queue.storage.azure.net",
            ".queue.core.usgovcloudapi.net",
            ".queue.core.chinacloudapi.cn",
        ],
    }),
    // https://keda.sh/docs/latest/scalers/azure-storage-queue/
    scaler: Some(Scaler {
        name: "azure-queue",
        owner: "accountName",
        queue: "queueName",
        subscription: None,
        length: "queueLength",
        activation: "activationQueueLength",
        needs: "it needs Storage Queue Data Reader on the queue",
    }),
    has_sessions: false,
    max_poll_pause: REMOTE_POLL_PAUSE,
    receives_are_credit: false,
};

/// A queue of Azure Service Bus, or of its emulator. A subscription of a topic is received from as
/// a queue is, and a topic is sent to as a queue is.
pub static SERVICE_BUS: Kind = Kind {
    name: "a Service Bus queue",
    messaging_system: "servicebus",
    forms: &[
        Form {
            start: "sb:",
            example: "sb://NAMESPACE.servicebus.windows.net/orders",
            read: Reader::Url(service_bus::parse),
        },
        Form {
            start: connection_string::BEGINNING,
            example: "Endpoint=sb://…/;SharedAccessKeyName=…;SharedAccessKey=…;EntityPath=orders",
            read: Reader::Text(connection_string::parse),
        },
    ],
    poison: PoisonPlace::Within(DEAD_LETTER_PATH),
    // What every tier takes, 256 KiB, less what a message carries beside its body:
    // https://learn.microsoft.com/azure/service-bus-messaging/service-bus-quotas
    max_body: 250 * 1024,
    keeps_properties: true,
    delivery_limit: Some(&delivery_limit::OF_QUEUE),
    managed_by: Some(OtherTool {
        list: "az servicebus queue list --resource-group … --namespace-name {owner} --query [].name",
        delete: "az servicebus queue delete --resource-group … --namespace-name {owner} --name {queue}",
    }),
    tokens: Some(TokenUse {
        // https://learn.microsoft.com/azure/service-bus-messaging/service-bus-managed-service-identity
        scope: "https://servicebus.azure.net/.default",
        hosts: &[".servicebus.windows.net", ".servicebus.usgovcloudapi.net", ".servicebus.chinacloudapi.cn"],
    }),
    // https://keda.sh/docs/latest/scalers/azure-service-bus/
    scaler: Some(Scaler {
        name: "azure-servicebus",
        owner: "namespace",
        queue: "queueName",
        subscription: Some(("topicName", "subscriptionName")),
        length: "messageCount",
        activation: "activationMessageCount",
        needs: "which least role lets KEDA count there is not settled (kedacore/keda issue 7822)",
    }),
    has_sessions: true,
    max_poll_pause: REMOTE_POLL_PAUSE,
    // The credit of a link (AMQP 1.0, part 2, 2.6.7).
    receives_are_credit: true,
};

/// All kinds.
pub static KINDS: [&Kind; 3] = [&FILE, &STORAGE, &SERVICE_BUS];

impl Kind {
    /// What to write for a queue of this kind, as the end of an error.
    pub(crate) fn mend(&self) -> String {
        let examples: Vec<_> = self.forms.iter().map(|form| format!("`{}`", form.example)).collect();
        format!("write {}", examples.join(", or "))
    }

    /// Whether a worker can make its poison queue when it needs it, since no service asks it for a
    /// right.
    pub fn is_made_when_needed(&self) -> bool {
        self.tokens.is_none()
    }

    /// What its URLs begin with, as `sb://`.
    pub fn scheme(&self) -> String {
        let form = self.forms.iter().find(|form| matches!(form.read, Reader::Url(_)));
        form.or(self.forms.first()).map(|form| form.scheme_text()).unwrap_or_default()
    }
}

impl Form {
    fn scheme_text(&self) -> String {
        match self.read {
            Reader::Url(_) => format!("{}//", self.start),
            Reader::Text(_) | Reader::Fields(_) => self.start.to_owned(),
        }
    }
}

impl TokenUse {
    /// Whether a host is one of the service's own, so that a token may go there without being asked
    /// for.
    pub fn owns(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        self.hosts.iter().any(|end| host.len() > end.len() && host.ends_with(end))
    }
}

/// The usual form of each kind, for help and errors: ``  `file:…`, `https:…` or `sb:…`  ``.
pub fn forms() -> String {
    let examples = KINDS.iter().filter_map(|kind| kind.forms.first());
    let mut examples: Vec<_> = examples.map(|form| format!("`{}`", form.example)).collect();
    let last = examples.pop().unwrap_or_default();
    format!("{} or {last}", examples.join(", "))
}

/// The scalers of all kinds that KEDA can count.
pub fn scalers() -> impl Iterator<Item = &'static Scaler> {
    KINDS.iter().filter_map(|kind| kind.scaler.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_forms_begin_alike() {
        let starts: Vec<_> = KINDS.iter().flat_map(|kind| kind.forms).map(|form| form.start).collect();
        for (n, start) in starts.iter().enumerate() {
            assert!(!starts[..n].iter().any(|other| other.eq_ignore_ascii_case(start)), "{start}");
        }
    }

    #[test]
    fn help_and_errors_show_one_form_of_each_kind() {
        assert_eq!(
            forms(),
            "`file:./queues/orders`, `https://ACCOUNT.queue.core.windows.net/orders` or \
             `sb://NAMESPACE.servicebus.windows.net/orders`"
        );
        assert_eq!(KINDS.map(Kind::scheme), ["file:", "https://", "sb://"]);
        assert_eq!(FILE.mend(), "write `file:./queues/orders`");
    }

    #[test]
    fn the_services_own_hosts_are_told_from_those_that_look_like_them() {
        let storage = STORAGE.tokens.as_ref().unwrap();
        let bus = SERVICE_BUS.tokens.as_ref().unwrap();
        for (tokens, host, owned) in [
            (storage, "acme.queue.core.windows.net", true),
            (storage, "ACME.QUEUE.CORE.WINDOWS.NET", true),
            (storage, "acme.z01.queue.storage.azure.net", true),
            (storage, "acme.queue.core.windows.net.evil.example", false),
            (storage, "evilqueue.core.windows.net", false),
            (storage, ".queue.core.windows.net", false),
            (storage, "ns.servicebus.windows.net", false),
            (bus, "ns.servicebus.windows.net", true),
            (bus, "ns.servicebus.windows.net.evil.example", false),
        ] {
            assert_eq!(tokens.owns(host), owned, "{host}");
        }
    }

    #[test]
    fn the_url_of_each_kind_is_of_that_kind() {
        for kind in KINDS {
            for form in kind.forms {
                let example =
                    form.example.replace("ACCOUNT", "acme").replace('…', "ns.servicebus.windows.net");
                let url: crate::QueueUrl = example.parse().unwrap_or_else(|error| panic!("{error}"));
                assert!(std::ptr::eq(url.kind(), kind), "{example} is {}", url.kind().name);
            }
        }
    }

    #[test]
    fn bodies_have_64_kib_and_on_service_bus_250() {
        assert_eq!(KINDS.map(|kind| kind.max_body), [65_536, 65_536, 256_000]);
    }

    #[test]
    fn keda_counts_every_kind_that_is_a_service() {
        let names: Vec<_> = scalers().map(|scaler| scaler.name).collect();
        assert_eq!(names, ["azure-queue", "azure-servicebus"]);
        for kind in KINDS {
            assert_eq!(kind.scaler.is_some(), kind.tokens.is_some(), "{}", kind.name);
        }
    }
}
