//! The last word on a message: complete, retry, poison or release, in an order that loses nothing
//! (rule 6).

use crate::breaker::{AfterFailure, Hiding};
use crate::context::RunContext;
use crate::fate::{Fate, explain, last_attempt};
use crate::hide::hide;
use crate::lease::{Lease, LeaseError};
use crate::outputs::PreparedOutput;
use crate::poison::{Envelope, PoisonReason};
use crate::report::Outcome;
use crate::settled::{Due, Settled};
use longshore_handler::RetryReason;
use longshore_queue::{DeadLetter, Message, Outgoing, QueueError};

/// A message that is to be settled, and the lease on it.
pub(crate) struct Settlement<'a> {
    context: &'a RunContext,
    message: &'a Message,
    lease: Lease,
}

impl<'a> Settlement<'a> {
    /// Settles `message` while `lease` lasts.
    pub(crate) fn new(context: &'a RunContext, message: &'a Message, lease: Lease) -> Self {
        Self { context, message, lease }
    }

    /// Carries out the fate of the message, as far as the lease lasts.
    pub(crate) async fn carry_out(mut self, fate: Fate) -> Settled {
        let settled = match fate {
            Fate::Complete(outputs) => self.complete(&outputs).await,
            Fate::Poison(reason, detail) => self.poison(reason, detail).await,
            Fate::Retry { reason, detail, hiding } => self.retry(reason, detail, hiding).await,
            Fate::Release => self.release().await,
            Fate::Lost => Err(LeaseError::Lost),
        };
        match settled {
            Ok(ended) => ended,
            Err(LeaseError::Lost) => Outcome::LeaseLost.into(),
            Err(LeaseError::Refused(error)) => self.keep(error).await,
        }
    }

    /// Sends what the handler wants sent, then deletes the message. If the host is killed in
    /// between, both happen again.
    async fn complete(&mut self, outputs: &[PreparedOutput]) -> Result<Settled, LeaseError> {
        for PreparedOutput { name, queue, message: output } in outputs {
            match self.lease.send(&*self.context.parts.queue, &**queue, output).await {
                Err(LeaseError::Refused(error @ QueueError::TooLarge { .. })) => {
                    return self.output_refused(format!("{name}: {error}")).await;
                }
                sent => sent?,
            }
            // Some queues keep no id that the sender chose. There only this line leads from an
            // output to the message that it came from.
            tracing::info!(message_id = self.lease.id(), output = name, output_id = output.id, "sent");
        }
        longshore_failpoint::kill_at("between-output-and-delete");
        self.lease.delete(&*self.context.parts.queue).await?;
        Ok(Outcome::Completed.into())
    }

    /// A queue refused an output that should have fitted. That is a failed attempt like any other.
    async fn output_refused(&mut self, detail: String) -> Result<Settled, LeaseError> {
        let reason = RetryReason::OutputTooLarge.as_str();
        let config = &self.context.parts.config;
        if let Some(last) = last_attempt(self.message, &self.lease, config.max_dequeue) {
            return self.poison(last, explain(reason, &detail)).await;
        }
        self.retry(reason, detail, Hiding { delay: config.retry.cap, rule: AfterFailure::Usual }).await
    }

    /// Hides the message until its next attempt.
    async fn retry(
        &mut self,
        reason: &'static str,
        detail: String,
        hiding: Hiding,
    ) -> Result<Settled, LeaseError> {
        let at = hide(self.context, &mut self.lease, hiding).await?;
        let due = vec![Due { id: self.message.id.clone(), at }];
        Ok(Settled { outcome: Outcome::Retried(reason, detail), due, fault: None })
    }

    /// Makes the message visible again, since the run was stopped.
    async fn release(&mut self) -> Result<Settled, LeaseError> {
        hide(self.context, &mut self.lease, Hiding::NOT).await?;
        Ok(Outcome::Abandoned("stopped").into())
    }

    async fn poison(&mut self, reason: PoisonReason, detail: String) -> Result<Settled, LeaseError> {
        self.offer_to_poison(reason, &detail).await?;
        Ok(Outcome::Poisoned(reason, detail).into())
    }

    /// Moves the message to the poison queue, in the first of its forms that the queue takes.
    async fn offer_to_poison(&mut self, reason: PoisonReason, detail: &str) -> Result<(), LeaseError> {
        let (message, parts) = (self.message, &self.context.parts);
        let queue = parts.queue.url().to_string();
        let component = parts.handler.digest();
        let envelope = Envelope::new(message, &queue, reason, detail, component.as_deref());
        let mut refused = QueueError::TooLarge {
            queue: parts.poison.url().to_string(),
            size: Some(message.body.len()),
            limit: parts.poison.max_body(),
        };
        for body in envelope.fallbacks(parts.config.poison_format, &message.body) {
            if !parts.poison.fits(&body) {
                continue;
            }
            let letter = DeadLetter { to: parts.poison.url(), body, reason: reason.as_str(), detail };
            match self.move_to_poison(&letter).await {
                Err(LeaseError::Refused(error @ QueueError::TooLarge { .. })) => refused = error,
                moved => return moved,
            }
        }
        Err(LeaseError::Refused(refused))
    }

    /// Copies the message to the poison queue, then deletes it; in one step where the queue can.
    async fn move_to_poison(&mut self, letter: &DeadLetter<'_>) -> Result<(), LeaseError> {
        longshore_failpoint::kill_at("before-poison-copy");
        let moved = self.copy_and_delete(letter).await;
        if !matches!(moved, Err(LeaseError::Refused(QueueError::QueueNotFound { .. }))) {
            return moved;
        }
        // The poison queue is made when it is first needed. An identity without the right to
        // create queues needs one that is there.
        self.lease.create(&*self.context.parts.poison).await?;
        self.copy_and_delete(letter).await
    }

    async fn copy_and_delete(&mut self, letter: &DeadLetter<'_>) -> Result<(), LeaseError> {
        let parts = &self.context.parts;
        let id = Some(self.lease.id().to_owned());
        let copy = Outgoing { body: letter.body.clone(), id, ..Outgoing::default() };
        // A planted mistake: the torture test has to notice a wrong order of settlement.
        if longshore_failpoint::is_on("delete-first") {
            self.lease.delete(&*parts.queue).await?;
            longshore_failpoint::kill_at("between-copy-and-delete");
            return parts.poison.send(copy).await.map(drop).map_err(LeaseError::Refused);
        }
        if parts.queue.moves_to(letter.to) {
            return self.lease.dead_letter(&*parts.queue, letter).await;
        }
        self.lease.send(&*parts.queue, &*parts.poison, &copy).await?;
        longshore_failpoint::kill_at("between-copy-and-delete");
        self.lease.delete(&*parts.queue).await
    }

    /// The queue will not let us settle the message. It stays, hidden for a while.
    async fn keep(mut self, error: QueueError) -> Settled {
        tracing::error!(
            message_id = self.lease.id(),
            %error,
            "the message could not be settled, and stays in its queue"
        );
        let hiding = Hiding { delay: self.context.parts.config.retry.cap, rule: AfterFailure::Usual };
        let _ = hide(self.context, &mut self.lease, hiding).await;
        // A message that fits nowhere is its own fault. Any other error will stop the next
        // message as well.
        match error {
            QueueError::TooLarge { .. } => Outcome::Abandoned("too-large-for-poison").into(),
            error => Settled { fault: Some(error), ..Outcome::Abandoned("refused").into() },
        }
    }
}
