//! When a run receives, waits and ends, without a queue.

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::*;
use crate::drain::Until;

const S: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);
const LINGER: Until =
    Until::Drained { linger: Duration::from_secs(30), receive_for: Duration::from_secs(1170) };

fn rng() -> StdRng {
    StdRng::seed_from_u64(1)
}

fn intake(slots: usize, until: Until, max_messages: Option<u64>, now: Instant) -> Intake {
    Intake::new(Drain::new(until, max_messages, now), slots, None)
}

/// What comes next after a success, while `busy` messages are handled.
fn next(intake: &Intake, now: Instant, busy: usize) -> Next {
    intake.next(now, busy, Allowance::AllSlots)
}

/// A receive that was answered with as many messages as it asked for, if the queue is `full`.
fn answered(intake: &mut Intake, asked: u32, brought: usize, now: Instant) {
    intake.receive_sent(asked, now);
    intake.receive_answered(asked, brought);
}

/// Polls an empty queue until the run ends, and returns when that was.
fn ends_after(intake: &mut Intake, start: Instant) -> (Duration, End) {
    let mut now = start;
    loop {
        match next(intake, now, 0) {
            Next::Receive(_) => intake.found_nothing(now, now, &mut rng()),
            Next::Wait(Some(until)) => now = until,
            Next::Wait(None) | Next::Gather(_) => panic!("nothing is in flight"),
            Next::End(end) => return (now - start, end),
        }
    }
}

#[test]
fn a_run_ends_after_two_empty_receives_a_second_apart() {
    let now = Instant::now();
    assert_eq!(ends_after(&mut intake(16, LINGER, None, now), now), (S, End::Drained));
}

#[test]
fn a_run_waits_for_a_retry_of_its_own_that_falls_due_within_linger() {
    let now = Instant::now();
    let mut intake = intake(16, LINGER, None, now);
    intake.retry_due("a".into(), now + 20 * S);
    let (after, end) = ends_after(&mut intake, now);
    assert_eq!(end, End::Drained);
    // Two more empty receives after it was due: another worker has it.
    assert!(after >= 21 * S && after <= 23 * S, "{after:?}");
}

#[test]
fn a_run_does_not_wait_for_a_retry_beyond_linger() {
    let now = Instant::now();
    let mut drained = intake(16, LINGER, None, now);
    drained.retry_due("a".into(), now + 60 * S);
    assert_eq!(ends_after(&mut drained, now), (S, End::Drained));
    // The last moment of the linger belongs to it.
    let mut lingering = intake(16, LINGER, None, now);
    lingering.retry_due("a".into(), now + 31 * S);
    assert!(ends_after(&mut lingering, now).0 > 31 * S);
}

#[test]
fn a_retry_that_no_receive_found_a_second_later_is_another_workers() {
    let now = Instant::now();
    let mut intake = intake(16, LINGER, None, now);
    intake.retry_due("a".into(), now);
    intake.found_nothing(now + S / 2, now + S / 2, &mut rng());
    intake.found_nothing(now + S * 3 / 2, now + S * 3 / 2, &mut rng());
    assert_eq!(next(&intake, now + S * 3 / 2, 0), Next::End(End::Drained));
    intake.retry_due("b".into(), now + S);
    intake.found_nothing(now + 2 * S, now + 2 * S, &mut rng());
    assert_eq!(next(&intake, now + 2 * S, 0), Next::End(End::Drained), "exactly a second later");
}

#[test]
fn a_receive_is_sent_the_moment_a_retry_falls_due() {
    let now = Instant::now();
    let mut intake = intake(1, LINGER, None, now);
    intake.retry_due("a".into(), now + S / 4);
    intake.found_nothing(now, now, &mut rng());
    assert_eq!(next(&intake, now, 0), Next::Wait(Some(now + S / 4)));
    assert_eq!(next(&intake, now + S / 4, 0), Next::Receive(1));
}

