//! A circuit breaker keeps an outage, or a broken release, from emptying the queue into the poison
//! queue (rule 10).
//!
//! It counts failures of *different* messages in a row. While it is open, it lets one message
//! through now and then. Each time that is another one, since those that failed are hidden. So
//! attempts are spread over the queue, and no message uses up its own.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use longshore_queue::Receipt;

/// How many failures in a row open the breaker before the first success, since nothing has been
/// shown to work yet.
const MAX_FAILURES_BEFORE_SUCCESS: usize = 5;
/// The pause before the first probe.
const FIRST_PROBE_PAUSE: Duration = Duration::from_secs(30);
/// The longest pause between probes.
const MAX_PROBE_PAUSE: Duration = Duration::from_secs(5 * 60);
/// How long a message that failed stays invisible while the breaker is open.
pub const HIDE_WHILE_OPEN: Duration = Duration::from_secs(15 * 60);

/// A message that was hidden, and what it takes to change for how long.
#[derive(Clone, Debug)]
pub struct Hidden {
    /// Its id.
    pub id: String,
    /// Its newest receipt.
    pub receipt: Receipt,
    /// When it expires. Nothing may be hidden for longer than it lives.
    pub expires: Option<Instant>,
}

/// The state of the breaker. It only says how many messages may be handled at once, and for how
/// long a message that failed is hidden.
#[derive(Debug)]
pub struct Breaker {
    /// How many failures in a row open it after a success. With zero it never opens.
    threshold: usize,
    /// Whether a handler has succeeded in this run.
    proven: bool,
    /// The messages that failed since the last success. Those that are hidden come with what it
    /// takes to change that.
    failed: HashMap<String, Option<Hidden>>,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    since: Instant,
    probe_at: Instant,
    pause: Duration,
}

/// How many messages may be handled at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowance {
    /// One: nothing has succeeded yet.
    OneAtATime,
    /// As many as there are slots.
    AllSlots,
    /// None before the next probe, and then one: the breaker is open.
    Probe {
        /// When the breaker opened.
        open_since: Instant,
        /// When the next probe may start.
        probe_at: Instant,
    },
}

/// How a message that failed is hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterFailure {
    /// At least for the retry cap: nothing has succeeded yet.
    Careful,
    /// As the retry policy says.
    Usual,
    /// For [`HIDE_WHILE_OPEN`]: the breaker is open.
    Hide,
}

/// For how long a message is hidden, and by which rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hiding {
    /// From now until it is visible again.
    pub delay: Duration,
    /// The rule that the delay follows.
    pub rule: AfterFailure,
}

impl Hiding {
    /// What an open breaker asks for.
    pub const WHILE_OPEN: Self = Self { delay: HIDE_WHILE_OPEN, rule: AfterFailure::Hide };
    /// Not at all: the message becomes visible at once.
    pub const NOT: Self = Self { delay: Duration::ZERO, rule: AfterFailure::Usual };
}

/// What the failure of a message means.
#[derive(Debug)]
pub struct Consequence {
    /// How this message is hidden.
    pub rule: AfterFailure,
    /// If this failure has opened the breaker: what failed before, and is to be hidden for longer.
    pub opened: Option<Vec<Hidden>>,
}

impl Breaker {
    /// A closed breaker that opens after `threshold` failures in a row (zero: never).
    pub fn new(threshold: usize) -> Self {
        Self { threshold, proven: false, failed: HashMap::new(), open: None }
    }

    /// How many messages may be handled at once.
    pub fn allowance(&self) -> Allowance {
        match &self.open {
            Some(Open { since, probe_at, .. }) => {
                Allowance::Probe { open_since: *since, probe_at: *probe_at }
            }
            None if self.proven => Allowance::AllSlots,
            None => Allowance::OneAtATime,
        }
    }

    /// A probe found nothing to try. The next one is as far away as this one was.
    pub fn found_nothing(&mut self, now: Instant) {
        if let Some(open) = &mut self.open {
            open.probe_at = now + open.pause;
        }
    }

    /// A message was received again. The receipt that it was hidden with is stale.
    pub fn received(&mut self, id: &str) {
        if let Some(hidden) = self.failed.get_mut(id) {
            *hidden = None;
        }
    }

    /// A handler failed on message `id`.
    pub fn failure(&mut self, id: &str, now: Instant) -> Consequence {
        self.failed.entry(id.to_owned()).or_default();
        if let Some(open) = &mut self.open {
            // Only a probe lengthens the pause. A handler that was running when the breaker
            // opened is no probe.
            if now >= open.probe_at {
                open.pause = (open.pause * 2).min(MAX_PROBE_PAUSE);
                open.probe_at = now + open.pause;
            }
            return Consequence { rule: AfterFailure::Hide, opened: None };
        }
        if self.has_seen_enough() {
            let pause = FIRST_PROBE_PAUSE;
            self.open = Some(Open { since: now, probe_at: now + pause, pause });
            return Consequence { rule: AfterFailure::Hide, opened: Some(self.take_hidden()) };
        }
        let rule = if self.proven { AfterFailure::Usual } else { AfterFailure::Careful };
        Consequence { rule, opened: None }
    }

