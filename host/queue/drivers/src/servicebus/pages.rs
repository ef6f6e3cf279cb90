//! Looking at what a queue holds, one page after the other.

use longshore_queue::{QueueError, Specimen};

use crate::servicebus::management::PAGE;
use crate::servicebus::{ServiceBusQueue, management};

impl ServiceBusQueue {
    /// The active ones of the next messages, from a place in the queue on; `None` at its end.
    pub(super) async fn page(&self, from: &mut i64, count: u32) -> Result<Option<Vec<Specimen>>, QueueError> {
        let first = *from;
        let page = self.wire.call(async |it| management::peek(it, &self.url, first, count).await).await?;
        let Some(last) = page.iter().map(|it| it.sequence).max() else { return Ok(None) };
        // Of none of them the place is known: it would be the same page once more.
        *from = if last < first.max(1) { i64::MAX } else { last.saturating_add(1) };
        Ok(Some(page.into_iter().filter(|it| it.active).map(|it| it.specimen).collect()))
    }

    /// Up to `max` active messages, from the queue's beginning on.
    pub(super) async fn first(&self, max: u32) -> Result<Vec<Specimen>, QueueError> {
        let (mut messages, mut from) = (Vec::new(), 0);
        loop {
            let room = max.saturating_sub(u32::try_from(messages.len()).unwrap_or(u32::MAX));
            if room == 0 {
                return Ok(messages);
            }
            let Some(page) = self.page(&mut from, room.min(PAGE)).await? else { return Ok(messages) };
            messages.extend(page);
        }
    }
}
