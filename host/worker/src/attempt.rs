//! One message: lease, admit, invoke, judge.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::time::{Instant, sleep_until};

use super::admit::admit;
use super::breaker::{AfterFailure, HIDE, Hidden};
use super::lease::{Lease, Terms};
use super::outputs::Output;
use super::platform::POLLING_INTERVAL;
use super::poison::PoisonReason;
use super::{Ended, Worker, lock};
use longshore_handler::{Answer, Invocation, Verdict};
use longshore_queue::{Message, Received};

/// A message that fails with less than this to live is poisoned, since a retry might find it expired, and expiry is silent loss.
const EXPIRING: Duration = Duration::from_secs(10 * 60);

/// What is to become of a message.
#[derive(Debug)]
pub(super) enum Fate {
    /// Delete it, once these were sent.
    Complete(Vec<Output>),
    Retry {
        reason: &'static str,
        detail: String,
        delay: Duration,
        after: AfterFailure,
    },
    Poison(PoisonReason, String),
    Release,
    Lost,
}

/// Why a handler did not get to its end.
enum Interrupted {
    LeaseLost,
    Stopped,
}

impl Worker {
    /// Handles and settles a message that was received with a call sent at `sent`.
    pub(super) async fn attempt(self: Arc<Self>, received: Received, sent: Instant, terms: Terms) -> Ended {
        let started = Instant::now();
        let mut lease = Lease::new(&received, sent, terms.within(self.queue.longest_lease()));
        let Received { message, damaged, .. } = received;
        let mut hidden = Vec::new();
        let fate = match admit(&message, damaged, self.config.max_dequeue, self.config.encoding) {
            _ if started >= lease.ends() => Fate::Lost,
            Err((reason, detail)) => Fate::Poison(reason, detail),
            Ok(body) => match self.work(&mut lease, self.invocation(&message, body)).await {
                Ok(answer) => self.judge(&message, &lease, answer, &mut hidden),
                Err(Interrupted::LeaseLost) => Fate::Lost,
                Err(Interrupted::Stopped) => Fate::Release,
            },
        };
        let now_visible = matches!(fate, Fate::Complete(_));
        let mut ended = self.settle(lease, &message, fate).await;
        ended.outcome.log(&message.id, message.dequeue_count, started.elapsed());
        self.rehide(hidden, now_visible, &mut ended).await;
        ended
    }

    fn invocation(&self, message: &Message, body: bytes::Bytes) -> Invocation {
        Invocation {
            id: message.id.clone(),
            queue: self.queue_name.clone(),
            body,
            dequeue_count: message.dequeue_count,
            inserted: message.inserted,
            deadline: self.config.deadline,
            properties: message.properties.clone(),
        }
    }

    /// Runs the handler for as long as the lease is ours and nobody stops us.
    async fn work(&self, lease: &mut Lease, invocation: Invocation) -> Result<Answer, Interrupted> {
        longshore_failpoint::kill_at("before-handler");
        let mut interrupt = self.interrupt.subscribe();
        let mut stopped = pin!(interrupt.wait_for(|interrupted| *interrupted));
        let mut handling = pin!(self.handler.handle(invocation));
        loop {
            tokio::select! {
                biased;
                answer = &mut handling => return Ok(answer),
                _ = &mut stopped => return Err(Interrupted::Stopped),
                () = sleep_until(lease.renewal_due()) => {}
            }
            // A renewal that was sent is awaited even if the handler ends first: its answer is the receipt that settles.
            match select(&mut handling, pin!(lease.renew(&*self.queue))).await {
                Either::Left((answer, renewal)) => {
                    return renewal.await.map(|()| answer).map_err(|_| Interrupted::LeaseLost);
                }
                Either::Right((renewed, _)) => renewed.map_err(|_| Interrupted::LeaseLost)?,
            }
        }
    }

    /// What an answer means for the message. Whatever the breaker wants hidden or shown besides goes to `hidden`.
    fn judge(&self, message: &Message, lease: &Lease, answer: Answer, hidden: &mut Vec<Hidden>) -> Fate {
        lock(&self.measured).record(&message.id, &answer);
        let source = self.queue.url();
        let (reason, detail, asked) = match answer.verdict {
            Verdict::Completed => match self.outputs.prepare(source, &message.id, answer.outbox) {
                Ok(outputs) => {
                    *hidden = self.breaker().success();
                    return Fate::Complete(outputs);
                }
                Err((reason, detail)) => (reason.as_str(), detail, None),
            },
            Verdict::Reject { detail } => return Fate::Poison(PoisonReason::Rejected, detail),
            Verdict::Retry { reason, detail, after } => (reason.as_str(), detail, after),
        };
        let now = Instant::now();
        let (after, earlier) = self.breaker().failure(&message.id, now);
        if !earlier.is_empty() || (after == AfterFailure::Hide && self.breaker().open_since() == Some(now)) {
            tracing::error!(
                reason,
                detail,
                "too many different messages failed in a row: receiving is on hold, and one message is tried now and then"
            );
        }
        *hidden = earlier;
        if let Some(last) = self.was_the_last(message, lease) {
            return Fate::Poison(last, explain(reason, &detail));
        }
        let retry = &self.config.retry;
        let delay = match after {
            AfterFailure::Hide => HIDE,
            AfterFailure::Careful => retry.cap.max(asked.unwrap_or_default().min(retry.max_delay)),
            AfterFailure::Usual => retry.delay(message.dequeue_count, asked, &mut *self.rng()),
        };
        if asked.is_some() && delay > POLLING_INTERVAL && !self.said_long_delay() {
            tracing::warn!(
                delay_s = delay.as_secs(),
                "the handler asks for long retry delays: KEDA counts hidden messages, so each of its polls meanwhile starts an execution that finds nothing"
            );
        }
        Fate::Retry { reason, detail, delay, after }
    }

    /// Why a message whose attempt failed gets no other one.
    pub(super) fn was_the_last(&self, message: &Message, lease: &Lease) -> Option<PoisonReason> {
        if message.dequeue_count >= self.config.max_dequeue {
            return Some(PoisonReason::AttemptsExhausted);
        }
        lease.time_to_live().is_some_and(|left| left < EXPIRING).then_some(PoisonReason::Expiring)
    }
}

pub(super) fn explain(reason: &str, detail: &str) -> String {
    if detail.is_empty() { reason.to_owned() } else { format!("{reason}: {detail}") }
}
