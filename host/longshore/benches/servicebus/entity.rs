//! The queues that are measured.

use super::broker::Broker;

/// How long a lock lasts, in seconds, and how often a message may be delivered: as the service has
/// it where nobody says.
const LOCK_S: u32 = 60;
const DELIVERIES: u32 = 10;

/// A new queue of the broker, by its name.
pub(super) fn queue(broker: &Broker) -> String {
    broker.queue(LOCK_S, DELIVERIES)
}
