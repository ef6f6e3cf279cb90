//! A dead-letter sub-queue as a run unloads it: each dead letter is handed to the handler once, and
//! what fails again stays where it is.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::sync::OnceCell;

use longshore_queue::{
    DeadLetter, Horizon, Message, Outgoing, Queue, QueueError, QueueUrl, Receipt, Received, Right,
};

/// For how long what stays is hidden from this run. It is visible again when the run ends.
const HIDDEN: Duration = Duration::from_secs(24 * 60 * 60);
/// How many receives in a row may bring nothing but what is not to be handled.
const MAX_LOOKS: usize = 16;
/// How many messages are released at once.
const MAX_RELEASES_IN_FLIGHT: usize = 16;

/// The dead letters that were there when the run began.
#[derive(Debug)]
pub(super) struct DeadLetters {
    queue: Arc<dyn Queue>,
    horizon: OnceCell<Horizon>,
    seen: Mutex<HashSet<String>>,
    /// What stays: ids and newest receipts.
    staying: Mutex<Vec<(String, Receipt)>>,
}

impl DeadLetters {
    pub(super) fn new(queue: Arc<dyn Queue>) -> Self {
        Self { queue, horizon: OnceCell::new(), seen: Mutex::default(), staying: Mutex::default() }
    }

    /// Makes visible again what stays.
    pub(super) async fn release(&self) {
        let staying = std::mem::take(&mut *lock(&self.staying));
        let releasing =
            stream::iter(staying).for_each_concurrent(MAX_RELEASES_IN_FLIGHT, async |(id, receipt)| {
                // Should this fail, the end of the lease releases it.
                let _ = self.queue.update(&id, &receipt, Duration::ZERO).await;
            });
        releasing.await;
    }

    /// Hides a message until the run ends.
    async fn keep(&self, id: &str, receipt: &Receipt) -> Result<(), QueueError> {
        let receipt = self.queue.update(id, receipt, HIDDEN).await?;
        lock(&self.staying).push((id.to_owned(), receipt));
        Ok(())
    }

    /// Whether a message is to be handled: it was there, and has not been seen yet.
    fn is_due(&self, horizon: &Horizon, received: &Received) -> bool {
        let key = self.queue.key(received);
        let was_there = horizon.holds(&key, received.message.inserted, received.damaged.is_some());
        lock(&self.seen).insert(key) && was_there
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What each guards is valid after every statement.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait::async_trait]
impl Queue for DeadLetters {
    fn url(&self) -> &QueueUrl {
        self.queue.url()
    }

    async fn prepare(&self) -> Result<(), QueueError> {
        self.queue.prepare().await
    }

    async fn create(&self) -> Result<bool, QueueError> {
        self.queue.create().await
    }

    async fn may(&self, right: Right) -> Result<(), QueueError> {
        self.queue.may(right).await
    }

    async fn receive(&self, max: u32, visibility: Duration) -> Result<Vec<Received>, QueueError> {
        let horizon = self.horizon.get_or_try_init(async || self.queue.horizon().await).await?;
        for _ in 0..MAX_LOOKS {
            let received = self.queue.receive(max, visibility).await?;
            if received.is_empty() {
                break;
            }
            let (mut due, others): (Vec<_>, Vec<_>) =
                received.into_iter().partition(|it| self.is_due(horizon, it));
            for it in others {
                // Should this fail, it comes round once more.
                let _ = self.keep(&it.message.id, &it.receipt).await;
            }
            if !due.is_empty() {
                // How often it failed before it was dead is no reason to bury it unhandled.
                due.iter_mut().for_each(|it| it.message.dequeue_count = 1);
                return Ok(due);
            }
        }
        Ok(Vec::new())
    }

    async fn stop_receiving(&self) {
        self.queue.stop_receiving().await;
    }

    async fn send(&self, message: Outgoing) -> Result<String, QueueError> {
        self.queue.send(message).await
    }

    async fn update(&self, id: &str, receipt: &Receipt, visibility: Duration) -> Result<Receipt, QueueError> {
        self.queue.update(id, receipt, visibility).await
    }

    async fn delete(&self, id: &str, receipt: &Receipt) -> Result<(), QueueError> {
        self.queue.delete(id, receipt).await
    }

    async fn peek(&self, max: u32) -> Result<Vec<Message>, QueueError> {
        self.queue.peek(max).await
    }

    async fn approximate_count(&self) -> Result<u64, QueueError> {
        self.queue.approximate_count().await
    }

    fn fits(&self, body: &[u8]) -> bool {
        self.queue.fits(body)
    }

    fn longest_lease(&self) -> Duration {
        self.queue.longest_lease()
    }

    fn hides_only_while_running(&self) -> bool {
        self.queue.hides_only_while_running()
    }

    fn moves_to(&self, poison: &QueueUrl) -> bool {
        self.url().is_same_queue(poison)
    }

    /// It is where it belongs.
    async fn dead_letter(
        &self,
        id: &str,
        receipt: &Receipt,
        letter: DeadLetter<'_>,
    ) -> Result<(), QueueError> {
        tracing::info!(message_id = id, reason = letter.reason, "it stays in the dead-letter queue");
        self.keep(id, receipt).await
    }
}
