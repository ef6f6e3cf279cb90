//! When to receive, when to wait, and when a run is over.

use std::collections::HashMap;
use std::time::Duration;

use rand::{Rng, RngExt};
use tokio::time::Instant;

use longshore_queue::MAX_RECEIVE;

/// Two receives this far apart have to be empty before the queue counts as drained.
const SETTLED: Duration = Duration::from_secs(1);
/// The first and the longest pause between two polls of an empty queue, for runs that never end.
const POLL: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(30));

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

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Ask for so many messages.
    Receive(u32),
    /// Wait for a message to be settled, at most until then.
    Wait(Option<Instant>),
    /// Nothing is in flight, and the run is over.
    End(End),
}

/// What a run has seen of its queue.
#[derive(Debug)]
pub struct Drain {
    until: Until,
    started: Instant,
    /// How many messages may still be received.
    remaining: u64,
    /// For how many of them the receives have asked that are not yet answered.
    asked: u64,
    /// The first of the receives that were empty since the last one that was not, and the newest.
    empty: Option<(Instant, Instant)>,
    empty_polls: u32,
    next_receive: Instant,
    not_before: Instant,
    /// When the messages that this run made invisible become visible again.
    due: HashMap<String, Instant>,
}

impl Drain {
    /// A run that starts now and receives at most `max_messages`.
    pub fn new(until: Until, max_messages: Option<u64>, now: Instant) -> Self {
        Self {
            until,
            started: now,
            remaining: max_messages.unwrap_or(u64::MAX),
            asked: 0,
            empty: None,
            empty_polls: 0,
            next_receive: now,
            not_before: now,
            due: HashMap::new(),
        }
    }

    /// The next step, with `free` of the slots free and `in_flight` messages asked for or not yet settled.
    pub fn next(&self, now: Instant, free: usize, in_flight: usize) -> Step {
        if let Some(end) = self.over(now) {
            return if in_flight == 0 { Step::End(end) } else { Step::Wait(None) };
        }
        let ask = (free as u64).min(u64::from(MAX_RECEIVE)).min(self.remaining.saturating_sub(self.asked));
        if ask == 0 {
            return Step::Wait(self.stop_at());
        }
        if in_flight == 0 && self.is_drained(now) {
            return Step::End(End::Drained);
        }
        let next_receive = self.next_receive.max(self.not_before);
        if now < next_receive {
            return Step::Wait(Some(next_receive));
        }
        Step::Receive(u32::try_from(ask).unwrap_or(MAX_RECEIVE))
    }

    /// The next step when one message is to be tried, drained or not.
    pub fn probe(&self, now: Instant) -> Step {
        if now < self.not_before { Step::Wait(Some(self.not_before)) } else { Step::Receive(1) }
    }

