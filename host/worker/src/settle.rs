//! The last word on a message: complete, retry, poison or release, in an order that loses nothing
//! (rule 6).

use std::time::Duration;

use crate::breaker::{AfterFailure, Hiding};
use crate::circumstances::{AttemptRecord, Circumstances};
use crate::context::RunContext;
use crate::fate::Fate;
use crate::hide::hide;
use crate::lease::{Lease, LeaseError};
use crate::poison::{Envelope, PoisonReason};
use crate::report::Outcome;
use crate::settled::{Due, Settled};
use crate::trace;
use longshore_queue::kind::PoisonPlace;
use longshore_queue::{DeadLetter, Message, Outgoing, QueueError};

/// A message that is to be settled, and the lease on it.
pub(crate) struct Settlement<'a> {
    context: &'a RunContext,
    message: &'a Message,
    lease: Lease,
    attempt: Option<AttemptRecord>,
}

/// What came of offering a message to the poison queue.
enum Offered {
    /// It was moved there.
    Taken,
    /// The poison queue takes it in none of its forms, for this reason at last.
    Refused(QueueError),
}

/// Why a message was not moved to the poison queue.
enum NotMoved {
    /// The poison queue refused it.
    Refused(QueueError),
    /// It could not be settled in its own queue.
    Unsettled(LeaseError),
}

impl NotMoved {
    /// What an error means where the poison queue was asked.
    fn by_poison(error: LeaseError) -> Self {
        match error {
            LeaseError::Refused(error) => Self::Refused(error),
            lost @ LeaseError::Lost => Self::Unsettled(lost),
        }
    }
}

impl From<LeaseError> for NotMoved {
    fn from(error: LeaseError) -> Self {
        Self::Unsettled(error)
    }
}

impl<'a> Settlement<'a> {
    /// Settles `message` while `lease` lasts, after this attempt, if its handler answered.
    pub(crate) fn new(
        context: &'a RunContext,
        message: &'a Message,
        lease: Lease,
        attempt: Option<AttemptRecord>,
    ) -> Self {
        Self { context, message, lease, attempt }
    }

    /// Carries out the fate of the message, as far as the lease lasts.
    pub(crate) async fn carry_out(mut self, fate: Fate) -> Settled {
        let settled = match fate {
            Fate::Complete => self.complete().await,
            Fate::Poison(reason, detail) => self.poison(reason, detail).await,
            Fate::Retry { reason, detail, hiding } => self.retry(reason, detail, hiding).await,
            Fate::Release(reason) => self.release(reason).await,
            Fate::Lost => Err(LeaseError::Lost),
            Fate::Fault(error) => Err(LeaseError::Refused(error)),
        };
        match settled {
            Ok(ended) => ended,
            Err(LeaseError::Lost) => Outcome::LeaseLost.into(),
            Err(LeaseError::Refused(error)) => self.keep(error).await,
        }
    }

    /// Deletes the message. If the host is killed before, its handler is called again, and what
    /// that wants sent is sent again.
    async fn complete(&mut self) -> Result<Settled, LeaseError> {
        longshore_failpoint::kill_at("between-output-and-delete");
        self.lease.delete(&*self.context.parts.queue).await?;
        Ok(Outcome::Completed.into())
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
        Ok(Settled { due, ..Outcome::Retried(reason, detail).into() })
    }

    /// Makes the message visible again. It has not failed, so that no breaker hides it.
    async fn release(&mut self, reason: &'static str) -> Result<Settled, LeaseError> {
        if self.lease.is_renewable() {
            match self.lease.hide(&*self.context.parts.queue, Duration::ZERO).await {
                Err(LeaseError::Refused(error)) if self.context.may_not_update(&error) => {}
                hidden => drop(hidden?),
            }
        }
        Ok(Outcome::Abandoned(reason).into())
    }

    async fn poison(&mut self, reason: PoisonReason, detail: String) -> Result<Settled, LeaseError> {
        self.context.parts.queue.poisons_next(self.lease.receipt());
        match self.offer_to_poison(reason, &detail).await? {
            Offered::Taken => Ok(Outcome::Poisoned(reason, detail).into()),
            Offered::Refused(error) => Ok(self.stay(&error, "refused-by-poison").await),
        }
    }

