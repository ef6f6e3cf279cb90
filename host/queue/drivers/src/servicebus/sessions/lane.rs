//! One session that is ours. A task of its own has its messages come one after the other: the next
//! one when the one before is settled.

mod work;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use longshore_queue::{QueueError, Receipt, Received};

use crate::servicebus::arrived::Arrived;
use crate::servicebus::disposition::Disposition;
use crate::servicebus::error::unclear;
use crate::servicebus::lock::LockToken;
use crate::servicebus::sessions::accept::Accepted;
use crate::servicebus::sessions::mark::Mark;
use crate::servicebus::sessions::requests::HeldSession;
use crate::servicebus::settler::{Delivered, Settled};
use crate::servicebus::wire::Wire;

/// How long a message may wait for a receive. Then its session is left to others: nothing of it was
/// counted.
const UNCLAIMED: Duration = Duration::from_secs(2);

/// What all sessions of a queue have in common.
#[derive(Debug)]
pub(super) struct LaneTerms {
    pub(super) wire: Arc<Wire>,
    pub(super) idle: Duration,
    pub(super) stops_on_poison: bool,
    /// For receives: a lane has changed.
    pub(super) changed: Notify,
}

/// A session that is ours.
#[derive(Debug)]
pub(super) struct Lane {
    number: u64,
    session: HeldSession,
    terms: Arc<LaneTerms>,
    /// How long its lock lasts each time.
    lock: Duration,
    state: Mutex<LaneState>,
    /// For its own task.
    changed: Notify,
    end: watch::Sender<LaneEnd>,
}

/// Whether a lane has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LaneEnd {
    No,
    /// The session was given back.
    Left,
    /// The session was lost: somebody else may have it.
    Lost,
}

#[derive(Debug)]
struct LaneState {
    /// When its lock ends, by our clock.
    locked_until: Instant,
    hand: Hand,
    /// It is to be left as soon as nothing of it is in hand.
    is_closing: bool,
    /// What is settled next is poison.
    is_poisoning: bool,
    /// A crash has left a mark, and is to be counted of the message that comes first.
    is_crash_uncounted: bool,
    /// What is noted of it, and the state that clients have set.
    mark: Mark,
    clients_state: Option<Bytes>,
    /// Whether the service has such a mark.
    is_marked: bool,
}

/// What of a session is in hand.
#[derive(Debug)]
enum Hand {
    /// It was just accepted, or is being left.
    Opening,
    /// Nothing, since then: the next message is waited for.
    Listening(Instant),
    /// This message waits for a receive.
    Ready(Box<Ready>),
    /// A receive has taken a message.
    Taken(Taken),
    /// Nothing, and nothing is waited for: it is held so that nobody gets it.
    Parked,
}

struct Ready {
    arrived: Arrived,
    since: Instant,
}

impl std::fmt::Debug for Ready {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ready")
    }
}

#[derive(Clone, Debug)]
struct Taken {
    token: LockToken,
    /// How often it was updated: older receipts are stale.
    version: u32,
    sequence: Option<i64>,
    delivered: Delivered,
    /// When a receive has taken it.
    since: Instant,
    /// When it is given back, unless it is settled before.
    until: Instant,
    /// It waits for its next attempt.
    is_hidden: bool,
}

/// What a lane means for receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// A message is there, or may come at once.
    Coming,
    /// It has brought nothing for a while.
    Quiet,
    /// A message of it is being handled.
    Busy,
    /// It is held, and nothing comes for now.
    Held,
}

impl Lane {
    pub(super) fn new(number: u64, accepted: &Accepted, terms: Arc<LaneTerms>) -> Arc<Self> {
        let state = LaneState {
            locked_until: accepted.locked_until,
            hand: Hand::Opening,
            is_closing: false,
            is_poisoning: false,
            is_crash_uncounted: false,
            mark: Mark::default(),
            clients_state: None,
            is_marked: false,
        };
        Arc::new(Self {
            number,
            session: accepted.session.clone(),
            terms,
            lock: accepted.lock,
            state: Mutex::new(state),
            changed: Notify::new(),
            end: watch::Sender::new(LaneEnd::No),
        })
    }

