//! Our hold on a message while it is being handled.
//!
//! A lease ends on our own monotonic clock, whatever the service says or cannot say (rule 3). It
//! ends at the moment the receive (or the newest renewal) was *sent*, plus the visibility timeout,
//! less a margin. Only the holder of a `Lease` renews and settles it, one call after the other. So
//! a renewal and a settlement never race for the receipt.

mod terms;

use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep_until, timeout_at};

use longshore_queue::{DeadLetter, MAX_VISIBILITY, Outgoing, Queue, QueueError, Receipt, Received};

pub(crate) use terms::may_not_renew;
pub use terms::{Agreed, FIXED_ROOM, LeaseMode, Terms};
use terms::{FIRST_PAUSE, MAX_PAUSE};

/// How long before a message expires its last renewal or delay ends.
const EXPIRY_ROOM: Duration = Duration::from_secs(60);
/// How long a call may have no clear answer before the log says so.
const SILENT_FOR: Duration = Duration::from_secs(10);

/// Why a lease could not be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeaseError {
    /// It is no longer ours: it ran out on our clock, or the service says that the receipt is
    /// stale.
    #[error("the lease is lost")]
    Lost,
    /// The queue refuses what we asked, now and for ever.
    #[error(transparent)]
    Refused(QueueError),
}

/// A leased message's receipt, and the time until which it is ours.
#[derive(Debug)]
pub struct Lease {
    id: String,
    receipt: Receipt,
    terms: Terms,
    renew_at: Instant,
    ends: Instant,
    expires: Option<Instant>,
}

impl Lease {
    /// The lease on a message whose receive was sent at `sent`.
    pub fn new(received: &Received, sent: Instant, terms: Terms) -> Self {
        let mut lease = Self {
            id: received.message.id.clone(),
            receipt: received.receipt.clone(),
            terms,
            renew_at: sent,
            ends: sent,
            expires: received.message.time_to_live.map(|left| sent + left),
        };
        lease.extend(sent, terms.visibility);
        lease
    }

    /// The lease on a message that `queue` has just given for a receive that was sent at `sent`.
    pub(crate) fn of_receive(queue: &dyn Queue, received: &Received, sent: Instant, terms: Terms) -> Self {
        let ago = queue.leased_ago(&received.receipt);
        let leased = ago.and_then(|ago| Instant::now().checked_sub(ago)).map_or(sent, |it| it.max(sent));
        Self::new(received, leased, terms)
    }

    /// When it stops being ours.
    pub fn ends(&self) -> Instant {
        self.ends
    }

    /// When the service makes the message visible again by itself.
    pub fn lapses(&self) -> Instant {
        self.ends + self.terms.margin()
    }

    /// Whether it can be renewed, and the message hidden or released.
    pub fn is_renewable(&self) -> bool {
        self.terms.renewable
    }

    /// The newest receipt.
    pub fn receipt(&self) -> &Receipt {
        &self.receipt
    }

