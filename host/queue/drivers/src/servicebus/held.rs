//! The locks that are ours, each kept by a task of its own until the visibility timeout that was
//! asked for is over.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use longshore_queue::{QueueError, Receipt};

use crate::servicebus::connection::Connected;
use crate::servicebus::disposition::Disposition;
use crate::servicebus::error::unclear;
use crate::servicebus::lock::LockToken;
use crate::servicebus::management;
use crate::servicebus::renewals::Renewals;
use crate::servicebus::settler::{Delivered, Settled};
use crate::servicebus::wire::Wire;

/// The pause between two tries of a call that failed in passing.
const PAUSE: Duration = Duration::from_millis(500);

/// Our locks, by token.
#[derive(Debug)]
pub(super) struct Held {
    wire: Arc<Wire>,
    renewals: Arc<Renewals>,
    locks: Mutex<HashMap<LockToken, Lock>>,
}

#[derive(Debug)]
struct Lock {
    /// How often it was updated: older receipts are stale.
    version: u32,
    /// How long it lasts when it is renewed.
    length: Duration,
    /// The place of its message in the queue, where that could be read.
    sequence: Option<i64>,
    /// The way to settle it on the link that brought it.
    delivered: Delivered,
    keeping: JoinHandle<()>,
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.keeping.abort();
    }
}

impl Held {
    pub(super) fn new(wire: Arc<Wire>) -> Self {
        let renewals = Arc::new(Renewals::new(wire.clone()));
        Self { wire, renewals, locks: Mutex::default() }
    }

    /// Keeps a message that was just delivered until `until`; its lock lasts for `length`.
    pub(super) fn take(
        self: &Arc<Self>,
        token: LockToken,
        until: Instant,
        length: Duration,
        sequence: Option<i64>,
        delivered: Delivered,
    ) -> Receipt {
        let keeping = tokio::spawn(keep(Arc::downgrade(self), token, until, length));
        let version = 1;
        self.locks().insert(token, Lock { version, length, sequence, delivered, keeping });
        receipt(token, version)
    }

    /// Keeps a lock until `until`, under a new receipt.
    fn keep_on(
        self: &Arc<Self>,
        token: LockToken,
        length: Duration,
        until: Instant,
    ) -> Result<Receipt, QueueError> {
        let mut locks = self.locks();
        let lock = locks.get_mut(&token).ok_or(QueueError::MessageNotFound)?;
        lock.keeping.abort();
        lock.keeping = tokio::spawn(keep(Arc::downgrade(self), token, until, length));
        lock.version += 1;
        Ok(receipt(token, lock.version))
    }

    /// The place in the queue of a message that is ours, where that is known.
    pub(super) fn sequence(&self, receipt: &Receipt) -> Option<i64> {
        let (token, _) = self.find(receipt).ok()?;
        self.locks().get(&token)?.sequence
    }

    /// *Update Message*, with a lock: it lasts until the visibility timeout is over.
    pub(super) async fn update(
        self: &Arc<Self>,
        receipt: &Receipt,
        visibility: Duration,
    ) -> Result<Receipt, QueueError> {
        if visibility.is_zero() {
            self.settle(receipt, Disposition::Abandoned).await?;
            return Ok(Receipt(format!("{}/released", receipt.0)));
        }
        let sent = Instant::now();
        let (token, length) = self.find(receipt)?;
        let renewed = self.renewals.renew(token).await;
        self.forget_if_stale(token, &renewed);
        renewed.map_err(|error| no_longer_than(length, error))?;
        self.keep_on(token, length, sent + visibility)
    }

    /// Ends a lock.
    pub(super) async fn settle(&self, receipt: &Receipt, disposition: Disposition) -> Result<(), QueueError> {
        let (token, length) = self.find(receipt)?;
        let settled = self.settle_lock(token, &disposition).await;
        self.forget_if_stale(token, &settled);
        if settled.is_ok() {
            self.locks().remove(&token);
        }
        settled.map_err(|error| no_longer_than(length, error))
    }

