//! A message, as a handler sees it.

use std::time::{Duration, SystemTime};

use crate::bindings::exports::longshore::handler::handler as contract;

/// A message, as it came from its queue. `wit/handler.wit` in this crate says what each field is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The id that the queue gave it: the same at each delivery of one message.
    pub id: String,
    /// The queue's name.
    pub queue: String,
    /// The bytes that the sender meant.
    pub body: Vec<u8>,
    /// How often the message was received, this time included.
    pub dequeue_count: u32,
    /// When it was put into the queue, by the queue's clock.
    pub inserted: SystemTime,
    /// How long the handler has, from the start of the call.
    pub deadline: Duration,
    /// What it carries beside its body, as names and values; empty on queues that have no properties.
    pub properties: Vec<(String, String)>,
}

impl Message {
    /// The property of that name, if the message carries it.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&str> {
        self.properties.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str())
    }

    /// What the macro is handed by the host.
    #[doc(hidden)]
    #[must_use]
    pub fn from_the_host(raw: contract::Message) -> Self {
        let inserted = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(raw.inserted));
        Self {
            id: raw.id,
            queue: raw.queue,
            body: raw.body,
            dequeue_count: raw.dequeue_count,
            // A time that this system cannot hold is no time of a message.
            inserted: inserted.unwrap_or(SystemTime::UNIX_EPOCH),
            deadline: Duration::from_millis(raw.deadline),
            properties: raw.properties,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_the_contract_has_its_times_in_units() {
        let message = Message::from_the_host(contract::Message {
            id: "m-1".to_owned(),
            queue: "orders".to_owned(),
            body: b"body".to_vec(),
            dequeue_count: 2,
            inserted: 1_767_225_600_500,
            deadline: 1_500,
            properties: vec![("tenant".to_owned(), "acme".to_owned())],
        });
        let expected = Message {
            id: "m-1".to_owned(),
            dequeue_count: 2,
            inserted: Message::test("").inserted + Duration::from_millis(500),
            deadline: Duration::from_millis(1_500),
            properties: vec![("tenant".to_owned(), "acme".to_owned())],
            ..Message::test("body")
        };
        assert_eq!(message, expected);
        assert_eq!((message.property("tenant"), message.property("Tenant")), (Some("acme"), None));
    }
}
