//! Whether two URLs name one queue, however each is written.

use std::path::{Component, Path, PathBuf};

use url::Url;

use crate::place::Place;
use crate::url::QueueUrl;

/// The ports that AMQP has over TLS, over a WebSocket, and on the emulator. A namespace is the same
/// on each of them.
const SERVICE_BUS_PORTS: [&str; 3] = [":5671", ":443", ":5672"];
/// How names of this very host end ([RFC 6761, section
/// 6.3](https://www.rfc-editor.org/rfc/rfc6761#section-6.3)).
const LOCALHOST: &str = "localhost";

impl QueueUrl {
    /// Whether both name one queue: a directory can be written in many ways, a host has more than
    /// one name, and names of Service Bus have no case. What proves who asks (a signature, a key)
    /// is no part of the question.
    pub fn is_same_queue(&self, other: &Self) -> bool {
        match (self.place(), other.place()) {
            (Place::File { directory: one }, Place::File { directory: two }) => {
                self.name() == other.name() && directory(one) == directory(two)
            }
            (Place::Storage { endpoint: one, .. }, Place::Storage { endpoint: two, .. }) => {
                self.name() == other.name() && account(one) == account(two)
            }
            (Place::ServiceBus { namespace: one, .. }, Place::ServiceBus { namespace: two, .. }) => {
                entity(self.name()) == entity(other.name()) && namespace(one) == namespace(two)
            }
            _ => false,
        }
    }
}

impl QueueUrl {
    /// Whether it is the topic that a subscription, or its dead-letter sub-queue, belongs to.
    pub fn is_topic_of(&self, subscription: &Self) -> bool {
        let topic = subscription.subscription().map(|(topic, _)| entity(topic));
        match (self.place(), subscription.place()) {
            (Place::ServiceBus { namespace: one, .. }, Place::ServiceBus { namespace: two, .. }) => {
                topic == Some(entity(self.name())) && namespace(one) == namespace(two)
            }
            _ => false,
        }
    }
}

/// A directory as the file system knows it, as far as it is there.
fn directory(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    for ancestor in absolute.ancestors() {
        if let Ok(existing) = ancestor.canonicalize() {
            let rest = absolute.strip_prefix(ancestor).unwrap_or(Path::new(""));
            return without_dots(&existing.join(rest));
        }
    }
    without_dots(&absolute)
}

/// A path whose `..` each take away what stands before. Below a directory that is not there, no
/// link can lead elsewhere.
fn without_dots(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => drop(plain.pop()),
            Component::CurDir => {}
            component => plain.push(component),
        }
    }
    plain
}

/// The host with its port, and the account where it stands in the path or in the name of this host.
fn account(endpoint: &str) -> (String, String) {
    let Ok(url) = Url::parse(endpoint) else { return (endpoint.to_ascii_lowercase(), String::new()) };
    let name = url.host_str().unwrap_or_default().trim_end_matches('.').to_ascii_lowercase();
    let in_path = url.path().trim_matches('/').to_owned();
    let port = url.port_or_known_default().map(|port| port.to_string()).unwrap_or_default();
    match name.strip_suffix(LOCALHOST).and_then(|rest| rest.strip_suffix(".queue.")) {
        Some(account) => (format!("{LOCALHOST}:{port}"), account.to_owned()),
        None => (format!("{}:{port}", host(&name)), in_path),
    }
}

/// One name for all names of this very host.
fn host(name: &str) -> &str {
    let is_loopback = name == LOCALHOST
        || name.ends_with(".localhost")
        || ["[::1]", "[::]"].contains(&name)
        || name.parse().is_ok_and(|it: std::net::Ipv4Addr| it.is_loopback() || it.is_unspecified());
    if is_loopback { LOCALHOST } else { name }
}

fn namespace(namespace: &str) -> String {
    let lower = namespace.to_ascii_lowercase();
    let plain = SERVICE_BUS_PORTS.iter().find_map(|port| lower.strip_suffix(port)).unwrap_or(&lower);
    let (name, port) = plain.rsplit_once(':').unwrap_or((plain, ""));
    // An address of IPv6 in brackets has colons of its own.
    let (name, port) = if port.ends_with(']') { (plain, "") } else { (name, port) };
    format!("{}:{port}", host(name.trim_end_matches('.')))
}