    /// Ends a lock on the link that brought it, or over the management node if that link is gone:
    /// a delivery that is settled elsewhere stays unsettled on its link, and the service holds no
    /// more than some thousand of these.
    async fn settle_lock(&self, token: LockToken, disposition: &Disposition) -> Result<(), QueueError> {
        let delivered = self.locks().get(&token).map(|lock| lock.delivered.clone());
        let url = &self.wire.entity.url;
        // Boxed where it is awaited: each settlement would be as large as this one, which is rare.
        let elsewhere =
            async |it: &Connected| management::settle(it, &self.wire.entity, token, disposition).await;
        let settle = async |it: &Connected| {
            let settled = match &delivered {
                Some(delivered) => delivered.settle(disposition).await,
                None => Settled::NotSent,
            };
            match settled {
                Settled::Done => Ok(()),
                Settled::Lost => Err(QueueError::MessageNotFound),
                Settled::Refused(refusal) => Err(refusal.explain(url, "settle")),
                Settled::Unknown => Err(unclear(url, "the link ended before the answer")),
                Settled::NotSent => Box::pin(elsewhere(it)).await,
                Settled::Otherwise => {
                    let settled = Box::pin(elsewhere(it)).await;
                    // The link may have done it after all.
                    settled.map_err(|error| match error {
                        QueueError::MessageNotFound => unclear(url, "two answers that differ"),
                        error => error,
                    })
                }
            }
        };
        self.wire.call(settle).await
    }

    /// The lock of a receipt: its token, and how long it lasts.
    fn find(&self, receipt: &Receipt) -> Result<(LockToken, Duration), QueueError> {
        let parts = receipt.0.split_once('/');
        let parts = parts.and_then(|(token, version)| Some((LockToken::parse(token)?, version)));
        let (token, version) = parts.ok_or(QueueError::MessageNotFound)?;
        match self.locks().get(&token) {
            Some(lock) if lock.version.to_string() == version => Ok((token, lock.length)),
            Some(_) => Err(QueueError::ReceiptMismatch),
            None => Err(QueueError::MessageNotFound),
        }
    }

    fn forget_if_stale(&self, token: LockToken, done: &Result<(), QueueError>) {
        if done.as_ref().is_err_and(QueueError::is_stale) {
            self.locks().remove(&token);
        }
    }

    fn locks(&self) -> MutexGuard<'_, HashMap<LockToken, Lock>> {
        // What it guards is valid after every statement.
        self.locks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A busy service wants to be left alone for longer than a lock may last. Who has the lock asks
/// here before that, and learns that it is lost; the service is not asked.
fn no_longer_than(length: Duration, error: QueueError) -> QueueError {
    match error {
        QueueError::Busy { queue, cause, retry_after: Some(after) } => {
            QueueError::Busy { queue, cause, retry_after: Some(after.min(length / 2)) }
        }
        error => error,
    }
}

fn receipt(token: LockToken, version: u32) -> Receipt {
    Receipt(format!("{}/{version}", token.text()))
}

/// When something is to be done about a lock: at half of its life, or at `until` if it lasts that
/// long.
fn due(ends: Instant, length: Duration, until: Instant) -> Instant {
    if until <= ends { until } else { ends - length / 2 }
}

/// Renews a lock at half of its life, until `until`; then abandons the message, so that it is
/// visible.
async fn keep(held: Weak<Held>, token: LockToken, until: Instant, length: Duration) {
    let mut ends = Instant::now() + length;
    let mut next = due(ends, length, until);
    loop {
        sleep_until(next).await;
        let Some(held) = held.upgrade() else { return };
        let now = Instant::now();
        let over = now >= until;
        let done = if over {
            let gone = Disposition::Abandoned;
            // Boxed: most locks are settled before anything is due, and each has such a task.
            Box::pin(held.settle_lock(token, &gone)).await
        } else {
            Box::pin(held.renewals.renew(token)).await
        };
        match done {
            Ok(()) if over => break,
            Ok(()) => {
                ends = now + length;
                next = due(ends, length, until);
            }
            Err(error) if error.is_transient() && Instant::now() < ends => next = Instant::now() + PAUSE,
            Err(_) => break,
        }
    }
    // It is no longer ours. This task ends with its entry, which may abort it: there is nothing
    // after this.
    if let Some(held) = held.upgrade() {
        held.locks().remove(&token);
    }
}
