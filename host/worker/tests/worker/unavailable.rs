//! Rule 1: while there is no handler, no message is received for it.

use std::time::Duration;

use longshore_queue::QueueError;
use longshore_worker::Config;
use longshore_worker::drain::End;
use longshore_worker::lease::LeaseMode;
use tokio::time::{Instant, sleep};

use super::Set;
use super::handler::TestHandler;
use super::model::{Fault, MemoryQueue, S};

/// Asserts that no message was received.
fn untouched(set: &Set, messages: usize) {
    assert_eq!(set.queue.sent_of("receive"), []);
    assert_eq!(set.queue.hidden_for(), vec![(Duration::ZERO, 0); messages]);
    assert_eq!((set.handler.seen().len(), set.poison.len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_never_comes_costs_no_message_anything_and_is_looked_for_ever_more_slowly() {
    let set = Set::new(Config::default(), MemoryQueue::filled("orders", 4), TestHandler::missing(|_| false));
    let started = Instant::now();
    let finished = set.run().await;
    assert_eq!((finished.end, finished.summary.received), (Ok(End::NoHandler), 0));
    untouched(&set, 4);
    assert_eq!(started.elapsed(), 1170 * S, "it stays for its time budget, less a deadline");
    let looks: Vec<_> = set.handler.reloads().into_iter().map(|at| (at - started).as_secs()).collect();
    assert_eq!(looks, [30, 90, 210, 450, 750, 1050]);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_comes_later_gets_every_message_at_its_first_attempt() {
    let started = Instant::now();
    let handler = TestHandler::missing(move |now| now >= started + 60 * S);
    let set = Set::new(Config::default(), MemoryQueue::filled("orders", 40), handler);
    let finished = set.run().await;
    assert_eq!((finished.end, finished.summary.completed), (Ok(End::Drained), 40));
    assert_eq!(finished.summary.received, 40);
    assert_eq!(set.handler.seen()[0].0 - started, 90 * S, "at the second look");
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_appears_by_itself_is_used_at_once() {
    let started = Instant::now();
    let handler = TestHandler::missing(move |now| now >= started + 40 * S);
    let set = Set::new(Config::default(), MemoryQueue::filled("orders", 3), handler);
    let appears = set.handler.clone();
    tokio::spawn(async move {
        sleep(41 * S).await;
        appears.replace();
    });
    set.run().await;
    assert_eq!(set.handler.seen()[0].0 - started, 41 * S);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_breaks_later_is_held_for_as_well() {
    let started = Instant::now();
    let is_there = move |now: Instant| now < started + 10 * S || now >= started + 100 * S;
    let handler = TestHandler::missing(is_there);
    let config = Config { forever: true, ..Config::default() };
    let set = Set::new(config, MemoryQueue::filled("orders", 5), handler);
    let (queue, breaks, stopper) = (set.queue.clone(), set.handler.clone(), set.stopper.clone());
    let watch = tokio::spawn(async move {
        sleep(20 * S).await;
        breaks.replace();
        for _ in 0..5 {
            queue.put("{}");
        }
        sleep(60 * S).await;
        let counts: Vec<_> = queue.hidden_for().into_iter().map(|(_, count)| count).collect();
        sleep(60 * S).await;
        stopper.stop();
        counts
    });
    let finished = set.run().await;
    let while_it_was_missing = watch.await.unwrap();
    // A receive that was sent before may have brought some: these were released.
    assert_eq!(while_it_was_missing.len(), 5);
    assert!(while_it_was_missing.iter().all(|count| *count <= 1), "{while_it_was_missing:?}");
    assert_eq!((finished.end, finished.summary.completed, set.poison.len()), (Ok(End::Stopped), 10, 0));
}

#[tokio::test(start_paused = true)]
async fn a_hold_of_zero_ends_the_run_before_it_asks_its_queue_for_anything() {
    let config = Config { hold_without_handler: Some(Duration::ZERO), ..Config::default() };
    let set = Set::new(config, MemoryQueue::filled("orders", 2), TestHandler::missing(|_| false));
    let started = Instant::now();
    assert_eq!(set.run().await.end, Ok(End::NoHandler));
    assert_eq!((started.elapsed(), set.queue.calls().len()), (Duration::ZERO, 0));
    untouched(&set, 2);
}

#[tokio::test(start_paused = true)]
async fn a_hold_ends_after_its_time_and_a_stop_ends_it_at_once() {
    let config = Config { hold_without_handler: Some(100 * S), forever: true, ..Config::default() };
    let set = Set::new(config.clone(), MemoryQueue::filled("orders", 2), TestHandler::missing(|_| false));
    let started = Instant::now();
    assert_eq!(set.run().await.end, Ok(End::NoHandler));
    assert_eq!(started.elapsed(), 100 * S);
    untouched(&set, 2);

    let set = Set::new(config, MemoryQueue::filled("orders", 2), TestHandler::missing(|_| false));
    let stopper = set.stopper.clone();
    tokio::spawn(async move {
        sleep(50 * S).await;
        stopper.stop();
    });
    let started = Instant::now();
    assert_eq!((set.run().await.end, started.elapsed()), (Ok(End::Stopped), 50 * S));
    untouched(&set, 2);
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_is_not_there_is_said_at_once_although_the_handler_is_missing() {
    let set = Set::new(Config::default(), MemoryQueue::new("orders"), TestHandler::missing(|_| false));
    set.queue.set_faults(|_, _| Fault {
        error: Some(QueueError::QueueNotFound { queue: "orders".into() }),
        ..Fault::default()
    });
    let started = Instant::now();
    assert!(matches!(set.run().await.end, Err(QueueError::QueueNotFound { .. })));
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_stop_is_heard_while_the_queue_is_asked_for_the_terms_of_leases() {
    // A fixed lease would be longer than this one, so that the queue is asked first.
    let config = Config { deadline: 40 * S, ..Config::default() };
    let set = Set::new(config, MemoryQueue::filled("orders", 2), TestHandler::completes(S));
    set.queue.set_faults(|_, _| Fault { delay_before: 3600 * S, ..Fault::default() });
    let stopper = set.stopper.clone();
    tokio::spawn(async move {
        sleep(5 * S).await;
        stopper.stop();
    });
    let started = Instant::now();
    assert_eq!((set.run().await.end, started.elapsed()), (Ok(End::Stopped), 5 * S));
    untouched(&set, 2);
}

#[tokio::test(start_paused = true)]
async fn a_run_without_a_handler_says_so_although_its_queue_never_answered_either() {
    let started = Instant::now();
    let handler = TestHandler::missing(move |now| now < started + 5 * S);
    let config = Config { hold_without_handler: Some(60 * S), ..Config::default() };
    let set = Set::new(config, MemoryQueue::filled("orders", 1), handler);
    set.queue.set_faults(|what, _| Fault {
        error: (what == "receive").then(|| QueueError::unclear("orders", "cut")),
        ..Fault::default()
    });
    let breaks = set.handler.clone();
    tokio::spawn(async move {
        sleep(10 * S).await;
        breaks.replace();
    });
    assert_eq!(set.run().await.end, Ok(End::NoHandler));
    assert!(set.queue.sent_of("receive").len() > 1);
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_never_answers_is_a_fault_when_the_time_is_over_and_one_that_once_did_is_not() {
    fn unclear() -> Fault {
        Fault { error: Some(QueueError::unclear("orders", "cut")), ..Fault::default() }
    }
    // As long as a call may take.
    fn silent() -> Fault {
        Fault { delay_before: 20 * S, ..unclear() }
    }
    let config = || Config { time_budget: 40 * S, deadline: 10 * S, ..Config::default() };
    for fault in [unclear(), silent()] {
        for mode in [LeaseMode::Auto, LeaseMode::Fixed] {
            let config = Config { lease: mode, ..config() };
            let set = Set::new(config, MemoryQueue::filled("orders", 3), TestHandler::completes(S));
            let fault = fault.clone();
            set.queue.set_faults(move |_, _| fault.clone());
            let started = Instant::now();
            let finished = set.run().await;
            assert!(matches!(finished.end, Err(QueueError::Unclear { .. })), "{finished:?}");
            assert!(started.elapsed() < 60 * S, "{:?}", started.elapsed());
        }
    }
    let set = Set::new(config(), MemoryQueue::filled("orders", 1), TestHandler::completes(S));
    let mut received = 0;
    set.queue.set_faults(move |what, _| {
        received += usize::from(what == "receive");
        if received > 1 { silent() } else { Fault::default() }
    });
    let finished = set.run().await;
    assert_eq!((finished.end, finished.summary.completed), (Ok(End::TimeBudget), 1));
}