#[test]
fn a_retry_that_is_due_at_once_is_asked_for_at_once() {
    let now = Instant::now();
    let mut intake = intake(1, LINGER, None, now);
    intake.found_nothing(now, now, &mut rng());
    assert_eq!(next(&intake, now, 0), Next::Wait(Some(now + S)));
    intake.retry_due("a".into(), now);
    assert_eq!(next(&intake, now, 0), Next::Receive(1));
}

#[test]
fn a_receive_never_asks_for_more_than_can_be_started() {
    let now = Instant::now();
    assert_eq!(next(&intake(8, LINGER, Some(20), now), now, 5), Next::Receive(3));
    assert_eq!(next(&intake(64, LINGER, Some(20), now), now, 0), Next::Receive(20));
    assert_eq!(next(&intake(64, LINGER, None, now), now, 0), Next::Receive(32));
    assert_eq!(next(&intake(8, LINGER, None, now), now, 8), Next::Wait(Some(now + 1170 * S)));
}

#[test]
fn what_receives_in_flight_may_bring_is_not_asked_for_twice() {
    let mut now = Instant::now();
    let mut intake = intake(28, LINGER, Some(28), now);
    answered(&mut intake, 8, 8, now);
    intake.received(["a"; 8].into_iter(), now);
    intake.receive_sent(12, now);
    now += MIN_GAP;
    assert_eq!(next(&intake, now, 8), Next::Receive(8));
    intake.receive_sent(8, now);
    assert!(matches!(next(&intake, now + S, 8), Next::Wait(_)));
    intake.receive_answered(12, 12);
    intake.received(["a"].into_iter(), now);
    assert_eq!(next(&intake, now + S, 1), Next::Receive(11));
}

#[test]
fn the_last_message_of_max_messages_ends_the_run_once_it_is_settled() {
    let now = Instant::now();
    let mut intake = intake(16, LINGER, Some(2), now);
    intake.received(["a", "b"].into_iter(), now);
    assert_eq!(next(&intake, now, 1), Next::Wait(None));
    assert_eq!(next(&intake, now, 0), Next::End(End::MaxMessages));
}

#[test]
fn no_receive_is_sent_after_the_time_budget() {
    let now = Instant::now();
    let intake = intake(16, LINGER, None, now);
    assert_eq!(next(&intake, now + 1169 * S, 0), Next::Receive(16));
    assert_eq!(next(&intake, now + 1170 * S, 1), Next::Wait(None));
    assert_eq!(next(&intake, now + 1170 * S, 0), Next::End(End::TimeBudget));
}

#[test]
fn a_run_without_end_polls_ever_more_slowly_up_to_the_cap_with_jitter() {
    const FIRST: Duration = Duration::from_millis(100);
    const CAP: Duration = Duration::from_secs(30);
    let mut now = Instant::now();
    let mut intake = intake(16, Until::Stopped, None, now);
    let mut rng = rng();
    let mut pauses = Vec::new();
    for _ in 0..20 {
        intake.found_nothing(now, now, &mut rng);
        let Next::Wait(Some(until)) = next(&intake, now, 0) else { panic!("it polls without a pause") };
        pauses.push(until - now);
        now = until;
    }
    assert!(pauses[0] >= FIRST / 2 && pauses[0] <= FIRST, "{:?}", pauses[0]);
    assert!(pauses[12..].iter().all(|pause| *pause >= CAP / 2 && *pause <= CAP));
    assert!(pauses[12..].windows(2).any(|pair| pair[0] != pair[1]), "no jitter");
    intake.received(["a"].into_iter(), now);
    assert_eq!(next(&intake, now, 0), Next::Receive(16), "after a message it polls at once");
    intake.found_nothing(now, now, &mut rng);
    let Next::Wait(Some(until)) = next(&intake, now, 0) else { panic!("it polls without a pause") };
    assert!(until - now <= FIRST, "after a message the pauses grow from the first one again");
}

