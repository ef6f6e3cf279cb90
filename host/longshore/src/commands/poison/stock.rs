//! What a poison queue holds before somebody is asked about it: nothing that comes later is taken.

use std::sync::Arc;

use jiff::Timestamp;

use super::super::again;
use super::choice::Choice;
use super::looked::{PoisonLook, SHOWN, not_needed_yet};
use super::sweep::SweepBounds;
use crate::exit::Failure;
use longshore_queue::{Horizon, Queue, QueueError, Specimen};
use longshore_queue_drivers::open;

/// What there is to take: no more than was there before somebody was asked about it.
pub(super) struct Stock {
    /// Its messages are those that are shown of what was there.
    pub(super) look: PoisonLook,
    pub(super) horizon: Horizon,
    /// The queue's own count. Whether it may be counted is no condition for looking at it.
    counted: Result<u64, QueueError>,
}

impl Stock {
    /// The queue, and what may be taken of it: of what was there, this much at most.
    pub(super) fn bounds(self, at_most: Option<u64>) -> Result<(Arc<dyn Queue>, SweepBounds), Failure> {
        let bounds = SweepBounds { horizon: self.horizon, counted: self.counted?, at_most };
        Ok((self.look.queue, bounds))
    }

    /// How many messages were there that the queue did not show.
    pub(super) fn not_shown(&self) -> u64 {
        self.look.of_about.map_or(0, |count| count.saturating_sub(self.look.messages.len() as u64))
    }
}

/// Looks at a poison queue whose messages are to be taken, and bounds what is taken before it
/// looks: nothing that comes later is part of it.
pub(super) async fn take_stock(
    choice: &Choice<'_>,
    until: Option<Timestamp>,
) -> Result<Option<Stock>, Failure> {
    let queue = open(&choice.poison).await?;
    let mut horizon = match again::ask(async || queue.horizon().await).await.answer {
        Err(QueueError::QueueNotFound { .. }) => return not_needed_yet(choice).await.map(|()| None),
        horizon => horizon?,
    };
    let counted = match again::ask(async || queue.approximate_count().await).await.answer {
        // It was asked for long enough. A right that is missing is no reason not to look.
        Err(error) if error.is_transient() => return Err(error.into()),
        counted => counted,
    };
    let messages = again::ask(async || queue.examine(SHOWN).await).await.answer?;
    if let Some(until) = until {
        horizon = earlier(horizon, until, &messages);
    }
    let mut look = PoisonLook::new(queue, messages, counted.as_ref().ok().copied());
    look.messages.retain(|it| horizon.holds(&it.key, it.message.inserted, false));
    Ok(Some(Stock { look, horizon, counted }))
}

/// What of a horizon was put in by then.
fn earlier(horizon: Horizon, until: Timestamp, messages: &[Specimen]) -> Horizon {
    match horizon {
        Horizon::Until(moment) => Horizon::Until(moment.min(until)),
        Horizon::Keys(mut keys) => {
            messages.iter().filter(|it| it.message.inserted > until).for_each(|it| {
                keys.remove(&it.key);
            });
            Horizon::Keys(keys)
        }
    }
}