fn entity(name: &str) -> String {
    name.split('/').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/").to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use crate::url::QueueUrl;

    fn same(one: &str, two: &str) -> bool {
        let (one, two): (QueueUrl, QueueUrl) = (one.parse().unwrap(), two.parse().unwrap());
        assert_eq!(one.is_same_queue(&two), two.is_same_queue(&one));
        one.is_same_queue(&two)
    }

    #[test]
    fn a_queue_is_the_same_however_its_url_is_written() {
        const KEY: &str = "SharedAccessKeyName=all;SharedAccessKey=c2VjcmV0";
        let here = std::env::current_dir().unwrap();
        for (one, two) in [
            ("file:./queues/orders", "file:queues/orders".to_owned()),
            ("file:./queues/orders", "file:./queues/../queues/./orders".into()),
            ("file:./queues/orders", "FILE:queues//orders/".into()),
            ("file:./queues/orders", format!("file://{}/queues/orders", here.display())),
            ("file:./queues/orders", format!("file://localhost{}/queues/orders", here.display())),
            (
                "https://acme.queue.core.windows.net/orders",
                "https://ACME.Queue.core.windows.net:443/orders/".into(),
            ),
            (
                "https://acme.queue.core.windows.net/orders",
                "https://acme.queue.core.windows.net./orders?sv=1&sig=x".into(),
            ),
            (
                "http://127.0.0.1:10001/devstoreaccount1/orders",
                "http://localhost:10001/devstoreaccount1/orders".into(),
            ),
            (
                "http://127.0.0.1:10001/devstoreaccount1/orders",
                "http://[::1]:10001/devstoreaccount1/orders".into(),
            ),
            (
                "http://127.0.0.1:10001/devstoreaccount1/orders",
                "http://devstoreaccount1.queue.localhost:10001/orders".into(),
            ),
            ("sb://ns.servicebus.windows.net/orders", "sb://NS.servicebus.windows.net:5671/Orders/".into()),
            (
                "sb://ns.servicebus.windows.net/orders",
                "sb://ns.servicebus.windows.net/orders?transport=websockets".into(),
            ),
            (
                "sb://localhost:5672/orders",
                format!("Endpoint=sb://127.0.0.1;{KEY};UseDevelopmentEmulator=true;EntityPath=orders"),
            ),
            (
                "sb://ns.servicebus.windows.net/orders",
                format!("Endpoint=sb://ns.servicebus.windows.net/;{KEY};EntityPath=ORDERS"),
            ),
            (
                "sb://ns.servicebus.windows.net/orders/$deadletterqueue",
                "sb://ns.servicebus.windows.net/orders/$deadletterqueue".into(),
            ),
        ] {
            assert!(same(one, &two), "{one} {two}");
        }
    }

    #[test]
    fn queues_of_other_names_and_places_are_others() {
        for (one, two) in [
            ("file:./queues/orders", "file:./queues/orders-poison"),
            ("file:./queues/orders", "file:./other/orders"),
            ("https://acme.queue.core.windows.net/orders", "https://acme.queue.core.windows.net/invoices"),
            ("https://acme.queue.core.windows.net/orders", "https://other.queue.core.windows.net/orders"),
            ("http://127.0.0.1:10001/one/orders", "http://127.0.0.1:10001/two/orders"),
            ("http://127.0.0.1:10001/one/orders", "http://127.0.0.1:10002/one/orders"),
            (
                "sb://ns.servicebus.windows.net/orders",
                "sb://ns.servicebus.windows.net/orders/$deadletterqueue",
            ),
            ("sb://ns.servicebus.windows.net/orders", "sb://other.servicebus.windows.net/orders"),
            ("sb://127.0.0.1:5672/orders", "sb://127.0.0.1:5673/orders"),
            ("file:./queues/orders", "sb://ns.servicebus.windows.net/orders"),
        ] {
            assert!(!same(one, two), "{one} {two}");
        }
    }

    #[test]
    fn a_topic_is_told_from_its_subscriptions_and_from_other_topics() {
        let url = |path: &str| format!("sb://ns.servicebus.windows.net/{path}").parse::<QueueUrl>().unwrap();
        let subscription = url("orders/subscriptions/billing");
        assert!(url("ORDERS").is_topic_of(&subscription));
        assert!(url("orders").is_topic_of(&subscription.poison().unwrap()));
        assert!(!url("orders-2").is_topic_of(&subscription) && !subscription.is_topic_of(&subscription));
        assert!(!url("orders").is_topic_of(&url("orders")));
        let elsewhere: QueueUrl = "sb://other.servicebus.windows.net/orders".parse().unwrap();
        assert!(!elsewhere.is_topic_of(&subscription));
        assert!(same(
            "sb://ns.servicebus.windows.net/Orders/SUBSCRIPTIONS/Billing",
            "sb://ns.servicebus.windows.net/orders/Subscriptions/billing"
        ));
    }

    #[test]
    fn a_directory_is_the_same_through_a_link() {
        let directory = std::env::temp_dir().join(format!("longshore-same-{}", std::process::id()));
        std::fs::create_dir_all(directory.join("real")).unwrap();
        let link = directory.join("link");
        std::os::unix::fs::symlink(directory.join("real"), &link).unwrap();
        let url = |name: &str| format!("file:{}/{name}/orders", directory.display());
        assert!(same(&url("real"), &url("link")));
        assert!(same(&url("real/later"), &url("link/x/../later")), "what is not there yet as well");
        assert!(!same(&url("real"), &url("real/later")));
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
