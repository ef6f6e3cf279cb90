//! The link that receives, and what it brings.

use std::ops::RangeInclusive;
use std::sync::Once;
use std::time::Duration;

use bytes::Bytes;
use fe2o3_amqp::Receiver;
use fe2o3_amqp::link::RecvError;
use fe2o3_amqp::session::SessionHandle;
use fe2o3_amqp::types::messaging::{Body, Message as Amqp};
use fe2o3_amqp::types::primitives::Value;
use jiff::Timestamp;
use tokio::time::timeout;

use longshore_queue::{Message, QueueError};

use crate::servicebus::entity::Entity;
use crate::servicebus::error::received;
use crate::servicebus::lock::LockToken;
use crate::servicebus::message::read;

/// How long a link may take to end.
const CLOSE: Duration = Duration::from_secs(1);
/// How long locks last: what the service allows is 5 s to 5 minutes, of which some is over when a
/// message has come. The rest is told as a time, so that anything else is said by a clock that is
/// wrong.
const LOCKS: RangeInclusive<Duration> = Duration::from_millis(500)..=Duration::from_secs(5 * 60 + 5);
/// What is assumed where nothing is told.
const LOCK: Duration = Duration::from_secs(30);
/// What is assumed where a clock is wrong: the shortest lock that there is. It is then renewed in
/// time, whatever it is.
const SHORTEST_LOCK: Duration = Duration::from_secs(5);

/// The link that receives, in a session of its own.
#[derive(Debug)]
pub(super) struct Link {
    // Dropped in this order: the link ends before its session.
    pub(super) receiver: Receiver,
    session: SessionHandle<()>,
    /// How many messages it has brought.
    pub(super) delivered: u32,
    /// A message came after the service was told to send no more. The library then counts it twice,
    /// since the service's answer had it counted already, and would grant more than is asked for:
    /// what comes beyond is lost until its lock ends.
    pub(super) miscounted: bool,
}

/// A message that was delivered, and is locked.
pub(super) struct Arrived {
    pub(super) message: Message,
    pub(super) damaged: Option<String>,
    pub(super) token: LockToken,
    /// Its place in the queue, where that could be read.
    pub(super) sequence: Option<i64>,
    /// How long its lock lasts from now on, by the service's clock as far as that is known; `None`
    /// if it lasts longer than locks do, or has ended.
    pub(super) locked_for: Option<Duration>,
}

impl Link {
    pub(super) fn new(receiver: Receiver, session: SessionHandle<()>) -> Self {
        Self { receiver, session, delivered: 0, miscounted: false }
    }

    /// Ends the link and its session, and with them what both sides remember of its deliveries.
    /// Locks are not touched.
    pub(super) async fn close(self) {
        let Self { receiver, mut session, .. } = self;
        let closing = async {
            let _ = receiver.close().await;
            let _ = session.end().await;
        };
        // The next one does not depend on it: what is left of this one ends with the connection.
        let _ = timeout(CLOSE, closing).await;
    }

    /// Takes what comes, until there is enough. Waits `first` for the first message, and `next` for
    /// each one after it.
    pub(super) async fn take(
        &mut self,
        entity: &Entity,
        arrived: &mut Vec<Arrived>,
        max: usize,
        first: Duration,
        next: Duration,
    ) -> Result<(), QueueError> {
        let mut wait = first;
        while arrived.len() < max {
            let Ok(taken) = timeout(wait, self.receiver.recv::<Body<Value>>()).await else { return Ok(()) };
            let arrival = match taken {
                Ok(delivery) => {
                    let token = LockToken::from_tag(delivery.delivery_tag());
                    token.map(|token| arrival(token, delivery.into_message(), entity))
                }
                // It is counted and poisoned as any other that no handler can read.
                Err(RecvError::MessageDecode(error)) => LockToken::from_tag(error.info.delivery_tag())
                    .map(|token| damaged(token, format!("it is no AMQP message: {}", error.source))),
                // Some are in hand: these are handled, and the next receive finds out.
                Err(_) if !arrived.is_empty() => return Ok(()),
                Err(error) => return Err(received(error, &entity.url, "receive")),
            };
            wait = next;
            self.delivered += 1;
            match arrival {
                Some(arrival) => arrived.push(arrival),
                // Nothing can be asked about it.
                None => tracing::warn!("a delivery without a lock token was left alone"),
            }
        }
        Ok(())
    }
}

impl Arrived {
    /// How long its lock lasts, or probably does.
    pub(super) fn locked_for(&self) -> Duration {
        static ONCE: Once = Once::new();
        self.locked_for.unwrap_or_else(|| {
            ONCE.call_once(|| {
                tracing::warn!(
                    "a lock that has just been taken does not last as long as locks do: the clock of this host is wrong, and locks are renewed as if they were the shortest; set it"
                );
            });
            SHORTEST_LOCK
        })
    }
}

fn arrival(token: LockToken, message: Amqp<Body<Value>>, entity: &Entity) -> Arrived {
    let read = read(message, true, &entity.url);
    let now = Timestamp::now();
    if let Some(enqueued) = read.enqueued {
        entity.clock.has_passed(enqueued, now);
    }
    let locked_for = match read.locked_until {
        None => Some(LOCK),
        Some(until) => {
            let left = Duration::try_from(until.duration_since(entity.clock.at(now))).ok();
            left.filter(|left| LOCKS.contains(left))
        }
    };
    let sequence = Some(read.sequence);
    Arrived { message: read.message, damaged: read.damaged, token, sequence, locked_for }
}

/// Stands for what cannot be read at all, not even how often it was delivered.
fn damaged(token: LockToken, why: String) -> Arrived {
    let message = Message {
        id: token.text(),
        body: Bytes::new(),
        dequeue_count: 1,
        inserted: Timestamp::now(),
        time_to_live: None,
        properties: Vec::new(),
    };
    Arrived { message, damaged: Some(why), token, sequence: None, locked_for: Some(LOCK) }
}
