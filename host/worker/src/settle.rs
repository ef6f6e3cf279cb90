//! The last word on a message: complete, retry, poison or release, in an order that loses nothing.

use std::time::Duration;

use tokio::time::Instant;

use super::attempt::{Fate, explain};
use super::breaker::{AfterFailure, HIDE, Hidden};
use super::lease::{Lease, LeaseError, clamp};
use super::outputs::Output;
use super::poison::{Envelope, PoisonReason};
use super::report::Outcome;
use super::{Ended, Worker};
use longshore_handler::RetryReason;
use longshore_queue::{DeadLetter, Message, Outgoing, QueueError};

impl Worker {
    /// Carries out a message's fate, as far as the lease lasts.
    pub(super) async fn settle(&self, mut lease: Lease, message: &Message, fate: Fate) -> Ended {
        let settled = match fate {
            Fate::Complete(outputs) => self.complete(&mut lease, message, &outputs).await,
            Fate::Poison(reason, detail) => self
                .poison(&mut lease, message, reason, &detail)
                .await
                .map(|()| Outcome::Poisoned(reason, detail).into()),
            Fate::Retry { reason, detail, delay, after } => {
                self.hide(&mut lease, delay, after).await.map(|due| Ended {
                    outcome: Outcome::Retried(reason, detail),
                    due: vec![(message.id.clone(), due)],
                    fault: None,
                })
            }
            Fate::Release => self
                .hide(&mut lease, Duration::ZERO, AfterFailure::Usual)
                .await
                .map(|_| Outcome::Abandoned("stopped").into()),
            Fate::Lost => Err(LeaseError::Lost),
        };
        match settled {
            Ok(ended) => ended,
            Err(LeaseError::Lost) => Outcome::LeaseLost.into(),
            Err(LeaseError::Refused(error)) => self.keep(lease, error).await,
        }
    }

    /// Sends what the handler wants sent, then deletes the message. Killed in between, both happen again.
    async fn complete(
        &self,
        lease: &mut Lease,
        message: &Message,
        outputs: &[Output],
    ) -> Result<Ended, LeaseError> {
        for Output { name, queue, message: output } in outputs {
            match lease.send(&*self.queue, &**queue, output).await {
                Err(LeaseError::Refused(error @ QueueError::TooLarge { .. })) => {
                    return self.output_refused(lease, message, format!("{name}: {error}")).await;
                }
                sent => sent?,
            }
            // On queues that keep no id of the sender's choice, this line is where a message's origin can be found.
            tracing::info!(message_id = lease.id(), output = name, output_id = output.id, "sent");
        }
        longshore_failpoint::kill_at("between-output-and-delete");
        lease.delete(&*self.queue).await?;
        Ok(Outcome::Completed.into())
    }

    /// A queue took no output that it had seemed to take: a failed attempt like any other.
    async fn output_refused(
        &self,
        lease: &mut Lease,
        message: &Message,
        detail: String,
    ) -> Result<Ended, LeaseError> {
        let reason = RetryReason::OutputTooLarge.as_str();
        if let Some(last) = self.was_the_last(message, lease) {
            let detail = explain(reason, &detail);
            self.poison(lease, message, last, &detail).await?;
            return Ok(Outcome::Poisoned(last, detail).into());
        }
        let due = self.hide(lease, self.config.retry.cap, AfterFailure::Usual).await?;
        let outcome = Outcome::Retried(reason, detail);
        Ok(Ended { outcome, due: vec![(message.id.clone(), due)], fault: None })
    }

    /// Makes the message visible again after `delay`, and returns when that is.
    async fn hide(
        &self,
        lease: &mut Lease,
        delay: Duration,
        after: AfterFailure,
    ) -> Result<Instant, LeaseError> {
        if !lease.is_renewable() {
            return Ok(lease.lapses());
        }
        let (due, receipt) = lease.hide(&*self.queue, delay).await?;
        let Some(receipt) = receipt else { return Ok(due) };
        let hidden = Hidden { id: lease.id().to_owned(), receipt, expires: lease.expires() };
        let instead = self.breaker().hidden(hidden.clone(), after);
        let Some((delay, after)) = instead else { return Ok(due) };
        Ok(self.move_due(hidden, delay, after).await.unwrap_or(due))
    }

