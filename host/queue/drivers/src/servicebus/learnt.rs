//! What is learnt of a queue beside what is asked of it.

use std::sync::atomic::Ordering;

use longshore_queue::QueueError;

use crate::servicebus::connection::Connected;
use crate::servicebus::{ServiceBusQueue, count};

impl ServiceBusQueue {
    /// Notes the largest message that the link takes. A link without a limit takes anything.
    pub(super) async fn note_limit(&self, connected: &Connected) -> Result<(), QueueError> {
        let limit = connected.sender().await?.max_message_size();
        let limit = limit.map_or(usize::MAX, |it| usize::try_from(it).unwrap_or(usize::MAX));
        self.max_message.store(limit, Ordering::Relaxed);
        Ok(())
    }

    /// Compares the service's clock with ours, once and beside what else is done.
    pub(super) fn ask_for_the_time(&self) {
        if self.clock_asked.swap(true, Ordering::Relaxed) {
            return;
        }
        let (entity, http) = (self.wire.entity.clone(), self.http.clone());
        tokio::spawn(async move {
            if let Some((theirs, ours)) = count::time(&entity, &http).await {
                entity.clock.told(theirs, ours);
            }
        });
    }
}
