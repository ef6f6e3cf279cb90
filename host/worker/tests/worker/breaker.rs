//! Rule 10: if every message fails, hold.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use longshore_handler::Verdict;
use longshore_worker::Config;
use longshore_worker::drain::End;
use longshore_worker::hold::HoldCause;
use tokio::time::{Instant, sleep};

use super::Set;
use super::handler::{TestHandler, failed};
use super::model::{Fault, MemoryQueue, S};

const MINUTE: std::time::Duration = std::time::Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn a_run_starts_with_one_message_at_a_time_until_the_first_success() {
    let set = Set::new(Config::default(), MemoryQueue::filled("orders", 100), TestHandler::completes(S));
    set.run().await;
    let seen = set.handler.seen();
    assert!(seen[1].0 - seen[0].0 >= S, "the second message was started before the first had succeeded");
    assert_eq!(set.handler.most_at_once(), 16);
}

#[tokio::test(start_paused = true)]
async fn five_different_failures_before_any_success_open_the_breaker_and_its_probes_spread() {
    let set = Set::new(Config::default(), MemoryQueue::filled("orders", 100), TestHandler::fails());
    let started = Instant::now();
    let finished = set.run().await;
    assert_eq!(finished.end, Ok(End::BreakerOpen));
    assert!(started.elapsed() >= 19 * MINUTE && started.elapsed() <= 20 * MINUTE, "{:?}", started.elapsed());
    let seen = set.handler.seen();
    let ids: HashSet<_> = seen.iter().map(|(_, id, _)| id).collect();
    assert_eq!(ids.len(), seen.len(), "a message was tried twice: {seen:?}");
    let gaps: Vec<_> = seen[4..].windows(2).map(|pair| (pair[1].0 - pair[0].0).as_secs()).collect();
    assert_eq!(gaps, [30, 60, 120, 240, 300, 300]);
    assert_eq!((set.poison.len(), set.queue.len(), finished.summary.retried), (0, 100, seen.len() as u64));
}