    /// A message that failed was hidden by the rule `done`.
    ///
    /// Returns how it is to be hidden instead, if the breaker has opened or closed meanwhile.
    pub fn hidden(&mut self, hidden: Hidden, done: AfterFailure) -> Option<Hiding> {
        match (&self.open, done) {
            (Some(_), AfterFailure::Careful | AfterFailure::Usual) => return Some(Hiding::WHILE_OPEN),
            (None, AfterFailure::Hide) => return Some(Hiding::NOT),
            _ => {}
        }
        if let Some(kept) = self.failed.get_mut(&hidden.id) {
            *kept = Some(hidden);
        }
        None
    }

    /// A handler succeeded, so the breaker closes. Returns what was hidden while it was open.
    pub fn success(&mut self) -> Vec<Hidden> {
        self.proven = true;
        let hidden = if self.open.take().is_some() { self.take_hidden() } else { Vec::new() };
        self.failed.clear();
        hidden
    }

    fn has_seen_enough(&self) -> bool {
        let threshold =
            if self.proven { self.threshold } else { self.threshold.min(MAX_FAILURES_BEFORE_SUCCESS) };
        threshold > 0 && self.failed.len() >= threshold
    }

    fn take_hidden(&mut self) -> Vec<Hidden> {
        self.failed.values_mut().filter_map(Option::take).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn hidden(id: &str, receipt: &str) -> Hidden {
        Hidden { id: id.into(), receipt: Receipt(receipt.into()), expires: None }
    }

    /// A breaker that has opened at `now`, after five failures.
    fn open(now: Instant) -> Breaker {
        let mut breaker = Breaker::new(20);
        for id in ["a", "b", "c", "d"] {
            assert!(breaker.failure(id, now).opened.is_none());
            assert_eq!(breaker.hidden(hidden(id, "1"), AfterFailure::Careful), None);
        }
        let opened = breaker.failure("e", now).opened.expect("the fifth failure opens it");
        assert_eq!(opened.len(), 4);
        breaker
    }

    fn probe_at(breaker: &Breaker) -> Instant {
        let Allowance::Probe { probe_at, .. } = breaker.allowance() else { panic!("it is closed") };
        probe_at
    }

    #[test]
    fn a_probe_that_finds_nothing_is_followed_by_one_after_the_same_pause() {
        let now = Instant::now();
        let mut breaker = open(now);
        assert_eq!(probe_at(&breaker), now + 30 * S);
        breaker.found_nothing(now + 30 * S);
        assert_eq!(probe_at(&breaker), now + 60 * S);
    }

    #[test]
    fn a_failed_probe_doubles_the_pause_up_to_five_minutes_and_a_straggler_does_not() {
        let now = Instant::now();
        let mut breaker = open(now);
        breaker.failure("straggler", now + 29 * S);
        assert_eq!(probe_at(&breaker), now + 30 * S);
        let mut at = now + 30 * S;
        for pause in [60, 120, 240, 300, 300] {
            let failed = breaker.failure("probe", at);
            assert_eq!((failed.rule, failed.opened.is_some()), (AfterFailure::Hide, false));
            assert_eq!(probe_at(&breaker), at + pause * S);
            at += pause * S;
        }
    }

    #[test]
    fn a_message_that_is_hidden_while_the_breaker_opens_is_hidden_for_longer() {
        let mut breaker = open(Instant::now());
        for rule in [AfterFailure::Careful, AfterFailure::Usual] {
            assert_eq!(breaker.hidden(hidden("e", "1"), rule), Some(Hiding::WHILE_OPEN));
        }
        assert_eq!(breaker.hidden(hidden("e", "2"), AfterFailure::Hide), None);
    }

    #[test]
    fn a_message_that_is_hidden_while_the_breaker_closes_is_shown_at_once() {
        let mut breaker = open(Instant::now());
        breaker.success();
        assert_eq!(breaker.allowance(), Allowance::AllSlots);
        assert_eq!(breaker.hidden(hidden("e", "1"), AfterFailure::Hide), Some(Hiding::NOT));
        assert_eq!(breaker.hidden(hidden("e", "2"), AfterFailure::Usual), None);
    }

    #[test]
    fn a_success_shows_what_is_hidden_with_its_newest_receipt_but_for_what_was_received_again() {
        let now = Instant::now();
        let mut breaker = open(now);
        for id in ["a", "b"] {
            assert_eq!(breaker.hidden(hidden(id, "1"), AfterFailure::Hide), None);
        }
        assert_eq!(breaker.hidden(hidden("b", "2"), AfterFailure::Hide), None);
        breaker.received("a");
        let shown: Vec<_> = breaker.success().into_iter().map(|it| (it.id, it.receipt.0)).collect();
        assert_eq!(shown, [("b".to_owned(), "2".to_owned())]);
        assert!(breaker.success().is_empty());
    }
}
