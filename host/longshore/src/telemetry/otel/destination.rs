//! A queue as the messaging conventions describe it.

use std::sync::Arc;

use opentelemetry::{KeyValue, StringValue};

use longshore_queue::QueueUrl;

/// What is called the name of an operation, and its type.
const OPERATION: [&str; 2] = ["messaging.operation.name", "messaging.operation.type"];

/// The system that the conventions have attributes of its own for.
const SERVICE_BUS: &str = "servicebus";

/// A queue that messages are received from, or sent to. Its texts are shared by all spans.
#[derive(Clone, Debug)]
pub(super) struct Destination {
    pub(super) is_service_bus: bool,
    name: String,
    attributes: Vec<KeyValue>,
}

/// An operation on a queue, as its spans and metrics have it.
#[derive(Clone, Debug)]
pub(super) struct Operation {
    /// The name of its spans: `process orders`.
    pub(super) span_name: String,
    /// The attributes of its metrics.
    pub(super) measured: Vec<KeyValue>,
    /// The attributes of its spans.
    pub(super) traced: Vec<KeyValue>,
}

impl Destination {
    pub(super) fn new(url: &QueueUrl) -> Self {
        let (name, subscription) = match url.subscription() {
            Some((topic, subscription)) => (topic.to_owned(), Some(subscription.to_owned())),
            None => (url.name().to_owned(), None),
        };
        let system = url.kind().messaging_system;
        let server = url.server().map(|host| host.to_string());
        let mut attributes = vec![
            KeyValue::new("messaging.system", system),
            shared("messaging.destination.name", name.clone()),
        ];
        attributes.extend(subscription.map(|it| shared("messaging.destination.subscription.name", it)));
        attributes.extend(server.map(|it| shared("server.address", it)));
        Self { is_service_bus: system == SERVICE_BUS, name, attributes }
    }

    /// An operation on this queue.
    pub(super) fn operation(&self, operation: &'static str) -> Operation {
        let mut measured = self.attributes.clone();
        measured.push(KeyValue::new(OPERATION[0], operation));
        let mut traced = measured.clone();
        traced.push(KeyValue::new(OPERATION[1], operation));
        Operation { span_name: format!("{operation} {}", self.name), measured, traced }
    }

    /// The attributes of metrics that are about no operation.
    pub(super) fn name_only(&self) -> Vec<KeyValue> {
        self.attributes.clone()
    }
}

/// An attribute whose copies share one text.
fn shared(key: &'static str, value: String) -> KeyValue {
    KeyValue::new(key, StringValue::from(Arc::<str>::from(value)))
}

#[cfg(test)]
mod tests {
    use super::Destination;

    #[test]
    fn a_queue_is_described_as_the_conventions_have_it_and_no_key_is_in_it() {
        for (url, name, expected) in [
            ("file:./queues/orders", "process orders", "file"),
            (
                "https://shop.queue.core.windows.net/orders?sig=SECRET",
                "process orders",
                "azure.storage_queues shop.queue.core.windows.net",
            ),
            (
                "sb://ns.servicebus.windows.net/orders",
                "process orders",
                "servicebus ns.servicebus.windows.net",
            ),
            (
                "sb://ns.servicebus.windows.net/prices/Subscriptions/shop",
                "process prices",
                "servicebus shop ns.servicebus.windows.net",
            ),
        ] {
            let destination = Destination::new(&url.parse().unwrap());
            let process = destination.operation("process");
            assert_eq!(process.span_name, name);
            let values: Vec<_> = process.traced.iter().map(|it| it.value.to_string()).collect();
            let found: Vec<_> = values
                .iter()
                .filter(|it| !["orders", "prices", "process"].contains(&it.as_str()))
                .cloned()
                .collect();
            assert_eq!(found.join(" "), expected, "{url}");
        }
    }
}
