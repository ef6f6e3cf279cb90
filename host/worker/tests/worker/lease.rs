//! Rules 3 and 4: a lease ends on our clock, renewal and settlement never race, and a lost lease is
//! fenced.

use std::time::Duration;

use longshore_queue::Queue;
use longshore_worker::Config;
use longshore_worker::lease::{Lease, LeaseError, LeaseMode, Terms};
use tokio::time::{Instant, sleep};

use super::Set;
use super::handler::TestHandler;
use super::model::{Fault, MemoryQueue, S, busy};
use super::weather::{refuses_updates, unclear};

const TERMS: Terms = Terms { visibility: Duration::from_secs(60), renewable: true };
const FIXED: Terms = Terms { renewable: false, ..TERMS };

async fn lease(queue: &MemoryQueue, terms: Terms) -> (Lease, Instant) {
    let sent = Instant::now();
    let received = queue.receive(1, terms.visibility).await.unwrap();
    (Lease::new(&received[0], sent, terms), sent)
}

#[tokio::test(start_paused = true)]
async fn a_lease_ends_five_seconds_early_counted_from_when_the_receive_was_sent() {
    let queue = MemoryQueue::filled("orders", 1);
    queue.set_faults(|_, _| Fault { delay_after: 20 * S, ..Fault::default() });
    let (lease, sent) = lease(&queue, TERMS).await;
    assert_eq!(Instant::now() - sent, 20 * S);
    assert_eq!(lease.ends() - sent, 55 * S);
    assert_eq!(lease.renewal_due() - sent, 30 * S);
    assert_eq!(lease.lapses() - sent, 60 * S);
}

