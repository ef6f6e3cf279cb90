//! A circuit breaker keeps an outage, or a broken release, from emptying the queue into the poison queue.
//!
//! It counts failures of *different* messages in a row. Open, it lets one message through now and then, each time
//! another one, since what failed is hidden: attempts are spread over the queue, and no message uses up its own.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use longshore_queue::Receipt;

/// Failures in a row that open the breaker before the first success: nothing has been shown to work yet.
const BEFORE_SUCCESS: usize = 5;
/// The pause before the first probe.
const FIRST_PROBE: Duration = Duration::from_secs(30);
/// The longest pause between probes.
const MAX_PROBE: Duration = Duration::from_secs(5 * 60);
/// How long what failed stays invisible while the breaker is open.
pub const HIDE: Duration = Duration::from_secs(15 * 60);

/// A message that was hidden, and what it takes to change for how long.
#[derive(Clone, Debug)]
pub struct Hidden {
    /// Its id.
    pub id: String,
    /// Its newest receipt.
    pub receipt: Receipt,
    /// When it expires: nothing may be hidden for longer than it lives.
    pub expires: Option<Instant>,
}

/// The breaker's state. It does nothing itself: it says how many messages may be handled at once and for how long failures are hidden.
#[derive(Debug)]
pub struct Breaker {
    /// Failures in a row that open it after a success; zero: it never opens.
    threshold: usize,
    proven: bool,
    /// The messages that failed since the last success, while they are hidden with what can change that.
    failed: HashMap<String, Option<Hidden>>,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    since: Instant,
    probe_at: Instant,
    pause: Duration,
}

/// What a failure means for the message that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterFailure {
    /// Nothing has succeeded yet: hide it for the retry cap.
    Careful,
    /// Retry as usual.
    Usual,
    /// The breaker is open: hide it for [`HIDE`].
    Hide,
}

impl Breaker {
    /// A closed breaker that opens after `threshold` failures in a row (zero: never).
    pub fn new(threshold: usize) -> Self {
        Self { threshold, proven: false, failed: HashMap::new(), open: None }
    }

    /// How many messages may be handled at once, of `slots`.
    pub fn allowance(&self, slots: usize, now: Instant) -> usize {
        match &self.open {
            Some(open) if now < open.probe_at => 0,
            Some(_) => 1,
            None if self.proven => slots,
            None => 1.min(slots),
        }
    }

    /// Whether it is open, and since when.
    pub fn open_since(&self) -> Option<Instant> {
        self.open.as_ref().map(|open| open.since)
    }

    /// When the next probe may start, while it is open.
    pub fn probe_at(&self) -> Option<Instant> {
        self.open.as_ref().map(|open| open.probe_at)
    }

    /// Whether a handler has succeeded in this execution.
    pub fn is_proven(&self) -> bool {
        self.proven
    }

    /// A probe found nothing to try: the next one is as far away as this one was.
    pub fn found_nothing(&mut self, now: Instant) {
        if let Some(open) = &mut self.open {
            open.probe_at = now + open.pause;
        }
    }

    /// A message was received again: the receipt that we hid it with is stale.
    pub fn received(&mut self, id: &str) {
        if let Some(hidden) = self.failed.get_mut(id) {
            *hidden = None;
        }
    }

    /// A handler failed on message `id`. Returns what to do with it, and, if this opened the breaker, whatever failed before and is now to be hidden longer.
    pub fn failure(&mut self, id: &str, now: Instant) -> (AfterFailure, Vec<Hidden>) {
        self.failed.entry(id.to_owned()).or_default();
        if let Some(open) = &mut self.open {
            // Only a probe lengthens the pause; a straggler that was running when the breaker opened does not.
            if now >= open.probe_at {
                open.pause = (open.pause * 2).min(MAX_PROBE);
                open.probe_at = now + open.pause;
            }
            return (AfterFailure::Hide, Vec::new());
        }
        let threshold = if self.proven { self.threshold } else { self.threshold.min(BEFORE_SUCCESS) };
        if threshold > 0 && self.failed.len() >= threshold {
            self.open = Some(Open { since: now, probe_at: now + FIRST_PROBE, pause: FIRST_PROBE });
            return (AfterFailure::Hide, self.take_hidden());
        }
        (if self.proven { AfterFailure::Usual } else { AfterFailure::Careful }, Vec::new())
    }

    /// A message that failed was hidden as `done` says.
    ///
    /// If the breaker opened or closed meanwhile, returns how long it is to be hidden instead, and as what.
    pub fn hidden(&mut self, hidden: Hidden, done: AfterFailure) -> Option<(Duration, AfterFailure)> {
        match (&self.open, done) {
            (Some(_), AfterFailure::Careful | AfterFailure::Usual) => {
                return Some((HIDE, AfterFailure::Hide));
            }
            (None, AfterFailure::Hide) => return Some((Duration::ZERO, AfterFailure::Usual)),
            _ => {}
        }
        if let Some(kept) = self.failed.get_mut(&hidden.id) {
            *kept = Some(hidden);
        }
        None
    }

    /// A handler succeeded: the breaker closes. Returns what was hidden while it was open, to be made visible at once.
    pub fn success(&mut self) -> Vec<Hidden> {
        self.proven = true;
        let hidden = if self.open.take().is_some() { self.take_hidden() } else { Vec::new() };
        self.failed.clear();
        hidden
    }

    fn take_hidden(&mut self) -> Vec<Hidden> {
        self.failed.values_mut().filter_map(Option::take).collect()
    }
}
