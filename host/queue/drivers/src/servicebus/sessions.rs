//! Sessions: messages that belong together, come one after the other and in order, and are locked
//! together ([Message
//! sessions](https://learn.microsoft.com/azure/service-bus-messaging/message-sessions)).
//!
//! Each session that is worked off is a *lane*: a link of its own, of which one message at a time
//! is in hand. Receives take what lanes have, and accept further sessions as far as more is wanted.
//! A message that waits for its next attempt keeps its session, and other sessions go on.

mod accept;
mod lane;
pub(super) mod look;
mod mark;
mod requests;

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep_until};

use longshore_queue::{QueueError, Receipt, Received, SessionOptions};

use crate::servicebus::disposition::Disposition;
use crate::servicebus::lock::LockToken;
use crate::servicebus::wire::Wire;

use self::lane::{Lane, LaneTerms, Standing};

/// How long a receive waits at most while messages are in hand, whose sessions may go on.
const LONGEST_RECEIVE: Duration = Duration::from_secs(10);
/// How long after the service had no free session it is asked again, while a receive waits.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// The most sessions that are asked for at the same time.
const MAX_ACCEPTS: usize = 4;
/// The most sessions that are held beside those that are worked off: they wait for a retry, or
/// stand still. An entity has 5,000 links that receive, for all who receive from it
/// ([quotas](https://learn.microsoft.com/azure/service-bus-messaging/service-bus-quotas)): four runs
/// may be full. Each costs some 60 KiB, and a renewal whenever 40 % of its lock are over.
const MAX_HELD: usize = 1000;
/// How many sessions of AMQP are kept for other links than those of sessions, and for links that
/// are about to end; half of them, where the service takes no more than twice as many.
const OTHER_LINKS: usize = 8;

/// The sessions of a queue that are ours.
#[derive(Debug)]
pub(super) struct Sessions {
    options: SessionOptions,
    terms: Arc<LaneTerms>,
    state: Mutex<SessionsState>,
}

#[derive(Debug, Default)]
struct SessionsState {
    lanes: HashMap<u64, Arc<Lane>>,
    next_number: u64,
    /// How many sessions are being asked for.
    accepting: usize,
    /// For how many messages the receives ask that wait now.
    wanted: u64,
    /// When the newest request was sent, and answered, that found no free session.
    none_free: Option<(Instant, Instant)>,
    /// When the newest request failed, and why, until a receive says so.
    failed: Option<(Instant, QueueError)>,
    /// No further session is accepted.
    is_resting: bool,
    /// It was said that too many are held, and that no further one was given.
    is_full_said: bool,
    is_refusal_said: bool,
}

/// The sessions of one handle to a queue. They are left when it is dropped.
#[derive(Debug)]
pub(super) struct OwnSessions(pub(super) Arc<Sessions>);

impl Drop for OwnSessions {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.is_resting = true;
        state.lanes.values().for_each(|lane| lane.give_up());
    }
}

/// A receive that waits. It stops when this is dropped.
struct Waiting<'a>(&'a Sessions, u64);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.state().wanted -= self.1;
    }
}

/// What a look at all lanes comes to.
enum Look {
    Messages(Vec<Received>),
    Nothing,
    Wait,
}

impl Sessions {
    /// The sessions of the queue that this leads to. Nothing is asked of it yet.
    pub(super) fn new(wire: Arc<Wire>, options: SessionOptions) -> Self {
        let terms = Arc::new(LaneTerms {
            wire,
            idle: options.idle,
            stops_on_poison: options.stops_on_poison,
            changed: tokio::sync::Notify::new(),
        });
        Self { options, terms, state: Mutex::default() }
    }

    /// Receives up to `max` messages, of as many sessions. Nothing means that no session is free
    /// that has messages, and that none of ours has one for now.
    pub(super) async fn receive(
        self: &Arc<Self>,
        max: u32,
        visibility: Duration,
    ) -> Result<Vec<Received>, QueueError> {
        let asked = Instant::now();
        let _waiting = {
            let mut state = self.state();
            state.wanted += u64::from(max);
            state.is_resting = false;
            Waiting(self, max.into())
        };
        loop {
            let mut changed = std::pin::pin!(self.terms.changed.notified());
            changed.as_mut().enable();
            match self.look(max, asked, visibility)? {
                Look::Messages(messages) => return Ok(messages),
                Look::Nothing => return Ok(Vec::new()),
                Look::Wait => {}
            }
            tokio::select! {
                () = changed => {}
                () = sleep_until(Instant::now() + ASK_AGAIN / 2) => {}
            }
        }
    }

