//! A message that was delivered, and is locked.

use std::ops::RangeInclusive;
use std::sync::Once;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use longshore_queue::Message;

use crate::servicebus::entity::Entity;
use crate::servicebus::lock::LockToken;
use crate::servicebus::message::read;
use crate::servicebus::sections::decode;
use crate::servicebus::settler::Delivered;

/// How long locks last: what the service allows is 5 s to 5 minutes, of which some is over when a
/// message has come. The rest is told as a time, so that anything else is said by a clock that is
/// wrong.
const LOCKS: RangeInclusive<Duration> = Duration::from_millis(500)..=Duration::from_secs(5 * 60 + 5);
/// What is assumed where nothing is told.
const LOCK: Duration = Duration::from_secs(30);
/// What is assumed where a clock is wrong: the shortest lock that there is. It is then renewed in
/// time, whatever it is.
const SHORTEST_LOCK: Duration = Duration::from_secs(5);

/// A message that was delivered, and is locked.
pub(super) struct Arrived {
    pub(super) message: Message,
    pub(super) damaged: Option<String>,
    pub(super) token: LockToken,
    /// Its place in the queue, where that could be read.
    pub(super) sequence: Option<i64>,
    /// How it is settled on its link.
    pub(super) delivered: Delivered,
    came: Instant,
    /// How long its lock lasted when it came, by the service's clock as far as that is known;
    /// `None` if it lasts longer than locks do, or has ended.
    locked_for: Option<Duration>,
}

impl Arrived {
    /// A message from the bytes that carry it. What cannot be read stands for itself, so that it is
    /// counted and poisoned as any other that no handler can read.
    pub(super) fn read(token: LockToken, bytes: &[u8], delivered: Delivered, entity: &Entity) -> Self {
        let mut read = read(decode(bytes), true, &entity.url);
        let is_known = read.sequence != 0 || read.is_whole;
        if !is_known && read.message.id == read.sequence.to_string() {
            // That stands for its place, which is not known either.
            read.message.id = token.text();
        }
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
        let sequence = is_known.then_some(read.sequence);
        let (message, damaged, came) = (read.message, read.damaged, Instant::now());
        Self { message, damaged, token, sequence, delivered, came, locked_for }
    }

    /// Whether its lock has ended while it waited here.
    pub(super) fn is_over(&self) -> bool {
        self.locked_for.is_some_and(|lock| self.came.elapsed() >= lock)
    }

    /// How long its lock lasts from now on, or probably does.
    pub(super) fn locked_for(&self) -> Duration {
        static ONCE: Once = Once::new();
        let lock = self.locked_for.unwrap_or_else(|| {
            ONCE.call_once(|| {
                tracing::warn!(
                    "a lock that has just been taken does not last as long as locks do: the clock of this host is wrong, and locks are renewed as if they were the shortest; set it"
                );
            });
            SHORTEST_LOCK
        });
        lock.saturating_sub(self.came.elapsed())
    }
}
