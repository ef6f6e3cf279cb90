//! A circuit breaker keeps an outage, or a broken release, from emptying the queue into the poison
//! queue (rule 10).
//!
//! It counts failures of *different* messages in a row. Once something has succeeded, only a
//! message's first attempt counts: at the end of an ordinary drain those are left that always fail,
//! and their further attempts say nothing new. While it is open, it lets one message through now
//! and then. Each time that is another one, since those that failed are hidden. So attempts are
//! spread over the queue, and no message uses up its own.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use crate::probes::Probes;
use longshore_queue::Receipt;

/// How many failures in a row open the breaker before the first success, since nothing has been
/// shown to work yet.
const MAX_FAILURES_BEFORE_SUCCESS: usize = 5;
/// How long a message that failed stays invisible while the breaker is open.
pub const HIDE_WHILE_OPEN: Duration = Duration::from_secs(15 * 60);

/// A message that was hidden, and what it takes to change for how long.
#[derive(Clone, Debug)]
pub struct Hidden {
    /// Its id.
    pub id: String,
    /// Its newest receipt.
    pub receipt: Receipt,
    /// When it is visible again.
    pub until: Instant,
    /// When it expires. Nothing may be hidden for longer than it lives.
    pub expires: Option<Instant>,
}

/// A handler's failure on a message.
#[derive(Clone, Copy, Debug)]
pub struct FailedAttempt<'a> {
    /// The message's id, or that of what it comes in order with.
    pub id: &'a str,
    /// How often the message was received, this time included.
    pub dequeue_count: u32,
    /// Why, as one word.
    pub reason: &'static str,
}

/// The state of the breaker. It only says how many messages may be handled at once, and for how
/// long a message that failed is hidden.
#[derive(Debug)]
pub struct Breaker {
    /// How many failures in a row open it after a success. With zero it never opens.
    threshold: usize,
    /// Whether a handler has succeeded in this run.
    proven: bool,
    /// The messages whose failure since the last success counts, and why they failed.
    evidence: HashMap<String, &'static str>,
    /// The messages that failed in this run and are hidden.
    hidden: HashMap<String, Hidden>,
    open: Option<Probes>,
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
    /// None: there is no handler.
    NoHandler {
        /// Since when.
        since: Instant,
        /// When it is to be looked for again; `None` while that is being done.
        look_at: Option<Instant>,
    },
}

