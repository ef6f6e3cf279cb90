//! Whether to receive, to wait, or to end: the policy. The loop asks it before each receive. The
//! loop itself only waits for what is under way, and works off what was received before the end.

#[cfg(test)]
mod tests;

use std::time::Duration;

use rand::Rng;
use tokio::time::Instant;

use crate::breaker::Allowance;
use crate::drain::{Drain, End};
use crate::hold::{HoldCause, OnHold};
use crate::rate::{Rate, SlotTime};
use longshore_queue::MAX_RECEIVE;

/// How many receives may be in flight at once, as long as the queue gives as much as it is asked
/// for. Messages do not end together, and a free slot need not wait for the answer to another.
/// Where receives are credit, those that ask for as much as they can are not counted.
const MAX_RECEIVES_IN_FLIGHT: usize = 4;
/// How much later than the one before a receive is sent, unless it asks for as much as a receive
/// can. A queue that answers sooner is asked for more at a time instead.
const MIN_GAP: Duration = Duration::from_millis(2);
/// What is received ahead of the slots is worked off in this time, at the present rate.
const AHEAD: Duration = Duration::from_millis(250);
/// The most messages that are received ahead of the slots. Where receives are credit, they are as
/// many as the slots if those are more: credit takes a round trip, as each settlement does.
const MAX_AHEAD: usize = 64;

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Ask for this many messages.
    Receive(u32),
    /// Look for the handler again: there is none.
    LookForHandler,
    /// Wait until something else happens, at most until then.
    Wait(Option<Instant>),
    /// Nothing is in flight, and the run is over.
    End(End),
}

/// The messages that were received and are not yet settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InHand {
    /// How many they are.
    pub messages: usize,
    /// How many of them were received before (dequeue count over 1).
    pub received_before: usize,
}

/// What a run has asked its queue for, and what it may still ask for.
#[derive(Debug)]
pub struct Intake {
    drain: Drain,
    slots: usize,
    /// Whether receives wait beside each other at no cost: see [`Kind::receives_are_credit`].
    ///
    /// [`Kind::receives_are_credit`]: longshore_queue::kind::Kind::receives_are_credit
    receives_are_credit: bool,
    /// How long an open breaker keeps the run alive; `None`: as long as it may receive.
    hold: Option<Duration>,
    /// The same while there is no handler.
    hold_without_handler: Option<Duration>,
    /// How many receives are not yet answered.
    receives: usize,
    /// For how many messages they ask.
    asked: u64,
    newest_sent: Option<Instant>,
    /// The newest answer brought as many messages as were asked for.
    newest_was_full: bool,
    /// The newest answer brought nothing.
    newest_was_empty: bool,
    rate: Rate,
}

impl Intake {
    /// An intake for `slots` messages at a time.
    pub fn new(drain: Drain, slots: usize) -> Self {
        Self {
            drain,
            slots,
            receives_are_credit: false,
            hold: None,
            hold_without_handler: None,
            receives: 0,
            asked: 0,
            newest_sent: None,
            newest_was_full: false,
            newest_was_empty: false,
            rate: Rate::default(),
        }
    }

    /// The same, with a limit to how long a hold keeps the run alive: while the breaker is open,
    /// and while there is no handler.
    #[must_use]
    pub fn holding(self, breaker: Option<Duration>, without_handler: Option<Duration>) -> Self {
        Self { hold: breaker, hold_without_handler: without_handler, ..self }
    }

    /// The same for a queue whose receives are credit, if so: one for a single message then holds
    /// up no other.
    #[must_use]
    pub fn on_credit(self, receives_are_credit: bool) -> Self {
        Self { receives_are_credit, ..self }
    }

    /// What to do now, with these messages in hand. Asking changes nothing.
    pub fn next(&self, now: Instant, in_hand: InHand, allowance: Allowance) -> Next {
        let in_flight = in_hand.messages + usize::try_from(self.asked).unwrap_or(usize::MAX);
        match self.on_hold(allowance) {
            Some(hold) => self.hold_on(now, in_flight, hold),
            None if allowance == Allowance::AllSlots => {
                self.work_on(now, in_flight, self.slots, self.ahead(now, in_hand))
            }
            None => self.work_on(now, in_flight, self.slots.min(1), 0),
        }
    }

    /// The hold that an allowance means; `None` if messages are received as ever.
    pub fn on_hold(&self, allowance: Allowance) -> Option<OnHold> {
        let (cause, since, try_at, limit) = match allowance {
            Allowance::OneAtATime | Allowance::AllSlots => return None,
            Allowance::Probe { open_since, probe_at } => {
                (HoldCause::Breaker, open_since, Some(probe_at), self.hold)
            }
            Allowance::NoHandler { since, look_at } => {
                (HoldCause::NoHandler, since, look_at, self.hold_without_handler)
            }
        };
        let ends = [limit.map(|limit| since + limit), self.drain.stop_at()].into_iter().flatten().min();
        Some(OnHold { cause, since, try_at, ends })
    }

    /// How many messages may wait beside those that are handled. A crash counts an attempt for what
    /// was never started. So nothing waits beside a message that may be the reason of crashes.
    fn ahead(&self, now: Instant, in_hand: InHand) -> usize {
        if in_hand.received_before > 0 {
            return 0;
        }
        let most = if self.receives_are_credit { MAX_AHEAD.max(self.slots) } else { MAX_AHEAD };
        self.rate.works_off(now, AHEAD).min(most)
    }