#[tokio::test(start_paused = true)]
async fn after_a_success_it_takes_twenty_and_a_rejection_does_not_count() {
    for (failures, opens) in [(19, false), (20, true)] {
        let handler = TestHandler::new(move |invocation| async move {
            match invocation.id.parse::<usize>().unwrap() {
                0 => Verdict::Completed,
                id if id <= failures => failed(),
                _ => Verdict::Reject { detail: String::new() },
            }
        });
        let config = Config { hold: Some(S), concurrency: 1, ..Config::default() };
        let set = Set::new(config, MemoryQueue::filled("orders", 60), handler);
        let finished = set.run().await;
        assert_eq!(finished.end == Ok(End::BreakerOpen), opens, "{failures} failures: {:?}", finished.end);
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_message_failing_again_and_again_never_opens_it() {
    let config = Config { max_dequeue: 50, time_budget: 120 * MINUTE, ..Config::default() };
    let set = Set::new(config, MemoryQueue::filled("orders", 1), TestHandler::fails());
    let finished = set.run().await;
    assert_eq!((finished.end, finished.summary.poisoned), (Ok(End::Drained), 1));
    assert_eq!(set.handler.seen().len(), 50);
}

#[tokio::test(start_paused = true)]
async fn while_it_is_open_what_failed_is_hidden_for_fifteen_minutes_and_nothing_else_is_received() {
    let set = Arc::new(Set::new(Config::default(), MemoryQueue::filled("orders", 50), TestHandler::fails()));
    let running = tokio::spawn({
        let set = set.clone();
        async move { set.run().await }
    });
    sleep(20 * S).await;
    let hidden: Vec<_> = set.queue.hidden_for().into_iter().filter(|(left, _)| *left > 14 * MINUTE).collect();
    assert_eq!(hidden.len(), 5);
    assert!(hidden.iter().all(|(_, dequeue_count)| *dequeue_count == 1));
    let receives = set.queue.calls_of("receive").len();
    sleep(8 * S).await;
    assert_eq!(set.queue.calls_of("receive").len(), receives);
    set.stopper.stop();
    assert_eq!(running.await.unwrap().end, Ok(End::Stopped));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_hidden_for_longer_than_it_lives() {
    let queue = MemoryQueue::new("orders");
    for life in [11, 12, 13, 20, 30] {
        queue.put_expiring("{}", Some(life * MINUTE));
    }
    let set = Set::new(Config { hold: Some(S), ..Config::default() }, queue, TestHandler::fails());
    assert_eq!(set.run().await.end, Ok(End::BreakerOpen));
    let hidden: Vec<_> = set.queue.hidden_for().into_iter().map(|(left, _)| left.as_secs() / 60).collect();
    assert_eq!(hidden, [9, 10, 11, 14, 14]);
}

#[tokio::test(start_paused = true)]
async fn a_success_closes_it_and_shows_at_once_what_was_hidden() {
    let works = Arc::new(AtomicBool::new(false));
    let flag = works.clone();
    let handler = TestHandler::new(move |_| {
        let works = flag.load(Ordering::SeqCst);
        async move { if works { Verdict::Completed } else { failed() } }
    });
    let set = Set::new(Config::default(), MemoryQueue::filled("orders", 50), handler);
    tokio::spawn(async move {
        sleep(3 * MINUTE).await;
        works.store(true, Ordering::SeqCst);
    });
    let started = Instant::now();
    let finished = set.run().await;
    assert_eq!((finished.end, finished.summary.completed), (Ok(End::Drained), 50));
    // The probe at 30 + 60 + 120 s; a hold of 15 minutes would not be over for long.
    assert!(started.elapsed() < 5 * MINUTE, "{:?}", started.elapsed());
    assert_eq!(set.poison.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_shown_when_it_closes_is_waited_for_as_long_as_it_was_hidden() {
    let started = Instant::now();
    let handler = TestHandler::new(move |_| async move {
        if started.elapsed() < 29 * S { failed() } else { Verdict::Completed }
    });
    let config = Config { linger: 16 * MINUTE, ..Config::default() };
    let set = Set::new(config, MemoryQueue::filled("orders", 8), handler);
    set.queue.set_faults(move |what, _| Fault {
        lost_before: what == "update" && started.elapsed() >= 29 * S,
        ..Fault::default()
    });
    let finished = set.run().await;
    assert_eq!((finished.end, finished.summary.completed), (Ok(End::Drained), 8));
    assert!(started.elapsed() >= 15 * MINUTE, "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_hold_of_zero_ends_the_run_at_once_and_zero_for_the_breaker_turns_it_off() {
    let hold = Config { hold: Some(std::time::Duration::ZERO), ..Config::default() };
    let set = Set::new(hold, MemoryQueue::filled("orders", 50), TestHandler::fails());
    let finished = set.run().await;
    assert_eq!((finished.end, finished.summary.received), (Ok(End::BreakerOpen), 5));

    let off = Config { breaker: 0, ..Config::default() };
    let set = Set::new(off, MemoryQueue::filled("orders", 20), TestHandler::fails());
    let finished = set.run().await;
    assert_eq!((finished.end, finished.summary.poisoned), (Ok(End::Drained), 20));
}

#[tokio::test(start_paused = true)]
async fn a_long_delay_that_the_handler_named_is_not_mistaken_for_a_hold() {
    let handler = TestHandler::new(|invocation| async move {
        match (invocation.id.as_str(), invocation.dequeue_count) {
            ("1", 1) => Verdict::Retry {
                reason: longshore_handler::RetryReason::Requested,
                detail: String::new(),
                after: Some(15 * MINUTE),
            },
            _ => Verdict::Completed,
        }
    });
    let set = Set::new(
        Config { linger: 16 * MINUTE, ..Config::default() },
        MemoryQueue::filled("orders", 30),
        handler,
    );
    let started = Instant::now();
    assert_eq!(set.run().await.summary.completed, 30);
    assert!(started.elapsed() >= 15 * MINUTE, "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_always_fails_is_settled_at_the_end_of_a_drain_and_opens_nothing() {
    // 25 of 500, as they come in.
    let some_fail = TestHandler::new(|invocation| async move {
        sleep(S / 20).await;
        if invocation.id.parse::<u32>().unwrap() % 20 == 7 { failed() } else { Verdict::Completed }
    });
    let set = Set::new(Config::default(), MemoryQueue::filled("orders", 500), some_fail);
    let started = Instant::now();
    let finished = set.run().await;
    assert_eq!((finished.end, finished.summary.completed), (Ok(End::Drained), 475));
    assert_eq!((set.poison.len(), set.queue.len()), (25, 0));
    assert!(started.elapsed() < 2 * MINUTE, "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_outage_after_successes_opens_it_by_first_attempts() {
    let started = Instant::now();
    let handler = TestHandler::new(move |_| async move {
        sleep(S).await;
        let is_down = started.elapsed() > 10 * S && started.elapsed() < 60 * MINUTE;
        if is_down { failed() } else { Verdict::Completed }
    });
    let set = Set::new(Config::default(), MemoryQueue::filled("orders", 2000), handler);
    let finished = set.run().await;
    assert_eq!((finished.end, set.poison.len()), (Ok(End::BreakerOpen), 0));
    assert!(finished.summary.retried < 50, "{:?}", finished.summary);
    assert!(set.handler.attempts().values().all(|attempts| *attempts < 3));
}

#[tokio::test(start_paused = true)]
async fn what_was_received_ahead_is_released_when_it_opens() {
    let handler = TestHandler::new(|invocation| async move {
        sleep(S / 200).await;
        if invocation.id.parse::<u32>().unwrap() < 1000 { Verdict::Completed } else { failed() }
    });
    let config = Config { hold: Some(std::time::Duration::ZERO), ..Config::default() };
    let set = Set::new(config, MemoryQueue::filled("orders", 1200), handler);
    let finished = set.run().await;
    assert_eq!(finished.end, Ok(End::BreakerOpen));
    assert!(finished.summary.abandoned > 0, "nothing was received ahead: {finished:?}");
    assert!(finished.summary.retried <= 20 + 16, "{finished:?}");
    let hidden = set.queue.hidden_for().into_iter().filter(|(left, _)| !left.is_zero());
    assert_eq!(hidden.count() as u64, finished.summary.retried, "the others are visible");
}

#[tokio::test(start_paused = true)]
async fn a_replaced_handler_is_probed_at_once() {
    let started = Instant::now();
    let handler = TestHandler::new(move |_| async move {
        if started.elapsed() < 40 * S { failed() } else { Verdict::Completed }
    });
    let set = Set::new(Config::default(), MemoryQueue::filled("orders", 30), handler);
    let replaced = set.handler.clone();
    tokio::spawn(async move {
        sleep(45 * S).await;
        replaced.replace();
    });
    let finished = set.run().await;
    assert_eq!((finished.end, finished.summary.completed), (Ok(End::Drained), 30));
    // The probe at 30 s failed, and the next one would follow at 90 s.
    assert!(started.elapsed() < MINUTE, "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_queue_whose_every_message_is_settled_is_not_held_for() {
    let config = Config { max_dequeue: 1, ..Config::default() };
    let set = Set::new(config, MemoryQueue::filled("orders", 6), TestHandler::fails());
    let started = Instant::now();
    let finished = set.run().await;
    assert_eq!((finished.end, finished.summary.poisoned), (Ok(End::BreakerOpen), 6));
    assert!(started.elapsed() < 3 * MINUTE, "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_run_says_what_it_waits_for_while_it_is_on_hold_and_at_no_other_time() {
    let started = Instant::now();
    let outage = TestHandler::new(move |_| async move {
        sleep(S).await;
        if started.elapsed() < 20 * S { failed() } else { Verdict::Completed }
    });
    let set = Set::new(Config::default(), MemoryQueue::filled("orders", 100), outage);
    let worker = Arc::clone(&set.worker);
    let asked = tokio::spawn(async move {
        sleep(S / 2).await;
        let before = worker.on_hold();
        sleep(10 * S).await;
        let during = worker.on_hold();
        sleep(40 * S).await;
        (before, during, worker.on_hold())
    });
    assert_eq!(set.run().await.summary.completed, 100);
    let (before, during, after) = asked.await.unwrap();
    assert_eq!((before, after), (None, None));
    let during = during.expect("the breaker is open after five failures");
    assert_eq!((during.cause, during.since), (HoldCause::Breaker, started + 5 * S));
    assert_eq!(during.try_at, Some(started + 35 * S));
}
