//! The task of a lane: it accepts nothing itself, and leaves its session when it is told to, when
//! the session gives nothing, or when it is lost.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use bytes::Bytes;
use longshore_queue::QueueError;

use super::{Hand, Lane, LaneEnd, Ready, Taken, UNCLAIMED, taken};
use crate::servicebus::arrived::Arrived;
use crate::servicebus::disposition::Disposition;
use crate::servicebus::link::{Brought, Link, PART};
use crate::servicebus::lock::LockToken;
use crate::servicebus::sessions::mark::{self, Mark, Suspect};

/// The pause between two tries of a renewal that failed in passing.
const PAUSE: Duration = Duration::from_millis(500);

/// Whether a lane goes on.
enum Goes {
    On,
    /// The session is given back.
    Leaves,
    /// It is held for as long as this run lasts.
    Parks,
    /// It is no longer ours.
    Lost,
}

impl Lane {
    /// Works on the session until it is left, or lost.
    pub(in crate::servicebus::sessions) async fn run(self: Arc<Self>, link: Link) {
        let renewing = tokio::spawn(Arc::clone(&self).keep_locked());
        let end = self.work(&link).await;
        match end {
            Goes::Lost => self.lose(),
            Goes::On | Goes::Leaves | Goes::Parks => {
                if !self.has_ended() {
                    self.unmark().await;
                }
            }
        }
        self.end.send_if_modified(|end| {
            if *end == LaneEnd::No {
                *end = LaneEnd::Left;
            }
            true
        });
        drop(link);
        // It ends by itself: a call that is under way must not be given up.
        drop(renewing);
        self.change();
    }

    async fn work(&self, link: &Link) -> Goes {
        if let Err(error) = self.open().await {
            tracing::debug!(session = self.session(), %error, "a session could not be looked at, and is left");
            return if error.is_stale() { Goes::Lost } else { Goes::Leaves };
        }
        if self.state().mark.stopped.is_some() {
            tracing::info!(
                session = self.session(),
                "this session stands still, since a message of it was poisoned: `longshore queue sessions --continue` or a run with --on-poison continue takes it up again"
            );
            return self.park(link).await;
        }
        self.state().hand = Hand::Listening(Instant::now());
        // Both at once: the first message waits for the mark.
        let (marked, heard) = tokio::join!(self.write_mark(), self.listen(link));
        let mut heard = if marked { heard } else { Err(Goes::Lost) };
        loop {
            let mut arrived = match heard {
                Ok(arrived) => arrived,
                Err(end) => return end,
            };
            if self.is_handled(&arrived) {
                if !self.complete(arrived).await {
                    return Goes::Lost;
                }
                self.state().is_crash_uncounted = false;
                heard = self.listen(link).await;
                continue;
            }
            let is_after_crash = std::mem::take(&mut self.state().is_crash_uncounted);
            if !self.count_crashes(&mut arrived, is_after_crash).await {
                return Goes::Lost;
            }
            self.state().hand = Hand::Ready(Box::new(Ready { arrived, since: Instant::now() }));
            self.terms.changed.notify_waiters();
            match self.in_hand(link).await {
                Goes::On => {}
                Goes::Parks => {
                    tracing::warn!(
                        session = self.session(),
                        "a message of this session was poisoned, and the rest of it stays in the queue (--on-poison stop): once it is mended, `longshore queue sessions --continue` or a run with --on-poison continue takes it up again"
                    );
                    return if self.write_mark().await { self.park(link).await } else { Goes::Lost };
                }
                end => return end,
            }
            heard = self.listen(link).await;
        }
    }

    /// Looks at the state of a session that was just accepted, and notes that it is held, and
    /// whether somebody held it before and has not left it.
    async fn open(&self) -> Result<(), QueueError> {
        let kept = self.terms.wire.call(async |it| self.session.state(it).await).await?;
        let (found, clients_state) = mark::read(kept);
        let found = found.unwrap_or_default();
        let mut state = self.state();
        state.is_crash_uncounted = found.open;
        state.mark = found.held();
        state.mark.stopped = state.mark.stopped.filter(|_| self.terms.stops_on_poison);
        state.clients_state = clients_state;
        Ok(())
    }