/// How a message that failed is hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterFailure {
    /// For the retry cap, unless the handler names a delay: nothing has succeeded yet.
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
        Self { threshold, proven: false, evidence: HashMap::new(), hidden: HashMap::new(), open: None }
    }

    /// How many messages may be handled at once.
    pub fn allowance(&self) -> Allowance {
        match &self.open {
            Some(probes) => Allowance::Probe { open_since: probes.since(), probe_at: probes.next() },
            None if self.proven => Allowance::AllSlots,
            None => Allowance::OneAtATime,
        }
    }

    /// Since when it is open, if it is.
    pub fn open_since(&self) -> Option<Instant> {
        self.open.as_ref().map(Probes::since)
    }

    /// How many messages failed since the last success, by the reason, as far as they count.
    pub fn reasons(&self) -> BTreeMap<&'static str, usize> {
        let mut reasons = BTreeMap::new();
        for reason in self.evidence.values() {
            *reasons.entry(*reason).or_default() += 1;
        }
        reasons
    }

    /// A receive that was sent at `sent` found nothing. If it was a probe, the whole queue has
    /// failed and is hidden: the next probe waits for what falls due.
    pub fn found_nothing(&mut self, sent: Instant, now: Instant) {
        let Some(probes) = self.open.as_mut().filter(|probes| sent >= probes.next()) else { return };
        let due = self.hidden.values().map(|hidden| hidden.until).filter(|until| *until > now).min();
        probes.found_nothing(now, due);
    }

    /// The handler was replaced: an open breaker probes it at once.
    pub fn handler_replaced(&mut self, now: Instant) {
        if let Some(probes) = &mut self.open {
            probes.at_once(now);
        }
    }

    /// A message was received again. The receipt that it was hidden with is stale.
    pub fn received(&mut self, id: &str) {
        self.hidden.remove(id);
    }

    /// A handler failed on a message.
    pub fn failure(&mut self, failed: FailedAttempt<'_>, now: Instant) -> Consequence {
        if !self.proven || failed.dequeue_count <= 1 {
            self.evidence.insert(failed.id.to_owned(), failed.reason);
        }
        if let Some(probes) = &mut self.open {
            // Only a probe lengthens the pause. A handler that was running when the breaker
            // opened is no probe.
            if now >= probes.next() {
                probes.failed(now);
            }
            return Consequence { rule: AfterFailure::Hide, opened: None };
        }
        if self.has_seen_enough() {
            self.open = Some(Probes::start(now));
            let mut earlier = self.take_hidden();
            earlier.retain(|hidden| hidden.until > now);
            return Consequence { rule: AfterFailure::Hide, opened: Some(earlier) };
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
        self.forget_what_came_back();
        self.hidden.insert(hidden.id.clone(), hidden);
        None
    }

    /// A handler succeeded, so the breaker closes. Returns what was hidden while it was open.
    pub fn success(&mut self) -> Vec<Hidden> {
        self.proven = true;
        self.evidence.clear();
        self.give_up()
    }

    /// The run is stopped, and shall leave nothing hidden. Returns what was hidden while it was
    /// open.
    pub fn give_up(&mut self) -> Vec<Hidden> {
        if self.open.take().is_some() { self.take_hidden() } else { Vec::new() }
    }

    fn has_seen_enough(&self) -> bool {
        let threshold =
            if self.proven { self.threshold } else { self.threshold.min(MAX_FAILURES_BEFORE_SUCCESS) };
        threshold > 0 && self.evidence.len() >= threshold
    }

    fn take_hidden(&mut self) -> Vec<Hidden> {
        self.hidden.drain().map(|(_, hidden)| hidden).collect()
    }

    /// Another worker may have received what this run has hidden. Without this, a run that never
    /// ends would keep the receipts of all of it.
    fn forget_what_came_back(&mut self) {
        if self.hidden.len() == self.hidden.capacity() {
            let now = Instant::now();
            self.hidden.retain(|_, hidden| hidden.until > now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn hidden(id: &str, receipt: &str) -> Hidden {
        let until = Instant::now() + 30 * S;
        Hidden { id: id.into(), receipt: Receipt(receipt.into()), until, expires: None }
    }

    fn first(id: &str) -> FailedAttempt<'_> {
        FailedAttempt { id, dequeue_count: 1, reason: "trap" }
    }

    /// A breaker that has opened at `now`, after five failures.
    fn open(now: Instant) -> Breaker {
        let mut breaker = Breaker::new(20);
        for id in ["a", "b", "c", "d"] {
            assert!(breaker.failure(first(id), now).opened.is_none());
            assert_eq!(breaker.hidden(hidden(id, "1"), AfterFailure::Careful), None);
        }
        let opened = breaker.failure(first("e"), now).opened.expect("the fifth failure opens it");
        assert_eq!(opened.len(), 4);
        breaker
    }

    fn probe_at(breaker: &Breaker) -> Instant {
        let Allowance::Probe { probe_at, .. } = breaker.allowance() else { panic!("it is closed") };
        probe_at
    }

    #[test]
    fn before_the_first_success_every_failure_of_another_message_counts() {
        let now = Instant::now();
        let mut breaker = Breaker::new(20);
        for id in ["a", "b", "c", "d", "d"] {
            assert!(breaker.failure(FailedAttempt { dequeue_count: 4, ..first(id) }, now).opened.is_none());
        }
        assert!(breaker.failure(FailedAttempt { dequeue_count: 3, ..first("e") }, now).opened.is_some());
    }

    #[test]
    fn after_a_success_only_first_attempts_count() {
        let now = Instant::now();
        let mut breaker = Breaker::new(20);
        breaker.success();
        for number in 0..100 {
            let (id, dequeue_count) = (number.to_string(), 2 + number % 4);
            let failed = breaker.failure(FailedAttempt { dequeue_count, ..first(&id) }, now);
            assert_eq!((failed.rule, failed.opened.is_some()), (AfterFailure::Usual, false));
        }
        assert!(breaker.reasons().is_empty());
        for number in 0..19 {
            assert!(breaker.failure(first(&number.to_string()), now).opened.is_none());
        }
        let last = breaker.failure(FailedAttempt { reason: "deadline", ..first("last") }, now);
        assert!(last.opened.is_some());
        assert_eq!(breaker.reasons(), BTreeMap::from([("deadline", 1), ("trap", 19)]));
    }

    #[test]
    fn what_failed_before_the_last_success_is_hidden_as_well_when_it_opens() {
        let now = Instant::now();
        let mut breaker = Breaker::new(2);
        breaker.success();
        breaker.failure(first("old"), now);
        breaker.hidden(hidden("old", "1"), AfterFailure::Usual);
        breaker.hidden(Hidden { until: now, ..hidden("back", "1") }, AfterFailure::Usual);
        breaker.success();
        breaker.failure(first("a"), now);
        let opened = breaker.failure(first("b"), now).opened.unwrap();
        assert_eq!(opened.iter().map(|it| it.id.as_str()).collect::<Vec<_>>(), ["old"]);
    }

    #[test]
    fn what_others_have_received_since_is_forgotten() {
        let now = Instant::now();
        let mut breaker = Breaker::new(20);
        for number in 0..10_000 {
            breaker.hidden(Hidden { until: now, ..hidden(&number.to_string(), "1") }, AfterFailure::Usual);
        }
        assert!(breaker.hidden.len() < 100, "{}", breaker.hidden.len());
    }

    #[test]
    fn a_probe_that_finds_nothing_waits_for_what_falls_due() {
        let now = Instant::now();
        let mut breaker = open(now);
        assert_eq!(probe_at(&breaker), now + 30 * S);
        breaker.found_nothing(now, now + 10 * S);
        assert_eq!(probe_at(&breaker), now + 30 * S, "that was sent before the breaker opened");
        breaker.hidden(Hidden { until: now + 42 * S, ..hidden("a", "2") }, AfterFailure::Hide);
        breaker.found_nothing(now + 30 * S, now + 30 * S);
        assert_eq!(probe_at(&breaker), now + 42 * S);
        breaker.found_nothing(now + 42 * S, now + 42 * S);
        assert_eq!(probe_at(&breaker), now + 72 * S, "nothing else is due");
    }

    #[test]
    fn a_failed_probe_doubles_the_pause_and_a_straggler_does_not() {
        let now = Instant::now();
        let mut breaker = open(now);
        breaker.failure(first("straggler"), now + 29 * S);
        assert_eq!(probe_at(&breaker), now + 30 * S);
        let failed = breaker.failure(first("probe"), now + 30 * S);
        assert_eq!((failed.rule, failed.opened.is_some()), (AfterFailure::Hide, false));
        assert_eq!(probe_at(&breaker), now + 90 * S);
        breaker.handler_replaced(now + 31 * S);
        assert_eq!(probe_at(&breaker), now + 31 * S);
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
