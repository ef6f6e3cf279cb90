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
/// How many times the linger a run waits for what a lost receive has leased. By default a lease is
/// twice as long as the linger.
const LINGERS_FOR_LOST: u32 = 2;

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
    Stopped {
        /// The longest pause between two polls of an empty queue.
        max_poll_pause: Duration,
    },
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
    /// There was no handler, and the hold or the time was up.
    NoHandler,
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
    lost: Lost,
}

/// What receives have leased whose answers were lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lost {
    /// Nothing.
    Nothing,
    /// Perhaps something, and no receive was answered since. Until one is, the service may still be
    /// about to carry out the lost ones.
    Perhaps,
    /// Perhaps something, for no longer than until then.
    Until(Instant),
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
            lost: Lost::Nothing,
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
            Until::Stopped { .. } => None,
        }
    }

    /// How many messages may still be received.
    pub fn remaining(&self) -> u64 {
        self.remaining
    }

    /// Whether nothing is left to wait for: neither a message nor a retry of this run's own.
    pub fn is_drained(&self, now: Instant) -> bool {
        let Until::Drained { linger, .. } = self.until else { return false };
        self.is_empty()
            && self.due.values().all(|due| *due > now + linger)
            && self.lost_until().is_none_or(|until| until > now + linger * LINGERS_FOR_LOST)
    }

    /// Whether the queue is empty, and nothing that this run has hidden falls due, however late.
    pub fn is_exhausted(&self) -> bool {
        matches!(self.until, Until::Drained { .. })
            && self.is_empty()
            && self.due.is_empty()
            && self.lost == Lost::Nothing
    }

    fn is_empty(&self) -> bool {
        self.empty.is_some_and(|spell| spell.newest_sent >= spell.first_sent + EMPTY_FOR)
    }

    fn lost_until(&self) -> Option<Instant> {
        match self.lost {
            Lost::Until(until) => Some(until),
            Lost::Nothing | Lost::Perhaps => None,
        }
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

    /// The answer to a receive was lost: it may have leased messages that nobody handles.
    pub fn receive_lost(&mut self) {
        self.lost = Lost::Perhaps;
    }

    /// A receive was answered, and leases last for `visibility`.
    pub fn receive_answered(&mut self, now: Instant, visibility: Duration) {
        if self.lost == Lost::Perhaps {
            self.lost = Lost::Until(now + visibility);
        }
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
        if self.lost_until().is_some_and(|until| until + EMPTY_FOR <= sent) {
            self.lost = Lost::Nothing;
        }
        let first_sent = self.empty.map_or(sent, |spell| spell.first_sent);
        self.empty = Some(EmptySpell { first_sent, newest_sent: sent });
        let pause = match self.until {
            Until::Drained { .. } => EMPTY_FOR,
            Until::Stopped { max_poll_pause } => {
                let doubled = FIRST_POLL_PAUSE.saturating_mul(1 << self.empty_polls.min(20));
                self.empty_polls += 1;
                // Equal jitter: replicas spread, and none polls without a pause.
                doubled.min(max_poll_pause).mul_f64(rng.random_range(0.5..=1.0))
            }
        };
        let due = self.due.values().copied().chain(self.lost_until()).filter(|due| *due > now).min();
        self.next_receive = due.map_or(now + pause, |due| due.min(now + pause));
    }

    /// Another message may have become visible: the receives before say nothing of it.
    pub fn more_may_come(&mut self, now: Instant) {
        self.empty = None;
        self.empty_polls = 0;
        self.next_receive = now;
    }

    /// A message of ours becomes visible again at `due`.
    pub fn retry_due(&mut self, id: String, due: Instant) {
        self.next_receive = self.next_receive.min(due);
        self.due.insert(id, due);
    }
}
