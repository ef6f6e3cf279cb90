//! Accepting the next session that is free, or one that is named: a link with a filter, which the
//! service answers with the session that it has found ([Sessions in AMQP
//! 1.0](https://learn.microsoft.com/azure/service-bus-messaging/service-bus-amqp-protocol-guide)).

use std::time::Duration;

use fe2o3_amqp::link::ReceiverAttachError;
use fe2o3_amqp::types::definitions::Fields;
use fe2o3_amqp::types::messaging::Source;
use fe2o3_amqp::types::primitives::{OrderedMap, Symbol, Value};
use jiff::Timestamp;
use tokio::time::Instant;

use longshore_queue::QueueError;

use crate::servicebus::connection::{Attached, Connected};
use crate::servicebus::error::{AmqpRefusal, receiving, unclear};
use crate::servicebus::link::Link;
use crate::servicebus::sessions::requests::HeldSession;

const FILTER: &str = "com.microsoft:session-filter";
const TIMEOUT: &str = "com.microsoft:timeout";
const LOCKED_UNTIL: &str = "com.microsoft:locked-until-utc";
/// How long the service looks for a session that is free.
const PATIENCE: Duration = Duration::from_secs(2);
/// The Unix epoch in .NET's ticks of 100 ns since the year 1.
const EPOCH: i64 = 621_355_968_000_000_000;
const TICKS_PER_MS: i64 = 10_000;
/// How long locks last: the service allows 5 s to 5 minutes.
const LOCKS: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(500)..=Duration::from_secs(5 * 60 + 5);
/// What is assumed where a clock is wrong: the shortest lock that there is.
const SHORTEST_LOCK: Duration = Duration::from_secs(5);

/// A session that was accepted.
pub(super) struct Accepted {
    pub(super) session: HeldSession,
    pub(super) link: Link,
    /// How long its lock lasts each time, and until when now, by our clock.
    pub(super) lock: Duration,
    pub(super) locked_until: Instant,
}

/// Accepts the next session that is free, or the one that is named, on a link of this name; `None`
/// if there is none, or somebody else holds it.
pub(super) async fn accept(
    connected: &Connected,
    name: &str,
    session: Option<&str>,
) -> Result<Option<Accepted>, QueueError> {
    let entity = connected.entity();
    let source = Source::builder()
        .address(entity.source())
        // The official clients write it so, and not as a described value.
        .add_to_filter_using_legacy_format(FILTER, session.map_or(Value::Null, Value::from))
        .build();
    let patience = u32::try_from(PATIENCE.as_millis()).unwrap_or(u32::MAX);
    let properties: Fields = OrderedMap::from_iter([(Symbol::from(TIMEOUT), Value::Uint(patience))]);
    let asked = Instant::now();
    let attached = match connected.attach(name, source, properties, 0).await? {
        Ok(attached) => attached,
        Err(ReceiverAttachError::RemoteClosedWithError(error)) => {
            let refusal = AmqpRefusal::from(&error);
            return match refusal.condition.as_str() {
                TIMEOUT | "com.microsoft:session-cannot-be-locked" => Ok(None),
                _ => Err(refusal.explain(&entity.url, "receive")),
            };
        }
        Err(error) => return Err(receiving(error, &entity.url)),
    };
    let Attached { receiver, session, watched } = attached;
    let filter = receiver.source().as_ref().and_then(|it| it.filter.as_ref());
    let id = match filter.and_then(|it| it.get(&Symbol::from(FILTER))) {
        Some(Value::String(id)) => id.clone(),
        Some(Value::Described(described)) => match &described.value {
            Value::String(id) => id.clone(),
            _ => return Err(unclear(&entity.url, "a session without an id")),
        },
        _ => return Err(unclear(&entity.url, "a session without an id")),
    };
    let until = receiver.properties(|it| it.as_ref()?.get(&Symbol::from(LOCKED_UNTIL)).and_then(time));
    let left = until
        .and_then(|until| Duration::try_from(until.duration_since(entity.clock.at(Timestamp::now()))).ok());
    let lock = left.filter(|left| LOCKS.contains(left)).unwrap_or(SHORTEST_LOCK);
    let link = Link::start((receiver, session), watched, 0, connected.shared_entity());
    let session = HeldSession { id, link: name.to_owned() };
    // It was locked after it was asked for; but the service may have looked for it for a while.
    let locked_until = if asked.elapsed() > PATIENCE / 4 { Instant::now() + lock } else { asked + lock };
    Ok(Some(Accepted { session, link, lock, locked_until }))
}

/// A time as the service writes it here, which is a number; other implementations write times.
fn time(value: &Value) -> Option<Timestamp> {
    match value {
        Value::Long(ticks) => Timestamp::from_millisecond((ticks - EPOCH) / TICKS_PER_MS).ok(),
        Value::Timestamp(time) => Timestamp::from_millisecond(time.milliseconds()).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_from_ticks_of_dotnet() {
        let read = time(&Value::Long(EPOCH + 1_764_000_000_123 * TICKS_PER_MS)).unwrap();
        assert_eq!(read.as_millisecond(), 1_764_000_000_123);
        assert_eq!(time(&Value::Null), None);
    }
}