    pub(super) fn session(&self) -> &str {
        &self.session.id
    }

    /// How long a message that is taken now is surely locked.
    pub(super) fn surely_locked_for(&self) -> Duration {
        self.lock / 2
    }

    /// What it means for receives.
    pub(super) fn standing(&self, now: Instant) -> Standing {
        match &self.state().hand {
            Hand::Opening | Hand::Ready(_) => Standing::Coming,
            Hand::Listening(since) if now < *since + self.terms.idle.min(UNCLAIMED) => Standing::Coming,
            Hand::Listening(_) => Standing::Quiet,
            Hand::Taken(taken) if taken.is_hidden => Standing::Held,
            Hand::Taken(_) => Standing::Busy,
            Hand::Parked => Standing::Held,
        }
    }

    /// Whether a message of it is being handled.
    pub(super) fn is_busy(&self) -> bool {
        matches!(&self.state().hand, Hand::Taken(taken) if !taken.is_hidden)
    }

    /// Takes the message that is there, until then.
    pub(super) fn take(&self, now: Instant, until: Instant) -> Option<Received> {
        let mut state = self.state();
        // Its lock is just being renewed.
        if now + self.surely_locked_for() > state.locked_until || self.has_ended() {
            return None;
        }
        let Hand::Ready(_) = state.hand else { return None };
        let Hand::Ready(ready) = std::mem::replace(&mut state.hand, Hand::Parked) else { return None };
        let Arrived { message, damaged, token, sequence, delivered, .. } = ready.arrived;
        let taken = Taken { token, version: 1, sequence, delivered, since: now, until, is_hidden: false };
        let receipt = self.receipt(&taken);
        state.hand = Hand::Taken(taken);
        drop(state);
        self.changed.notify_one();
        Some(Received { message, receipt, damaged })
    }

    /// The place in the queue of the message in hand.
    pub(super) fn sequence(&self) -> Option<i64> {
        match &self.state().hand {
            Hand::Taken(taken) => taken.sequence,
            _ => None,
        }
    }

    /// How long ago the message in hand was taken.
    pub(super) fn taken_ago(&self, now: Instant) -> Option<Duration> {
        match &self.state().hand {
            Hand::Taken(taken) => Some(now.saturating_duration_since(taken.since)),
            _ => None,
        }
    }

    /// Keeps the message in hand until then, under a new receipt.
    pub(super) fn keep(
        &self,
        token: LockToken,
        version: u32,
        until: Instant,
        is_hidden: bool,
    ) -> Result<Receipt, QueueError> {
        let mut state = self.state();
        let taken = taken(&mut state.hand, token, version)?;
        taken.version += 1;
        (taken.until, taken.is_hidden) = (until, is_hidden);
        let receipt = self.receipt(taken);
        drop(state);
        self.change();
        Ok(receipt)
    }

    /// Makes the session's lock last as long again as locks do.
    pub(super) async fn renew(&self) -> Result<(), QueueError> {
        let sent = Instant::now();
        let renewed = self.terms.wire.call(async |it| self.session.renew(it).await).await;
        match &renewed {
            Ok(()) => {
                let mut state = self.state();
                state.locked_until = state.locked_until.max(sent + self.lock);
                drop(state);
                self.terms.changed.notify_waiters();
            }
            Err(error) if error.is_stale() => self.lose(),
            Err(_) => {}
        }
        renewed
    }

    /// Checks that this is the message in hand.
    pub(super) fn check(&self, token: LockToken, version: u32) -> Result<(), QueueError> {
        taken(&mut self.state().hand, token, version).map(drop)
    }

    /// What is settled next is poison.
    pub(super) fn poisons(&self, token: LockToken, version: u32) {
        let mut state = self.state();
        if taken(&mut state.hand, token, version).is_ok() {
            state.is_poisoning = true;
        }
    }

    /// The state that clients have set, if this is the message in hand.
    pub(super) fn clients_state(&self, token: LockToken, version: u32) -> Result<Option<Bytes>, QueueError> {
        let mut state = self.state();
        taken(&mut state.hand, token, version)?;
        Ok(state.clients_state.clone())
    }