    fn look(self: &Arc<Self>, max: u32, asked: Instant, visibility: Duration) -> Result<Look, QueueError> {
        let mut state = self.state();
        let now = Instant::now();
        let take = |lane: &Arc<Lane>| lane.take(now, now + visibility);
        let messages: Vec<_> = if state.is_resting {
            Vec::new()
        } else {
            state.lanes.values().filter_map(take).take(max as usize).collect()
        };
        if !messages.is_empty() {
            return Ok(Look::Messages(messages));
        }
        let (mut coming, mut busy, mut held, mut quiet) = (0, 0, 0, Vec::new());
        for lane in state.lanes.values() {
            match lane.standing(now) {
                Standing::Coming => coming += 1,
                Standing::Busy => busy += 1,
                Standing::Held => held += 1,
                Standing::Quiet => quiet.push(lane.clone()),
            }
        }
        bear_refusal(&mut state, coming + busy > 0, now)?;
        let links = self.links();
        let at_once = self.options.at_once.min(links);
        let at_work = state.lanes.len() - held;
        // Other sessions may have messages, and nothing else is to be done than to find that out.
        let is_in_the_way = at_work >= at_once && coming + busy + state.accepting == 0;
        if is_in_the_way {
            quiet.iter().take(MAX_ACCEPTS).for_each(|lane| lane.close());
        }
        let none_free = state.none_free.filter(|(sent, _)| *sent >= asked);
        // While nothing of ours can follow, that was the answer.
        let is_answered = none_free.is_some_and(|(_, at)| at + ASK_AGAIN > now || busy + coming == 0);
        let wanted = usize::try_from(state.wanted).unwrap_or(usize::MAX);
        let lacking = wanted
            .saturating_sub(coming + state.accepting)
            .min(at_once.saturating_sub(at_work + state.accepting))
            .min(links.saturating_sub(state.lanes.len() + state.accepting))
            .min(MAX_ACCEPTS.saturating_sub(state.accepting));
        let is_full = held >= MAX_HELD || held >= links;
        if !is_full && !is_answered && state.failed.is_none() && !state.is_resting {
            for _ in 0..lacking {
                self.accept(&mut state);
            }
        }
        if is_full && !std::mem::replace(&mut state.is_full_said, true) {
            tracing::warn!(
                sessions = held,
                "no further session is accepted while so many are held: they wait for a retry, or stand still after a poisoned message (--on-poison stop). Once their messages are mended, `longshore queue sessions --continue` or a run with --on-poison continue takes these up again"
            );
        }
        let is_open = coming > 0 || state.accepting > 0 || (is_in_the_way && at_work > 0);
        let over = state.is_resting || now >= asked + LONGEST_RECEIVE;
        Ok(if over || !is_open && busy == 0 { Look::Nothing } else { Look::Wait })
    }

    /// How many links the connection has for sessions: the service names the highest number that
    /// the session of a link may have.
    fn links(&self) -> usize {
        let all = usize::from(self.terms.wire.entity.channel_max.load(Ordering::Relaxed)) + 1;
        (all - OTHER_LINKS.min(all / 2)).max(1)
    }

    /// Asks for a session, in a task of its own: a call that is given up would end the connection.
    fn accept(self: &Arc<Self>, state: &mut SessionsState) {
        state.accepting += 1;
        state.next_number += 1;
        let (number, this) = (state.next_number, Arc::clone(self));
        tokio::spawn(async move {
            let sent = Instant::now();
            let name = format!("{}-{number}", this.terms.wire.entity.link);
            let accepted = this.terms.wire.call(async |it| accept::accept(it, &name, None).await).await;
            let accepted = this.note(number, sent, accepted);
            this.terms.changed.notify_waiters();
            if let Some((lane, link)) = accepted {
                lane.run(link).await;
                this.state().lanes.remove(&number);
                this.terms.changed.notify_waiters();
            }
        });
    }

    fn note(
        &self,
        number: u64,
        sent: Instant,
        accepted: Result<Option<accept::Accepted>, QueueError>,
    ) -> Option<(Arc<Lane>, crate::servicebus::link::Link)> {
        let mut state = self.state();
        state.accepting -= 1;
        match accepted {
            Ok(Some(accepted)) => {
                state.none_free = None;
                let lane = Lane::new(number, &accepted, self.terms.clone());
                if state.is_resting {
                    lane.close();
                }
                tracing::debug!(session = lane.session(), "a session was accepted");
                state.lanes.insert(number, lane.clone());
                Some((lane, accepted.link))
            }
            Ok(None) => {
                state.none_free = state.none_free.max(Some((sent, Instant::now())));
                None
            }
            Err(error) => {
                state.failed = Some((Instant::now(), error));
                None
            }
        }
    }

