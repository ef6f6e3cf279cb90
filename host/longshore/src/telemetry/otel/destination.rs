//! A queue as the messaging conventions describe it.

use opentelemetry::{KeyValue, StringValue};

use longshore_queue::QueueUrl;

/// What is called the name of an operation, and its type.
const OPERATION: [&str; 2] = ["messaging.operation.name", "messaging.operation.type"];

/// The system that the conventions have attributes of its own for.
const SERVICE_BUS: &str = "servicebus";

/// A queue that messages are received from, or sent to.
#[derive(Clone, Debug)]
pub(super) struct Destination {
    pub(super) name: StringValue,
    pub(super) is_service_bus: bool,
    attributes: Vec<KeyValue>,
}

impl Destination {
    pub(super) fn new(url: &QueueUrl) -> Self {
        let (name, subscription) = match url.subscription() {
            Some((topic, subscription)) => (topic.to_owned(), Some(subscription.to_owned())),
            None => (url.name().to_owned(), None),
        };
        let name = StringValue::from(name);
        let system = url.kind().messaging_system;
        let server = url.server().map(|host| host.to_string());
        let mut attributes = vec![
            KeyValue::new("messaging.system", system),
            KeyValue::new("messaging.destination.name", name.clone()),
        ];
        attributes
            .extend(subscription.map(|it| KeyValue::new("messaging.destination.subscription.name", it)));
        attributes.extend(server.map(|it| KeyValue::new("server.address", it)));
        Self { name, is_service_bus: system == SERVICE_BUS, attributes }
    }

    /// The attributes of an operation's metrics.
    pub(super) fn measured(&self, operation: &'static str) -> Vec<KeyValue> {
        let mut attributes = self.attributes.clone();
        attributes.push(KeyValue::new(OPERATION[0], operation));
        attributes
    }

    /// The attributes of an operation's span.
    pub(super) fn traced(&self, operation: &'static str) -> Vec<KeyValue> {
        let mut attributes = self.measured(operation);
        attributes.push(KeyValue::new(OPERATION[1], operation));
        attributes
    }

    /// The attributes of metrics that are about no operation.
    pub(super) fn name_only(&self) -> Vec<KeyValue> {
        self.attributes.clone()
    }

    /// The name of a span: `process orders`.
    pub(super) fn span_name(&self, operation: &str) -> String {
        format!("{operation} {}", self.name)
    }
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
            assert_eq!(destination.span_name("process"), name);
            let values: Vec<_> =
                destination.traced("process").iter().map(|it| it.value.to_string()).collect();
            let found: Vec<_> = values
                .iter()
                .filter(|it| !["orders", "prices", "process"].contains(&it.as_str()))
                .cloned()
                .collect();
            assert_eq!(found.join(" "), expected, "{url}");
        }
    }
}