    /// Settles the message in hand.
    pub(super) async fn settle(
        &self,
        token: LockToken,
        version: u32,
        disposition: &Disposition,
    ) -> Result<(), QueueError> {
        let delivered = taken(&mut self.state().hand, token, version)?.delivered.clone();
        let settled = self.settle_delivery(token, &delivered, disposition).await;
        match &settled {
            Ok(()) => self.settled(token, disposition),
            Err(error) if error.is_stale() => self.lose(),
            Err(_) => {}
        }
        settled
    }

    /// Settles on the link, or over the management node if the link will not.
    async fn settle_delivery(
        &self,
        token: LockToken,
        delivered: &Delivered,
        disposition: &Disposition,
    ) -> Result<(), QueueError> {
        let url = &self.terms.wire.entity.url;
        let settle = async |it: &_| match delivered.settle(disposition).await {
            Settled::Done => Ok(()),
            // The lock of a session ends with its link: whatever became of the message, it is no
            // longer ours.
            Settled::Lost | Settled::Unknown => Err(QueueError::MessageNotFound),
            Settled::Refused(refusal) => Err(refusal.explain(url, "settle")),
            Settled::NotSent => self.session.settle(it, token, disposition).await,
            Settled::Otherwise => {
                let settled = self.session.settle(it, token, disposition).await;
                settled.map_err(|error| match error {
                    QueueError::MessageNotFound => unclear(url, "two answers that differ"),
                    error => error,
                })
            }
        };
        self.terms.wire.call(settle).await
    }

    fn settled(&self, token: LockToken, disposition: &Disposition) {
        let mut state = self.state();
        let Hand::Taken(taken) = &state.hand else { return };
        if taken.token != token {
            return;
        }
        let (sequence, is_gone) = (taken.sequence, !matches!(disposition, Disposition::Abandoned));
        state.hand = Hand::Listening(Instant::now());
        let is_poison = std::mem::take(&mut state.is_poisoning) && is_gone;
        if is_gone && state.mark.handled == sequence {
            state.mark.handled = None;
        }
        if is_gone && state.mark.suspect.map(|it| it.sequence) == sequence {
            state.mark.suspect = None;
        }
        if is_poison && self.terms.stops_on_poison {
            state.mark.stopped = sequence;
        }
        drop(state);
        self.change();
    }

    /// The session is to be left as soon as nothing of it is in hand.
    pub(super) fn close(&self) {
        self.state().is_closing = true;
        self.changed.notify_one();
    }

    /// Waits until it is lost. It ends for no other reason.
    pub(super) async fn lost(&self) {
        // The sender lives as long as this lane.
        let _ = self.end.subscribe().wait_for(|end| *end == LaneEnd::Lost).await;
    }

    fn has_ended(&self) -> bool {
        *self.end.borrow() != LaneEnd::No
    }

    /// Leaves the session, whatever is in hand.
    pub(super) fn give_up(&self) {
        self.end.send_if_modified(|end| {
            let is_new = *end == LaneEnd::No;
            if is_new {
                *end = LaneEnd::Left;
            }
            is_new
        });
        self.changed.notify_one();
    }

    fn lose(&self) {
        self.end.send_if_modified(|end| {
            let is_new = *end == LaneEnd::No;
            if is_new {
                *end = LaneEnd::Lost;
            }
            is_new
        });
        self.change();
    }

    fn change(&self) {
        self.changed.notify_one();
        self.terms.changed.notify_waiters();
    }

    fn receipt(&self, taken: &Taken) -> Receipt {
        Receipt(format!("{}/{}/{}", self.number, taken.token.text(), taken.version))
    }

    fn state(&self) -> MutexGuard<'_, LaneState> {
        // What it guards is valid after every statement.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The message in hand, if it is this one.
fn taken(hand: &mut Hand, token: LockToken, version: u32) -> Result<&mut Taken, QueueError> {
    let Hand::Taken(taken) = hand else { return Err(QueueError::MessageNotFound) };
    match (taken.token == token, taken.version == version) {
        (true, true) => Ok(taken),
        (true, false) => Err(QueueError::ReceiptMismatch),
        (false, _) => Err(QueueError::MessageNotFound),
    }
}