    /// Waits for the next message.
    async fn listen(&self, link: &Link) -> Result<Arrived, Goes> {
        let mut ends = Instant::now() + self.terms.idle;
        loop {
            if self.has_ended() {
                return Err(Goes::Lost);
            }
            if self.state().is_closing {
                return Err(Goes::Leaves);
            }
            tokio::select! {
                biased;
                brought = link.receive(1) => match brought {
                    Ok(Brought::Messages(messages)) => match messages.into_iter().next() {
                        Some(arrived) => return Ok(arrived),
                        None if Instant::now() >= ends => return Err(Goes::Leaves),
                        None => {}
                    },
                    Ok(Brought::Stale) => return Err(Goes::Leaves),
                    Err(error) => {
                        tracing::debug!(session = self.session(), %error, "a session's link has ended");
                        return Err(Goes::Lost);
                    }
                },
                () = self.changed.notified() => {}
                () = sleep_until(ends) => {
                    let coming = link.coming_since().map(|newest| newest + PART);
                    // A large message takes its time.
                    ends = coming.filter(|until| *until > Instant::now()).ok_or(Goes::Leaves)?;
                }
            }
        }
    }

    /// Whether the handler of a message has succeeded before, and set the state of the session:
    /// only its completion did not come about. It would come before all others.
    fn is_handled(&self, arrived: &Arrived) -> bool {
        let handled = &mut self.state().mark.handled;
        *handled = handled.filter(|handled| Some(*handled) == arrived.sequence);
        handled.is_some()
    }

    /// Completes a message that was handled before. Returns whether the session is still ours.
    async fn complete(&self, arrived: Arrived) -> bool {
        let Arrived { message, token, sequence, delivered, .. } = arrived;
        tracing::info!(
            session = self.session(),
            message_id = message.id,
            "this message was handled before, and has set the state of its session: it is completed"
        );
        let since = Instant::now();
        let until = since + self.lock;
        let taken = Taken { token, version: 1, sequence, delivered, since, until, is_hidden: false };
        self.state().hand = Hand::Taken(taken);
        loop {
            match self.settle(token, 1, &Disposition::Completed).await {
                Ok(()) => return true,
                Err(error) if error.is_transient() && Instant::now() < until && !self.has_ended() => {
                    sleep_until(Instant::now() + PAUSE).await;
                }
                Err(error) => {
                    tracing::debug!(session = self.session(), %error, "it could not be completed, and comes again");
                    return false;
                }
            }
        }
    }

    /// Sets the state of the session for a message whose handler succeeded.
    pub(in crate::servicebus::sessions) async fn set_state(
        &self,
        token: LockToken,
        version: u32,
        given: Option<Bytes>,
    ) -> Result<(), QueueError> {
        let mark = {
            let mut state = self.state();
            let message = taken(&mut state.hand, token, version)?.sequence;
            state.mark.set_by(message)
        };
        let is_marked = match self.keep_state(&mark, given.as_ref()).await {
            Err(error) if error.is_stale() => {
                self.lose();
                return Err(error);
            }
            kept => kept?,
        };
        let was_marked = {
            let mut state = self.state();
            (state.mark, state.clients_state) = (mark, given);
            std::mem::replace(&mut state.is_marked, is_marked)
        };
        if was_marked && !is_marked {
            self.warn_of_no_room();
        }
        Ok(())
    }

    /// Has the service keep a state with a mark, or without where there is no room for it. Returns
    /// whether there was.
    async fn keep_state(&self, mark: &Mark, given: Option<&Bytes>) -> Result<bool, QueueError> {
        let whole = mark::write(mark, given);
        let set = async |state: Option<&Bytes>| {
            self.terms.wire.call(async |it| self.session.set_state(it, state).await).await
        };
        if mark::has_no_room(given, whole.as_ref()) {
            return set(given).await.map(|()| false);
        }
        match set(whole.as_ref()).await {
            Ok(()) => Ok(true),
            Err(error) if error.may_be_about_the_message() => set(given).await.map(|()| false),
            Err(error) => Err(error),
        }
    }

    /// Raises the count of a message by the crashes that nobody else has counted. Returns whether
    /// the session is still ours.
    async fn count_crashes(&self, arrived: &mut Arrived, after_crash: bool) -> bool {
        let Some(sequence) = arrived.sequence else { return true };
        let deliveries = arrived.message.dequeue_count.saturating_sub(1);
        let known = self.state().mark.suspect;
        let suspect = if after_crash {
            Suspect::after_crash(known, sequence, deliveries)
        } else {
            match known.filter(|it| it.sequence == sequence) {
                Some(known) => Suspect { deliveries, ..known },
                None => {
                    // Another message comes first, so that the one before it is gone.
                    self.state().mark.suspect = None;
                    return true;
                }
            }
        };
        arrived.message.dequeue_count = arrived.message.dequeue_count.saturating_add(suspect.crashes);
        if Some(suspect) == known {
            return true;
        }
        self.state().mark.suspect = Some(suspect);
        // Before anybody handles it.
        self.write_mark().await
    }