    /// The message's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// How long the message has to live, if it expires at all.
    pub fn time_to_live(&self) -> Option<Duration> {
        self.expires.map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// When the message expires, if it does.
    pub fn expires(&self) -> Option<Instant> {
        self.expires
    }

    /// When the next renewal is due; the lease's end where it cannot be renewed.
    pub fn renewal_due(&self) -> Instant {
        if self.terms.renewable { self.renew_at } else { self.ends }
    }

    /// Makes the lease last another visibility timeout.
    ///
    /// A call whose answer is lost is repeated with the old receipt, as long as the lease lasts. If
    /// the lost call had been done, that receipt is stale, and the new one is unknown. Then the
    /// lease is lost.
    pub async fn renew(&mut self, queue: &dyn Queue) -> Result<(), LeaseError> {
        let visibility = clamp(self.terms.visibility, self.expires);
        if !self.terms.renewable || Instant::now() + visibility <= self.lapses() {
            // Nothing to gain: it runs to its end.
            sleep_until(self.ends).await;
            return Err(LeaseError::Lost);
        }
        match self.until_clear(|| queue.update(&self.id, &self.receipt, visibility)).await {
            Ok(ClearAnswer::Now { value, sent }) => {
                longshore_failpoint::kill_at("in-renewal");
                self.receipt = value;
                self.extend(sent, visibility);
                Ok(())
            }
            Ok(ClearAnswer::Before) | Err(LeaseError::Lost) => Err(LeaseError::Lost),
            Err(LeaseError::Refused(error)) => {
                tracing::warn!(message_id = self.id, %error, "the lease cannot be renewed, and runs to its end");
                self.terms.renewable = false;
                Ok(())
            }
        }
    }

    /// Deletes the message. A repeated delete that finds nothing is the first one's success.
    pub async fn delete(&mut self, queue: &dyn Queue) -> Result<(), LeaseError> {
        self.make_room(queue).await?;
        self.until_clear(|| queue.delete(&self.id, &self.receipt)).await.map(drop)
    }

    /// Moves the message to a poison queue in one step.
    pub async fn dead_letter(
        &mut self,
        queue: &dyn Queue,
        letter: &DeadLetter<'_>,
    ) -> Result<(), LeaseError> {
        self.make_room(queue).await?;
        self.until_clear(|| queue.dead_letter(&self.id, &self.receipt, letter.clone())).await.map(drop)
    }

    /// Sends a poison copy or an output of the message, while the lease lasts. A send whose answer
    /// is lost is repeated: a duplicate is better than a loss.
    pub async fn send(
        &mut self,
        queue: &dyn Queue,
        to: &dyn Queue,
        copy: &Outgoing,
    ) -> Result<(), LeaseError> {
        self.make_room(queue).await?;
        self.until_clear(|| to.send(copy.clone())).await.map(drop)
    }

    /// Sets the state of the message's session, or clears it, while the lease lasts. A call whose
    /// answer is lost is repeated: it says the same again.
    pub async fn set_session_state(
        &mut self,
        queue: &dyn Queue,
        state: Option<&Bytes>,
    ) -> Result<(), LeaseError> {
        self.make_room(queue).await?;
        self.until_clear(|| queue.set_session_state(&self.receipt, state.cloned())).await.map(drop)
    }

    /// Creates a queue that a copy goes to, while the lease lasts.
    pub async fn create(&self, to: &dyn Queue) -> Result<(), LeaseError> {
        self.until_clear(|| to.create()).await.map(drop)
    }

    /// Ends the lease by making the message visible again after `delay` (zero: at once).
    ///
    /// Returns when that will be; it is sooner if the message would expire before. Returns the
    /// newest receipt as well, if it is known, so that the delay can be changed later.
    pub async fn hide(
        &mut self,
        queue: &dyn Queue,
        delay: Duration,
    ) -> Result<(Instant, Option<Receipt>), LeaseError> {
        let delay = clamp(delay, self.expires);
        let receipt = match self.until_clear(|| queue.hide(&self.id, &self.receipt, delay)).await? {
            ClearAnswer::Now { value, .. } => Some(value),
            ClearAnswer::Before => None,
        };
        Ok((Instant::now() + delay, receipt))
    }

    /// Makes sure that enough is left to send something and hear the answer; renews if not.
    async fn make_room(&mut self, queue: &dyn Queue) -> Result<(), LeaseError> {
        if !self.has_room() && self.terms.renewable {
            self.renew(queue).await?;
        }
        if self.has_room() { Ok(()) } else { Err(LeaseError::Lost) }
    }

    fn has_room(&self) -> bool {
        self.ends.saturating_duration_since(Instant::now()) >= self.terms.settle_room()
    }

    /// Calls until the answer is clear or the lease ends.
    async fn until_clear<T, F>(&self, call: impl Fn() -> F) -> Result<ClearAnswer<T>, LeaseError>
    where
        F: Future<Output = Result<T, QueueError>>,
    {
        let (began, mut is_said) = (Instant::now(), false);
        let mut pause = FIRST_PAUSE;
        let mut unclear = false;
        while Instant::now() < self.ends {
            let sent = Instant::now();
            let error = match timeout_at(self.ends, call()).await {
                Ok(Ok(value)) => return Ok(ClearAnswer::Now { value, sent }),
                Ok(Err(error)) if error.is_stale() && unclear => return Ok(ClearAnswer::Before),
                Ok(Err(error)) if error.is_stale() => return Err(LeaseError::Lost),
                Ok(Err(error)) if error.is_transient() => error,
                Ok(Err(error)) => return Err(LeaseError::Refused(error)),
                Err(_) => break,
            };
            if !is_said && began.elapsed() >= SILENT_FOR {
                is_said = true;
                tracing::warn!(message_id = self.id, %error, "a call for this message fails again and again: it is repeated while the lease lasts");
            }
            tracing::debug!(message_id = self.id, %error, "trying again while the lease lasts");
            let wait = match error {
                QueueError::Busy { retry_after: Some(after), .. } => after,
                _ => pause,
            };
            unclear |= matches!(error, QueueError::Unclear { .. });
            pause = (pause * 2).min(MAX_PAUSE);
            let now = Instant::now();
            sleep_until(now + wait.min(self.ends.saturating_duration_since(now))).await;
        }
        Err(LeaseError::Lost)
    }

    fn extend(&mut self, sent: Instant, visibility: Duration) {
        self.ends = sent + visibility - self.terms.margin().min(visibility);
        self.renew_at = sent + visibility / 2;
    }
}

/// The length of a renewal or a delay: no longer than the protocol allows, and ending a minute
/// before the message expires.
pub fn clamp(delay: Duration, expires: Option<Instant>) -> Duration {
    let life = expires.map_or(MAX_VISIBILITY, |at| {
        at.saturating_duration_since(Instant::now()).saturating_sub(EXPIRY_ROOM)
    });
    delay.min(MAX_VISIBILITY).min(life)
}

/// A clear answer to a call that ends or changes the lease.
enum ClearAnswer<T> {
    /// It was done: what came back, and when the call was sent.
    Now { value: T, sent: Instant },
    /// It was done by an earlier try, whose answer was lost.
    Before,
}
