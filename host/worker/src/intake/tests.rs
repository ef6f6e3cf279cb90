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
    Intake::new(Drain::new(until, max_messages, now), slots)
}

/// So many messages in hand, none of which was received before.
fn fresh(messages: usize) -> InHand {
    InHand { messages, received_before: 0 }
}

/// What comes next after a success, while `busy` messages are handled.
fn next(intake: &Intake, now: Instant, busy: usize) -> Next {
    intake.next(now, fresh(busy), Allowance::AllSlots)
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
            Next::Wait(None) | Next::LookForHandler => panic!("nothing is in flight"),
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
    let mut intake = intake(16, Until::Stopped { max_poll_pause: CAP }, None, now);
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
    assert_eq!(intake.next(now, fresh(0), Allowance::OneAtATime), Next::Receive(1));
    assert_eq!(intake.next(now, fresh(1), Allowance::OneAtATime), Next::Wait(Some(now + 1170 * S)));
}

/// An intake of a run that has settled a thousand messages a second, up to `now`.
fn fast(slots: usize, now: Instant) -> Intake {
    let mut intake = intake(slots, LINGER, None, now - 64 * MS);
    for number in 1..=64 {
        intake.settled(now - 64 * MS + number * MS, SlotTime { took: 16 * MS, taken_slots: 16 });
    }
    intake
}

#[test]
fn as_much_is_received_ahead_as_the_present_rate_works_off_in_a_quarter_of_a_second() {
    let now = Instant::now();
    let intake = fast(16, now);
    // 16 slots, and 64 ahead of them.
    assert_eq!(next(&intake, now, 0), Next::Receive(32));
    assert_eq!(next(&intake, now, 48), Next::Receive(32), "half of what may wait is free");
    assert_eq!(next(&intake, now, 49), Next::Wait(Some(now + 1170 * S - 64 * MS)));
    let later = now + 15 * S;
    assert_eq!(next(&intake, later, 15), Next::Receive(2), "four a second: one waits");
    assert_eq!(next(&intake, later, 16), Next::Receive(1));
    assert!(matches!(next(&intake, later, 17), Next::Wait(_)));
}

#[test]
fn where_receives_are_credit_as_much_may_be_on_its_way_as_is_being_settled() {
    let now = Instant::now();
    let ahead = |intake: Intake| {
        let mut asked = 0;
        while let Next::Receive(32) = next(&intake, now, asked) {
            asked += 32;
        }
        asked - 256
    };
    assert_eq!(ahead(fast(256, now)), 64);
    // The rate works off 250.
    assert_eq!(ahead(fast(256, now).on_credit(true)), 224);
}

#[test]
fn nothing_is_received_ahead_while_a_message_in_hand_was_received_before() {
    let now = Instant::now();
    let intake = fast(16, now);
    let again = |messages| InHand { messages, received_before: 1 };
    assert_eq!(intake.next(now, again(15), Allowance::AllSlots), Next::Receive(1));
    assert!(matches!(intake.next(now, again(16), Allowance::AllSlots), Next::Wait(_)));
    assert!(matches!(intake.next(now, again(40), Allowance::AllSlots), Next::Wait(_)));
}