    /// Notes the mark in the session's state. Returns whether the session is still ours.
    async fn write_mark(&self) -> bool {
        let (mark, given) = {
            let state = self.state();
            (state.mark.clone(), state.clients_state.clone())
        };
        match self.keep_state(&mark, given.as_ref()).await {
            Ok(is_marked) => {
                self.state().is_marked = is_marked;
                if !is_marked {
                    self.warn_of_no_room();
                }
                true
            }
            Err(error) if error.may_be_about_the_message() => {
                tracing::warn!(session = self.session(), %error, "the state of this session is not taken as it was: a handler that kills the host is not counted");
                true
            }
            Err(error) => {
                tracing::debug!(session = self.session(), %error, "a session could not be marked, and is given up");
                false
            }
        }
    }

    fn warn_of_no_room(&self) {
        tracing::warn!(
            session = self.session(),
            "the state of this session has no room for what is noted there: a handler that kills the host is not counted"
        );
    }

    /// Takes the mark away. What names a message that may be the reason of crashes stays until that
    /// is settled, and so does what keeps the session still, and a crash that was counted of no
    /// message yet.
    async fn unmark(&self) {
        {
            let mut state = self.state();
            if !state.is_marked {
                return;
            }
            state.mark.open = state.is_crash_uncounted;
        }
        self.write_mark().await;
    }

    /// Waits until the message that is there is taken and settled.
    async fn in_hand(&self, link: &Link) -> Goes {
        loop {
            if self.has_ended() {
                return Goes::Lost;
            }
            let now = Instant::now();
            let next = {
                let mut state = self.state();
                match &state.hand {
                    Hand::Ready(ready) if state.is_closing || now >= ready.since + UNCLAIMED => {
                        // Nobody may take it while the session is being left.
                        state.hand = Hand::Opening;
                        return Goes::Leaves;
                    }
                    Hand::Ready(ready) => Ok(ready.since + UNCLAIMED),
                    // A retry of this run's own is not waited for when it ends.
                    Hand::Taken(taken) if now >= taken.until || state.is_closing && taken.is_hidden => {
                        Err((taken.token, taken.version))
                    }
                    Hand::Taken(taken) => Ok(taken.until),
                    _ if state.mark.stopped.is_some() => return Goes::Parks,
                    _ => return Goes::On,
                }
            };
            match next {
                Ok(at) => tokio::select! {
                    () = self.changed.notified() => {}
                    () = link.ended() => return Goes::Lost,
                    () = sleep_until(at) => {}
                },
                // It is visible again.
                Err((token, version)) => match self.settle(token, version, &Disposition::Abandoned).await {
                    Err(error) if error.is_transient() => sleep_until(Instant::now() + PAUSE).await,
                    _ => {}
                },
            }
        }
    }

    /// Holds the session, so that nobody gets it, until the end of the run.
    async fn park(&self, link: &Link) -> Goes {
        self.state().hand = Hand::Parked;
        self.terms.changed.notify_waiters();
        loop {
            if self.has_ended() {
                return Goes::Lost;
            }
            if self.state().is_closing {
                return Goes::Leaves;
            }
            tokio::select! {
                () = self.changed.notified() => {}
                () = link.ended() => return Goes::Lost,
            }
        }
    }

    /// Renews the session's lock before half of it is over, for as long as the lane lasts.
    async fn keep_locked(self: Arc<Self>) {
        let mut ended = self.end.subscribe();
        let mut not_before = Instant::now();
        loop {
            let locked_until = self.state().locked_until;
            let due = (locked_until - self.lock.mul_f32(0.6)).max(not_before);
            tokio::select! {
                _ = ended.wait_for(|end| *end != LaneEnd::No) => return,
                () = sleep_until(due) => {}
            }
            if self.has_ended() {
                return;
            }
            if Instant::now() >= self.state().locked_until {
                return self.lose();
            }
            // Another renewal may have come before.
            if self.state().locked_until > locked_until {
                continue;
            }
            if let Err(error) = self.renew().await {
                tracing::debug!(session = self.session(), %error, "a session's lock was not renewed");
                not_before = Instant::now() + PAUSE.min(self.lock / 10);
            }
        }
    }
}