    /// What to do while the breaker is closed, with so many `slots` and so many messages `ahead` of
    /// them.
    fn work_on(&self, now: Instant, in_flight: usize, slots: usize, ahead: usize) -> Next {
        if let Some(end) = self.drain.over(now) {
            return if in_flight == 0 { Next::End(end) } else { Next::Wait(None) };
        }
        let free = (slots + ahead).saturating_sub(in_flight);
        let left = self.drain.remaining().saturating_sub(self.asked);
        // A receive costs the same for one message as for many.
        let enough = ahead.div_ceil(2).clamp(1, MAX_RECEIVE as usize);
        if left == 0 || free < enough {
            return Next::Wait(self.drain.stop_at());
        }
        if in_flight == 0 && self.drain.is_drained(now) {
            return Next::End(End::Drained);
        }
        if now < self.drain.next_receive() {
            return Next::Wait(Some(self.drain.next_receive()));
        }
        let ask = (free as u64).min(left).min(u64::from(MAX_RECEIVE));
        self.pace(now, u32::try_from(ask).unwrap_or(MAX_RECEIVE))
    }

    /// What to do on hold: something is tried now and then, drained or not.
    fn hold_on(&self, now: Instant, in_flight: usize, hold: OnHold) -> Next {
        let OnHold { cause, try_at, ends, .. } = hold;
        let is_over = ends.is_some_and(|at| now >= at) || self.drain.over(now).is_some();
        let (end, is_pointless) = match cause {
            HoldCause::Breaker => (End::BreakerOpen, self.drain.is_exhausted()),
            HoldCause::NoHandler => (End::NoHandler, false),
        };
        if is_over || is_pointless {
            return if in_flight == 0 { Next::End(end) } else { Next::Wait(None) };
        }
        let Some(try_at) = try_at.filter(|_| in_flight == 0) else { return Next::Wait(ends) };
        if now < try_at {
            return Next::Wait(Some(ends.map_or(try_at, |ends| ends.min(try_at))));
        }
        if now < self.drain.paused_until() {
            return Next::Wait(Some(self.drain.paused_until()));
        }
        match cause {
            HoldCause::Breaker => Next::Receive(1),
            HoldCause::NoHandler => Next::LookForHandler,
        }
    }

    /// Whether a receive for `ask` messages is sent now, or whether it waits for those in flight.
    fn pace(&self, now: Instant, ask: u32) -> Next {
        let is_largest = ask >= MAX_RECEIVE;
        let apart_at = self.newest_sent.map_or(now, |sent| sent + MIN_GAP);
        let may_wait_beside = self.receives_are_credit && !self.newest_was_empty;
        let may_join = may_wait_beside || self.newest_was_full;
        let is_largest_credit = self.receives_are_credit && is_largest;
        let has_room = is_largest_credit || self.receives < MAX_RECEIVES_IN_FLIGHT;
        let one_more = may_join && has_room && (is_largest || now >= apart_at);
        if self.receives == 0 || one_more {
            Next::Receive(ask)
        } else if may_wait_beside && has_room {
            // What is asked for may not come: no answer ends this wait.
            Next::Wait(Some(apart_at))
        } else {
            Next::Wait(None)
        }
    }

    /// A receive was sent that asks for `asked` messages.
    pub fn receive_sent(&mut self, asked: u32, now: Instant) {
        self.receives += 1;
        self.asked += u64::from(asked);
        self.newest_sent = Some(now);
    }

    /// A receive that asked for `asked` messages was answered, and brought `brought` of them.
    pub fn receive_answered(&mut self, asked: u32, brought: usize) {
        self.receives = self.receives.saturating_sub(1);
        self.asked = self.asked.saturating_sub(u64::from(asked));
        self.newest_was_full = brought >= asked as usize;
        self.newest_was_empty = brought == 0;
    }

    /// A message was settled that had a slot so long.
    pub fn settled(&mut self, now: Instant, slot: SlotTime) {
        self.rate.ended(now, slot);
    }

    /// A receive got a clear answer, and leases last for `visibility`.
    pub fn receive_clear(&mut self, now: Instant, visibility: Duration) {
        self.drain.receive_answered(now, visibility);
    }

    /// The answer to a receive was lost.
    pub fn receive_lost(&mut self) {
        self.drain.receive_lost();
    }

    /// No receive is sent before `at`: the queue asked for a pause.
    pub fn pause_until(&mut self, at: Instant) {
        self.drain.pause_until(at);
    }

    /// A receive brought these messages.
    pub fn received<'a>(&mut self, ids: impl Iterator<Item = &'a str>, now: Instant) {
        self.drain.received(ids, now);
    }

    /// A receive that was sent at `sent` brought nothing.
    pub fn found_nothing(&mut self, sent: Instant, now: Instant, rng: &mut impl Rng) {
        self.drain.found_nothing(sent, now, rng);
    }

    /// Another message may have become visible: the queue is looked at anew.
    pub fn more_may_come(&mut self, now: Instant) {
        self.drain.more_may_come(now);
    }

    /// A message of ours becomes visible again at `due`.
    pub fn retry_due(&mut self, id: String, due: Instant) {
        self.drain.retry_due(id, due);
    }
}