    /// Moves the message to the poison queue, in the first of its forms that the queue takes.
    async fn offer_to_poison(&mut self, reason: PoisonReason, detail: &str) -> Result<Offered, LeaseError> {
        let (message, parts) = (self.message, &self.context.parts);
        let queue = parts.queue.url().to_string();
        let component = parts.handler.digest();
        let attempt = self.attempt.take();
        let circumstances =
            Circumstances::new(parts.config.execution.as_deref(), attempt.as_ref(), parts.config.poison_log);
        // A service that moves the message itself keeps its body as it is.
        let is_moved_within = parts.queue.moves_to(parts.poison.url())
            && matches!(parts.poison.url().kind().poison, PoisonPlace::Within(_));
        let below = if is_moved_within { circumstances.below(detail) } else { detail.to_owned() };
        let envelope =
            Envelope::new(message, &queue, reason, detail, component.as_deref()).failed_in(circumstances);
        let mut refused = QueueError::TooLarge {
            queue: parts.poison.url().to_string(),
            size: Some(message.body.len()),
            limit: parts.poison.max_body(),
        };
        let fits = |body: &[u8]| parts.poison.fits(body);
        for body in envelope.fallbacks(parts.config.poison_format, &message.body, fits) {
            if !parts.poison.fits(&body) {
                continue;
            }
            let (to, reason) = (parts.poison.url(), reason.as_str());
            let letter = DeadLetter { to, body, reason, detail: &below };
            match self.move_to_poison(&letter).await {
                Ok(()) => return Ok(Offered::Taken),
                Err(NotMoved::Refused(error)) if error.may_be_about_the_message() => refused = error,
                Err(NotMoved::Refused(error)) => return Err(LeaseError::Refused(error)),
                Err(NotMoved::Unsettled(error)) => return Err(error),
            }
        }
        Ok(Offered::Refused(refused))
    }

    /// Copies the message to the poison queue, then deletes it; in one step where the queue can.
    async fn move_to_poison(&mut self, letter: &DeadLetter<'_>) -> Result<(), NotMoved> {
        longshore_failpoint::kill_at("before-poison-copy");
        let moved = self.copy_and_delete(letter).await;
        if !matches!(moved, Err(NotMoved::Refused(QueueError::QueueNotFound { .. }))) {
            return moved;
        }
        // The poison queue is made when it is first needed. An identity without the right to
        // create queues needs one that is there.
        self.lease.create(&*self.context.parts.poison).await?;
        self.copy_and_delete(letter).await
    }

    async fn copy_and_delete(&mut self, letter: &DeadLetter<'_>) -> Result<(), NotMoved> {
        let parts = &self.context.parts;
        let id = Some(self.lease.id().to_owned());
        // The envelope has all properties. Those of the trace are looked for beside the body.
        let keeps = parts.poison.url().kind().keeps_properties;
        let properties = if keeps { trace::kept(&self.message.properties) } else { Vec::new() };
        let copy = Outgoing { body: letter.body.clone(), id, properties, ..Outgoing::default() };
        // A planted mistake: the torture test has to notice a wrong order of settlement.
        if longshore_failpoint::is_on("delete-first") {
            self.lease.delete(&*parts.queue).await?;
            longshore_failpoint::kill_at("between-copy-and-delete");
            return parts.poison.send(copy).await.map(drop).map_err(NotMoved::Refused);
        }
        if parts.queue.moves_to(letter.to) {
            return self.lease.dead_letter(&*parts.queue, letter).await.map_err(NotMoved::by_poison);
        }
        self.lease.send(&*parts.queue, &*parts.poison, &copy).await.map_err(NotMoved::by_poison)?;
        longshore_failpoint::kill_at("between-copy-and-delete");
        Ok(self.lease.delete(&*parts.queue).await?)
    }

    /// A queue will not let us settle the message, nor any other.
    async fn keep(mut self, error: QueueError) -> Settled {
        let stays = self.stay(&error, "refused").await;
        Settled { fault: Some(error), ..stays }
    }

    /// The message stays in its queue, hidden for a while.
    async fn stay(&mut self, error: &QueueError, reason: &'static str) -> Settled {
        tracing::error!(
            message_id = self.lease.id(),
            %error,
            "the message could not be settled, and stays in its queue"
        );
        let hiding = Hiding { delay: self.context.parts.config.retry.cap, rule: AfterFailure::Usual };
        let _ = hide(self.context, &mut self.lease, hiding).await;
        Outcome::Abandoned(reason).into()
    }
}
