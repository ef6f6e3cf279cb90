//! Asking the queue for messages, and what to do when it does not answer.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{BoxFuture, join_all};
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, timeout, timeout_at};

use super::Worker;
use super::lease::{Lease, Terms};
use super::platform::{LAST_RECEIVE, SETTLEMENT};
use super::report::Outcome;
use longshore_queue::{MAX_RECEIVE, QueueError, Received};

/// The first and the longest pause after a receive that failed in passing.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// How long receives may fail in passing before that counts as a fault.
const PATIENCE: Duration = Duration::from_secs(2 * 60);

/// How many receives may be in flight at once, as long as the queue gives as much as it is asked for: messages do not
/// end together, and a slot that is free need not wait for the answer to another.
const AT_ONCE: usize = 4;
/// How much later than the one before, unless it asks for as much as a receive can: a queue that answers sooner is asked
/// for more at a time instead.
const APART: Duration = Duration::from_millis(2);
/// One in so many of the slots that are not asked for has to be free before they are asked for: a receive costs the same
/// for one message as for many.
const ENOUGH: usize = 4;
/// How long free slots wait for that at most.
const OTHERS: Duration = Duration::from_millis(1);

/// A receive that was answered.
pub(super) struct Answered {
    pub(super) asked: u32,
    pub(super) sent: Instant,
    answer: Result<Vec<Received>, QueueError>,
}

/// What it brought.
pub(super) enum Answer {
    /// These messages.
    Batch(Vec<Received>),
    /// No message.
    Nothing,
    /// No clear answer: try again then.
    Later(Instant),
}

/// The receives in flight, and the failures in a row.
#[derive(Default)]
pub(super) struct Receiver {
    in_flight: FuturesUnordered<BoxFuture<'static, Answered>>,
    /// When the newest of them was sent.
    sent: Option<Instant>,
    /// The newest answer brought as much as was asked for.
    full: bool,
    /// Since when slots have been free that no receive has asked for.
    free_since: Option<Instant>,
    failing_since: Option<Instant>,
    failures: u32,
}

impl Receiver {
    /// When to ask for `free` messages while `busy` are being handled; `None`: not before something else happens.
    pub(super) fn due(&mut self, free: u32, busy: usize, now: Instant) -> Option<Instant> {
        let largest = free >= MAX_RECEIVE;
        let late = self.sent.is_none_or(|sent| now - sent >= APART);
        let one_more = self.full && self.in_flight.len() < AT_ONCE && (largest || late);
        if !(self.in_flight.is_empty() || one_more) {
            return None;
        }
        let free_since = *self.free_since.get_or_insert(now);
        let free = free as usize;
        let enough = largest || free * ENOUGH >= free + busy;
        Some(if enough { now } else { free_since + OTHERS })
    }

    /// Asks for up to `max` messages.
    pub(super) fn send(&mut self, worker: Arc<Worker>, max: u32, terms: Terms) {
        self.sent = Some(Instant::now());
        self.free_since = None;
        self.in_flight.push(Box::pin(async move {
            worker.handler.reload().await;
            let sent = Instant::now();
            Answered { asked: max, sent, answer: worker.queue.receive(max, terms.visibility).await }
        }));
    }

    /// The next receive that is answered; `None` if none is in flight.
    pub(super) async fn next(&mut self) -> Option<Answered> {
        self.in_flight.next().await
    }

    /// What the answer means. Errors are those that no retry will mend.
    pub(super) fn judge(&mut self, answered: Answered) -> Result<Answer, QueueError> {
        self.full = false;
        match answered.answer {
            Ok(messages) => {
                (self.failing_since, self.failures) = (None, 0);
                self.full = messages.len() >= answered.asked as usize;
                Ok(if messages.is_empty() { Answer::Nothing } else { Answer::Batch(messages) })
            }
            Err(error) if error.is_transient() => self.pause(error),
            Err(error) => Err(error),
        }
    }

    /// Waits for what is still in flight, though not for long, and makes visible again what that leased.
    pub(super) async fn give_back(mut self, worker: &Worker, terms: Terms) {
        let ends = Instant::now() + LAST_RECEIVE;
        while let Ok(Some(Answered { sent, answer, .. })) = timeout_at(ends, self.next()).await {
            worker.give_back(answer.unwrap_or_default(), sent, terms).await;
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
        join_all(messages.iter().map(async |received| {
            let mut lease = Lease::new(received, sent, terms);
            if terms.renewable {
                // Should this fail, the end of the lease gives it back.
                let _ = timeout(SETTLEMENT, lease.hide(&*self.queue, Duration::ZERO)).await;
            }
            let outcome = Outcome::Abandoned("stopped");
            outcome.log(&received.message.id, received.message.dequeue_count, Duration::ZERO);
            super::lock(&self.summary).count(&outcome);
        }))
        .await;
    }
}