#[tokio::test(start_paused = true)]
async fn a_renewal_is_counted_from_when_it_was_sent_and_replaces_the_receipt() {
    let queue = MemoryQueue::filled("orders", 1);
    let (mut lease, _) = lease(&queue, TERMS).await;
    sleep(30 * S).await;
    queue.set_faults(|_, _| Fault { delay_after: 8 * S, ..Fault::default() });
    let sent = Instant::now();
    lease.renew(&*queue).await.unwrap();
    assert_eq!(lease.ends() - sent, 55 * S);
    queue.heal();
    lease.delete(&*queue).await.unwrap();
    assert_eq!(queue.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_never_arrived_is_tried_again_with_the_old_receipt() {
    let queue = MemoryQueue::filled("orders", 1);
    let (mut lease, _) = lease(&queue, TERMS).await;
    sleep(30 * S).await;
    let mut calls = 0;
    queue.set_faults(move |_, _| {
        calls += 1;
        Fault { lost_before: calls == 1, ..Fault::default() }
    });
    lease.renew(&*queue).await.unwrap();
    lease.delete(&*queue).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_was_done_but_whose_answer_is_lost_loses_the_lease() {
    let queue = MemoryQueue::filled("orders", 1);
    let (mut lease, _) = lease(&queue, TERMS).await;
    sleep(30 * S).await;
    let mut calls = 0;
    queue.set_faults(move |_, _| {
        calls += 1;
        Fault { lost_after: calls == 1, ..Fault::default() }
    });
    assert_eq!(lease.renew(&*queue).await, Err(LeaseError::Lost));
    assert_eq!(queue.calls_of("update").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_renewal_without_any_answer_loses_the_lease_when_it_ends_on_our_clock() {
    let queue = MemoryQueue::filled("orders", 1);
    let (mut lease, sent) = lease(&queue, TERMS).await;
    sleep(30 * S).await;
    queue.set_faults(|_, _| Fault { lost_before: true, ..Fault::default() });
    assert_eq!(lease.renew(&*queue).await, Err(LeaseError::Lost));
    assert_eq!(Instant::now() - sent, 55 * S);
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_is_forbidden_leaves_the_lease_to_its_end() {
    let queue = MemoryQueue::filled("orders", 1);
    let (mut lease, sent) = lease(&queue, TERMS).await;
    sleep(30 * S).await;
    refuses_updates(&queue);
    lease.renew(&*queue).await.unwrap();
    assert_eq!((lease.renewal_due(), lease.ends() - sent), (lease.ends(), 55 * S));
    lease.delete(&*queue).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_delete_is_sent_only_with_ten_seconds_left_else_the_lease_is_renewed_first() {
    for (after, renewals) in [(45, 0), (46, 1)] {
        let queue = MemoryQueue::filled("orders", 1);
        let (mut lease, _) = lease(&queue, TERMS).await;
        sleep(after * S).await;
        lease.delete(&*queue).await.unwrap();
        assert_eq!(queue.calls_of("update").len(), renewals, "after {after} s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_fixed_lease_with_too_little_left_settles_nothing() {
    let queue = MemoryQueue::filled("orders", 1);
    let (mut lease, _) = lease(&queue, FIXED).await;
    sleep(46 * S).await;
    assert_eq!(lease.delete(&*queue).await, Err(LeaseError::Lost));
    assert_eq!(queue.calls_of("delete").len() + queue.calls_of("update").len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_repeated_delete_that_finds_nothing_is_completed_and_a_first_one_is_lost() {
    let queue = MemoryQueue::filled("orders", 2);
    let (mut first, _) = lease(&queue, TERMS).await;
    let mut calls = 0;
    queue.set_faults(move |_, _| {
        calls += 1;
        Fault { lost_after: calls == 1, ..Fault::default() }
    });
    first.delete(&*queue).await.unwrap();
    assert_eq!(queue.calls_of("delete").len(), 2);
    queue.heal();
    let (mut second, _) = lease(&queue, TERMS).await;
    queue.steal(second.id());
    assert_eq!(second.delete(&*queue).await, Err(LeaseError::Lost));
    assert_eq!(queue.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_delete_is_not_sent_after_the_end_however_often_it_failed_before() {
    let queue = MemoryQueue::filled("orders", 1);
    let (mut lease, sent) = lease(&queue, TERMS).await;
    queue.set_faults(|_, _| Fault { error: Some(unclear()), ..Fault::default() });
    assert_eq!(lease.delete(&*queue).await, Err(LeaseError::Lost));
    assert!(Instant::now() - sent <= 55 * S);
    let calls = queue.sent_of("delete");
    assert!(calls.len() > 1, "it failed, and was sent again: {calls:?}");
    assert!(calls.iter().all(|call| call.at < lease.ends()), "{calls:?}");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_fails_in_passing_is_repeated_after_doubled_pauses_or_as_the_queue_asks() {
    let doubled = [250, 500, 1000, 2000, 4000, 5000, 5000].map(Duration::from_millis);
    for (retry_after, expected) in [(None, &doubled[..]), (Some(7 * S), &[7 * S; 7])] {
        let queue = MemoryQueue::filled("orders", 1);
        let (mut lease, _) = lease(&queue, TERMS).await;
        queue.set_faults(move |_, _| Fault { error: Some(busy(retry_after)), ..Fault::default() });
        assert_eq!(lease.delete(&*queue).await, Err(LeaseError::Lost));
        let sent = queue.sent_of("delete");
        let pauses: Vec<_> = sent.windows(2).map(|pair| pair[1].at - pair[0].at).take(7).collect();
        assert_eq!(pauses, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn renewals_and_delays_end_a_minute_before_the_message_expires_and_within_seven_days() {
    let queue = MemoryQueue::new("orders");
    queue.put_expiring("{}", Some(100 * S));
    let (mut near, sent) = lease(&queue, TERMS).await;
    sleep(25 * S).await;
    // 15 s would be shorter than what is left: it is not renewed, and ends as it would have.
    assert_eq!(near.renew(&*queue).await, Err(LeaseError::Lost));
    assert_eq!((Instant::now() - sent, queue.calls_of("update").len()), (55 * S, 0));

    let queue = MemoryQueue::new("orders");
    queue.put_expiring("{}", Some(1000 * S));
    let (mut far, _) = lease(&queue, TERMS).await;
    far.hide(&*queue, 5000 * S).await.unwrap();
    assert_eq!(queue.hidden_for()[0].0, 940 * S);

    let queue = MemoryQueue::filled("orders", 1);
    let (mut endless, _) = lease(&queue, TERMS).await;
    endless.hide(&*queue, 30 * 86_400 * S).await.unwrap();
    assert_eq!(queue.hidden_for()[0].0, 7 * 86_400 * S);
}

#[tokio::test(start_paused = true)]
async fn a_short_lease_still_has_a_margin_and_a_life() {
    let queue = MemoryQueue::filled("orders", 1);
    let (lease, sent) = lease(&queue, Terms { visibility: 2 * S, renewable: true }).await;
    assert!(lease.renewal_due() - sent == S && lease.ends() - sent > S && lease.ends() - sent < 2 * S);
}

#[tokio::test(start_paused = true)]
async fn a_short_lease_needs_a_quarter_of_its_length_to_settle() {
    for (after, settled) in [(11, Ok(())), (12, Err(LeaseError::Lost))] {
        let queue = MemoryQueue::filled("orders", 1);
        // It ends after 20 s less a sixth, and 5 s of that have to be left.
        let (mut lease, _) = lease(&queue, Terms { visibility: 20 * S, ..FIXED }).await;
        sleep(after * S).await;
        assert_eq!(lease.delete(&*queue).await, settled, "after {after} s");
    }
}

#[test]
fn a_lease_lasts_no_longer_than_the_queue_gives() {
    assert_eq!(TERMS.within(20 * S), Terms { visibility: 20 * S, ..TERMS });
    assert_eq!(TERMS.within(100 * S), TERMS);
    assert_eq!(FIXED.within(20 * S), Terms { visibility: 20 * S, ..FIXED });
}

#[tokio::test(start_paused = true)]
async fn a_message_whose_lease_has_ended_when_it_arrives_is_not_handled() {
    for (travels, handled) in [(54, 1), (55, 0)] {
        let config = Config { max_messages: Some(1), lease: LeaseMode::Renew, ..Config::default() };
        let set = Set::new(config, MemoryQueue::filled("orders", 1), TestHandler::completes(Duration::ZERO));
        set.queue.set_faults(move |what, _| Fault {
            delay_after: if what == "receive" { travels * S } else { Duration::ZERO },
            ..Fault::default()
        });
        let finished = set.run().await;
        assert_eq!((set.handler.seen().len(), finished.summary.lease_lost), (handled, 1 - handled as u64));
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_runs_four_times_its_visibility_is_completed_once_and_no_other_gets_its_message() {
    let queue = MemoryQueue::filled("orders", 1);
    let config = Config { deadline: 300 * S, time_budget: 900 * S, ..Config::default() };
    let ours = Set::new(config.clone(), queue.clone(), TestHandler::completes(240 * S));
    let other = Set::new(Config { forever: true, ..config }, queue.clone(), TestHandler::fails());
    let signal = other.signal();
    let worker = other.worker.clone();
    let other_run = tokio::spawn(async move {
        sleep(S).await;
        worker.run(signal).await
    });
    let finished = ours.run().await;
    assert_eq!((finished.summary.completed, queue.len()), (1, 0));
    other.stopper.stop();
    assert_eq!(other_run.await.unwrap().summary.received, 0);
    assert!(queue.calls_of("update").len() >= 8, "renewed at half its life");
}

#[tokio::test(start_paused = true)]
async fn a_stolen_lease_interrupts_the_handler_and_deletes_nothing() {
    let queue = MemoryQueue::filled("orders", 1);
    let config = Config { deadline: 300 * S, max_messages: Some(1), ..Config::default() };
    let set = Set::new(config, queue.clone(), TestHandler::completes(200 * S));
    let thief = queue.clone();
    tokio::spawn(async move {
        sleep(10 * S).await;
        thief.steal("0");
    });
    let started = Instant::now();
    let finished = set.run().await;
    assert_eq!((finished.summary.lease_lost, queue.len()), (1, 1));
    assert!(started.elapsed() <= 31 * S, "it ran on without a lease");
    assert_eq!(*set.handler.interrupted.lock().unwrap(), 1);
    assert_eq!(queue.calls_of("delete").len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_lost_while_the_handler_ends_deletes_nothing() {
    let queue = MemoryQueue::filled("orders", 1);
    let config = Config { deadline: 300 * S, max_messages: Some(1), ..Config::default() };
    // The handler ends while a renewal is on its way, and that renewal will say that the lease is
    // gone.
    let set = Set::new(config, queue.clone(), TestHandler::completes(32 * S));
    let thief = queue.clone();
    queue.set_faults(|what, _| match what {
        "update" => Fault { delay_before: 5 * S, ..Fault::default() },
        _ => Fault::default(),
    });
    tokio::spawn(async move {
        // After Auto has asked whether renewals are allowed.
        sleep(20 * S).await;
        thief.steal("0");
    });
    let finished = set.run().await;
    assert_eq!((finished.summary.lease_lost, queue.len()), (1, 1));
}
