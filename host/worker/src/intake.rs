//! Whether to receive, to wait, or to end: the policy. The loop asks it before each receive. The loop
//! itself only waits for what is under way, and works off what was received before the end.

#[cfg(test)]
mod tests;

use std::time::Duration;

use rand::Rng;
use tokio::time::Instant;

use crate::breaker::Allowance;
use crate::drain::{Drain, End};
use longshore_queue::MAX_RECEIVE;

/// How many receives may be in flight at once, as long as the queue gives as much as it is asked
/// for. Messages do not end together, and a free slot need not wait for the answer to another.
const MAX_RECEIVES_IN_FLIGHT: usize = 4;
/// How much later than the one before a receive is sent, unless it asks for as much as a receive
/// can. A queue that answers sooner is asked for more at a time instead.
const MIN_GAP: Duration = Duration::from_millis(2);
/// A receive waits until one in this many of the unrequested slots is free, since it costs the
/// same for one message as for many.
const BATCH_SHARE: usize = 4;
/// How long free slots wait at most for others to become free.
const MAX_WAIT_FOR_BATCH: Duration = Duration::from_millis(1);

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Ask for this many messages.
    Receive(u32),
    /// Too few slots are free for a receive: wait for more of them, at most until then.
    Gather(Instant),
    /// Wait until something else happens, at most until then.
    Wait(Option<Instant>),
    /// Nothing is in flight, and the run is over.
    End(End),
}

/// What a run has asked its queue for, and what it may still ask for.
#[derive(Debug)]
pub struct Intake {
    drain: Drain,
    slots: usize,
    /// How long an open breaker keeps the run alive; `None`: as long as it may receive.
    hold: Option<Duration>,
    /// How many receives are not yet answered.
    receives: usize,
    /// For how many messages they ask.
    asked: u64,
    newest_sent: Option<Instant>,
    /// The newest answer brought as many messages as were asked for.
    newest_was_full: bool,
    /// Until when free slots wait for others, while they do.
    gathering_until: Option<Instant>,
}

impl Intake {
    /// An intake for `slots` messages at a time.
    pub fn new(drain: Drain, slots: usize, hold: Option<Duration>) -> Self {
        Self {
            drain,
            slots,
            hold,
            receives: 0,
            asked: 0,
            newest_sent: None,
            newest_was_full: false,
            gathering_until: None,
        }
    }

    /// What to do now, while `busy` messages are handled or settled. Asking changes nothing.
    pub fn next(&self, now: Instant, busy: usize, allowance: Allowance) -> Next {
        let in_flight = busy + usize::try_from(self.asked).unwrap_or(usize::MAX);
        let next = match allowance {
            Allowance::OneAtATime => self.work_on(now, in_flight, self.slots.min(1)),
            Allowance::AllSlots => self.work_on(now, in_flight, self.slots),
            Allowance::Probe { open_since, probe_at } => self.hold_on(now, in_flight, open_since, probe_at),
        };
        match next {
            Next::Receive(free) => self.pace(now, busy, free),
            next => next,
        }
    }

    /// What to do while the breaker is closed and `allowed` messages may be in flight.
    fn work_on(&self, now: Instant, in_flight: usize, allowed: usize) -> Next {
        if let Some(end) = self.drain.over(now) {
            return if in_flight == 0 { Next::End(end) } else { Next::Wait(None) };
        }
        let free = allowed.saturating_sub(in_flight) as u64;
        let ask = free.min(self.drain.remaining().saturating_sub(self.asked)).min(u64::from(MAX_RECEIVE));
        if ask == 0 {
            return Next::Wait(self.drain.stop_at());
        }
        if in_flight == 0 && self.drain.is_drained(now) {
            return Next::End(End::Drained);
        }
        if now < self.drain.next_receive() {
            return Next::Wait(Some(self.drain.next_receive()));
        }
        Next::Receive(u32::try_from(ask).unwrap_or(MAX_RECEIVE))
    }

    /// What to do while the breaker is open: one message is tried now and then, drained or not.
    fn hold_on(&self, now: Instant, in_flight: usize, open_since: Instant, probe_at: Instant) -> Next {
        let hold_ends = self.hold.map(|hold| open_since + hold);
        if self.drain.over(now).is_some() || hold_ends.is_some_and(|at| now >= at) {
            return if in_flight == 0 { Next::End(End::BreakerOpen) } else { Next::Wait(None) };
        }
        let ends = [hold_ends, self.drain.stop_at()].into_iter().flatten().min();
        if in_flight > 0 {
            return Next::Wait(ends);
        }
        if now < probe_at {
            return Next::Wait(Some(ends.map_or(probe_at, |ends| ends.min(probe_at))));
        }
        if now < self.drain.paused_until() {
            return Next::Wait(Some(self.drain.paused_until()));
        }
        Next::Receive(1)
    }

    /// Whether a receive for `free` slots is sent now, or whether it waits for more of them.
    fn pace(&self, now: Instant, busy: usize, free: u32) -> Next {
        let is_largest = free >= MAX_RECEIVE;
        let is_apart = self.newest_sent.is_none_or(|sent| now - sent >= MIN_GAP);
        let has_room = self.receives < MAX_RECEIVES_IN_FLIGHT;
        let one_more = self.newest_was_full && has_room && (is_largest || is_apart);
        if self.receives > 0 && !one_more {
            return Next::Wait(None);
        }
        let slots = free as usize;
        let until = self.gathering_until.unwrap_or(now + MAX_WAIT_FOR_BATCH);
        if is_largest || slots * BATCH_SHARE >= slots + busy || now >= until {
            Next::Receive(free)
        } else {
            Next::Gather(until)
        }
    }

    /// A receive was sent that asks for `asked` messages.
    pub fn receive_sent(&mut self, asked: u32, now: Instant) {
        self.receives += 1;
        self.asked += u64::from(asked);
        self.newest_sent = Some(now);
        self.gathering_until = None;
    }

    /// A receive that asked for `asked` messages was answered, and brought `brought` of them.
    pub fn receive_answered(&mut self, asked: u32, brought: usize) {
        self.receives = self.receives.saturating_sub(1);
        self.asked = self.asked.saturating_sub(u64::from(asked));
        self.newest_was_full = brought >= asked as usize;
    }

    /// Free slots wait for others until then.
    pub fn gather_until(&mut self, at: Instant) {
        self.gathering_until = Some(at);
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

    /// A message of ours becomes visible again at `due`.
    pub fn retry_due(&mut self, id: String, due: Instant) {
        self.drain.retry_due(id, due);
    }
}
