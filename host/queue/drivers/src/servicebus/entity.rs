//! A queue, a topic or a subscription as Service Bus addresses it: its namespace, and the names
//! that each part of the protocol has for it.

use std::sync::atomic::{AtomicBool, AtomicU16};

use longshore_queue::place::Transport;
use longshore_queue::{QueueError, QueueUrl};

use crate::servicebus::clock::ServiceClock;
use crate::servicebus::token::{PutToken, TokenSource};

/// The highest number that we let a session of AMQP have. The service has never more than this
/// ([4,999](https://github.com/Azure/azure-sdk-for-net/issues/25954)).
pub(super) const CHANNEL_MAX: u16 = 4999;

/// Where a queue is, and how to get there.
#[derive(Debug)]
pub(super) struct Entity {
    pub(super) url: QueueUrl,
    /// The namespace, with its port if it has an unusual one.
    pub(super) namespace: String,
    pub(super) transport: Transport,
    pub(super) tokens: TokenSource,
    /// What the receiving link is called, on every connection: locks are taken on the link of this
    /// name.
    pub(super) link: String,
    pub(super) clock: ServiceClock,
    /// It was found out that messages are only received by session.
    pub(super) requires_sessions: AtomicBool,
    /// The highest number that a session of AMQP may have on a connection, once that is known.
    pub(super) channel_max: AtomicU16,
}

impl Entity {
    /// What a token is for.
    pub(super) fn audience(&self) -> String {
        format!("sb://{}/{}", self.namespace, self.url.name())
    }

    /// A token for this queue.
    pub(super) async fn token(&self) -> Result<PutToken, QueueError> {
        self.tokens.token(&self.audience(), &self.url).await
    }

    /// The URL of another entity of the namespace.
    pub(super) fn sibling(&self, name: &str) -> String {
        format!("sb://{}/{name}", self.namespace)
    }

    /// The namespace's host, without its port.
    pub(super) fn host(&self) -> &str {
        self.namespace.split(':').next().unwrap_or_default()
    }

    /// Where messages are received from.
    pub(super) fn source(&self) -> &str {
        self.url.name()
    }

    /// Where messages are sent to.
    pub(super) fn target(&self) -> &str {
        self.url.name()
    }

    /// The node that renews and settles.
    pub(super) fn management_node(&self) -> String {
        format!("{}/$management", self.url.name())
    }

    /// Where the settings of the queue are described, over HTTP: those of a dead-letter sub-queue
    /// are its queue's.
    pub(super) fn description(&self) -> String {
        let queue = self.url.dead_letters_of().unwrap_or(self.url.name());
        format!("https://{}/{queue}", self.namespace)
    }
}

#[cfg(test)]
mod tests {
    use longshore_queue::place::SharedAccess;

    use super::*;

    #[test]
    fn each_part_of_the_protocol_has_its_own_name_for_a_queue() {
        let entity = |name: &str| Entity {
            url: format!("sb://127.0.0.1:5671/{name}").parse().unwrap(),
            namespace: "127.0.0.1:5671".into(),
            transport: Transport::Amqps,
            tokens: TokenSource::Key(SharedAccess { name: "all".into(), key: "secret".into() }),
            link: "link".into(),
            clock: ServiceClock::default(),
            requires_sessions: AtomicBool::new(false),
            channel_max: AtomicU16::new(CHANNEL_MAX),
        };
        let queue = entity("orders");
        assert_eq!(queue.host(), "127.0.0.1");
        assert_eq!((queue.source(), queue.target()), ("orders", "orders"));
        assert_eq!(queue.management_node(), "orders/$management");
        assert_eq!(queue.audience(), "sb://127.0.0.1:5671/orders");
        assert_eq!(queue.description(), "https://127.0.0.1:5671/orders");
        let poison = entity("orders/$deadletterqueue");
        assert_eq!(poison.source(), "orders/$deadletterqueue");
        assert_eq!(poison.description(), "https://127.0.0.1:5671/orders");
    }
}