#[test]
fn before_the_first_success_one_message_is_handled_at_a_time() {
    let now = Instant::now();
    let intake = intake(16, LINGER, None, now);
    assert_eq!(intake.next(now, 0, Allowance::OneAtATime), Next::Receive(1));
    assert_eq!(intake.next(now, 1, Allowance::OneAtATime), Next::Wait(Some(now + 1170 * S)));
}

#[test]
fn free_slots_wait_a_moment_for_a_quarter_of_them() {
    let now = Instant::now();
    let mut intake = intake(16, LINGER, None, now);
    assert_eq!(next(&intake, now, 12), Next::Receive(4));
    assert_eq!(next(&intake, now, 13), Next::Gather(now + MS));
    assert_eq!(next(&intake, now, 13), Next::Gather(now + MS), "asking changes nothing");
    intake.gather_until(now + MS);
    assert_eq!(next(&intake, now + MS / 2, 13), Next::Gather(now + MS));
    assert_eq!(next(&intake, now + MS, 13), Next::Receive(3));
    intake.receive_sent(3, now + MS);
    intake.receive_answered(3, 0);
    let later = now + 5 * MS;
    assert_eq!(next(&intake, later, 13), Next::Gather(later + MS), "each wait starts anew");
}

#[test]
fn a_receive_joins_those_in_flight_if_the_queue_is_full_and_the_last_one_was_a_moment_ago() {
    let now = Instant::now();
    let mut intake = intake(64, LINGER, None, now);
    answered(&mut intake, 8, 7, now);
    intake.receive_sent(8, now);
    assert_eq!(next(&intake, now + S, 30), Next::Wait(None), "the queue gave less than was asked for");
    intake.receive_answered(8, 8);
    intake.receive_sent(8, now);
    assert_eq!(next(&intake, now + MS, 30), Next::Wait(None));
    assert_eq!(next(&intake, now + 2 * MS, 30), Next::Receive(26));
    assert_eq!(next(&intake, now, 24), Next::Receive(32), "the largest receive follows at once");
    for _ in 1..4 {
        intake.receive_sent(1, now);
    }
    assert_eq!(next(&intake, now + S, 30), Next::Wait(None), "four are in flight");
    intake.receive_answered(1, 1);
    assert_eq!(next(&intake, now + S, 30), Next::Receive(24));
}

#[test]
fn an_open_breaker_lets_one_message_through_at_the_time_of_its_probe() {
    let now = Instant::now();
    let mut intake = intake(16, LINGER, None, now);
    let open = Allowance::Probe { open_since: now, probe_at: now + 30 * S };
    assert_eq!(intake.next(now, 0, open), Next::Wait(Some(now + 30 * S)));
    assert_eq!(intake.next(now + 30 * S, 0, open), Next::Receive(1));
    assert_eq!(intake.next(now + 30 * S, 1, open), Next::Wait(Some(now + 1170 * S)));
    intake.pause_until(now + 40 * S);
    assert_eq!(intake.next(now + 30 * S, 0, open), Next::Wait(Some(now + 40 * S)));
    assert_eq!(intake.next(now + 40 * S, 0, open), Next::Receive(1));
    intake.receive_sent(1, now + 40 * S);
    assert_eq!(intake.next(now + 40 * S, 0, open), Next::Wait(Some(now + 1170 * S)));
}

#[test]
fn the_end_of_the_hold_or_of_the_time_ends_a_run_whose_breaker_is_open() {
    let now = Instant::now();
    let held = Intake::new(Drain::new(LINGER, None, now), 16, Some(10 * S));
    let open = Allowance::Probe { open_since: now, probe_at: now + 30 * S };
    assert_eq!(held.next(now, 0, open), Next::Wait(Some(now + 10 * S)));
    assert_eq!(held.next(now, 1, open), Next::Wait(Some(now + 10 * S)));
    assert_eq!(held.next(now + 10 * S, 1, open), Next::Wait(None));
    assert_eq!(held.next(now + 10 * S, 0, open), Next::End(End::BreakerOpen));
    let endless = intake(16, LINGER, None, now);
    assert_eq!(endless.next(now + 1170 * S, 0, open), Next::End(End::BreakerOpen));
}