    /// Leaves every session of which nothing is in hand, and the others as soon as nothing is.
    pub(super) async fn rest(&self) {
        {
            let mut state = self.state();
            state.is_resting = true;
            state.lanes.values().for_each(|lane| lane.close());
        }
        loop {
            let mut changed = std::pin::pin!(self.terms.changed.notified());
            changed.as_mut().enable();
            if self.state().lanes.values().all(|lane| lane.is_busy()) {
                return;
            }
            changed.await;
        }
    }

    /// How long messages that are taken now are surely locked, all of them.
    pub(super) fn surely_locked_for(&self) -> Option<Duration> {
        self.state().lanes.values().map(|lane| lane.surely_locked_for()).min()
    }

    /// The place in the queue of a message that is ours.
    pub(super) fn sequence(&self, receipt: &Receipt) -> Option<i64> {
        let (lane, ..) = self.find(receipt).ok()?;
        lane.sequence()
    }

    /// How long ago a message of ours was taken. Receives may have waited for longer.
    pub(super) fn taken_ago(&self, receipt: &Receipt) -> Option<Duration> {
        let (lane, ..) = self.find(receipt).ok()?;
        lane.taken_ago(Instant::now())
    }

    /// The session of a message that is ours.
    pub(super) fn session(&self, receipt: &Receipt) -> Option<String> {
        let (lane, ..) = self.find(receipt).ok()?;
        Some(lane.session().to_owned())
    }

    /// Renews the lock of a message, which is its session's; or keeps both until its next attempt.
    pub(super) async fn update(
        &self,
        receipt: &Receipt,
        visibility: Duration,
        is_hidden: bool,
    ) -> Result<Receipt, QueueError> {
        if visibility.is_zero() {
            self.settle(receipt, Disposition::Abandoned).await?;
            return Ok(Receipt(format!("{}/released", receipt.0)));
        }
        let sent = Instant::now();
        let (lane, token, version) = self.find(receipt)?;
        lane.check(token, version)?;
        lane.renew().await?;
        lane.keep(token, version, sent + visibility, is_hidden)
    }

    /// Ends the lock of a message.
    pub(super) async fn settle(&self, receipt: &Receipt, disposition: Disposition) -> Result<(), QueueError> {
        let (lane, token, version) = self.find(receipt)?;
        lane.settle(token, version, &disposition).await
    }

    /// The state that clients have set for the session of a message that is ours.
    pub(super) fn clients_state(&self, receipt: &Receipt) -> Option<Option<Bytes>> {
        let (lane, token, version) = self.find(receipt).ok()?;
        lane.clients_state(token, version).ok()
    }

    /// Sets it, for a message that is to be completed next.
    pub(super) async fn set_state(&self, receipt: &Receipt, state: Option<Bytes>) -> Result<(), QueueError> {
        let (lane, token, version) = self.find(receipt)?;
        lane.set_state(token, version, state).await
    }

    /// What is settled next with this receipt is poison.
    pub(super) fn poisons(&self, receipt: &Receipt) {
        if let Ok((lane, token, version)) = self.find(receipt) {
            lane.poisons(token, version);
        }
    }

    /// Waits until the session of a message is lost.
    pub(super) async fn lost(&self, receipt: &Receipt) {
        if let Ok((lane, ..)) = self.find(receipt) {
            lane.lost().await;
        }
    }

    /// The lane of a receipt, with the token and the version.
    fn find(&self, receipt: &Receipt) -> Result<(Arc<Lane>, LockToken, u32), QueueError> {
        let mut parts = receipt.0.splitn(3, '/');
        let mut part = || parts.next().ok_or(QueueError::MessageNotFound);
        let (number, token, version) = (part()?, part()?, part()?);
        let stale = || QueueError::MessageNotFound;
        let number: u64 = number.parse().map_err(|_| stale())?;
        let token = LockToken::parse(token).ok_or_else(stale)?;
        let version = version.parse().map_err(|_| QueueError::ReceiptMismatch)?;
        let lane = self.state().lanes.get(&number).cloned().ok_or_else(stale)?;
        Ok((lane, token, version))
    }

    fn state(&self) -> MutexGuard<'_, SessionsState> {
        // What it guards is valid after every statement.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says why no further session was given, unless some are at work: they go on, and the run is not
/// to pause because it gets no more of them.
fn bear_refusal(state: &mut SessionsState, some_work: bool, now: Instant) -> Result<(), QueueError> {
    let Some((at, error)) = state.failed.clone() else { return Ok(()) };
    let is_borne = some_work && matches!(error, QueueError::Busy { retry_after: None, .. });
    if !is_borne || now >= at + ASK_AGAIN {
        state.failed = None;
    }
    if !is_borne {
        return Err(error);
    }
    if !std::mem::replace(&mut state.is_refusal_said, true) {
        tracing::warn!(%error, "no further session was given: those that are there go on");
    }
    Ok(())
}