#[test]
fn nothing_is_received_ahead_before_the_first_success_and_while_the_breaker_is_open() {
    let now = Instant::now();
    let intake = fast(16, now);
    assert_eq!(intake.next(now, fresh(0), Allowance::OneAtATime), Next::Receive(1));
    assert!(matches!(intake.next(now, fresh(1), Allowance::OneAtATime), Next::Wait(_)));
    let open = Allowance::Probe { open_since: now, probe_at: now };
    assert_eq!(intake.next(now, fresh(0), open), Next::Receive(1));
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
fn where_receives_are_credit_all_that_is_free_may_be_asked_for() {
    let now = Instant::now();
    let mut intake = intake(256, LINGER, None, now).on_credit(true);
    for _ in 0..8 {
        assert_eq!(next(&intake, now, 0), Next::Receive(32));
        intake.receive_sent(32, now);
    }
    assert!(matches!(next(&intake, now, 0), Next::Wait(_)), "as many as there are slots");
}

#[test]
fn where_receives_are_credit_one_that_waits_for_a_single_message_holds_up_no_other() {
    let now = Instant::now();
    let mut intake = intake(16, LINGER, None, now).on_credit(true);
    intake.receive_sent(1, now);
    assert_eq!(next(&intake, now + MS, 10), Next::Wait(Some(now + MIN_GAP)), "others may end together");
    assert_eq!(next(&intake, now + MIN_GAP, 1), Next::Receive(14), "although nothing was answered");
    intake.receive_sent(12, now);
    intake.receive_answered(12, 3);
    assert_eq!(next(&intake, now + MIN_GAP, 4), Next::Receive(11), "although the last one was not full");
    for _ in 1..4 {
        intake.receive_sent(1, now);
    }
    assert_eq!(next(&intake, now + S, 0), Next::Wait(None), "four are in flight");
    intake.receive_answered(1, 0);
    assert_eq!(next(&intake, now + S, 0), Next::Wait(None), "one is enough where there is nothing");
}

#[test]
fn an_open_breaker_lets_one_message_through_at_the_time_of_its_probe() {
    let now = Instant::now();
    let mut intake = intake(16, LINGER, None, now);
    let open = Allowance::Probe { open_since: now, probe_at: now + 30 * S };
    assert_eq!(intake.next(now, fresh(0), open), Next::Wait(Some(now + 30 * S)));
    assert_eq!(intake.next(now + 30 * S, fresh(0), open), Next::Receive(1));
    assert_eq!(intake.next(now + 30 * S, fresh(1), open), Next::Wait(Some(now + 1170 * S)));
    intake.pause_until(now + 40 * S);
    assert_eq!(intake.next(now + 30 * S, fresh(0), open), Next::Wait(Some(now + 40 * S)));
    assert_eq!(intake.next(now + 40 * S, fresh(0), open), Next::Receive(1));
    intake.receive_sent(1, now + 40 * S);
    assert_eq!(intake.next(now + 40 * S, fresh(0), open), Next::Wait(Some(now + 1170 * S)));
}

#[test]
fn the_end_of_the_hold_or_of_the_time_ends_a_run_whose_breaker_is_open() {
    let now = Instant::now();
    let held = intake(16, LINGER, None, now).holding(Some(10 * S), None);
    let open = Allowance::Probe { open_since: now, probe_at: now + 30 * S };
    assert_eq!(held.next(now, fresh(0), open), Next::Wait(Some(now + 10 * S)));
    assert_eq!(held.next(now, fresh(1), open), Next::Wait(Some(now + 10 * S)));
    assert_eq!(held.next(now + 10 * S, fresh(1), open), Next::Wait(None));
    assert_eq!(held.next(now + 10 * S, fresh(0), open), Next::End(End::BreakerOpen));
    let endless = intake(16, LINGER, None, now);
    assert_eq!(endless.next(now + 1170 * S, fresh(0), open), Next::End(End::BreakerOpen));
}

#[test]
fn while_there_is_no_handler_nothing_is_received_and_it_is_looked_for_at_its_time() {
    let now = Instant::now();
    let intake = intake(16, LINGER, None, now).holding(Some(S), Some(50 * S));
    let missing = |look_at| Allowance::NoHandler { since: now, look_at };
    let first = Some(now + 30 * S);
    assert_eq!(intake.next(now, fresh(0), missing(first)), Next::Wait(first));
    assert_eq!(intake.next(now + 30 * S, fresh(0), missing(first)), Next::LookForHandler);
    let looking = intake.next(now + 31 * S, fresh(0), missing(None));
    assert_eq!(looking, Next::Wait(Some(now + 50 * S)), "the hold ends meanwhile as well");
    assert_eq!(intake.next(now + 50 * S, fresh(0), missing(None)), Next::End(End::NoHandler));
}

#[test]
fn an_open_breaker_ends_the_run_when_the_whole_queue_is_settled() {
    let now = Instant::now();
    let mut intake = intake(16, LINGER, None, now);
    let open = Allowance::Probe { open_since: now, probe_at: now + 90 * S };
    intake.retry_due("a".into(), now + 900 * S);
    intake.found_nothing(now + 30 * S, now + 30 * S, &mut rng());
    intake.found_nothing(now + 60 * S, now + 60 * S, &mut rng());
    assert_eq!(intake.next(now + 60 * S, fresh(0), open), Next::Wait(Some(now + 90 * S)), "one is hidden");
    intake.received(["a"].into_iter(), now + 60 * S);
    intake.found_nothing(now + 61 * S, now + 61 * S, &mut rng());
    intake.found_nothing(now + 62 * S, now + 62 * S, &mut rng());
    assert_eq!(intake.next(now + 62 * S, fresh(1), open), Next::Wait(None));
    assert_eq!(intake.next(now + 62 * S, fresh(0), open), Next::End(End::BreakerOpen));
}

#[test]
fn what_a_lost_receive_has_leased_is_waited_for_once_the_queue_answers_again() {
    const MINUTE: Duration = Duration::from_secs(60);
    let start = Instant::now();
    let mut lossy = intake(16, LINGER, None, start);
    lossy.receive_lost();
    // The service carried it out when it came back to life, 95 s after it was sent.
    let now = start + 95 * S;
    lossy.receive_clear(now, MINUTE);
    lossy.receive_clear(now + S, MINUTE);
    let (after, end) = ends_after(&mut lossy, now);
    assert_eq!(end, End::Drained);
    assert!(after >= 61 * S && after <= 63 * S, "{after:?}");
    assert_eq!(ends_after(&mut lossy, now + 64 * S).0, Duration::ZERO, "and only once");
    // A lease that is far longer than the linger is not.
    let mut lossy = intake(16, LINGER, None, start);
    lossy.receive_lost();
    lossy.receive_clear(now, 10 * MINUTE);
    assert_eq!(ends_after(&mut lossy, now), (S, End::Drained));
}
