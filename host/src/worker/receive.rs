//! Asking the queue for messages, and what to do when it does not answer.

use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::Worker;
use super::lease::{Lease, Terms};
use super::report::Outcome;
use super::stop::{Stop, Urgency};
use crate::queue::{QueueError, Received};

/// How long a receive in flight is awaited after a signal.
const LAST_RECEIVE: Duration = Duration::from_secs(3);
/// The first and the longest pause after a receive that failed in passing.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// How long receives may fail in passing before that counts as a fault.
const PATIENCE: Duration = Duration::from_secs(2 * 60);

/// What a receive brought.
pub(super) enum Answer {
    /// These messages, leased with a call that was sent then.
    Batch { messages: Vec<Received>, sent: Instant },
    /// No message.
    Nothing { sent: Instant },
    /// No clear answer: try again then.
    Later(Instant),
    /// A signal came; whatever was leased is released.
    Stopped,
}

/// Receives, and counts the failures in a row.
#[derive(Default)]
pub(super) struct Receiver {
    failing_since: Option<Instant>,
    failures: u32,
}

impl Receiver {
    /// Asks for up to `max` messages. Errors are those that no retry will mend.
    pub(super) async fn receive(
        &mut self,
        worker: &Worker,
        max: u32,
        terms: Terms,
        stop: &mut Stop,
    ) -> Result<Answer, QueueError> {
        worker.handler.reload().await;
        let sent = Instant::now();
        let mut receive = pin!(worker.queue.receive(max, terms.visibility));
        let answer = tokio::select! {
            biased;
            answer = &mut receive => answer,
            () = stop.wait(Urgency::Drain) => {
                if let Ok(Ok(messages)) = timeout(LAST_RECEIVE, receive).await {
                    worker.give_back(messages, sent, terms).await;
                }
                return Ok(Answer::Stopped);
            }
        };
        match answer {
            Ok(messages) => {
                *self = Self::default();
                if messages.is_empty() {
                    return Ok(Answer::Nothing { sent });
                }
                super::lock(&worker.summary).received += messages.len() as u64;
                Ok(Answer::Batch { messages, sent })
            }
            Err(error) if error.is_transient() => self.pause(error),
            Err(error) => Err(error),
        }
    }

    fn pause(&mut self, error: QueueError) -> Result<Answer, QueueError> {
        let now = Instant::now();
        if now - *self.failing_since.get_or_insert(now) >= PATIENCE {
            return Err(error);
        }
        let (first, longest) = PAUSE;
        let pause = match &error {
            QueueError::Busy { retry_after: Some(after), .. } => (*after).min(longest),
            _ => first.saturating_mul(1 << self.failures.min(10)).min(longest),
        };
        self.failures += 1;
        tracing::warn!(%error, pause_ms = pause.as_millis() as u64, "receiving failed, trying again");
        Ok(Answer::Later(now + pause))
    }
}

impl Worker {
    /// Makes messages visible again that were leased when it was too late to handle them.
    async fn give_back(&self, messages: Vec<Received>, sent: Instant, terms: Terms) {
        super::lock(&self.summary).received += messages.len() as u64;
        for received in messages {
            let mut lease = Lease::new(&received, sent, terms);
            if terms.renewable {
                // Should this fail, the end of the lease gives it back.
                let _ = lease.hide(&*self.queue, Duration::ZERO).await;
            }
            let outcome = Outcome::Abandoned("stopped");
            outcome.log(&received.message.id, received.message.dequeue_count, Duration::ZERO);
            super::lock(&self.summary).count(&outcome);
        }
    }
}