    /// Changes when a hidden message becomes visible; `None` if it is no longer ours to change.
    async fn move_due(
        &self,
        mut hidden: Hidden,
        mut delay: Duration,
        mut after: AfterFailure,
    ) -> Option<Instant> {
        loop {
            let clamped = clamp(delay, hidden.expires);
            // Once: should the answer be lost, the message comes back when it would have come back anyway.
            hidden.receipt = self.queue.update(&hidden.id, &hidden.receipt, clamped).await.ok()?;
            let due = Instant::now() + clamped;
            let instead = self.breaker().hidden(hidden.clone(), after);
            match instead {
                Some(instead) => (delay, after) = instead,
                None => return Some(due),
            }
        }
    }

    /// Hides what failed before the breaker opened, or shows what was hidden while it was open.
    pub(super) async fn rehide(&self, hidden: Vec<Hidden>, show: bool, ended: &mut Ended) {
        let (delay, after) =
            if show { (Duration::ZERO, AfterFailure::Usual) } else { (HIDE, AfterFailure::Hide) };
        for hidden in hidden {
            let id = hidden.id.clone();
            if let Some(due) = self.move_due(hidden, delay, after).await {
                ended.due.push((id, due));
            }
        }
    }

    /// Copies the message to the poison queue, then deletes it; in one step where the queue can.
    async fn poison(
        &self,
        lease: &mut Lease,
        message: &Message,
        reason: PoisonReason,
        detail: &str,
    ) -> Result<(), LeaseError> {
        let queue = self.queue.url().to_string();
        let component = self.handler.digest();
        let envelope = Envelope::new(message, &queue, reason, detail, component.as_deref());
        let mut refused = QueueError::TooLarge {
            queue: self.poison.url().to_string(),
            size: message.body.len(),
            limit: self.poison.max_body(),
        };
        for body in envelope.fallbacks(self.config.poison_format, &message.body) {
            if !self.poison.fits(&body) {
                continue;
            }
            let letter = DeadLetter { to: self.poison.url(), body, reason: reason.as_str(), detail };
            match self.move_to_poison(lease, &letter).await {
                Err(LeaseError::Refused(error @ QueueError::TooLarge { .. })) => refused = error,
                moved => return moved,
            }
        }
        Err(LeaseError::Refused(refused))
    }

    async fn move_to_poison(&self, lease: &mut Lease, letter: &DeadLetter<'_>) -> Result<(), LeaseError> {
        longshore_failpoint::kill_at("before-poison-copy");
        let moved = self.copy_and_delete(lease, letter).await;
        if !matches!(moved, Err(LeaseError::Refused(QueueError::QueueNotFound { .. }))) {
            return moved;
        }
        // The poison queue is made when it is first needed: whoever may not create queues has to bring it along.
        lease.create(&*self.poison).await?;
        self.copy_and_delete(lease, letter).await
    }

    async fn copy_and_delete(&self, lease: &mut Lease, letter: &DeadLetter<'_>) -> Result<(), LeaseError> {
        let copy =
            Outgoing { body: letter.body.clone(), id: Some(lease.id().to_owned()), ..Outgoing::default() };
        // A planted mistake, for the test that proves that the torture test notices a wrong order of settlement.
        if longshore_failpoint::is_on("delete-first") {
            lease.delete(&*self.queue).await?;
            longshore_failpoint::kill_at("between-copy-and-delete");
            return self.poison.send(copy).await.map(drop).map_err(LeaseError::Refused);
        }
        if self.queue.moves_to(letter.to) {
            return lease.dead_letter(&*self.queue, letter).await;
        }
        lease.send(&*self.queue, &*self.poison, &copy).await?;
        longshore_failpoint::kill_at("between-copy-and-delete");
        lease.delete(&*self.queue).await
    }

    /// The queue will not let us settle the message: it stays, hidden for a while.
    async fn keep(&self, mut lease: Lease, error: QueueError) -> Ended {
        tracing::error!(message_id = lease.id(), %error, "the message could not be settled, and stays in its queue");
        let _ = self.hide(&mut lease, self.config.retry.cap, AfterFailure::Usual).await;
        let too_large = matches!(error, QueueError::TooLarge { .. });
        Ended {
            outcome: Outcome::Abandoned(if too_large { "too-large-for-poison" } else { "refused" }),
            due: Vec::new(),
            // A message that fits nowhere is its own fault; anything else will stop the next message as well.
            fault: (!too_large).then_some(error),
        }
    }
}