    /// No receive is sent before `at`: the queue asked for a pause.
    pub fn pause_until(&mut self, at: Instant) {
        self.not_before = at;
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

    /// A receive was sent that asks for so many messages.
    pub fn asks(&mut self, messages: u32) {
        self.asked += u64::from(messages);
    }

    /// That receive was answered, somehow.
    pub fn answered(&mut self, messages: u32) {
        self.asked = self.asked.saturating_sub(u64::from(messages));
    }

    /// For how many messages the receives in flight ask.
    pub fn asked(&self) -> usize {
        usize::try_from(self.asked).unwrap_or(usize::MAX)
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
        // What was due well before is gone: somebody else has it.
        self.due.retain(|_, due| *due + SETTLED > sent);
        self.empty = Some((self.empty.map_or(sent, |(first, _)| first), sent));
        let pause = match self.until {
            Until::Drained { .. } => SETTLED,
            Until::Stopped => {
                let (first, longest) = POLL;
                let ceiling = first.saturating_mul(1 << self.empty_polls.min(20)).min(longest);
                self.empty_polls += 1;
                // Equal jitter: replicas spread, and none polls without a pause.
                ceiling.mul_f64(rng.random_range(0.5..=1.0))
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

    fn is_drained(&self, now: Instant) -> bool {
        let Until::Drained { linger, .. } = self.until else { return false };
        let settled = self.empty.is_some_and(|(first, newest)| newest >= first + SETTLED);
        settled && self.due.values().all(|due| *due > now + linger)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    const S: Duration = Duration::from_secs(1);
    const LINGER: Until =
        Until::Drained { linger: Duration::from_secs(30), receive_for: Duration::from_secs(1170) };

    fn rng() -> StdRng {
        StdRng::seed_from_u64(1)
    }

    /// Polls an empty queue until the run ends, and returns when that was.
    fn ends_after(drain: &mut Drain, start: Instant) -> (Duration, End) {
        let mut now = start;
        loop {
            match drain.next(now, 16, 0) {
                Step::Receive(_) => drain.found_nothing(now, now, &mut rng()),
                Step::Wait(Some(until)) => now = until,
                Step::Wait(None) => panic!("nothing is in flight"),
                Step::End(end) => return (now - start, end),
            }
        }
    }

    #[test]
    fn a_run_ends_after_two_empty_receives_a_second_apart() {
        let now = Instant::now();
        assert_eq!(ends_after(&mut Drain::new(LINGER, None, now), now), (S, End::Drained));
    }

    #[test]
    fn a_run_waits_for_a_retry_of_its_own_that_falls_due_within_linger() {
        let now = Instant::now();
        let mut drain = Drain::new(LINGER, None, now);
        drain.retry_due("a".into(), now + 20 * S);
        let (after, end) = ends_after(&mut drain, now);
        assert_eq!(end, End::Drained);
        // Two more empty receives after it was due: another worker has it.
        assert!(after >= 21 * S && after <= 23 * S, "{after:?}");
    }

    #[test]
    fn a_run_does_not_wait_for_a_retry_beyond_linger() {
        let now = Instant::now();
        let mut drain = Drain::new(LINGER, None, now);
        drain.retry_due("a".into(), now + 60 * S);
        assert_eq!(ends_after(&mut drain, now), (S, End::Drained));
    }

    #[test]
    fn a_receive_is_sent_the_moment_a_retry_falls_due() {
        let now = Instant::now();
        let mut drain = Drain::new(LINGER, None, now);
        drain.retry_due("a".into(), now + S / 4);
        drain.found_nothing(now, now, &mut rng());
        assert_eq!(drain.next(now, 1, 0), Step::Wait(Some(now + S / 4)));
        assert_eq!(drain.next(now + S / 4, 1, 0), Step::Receive(1));
    }

    #[test]
    fn a_receive_never_asks_for_more_than_can_be_started() {
        let now = Instant::now();
        let drain = Drain::new(LINGER, Some(20), now);
        assert_eq!(drain.next(now, 3, 5), Step::Receive(3));
        assert_eq!(drain.next(now, 64, 0), Step::Receive(20));
        assert_eq!(Drain::new(LINGER, None, now).next(now, 64, 0), Step::Receive(32));
        assert!(matches!(drain.next(now, 0, 8), Step::Wait(_)));
    }

    #[test]
    fn what_receives_in_flight_may_bring_is_not_asked_for_twice() {
        let now = Instant::now();
        let mut drain = Drain::new(LINGER, Some(20), now);
        drain.asks(12);
        assert_eq!(drain.next(now, 16, 12), Step::Receive(8));
        drain.asks(8);
        assert!(matches!(drain.next(now, 16, 20), Step::Wait(_)));
        drain.answered(12);
        drain.received(["a"].into_iter(), now);
        assert_eq!(drain.next(now, 16, 9), Step::Receive(11));
    }

    #[test]
    fn the_last_message_of_max_messages_ends_the_run_once_it_is_settled() {
        let now = Instant::now();
        let mut drain = Drain::new(LINGER, Some(2), now);
        drain.received(["a", "b"].into_iter(), now);
        assert_eq!(drain.next(now, 16, 1), Step::Wait(None));
        assert_eq!(drain.next(now, 16, 0), Step::End(End::MaxMessages));
    }

    #[test]
    fn no_receive_is_sent_after_the_time_budget() {
        let now = Instant::now();
        let drain = Drain::new(LINGER, None, now);
        assert_eq!(drain.next(now + 1169 * S, 16, 0), Step::Receive(16));
        assert_eq!(drain.next(now + 1170 * S, 16, 1), Step::Wait(None));
        assert_eq!(drain.next(now + 1170 * S, 16, 0), Step::End(End::TimeBudget));
    }

    #[test]
    fn a_run_without_end_polls_ever_more_slowly_up_to_the_cap_with_jitter() {
        let mut now = Instant::now();
        let mut drain = Drain::new(Until::Stopped, None, now);
        let mut rng = rng();
        let mut pauses = Vec::new();
        for _ in 0..20 {
            drain.found_nothing(now, now, &mut rng);
            let Step::Wait(Some(until)) = drain.next(now, 16, 0) else { panic!("it polls without a pause") };
            pauses.push(until - now);
            now = until;
        }
        assert!(pauses[0] >= POLL.0 / 2 && pauses[0] <= POLL.0, "{:?}", pauses[0]);
        assert!(pauses[12..].iter().all(|pause| *pause >= POLL.1 / 2 && *pause <= POLL.1));
        assert!(pauses[12..].windows(2).any(|pair| pair[0] != pair[1]), "no jitter");
        drain.received(["a"].into_iter(), now);
        assert_eq!(drain.next(now, 16, 0), Step::Receive(16), "after a message it polls at once");
    }
}
