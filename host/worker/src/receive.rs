//! The receives in flight, and what follows when the queue does not answer.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;

use crate::lease::Terms;
use longshore_queue::{Queue, QueueError, Received};

/// The pause after the first receive that failed in passing. It doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause after a receive that failed in passing.
const MAX_PAUSE: Duration = Duration::from_secs(30);
/// How long receives may fail in passing before that counts as a fault.
const MAX_TIME_FAILING: Duration = Duration::from_secs(2 * 60);

/// A receive that was answered.
pub(crate) struct Answered {
    /// For how many messages it asked.
    pub(crate) asked: u32,
    /// When it was sent.
    pub(crate) sent: Instant,
    /// On which terms it leased what it brought.
    pub(crate) terms: Terms,
    answer: Result<Vec<Received>, QueueError>,
}

impl Answered {
    /// How many messages it brought.
    pub(crate) fn brought(&self) -> usize {
        self.answer.as_ref().map_or(0, Vec::len)
    }

    /// The messages that it brought, if any.
    pub(crate) fn into_messages(self) -> Vec<Received> {
        self.answer.unwrap_or_default()
    }
}

/// What a receive brought.
pub(crate) enum Batch {
    /// These messages.
    Messages(Vec<Received>),
    /// No message.
    Empty,
    /// Nothing: the queue refused for now. The next receive may be sent at this time.
    Busy(Instant),
    /// No clear answer: it may have leased messages. The next receive may be sent at this time.
    Lost(Instant),
}

/// The receives in flight, and the failures in a row.
pub(crate) struct Receiver {
    queue: Arc<dyn Queue>,
    in_flight: FuturesUnordered<BoxFuture<'static, Answered>>,
    failing_since: Option<Instant>,
    failures: u32,
    /// The newest of these failures; `None` once a receive was answered again.
    newest: Option<Pause>,
    first_answer: FirstAnswer,
}

/// The pause after a receive that failed in passing.
struct Pause {
    since: Instant,
    until: Instant,
}

/// Whether the queue has given a clear answer to a receive of this run.
enum FirstAnswer {
    NotAsked,
    /// Why not, as far as is known.
    Missing(QueueError),
    Given,
}

impl Receiver {
    /// Receives from `queue`, which has given no clear answer yet for this reason, if it was asked
    /// something before.
    pub(crate) fn new(queue: Arc<dyn Queue>, unclear: Option<QueueError>) -> Self {
        Self {
            queue,
            in_flight: FuturesUnordered::new(),
            failing_since: None,
            failures: 0,
            newest: None,
            first_answer: unclear.map_or(FirstAnswer::NotAsked, FirstAnswer::Missing),
        }
    }

    /// Asks for up to `max` messages, to be leased on these terms.
    pub(crate) fn send(&mut self, max: u32, terms: Terms) {
        let queue = Arc::clone(&self.queue);
        if matches!(self.first_answer, FirstAnswer::NotAsked) {
            self.first_answer =
                FirstAnswer::Missing(QueueError::unclear(queue.url(), "it answered no receive"));
        }
        self.in_flight.push(Box::pin(async move {
            let sent = Instant::now();
            Answered { asked: max, sent, terms, answer: queue.receive(max, terms.visibility).await }
        }));
    }

    /// Why the queue has never answered clearly in this run, if it was asked and has not.
    pub(crate) fn never_answered(&self) -> Option<&QueueError> {
        match &self.first_answer {
            FirstAnswer::Missing(error) => Some(error),
            FirstAnswer::NotAsked | FirstAnswer::Given => None,
        }
    }

    /// The next receive that is answered; `None` if none is in flight.
    pub(crate) async fn next(&mut self) -> Option<Answered> {
        self.in_flight.next().await
    }

    /// Notes whether a receive failed, and returns what it brought. Errors are those that no
    /// retry will mend.
    pub(crate) fn accept(&mut self, answered: Answered) -> Result<Batch, QueueError> {
        match answered.answer {
            Ok(messages) => {
                (self.failing_since, self.failures, self.newest) = (None, 0, None);
                self.first_answer = FirstAnswer::Given;
                Ok(if messages.is_empty() { Batch::Empty } else { Batch::Messages(messages) })
            }
            Err(error) if error.is_transient() => self.pause(error, answered.sent),
            Err(error) => Err(error),
        }
    }

    fn pause(&mut self, error: QueueError, sent: Instant) -> Result<Batch, QueueError> {
        let now = Instant::now();
        if let Some(newest) = self.newest.as_ref().filter(|it| sent <= it.since) {
            // It was under way when another one failed: what broke both has happened once.
            let asked_for = match &error {
                QueueError::Busy { retry_after: Some(after), .. } => now + (*after).min(MAX_PAUSE),
                _ => now,
            };
            return Ok(unanswered(&error, newest.until.max(asked_for)));
        }
        if now - *self.failing_since.get_or_insert(now) >= MAX_TIME_FAILING {
            return Err(error);
        }
        let pause = match &error {
            QueueError::Busy { retry_after: Some(after), .. } => (*after).min(MAX_PAUSE),
            _ => FIRST_PAUSE.saturating_mul(1 << self.failures.min(10)).min(MAX_PAUSE),
        };
        self.failures += 1;
        if let FirstAnswer::Missing(why) = &mut self.first_answer {
            why.clone_from(&error);
        }
        tracing::warn!(%error, pause_ms = pause.as_millis() as u64, "receiving failed, trying again");
        let until = now + pause;
        self.newest = Some(Pause { since: now, until });
        Ok(unanswered(&error, until))
    }
}

/// What a receive comes to that failed in passing.
fn unanswered(error: &QueueError, retry_at: Instant) -> Batch {
    match error {
        QueueError::Unclear { .. } => Batch::Lost(retry_at),
        _ => Batch::Busy(retry_at),
    }
}
