//! What a run has seen of its queue: whether it is drained, and when the next receive may follow
//! (rule 8).

use std::collections::HashMap;
use std::time::Duration;

use rand::{Rng, RngExt};
use tokio::time::Instant;

/// Two receives this far apart have to be empty before the queue counts as drained.
const EMPTY_FOR: Duration = Duration::from_secs(1);
/// The first pause between two polls of an empty queue, for runs that never end.
const FIRST_POLL_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause between two polls of an empty queue, for runs that never end.
const MAX_POLL_PAUSE: Duration = Duration::from_secs(30);

/// What ends a run by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// The queue is drained, or the time budget is used up but for one deadline.
    Drained {
        /// How long to wait for a retry that the run made itself.
        linger: Duration,
        /// No receive is sent later than this after the start.
        receive_for: Duration,
    },
    /// Nothing but a signal.
    Stopped,
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Nothing was left to receive.
    Drained,
    /// It received as many messages as it was allowed to.
    MaxMessages,
    /// Its time was up.
    TimeBudget,
    /// It was told to stop.
    Stopped,
    /// The breaker was open, and the hold or the time was up.
    BreakerOpen,
}

/// What a run has seen of its queue.
#[derive(Debug)]
pub struct Drain {
    until: Until,
    started: Instant,
    /// How many messages may still be received.
    remaining: u64,
    empty: Option<EmptySpell>,
    empty_polls: u32,
    next_receive: Instant,
    not_before: Instant,
    /// When the messages that this run made invisible become visible again, by their ids.
    due: HashMap<String, Instant>,
}

/// The receives that were empty since the last one that was not.
#[derive(Clone, Copy, Debug)]
struct EmptySpell {
    first_sent: Instant,
    newest_sent: Instant,
}

impl Drain {
    /// A run that starts now and receives at most `max_messages`.
    pub fn new(until: Until, max_messages: Option<u64>, now: Instant) -> Self {
        Self {
            until,
            started: now,
            remaining: max_messages.unwrap_or(u64::MAX),
            empty: None,
            empty_polls: 0,
            next_receive: now,
            not_before: now,
            due: HashMap::new(),
        }
    }

    /// Why no receive may be sent any more, if so.
    pub fn over(&self, now: Instant) -> Option<End> {
        if self.remaining == 0 {
            return Some(End::MaxMessages);
        }
        self.stop_at().is_some_and(|at| now >= at).then_some(End::TimeBudget)
    }

    /// When the time for receiving is up.
    pub fn stop_at(&self) -> Option<Instant> {
        match self.until {
            Until::Drained { receive_for, .. } => Some(self.started + receive_for),
            Until::Stopped => None,
        }
    }

    /// How many messages may still be received.
    pub fn remaining(&self) -> u64 {
        self.remaining
    }

    /// Whether nothing is left to wait for: neither a message nor a retry of this run's own.
    pub fn is_drained(&self, now: Instant) -> bool {
        let Until::Drained { linger, .. } = self.until else { return false };
        let settled = self.empty.is_some_and(|spell| spell.newest_sent >= spell.first_sent + EMPTY_FOR);
        settled && self.due.values().all(|due| *due > now + linger)
    }

    /// When the next receive may be sent.
    pub fn next_receive(&self) -> Instant {
        self.next_receive.max(self.not_before)
    }

    /// Until when the queue has asked for a pause. It holds for probes as well.
    pub fn paused_until(&self) -> Instant {
        self.not_before
    }

    /// No receive is sent before `at`: the queue asked for a pause.
    pub fn pause_until(&mut self, at: Instant) {
        self.not_before = at;
    }

    /// A receive brought these messages.
    pub fn received<'a>(&mut self, ids: impl Iterator<Item = &'a str>, now: Instant) {
        for id in ids {
            self.remaining = self.remaining.saturating_sub(1);
            self.due.remove(id);
        }
        self.empty = None;
        self.empty_polls = 0;
        self.next_receive = now;
    }

    /// A receive that was sent at `sent` brought nothing.
    pub fn found_nothing(&mut self, sent: Instant, now: Instant, rng: &mut impl Rng) {
        // A message that was due well before the receive has gone to another worker.
        self.due.retain(|_, due| *due + EMPTY_FOR > sent);
        let first_sent = self.empty.map_or(sent, |spell| spell.first_sent);
        self.empty = Some(EmptySpell { first_sent, newest_sent: sent });
        let pause = match self.until {
            Until::Drained { .. } => EMPTY_FOR,
            Until::Stopped => {
                let doubled = FIRST_POLL_PAUSE.saturating_mul(1 << self.empty_polls.min(20));
                self.empty_polls += 1;
                // Equal jitter: replicas spread, and none polls without a pause.
                doubled.min(MAX_POLL_PAUSE).mul_f64(rng.random_range(0.5..=1.0))
            }
        };
        let due = self.due.values().copied().filter(|due| *due > now).min();
        self.next_receive = due.map_or(now + pause, |due| due.min(now + pause));
    }

    /// A message of ours becomes visible again at `due`.
    pub fn retry_due(&mut self, id: String, due: Instant) {
        self.next_receive = self.next_receive.min(due);
        self.due.insert(id, due);
    }
}
