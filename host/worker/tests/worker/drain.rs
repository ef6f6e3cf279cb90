//! Rules 5 and 8: never hold what can't be started, and a drain ends.

use std::time::Duration;

use longshore_handler::{RetryReason, Verdict};
use longshore_queue::QueueError;
use longshore_worker::Config;
use longshore_worker::drain::End;
use tokio::time::{Instant, sleep};

use super::Set;
use super::handler::{TestHandler, failed};
use super::model::{Fault, MemoryQueue, S, busy};

#[tokio::test(start_paused = true)]
async fn an_empty_queue_ends_the_run_after_a_second() {
    let set = Set::new(Config::default(), MemoryQueue::new("orders"), TestHandler::completes(S));
    let started = Instant::now();
    assert_eq!(set.run().await.end, Ok(End::Drained));
    assert!(started.elapsed() >= S && started.elapsed() < 2 * S, "{:?}", started.elapsed());
    assert_eq!(set.queue.calls_of("receive").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn no_more_is_leased_than_can_be_started() {
    let config = Config { concurrency: 7, ..Config::default() };
    let set = Set::new(config, MemoryQueue::filled("orders", 300), TestHandler::completes(3 * S));
    // Settlement is slow: a slot is taken until it ends.
    set.queue.set_faults(|what, _| match what {
        "delete" => Fault { delay_before: S, ..Fault::default() },
        _ => Fault::default(),
    });
    let queue = set.queue.clone();
    let watch = tokio::spawn(async move {
        let mut most = 0;
        for _ in 0..1000 {
            sleep(S / 10).await;
            most = most.max(queue.hidden_for().iter().filter(|(left, _)| !left.is_zero()).count());
        }
        most
    });
    set.run().await;
    assert_eq!((watch.await.unwrap(), set.handler.most_at_once()), (7, 7));
}

#[tokio::test(start_paused = true)]
async fn a_free_slot_does_not_wait_for_the_answer_to_a_receive_for_others() {
    const MS: Duration = Duration::from_millis(1);
    let config = Config { concurrency: 32, max_messages: Some(3200), ..Config::default() };
    let uneven = TestHandler::new(|invocation| async move {
        sleep(MS * (invocation.id.parse::<u32>().unwrap() % 16)).await;
        Verdict::Completed
    });
    let set = Set::new(config, MemoryQueue::filled("orders", 4000), uneven);
    set.queue.set_faults(|_, _| Fault { delay_before: 5 * MS, delay_after: 5 * MS, ..Fault::default() });
    let started = Instant::now();
    assert_eq!(set.run().await.summary.completed, 3200);
    // A receive, 7.5 ms of work and a delete, a hundred times. With one receive at a time it takes
    // a third longer.
    let took = started.elapsed();
    assert!(took < 3200 * MS, "{took:?}");
    assert!(set.handler.most_at_once() <= 32, "{}", set.handler.most_at_once());
    assert_eq!(set.queue.len(), 800, "no more was received than was asked for");
}

/// Drains `count` messages with handlers of 5 ms and a round trip of 10 ms: how many receives that
/// takes, and how long.
async fn drain_fast(count: usize) -> (usize, Duration) {
    const MS: Duration = Duration::from_millis(1);
    let config = Config { max_messages: Some(count as u64), ..Config::default() };
    let set = Set::new(config, MemoryQueue::filled("orders", count), TestHandler::completes(5 * MS));
    set.queue.set_faults(|_, _| Fault { delay_before: 5 * MS, delay_after: 5 * MS, ..Fault::default() });
    let started = Instant::now();
    assert_eq!(set.run().await.summary.completed, count as u64);
    assert_eq!(set.handler.most_at_once(), 16);
    (set.queue.calls_of("receive").len(), started.elapsed())
}

#[tokio::test(start_paused = true)]
async fn fast_handlers_get_full_batches_and_do_not_wait_for_round_trips() {
    let (receives, took) = drain_fast(5000).await;
    println!("5,000 messages: {receives} receives, {:.0} a second", 5000.0 / took.as_secs_f64());
    // With a receive for each slot as it becomes free it takes 985, and 506 messages a second.
    assert!(receives <= 200, "{receives} receives");
    assert!(took < 5500 * Duration::from_millis(1), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_slow_handler_has_nothing_waiting_behind_it() {
    let set = Set::new(Config::default(), MemoryQueue::filled("orders", 200), TestHandler::completes(10 * S));
    let queue = set.queue.clone();
    let watch = tokio::spawn(async move {
        let mut most = 0;
        for _ in 0..1200 {
            sleep(S / 10).await;
            most = most.max(queue.hidden_for().iter().filter(|(left, _)| !left.is_zero()).count());
        }
        most
    });
    assert_eq!(set.run().await.summary.completed, 200);
    assert_eq!(watch.await.unwrap(), 16);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_taken_ahead_while_a_message_in_hand_was_received_before() {
    const AGAIN: &str = "100";
    let handler = TestHandler::new(|invocation| async move {
        match (&*invocation.id, invocation.dequeue_count) {
            (AGAIN, 1) => Verdict::Retry {
                reason: RetryReason::Requested,
                detail: String::new(),
                after: Some(Duration::from_millis(100)),
            },
            (AGAIN, _) => {
                sleep(5 * S).await;
                Verdict::Completed
            }
            _ => {
                sleep(Duration::from_millis(5)).await;
                Verdict::Completed
            }
        }
    });
    let config = Config { concurrency: 4, ..Config::default() };
    let set = Set::new(config, MemoryQueue::filled("orders", 200), handler);
    let (queue, handler) = (set.queue.clone(), set.handler.clone());
    let leased = |queue: &MemoryQueue| queue.hidden_for().iter().filter(|(left, _)| !left.is_zero()).count();
    let watch = tokio::spawn(async move {
        let second = || handler.seen().into_iter().filter(|(_, id, _)| id == AGAIN).nth(1);
        while second().is_none() {
            sleep(Duration::from_millis(10)).await;
        }
        (0..5000).for_each(|number| drop(queue.put(&format!("[{number}]"))));
        sleep(3 * S).await;
        let during = leased(&queue);
        sleep(5 * S / 2).await;
        (during, leased(&queue))
    });
    let finished = set.run().await;
    let (during, afterwards) = watch.await.unwrap();
    assert_eq!(finished.summary.completed, 5200);
    assert!((2..=4).contains(&during), "{during} leased: only what is being handled");
    assert!(afterwards > 20, "{afterwards} leased");
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_slot_keeps_its_lease() {
    // Fast at first, so that much is received ahead. Then each takes longer than a lease lasts.
    let handler = TestHandler::new(|invocation| async move {
        let is_fast = invocation.id.parse::<u32>().unwrap() < 500;
        sleep(if is_fast { Duration::from_millis(5) } else { 25 * S }).await;
        Verdict::Completed
    });
    let config = Config { visibility: 20 * S, concurrency: 4, ..Config::default() };
    let set = Set::new(config, MemoryQueue::filled("orders", 540), handler);
    let finished = set.run().await;
    assert_eq!((finished.summary.completed, finished.summary.lease_lost), (540, 0));
    assert!(set.handler.attempts().values().all(|attempts| *attempts == 1));
    assert_eq!((finished.summary.received, set.handler.most_at_once()), (540, 4));
}

#[tokio::test(start_paused = true)]
async fn a_run_waits_for_what_a_receive_has_leased_whose_answer_was_lost() {
    let set = Set::new(Config::default(), MemoryQueue::filled("orders", 100), TestHandler::completes(S));
    let started = Instant::now();
    // From 3 s on the service is silent. At 98 s it does what it was asked, and nobody listens.
    set.queue.set_faults(move |what, _| {
        let since = started.elapsed();
        let is_silent = what == "receive" && since >= 3 * S && since < 98 * S;
        let delay_before = if is_silent { 98 * S - since } else { Duration::ZERO };
        Fault { delay_before, lost_after: is_silent, ..Fault::default() }
    });
    let finished = set.run().await;
    assert_eq!((finished.end, finished.summary.completed, set.queue.len()), (Ok(End::Drained), 100, 0));
    assert!(started.elapsed() < 200 * S, "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn more_messages_than_were_asked_for_are_released_unhandled() {
    let set = Set::new(Config::default(), MemoryQueue::filled("orders", 40), TestHandler::completes(S));
    set.queue.gives_more_than_asked(20);
    let queue = set.queue.clone();
    let watch = tokio::spawn(async move {
        sleep(S / 2).await;
        queue.hidden_for().iter().filter(|(left, _)| !left.is_zero()).count()
    });
    let finished = set.run().await;
    assert_eq!(watch.await.unwrap(), 1, "one message is handled before the first success");
    assert_eq!((set.handler.most_at_once(), set.poison.len()), (16, 0));
    assert_eq!(finished.summary.completed, 40);
    assert_eq!(finished.summary.received, 40 + finished.summary.abandoned);
}

#[tokio::test(start_paused = true)]
async fn a_retry_of_its_own_is_handled_in_the_same_execution() {
    let flaky = TestHandler::new(|invocation| async move {
        if invocation.dequeue_count < 3 && invocation.id.ends_with('5') {
            failed()
        } else {
            Verdict::Completed
        }
    });
    let set = Set::new(Config::default(), MemoryQueue::filled("orders", 100), flaky);
    let finished = set.run().await;
    assert_eq!(
        (finished.summary.completed, finished.summary.retried, finished.summary.received),
        (100, 20, 120)
    );
}

#[tokio::test(start_paused = true)]
async fn max_messages_is_never_exceeded() {
    let config = Config { max_messages: Some(40), ..Config::default() };
    let set = Set::new(config, MemoryQueue::filled("orders", 100), TestHandler::completes(S));
    let finished = set.run().await;
    assert_eq!((finished.end, finished.summary.completed), (Ok(End::MaxMessages), 40));
    assert_eq!(set.queue.hidden_for().iter().filter(|(_, count)| *count > 0).count(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_last_message_starts_a_deadline_before_the_time_budget_ends() {
    let config = Config { time_budget: 100 * S, deadline: 30 * S, ..Config::default() };
    let set = Set::new(config, MemoryQueue::filled("orders", 1000), TestHandler::completes(29 * S));
    let started = Instant::now();
    let finished = set.run().await;
    assert_eq!(finished.end, Ok(End::TimeBudget));
    assert!(started.elapsed() <= 100 * S, "{:?}", started.elapsed());
    assert!(set.handler.seen().iter().all(|(at, ..)| *at - started <= 70 * S));
    assert_eq!(finished.summary.abandoned, 0);
}

#[tokio::test(start_paused = true)]
async fn forever_keeps_polling_and_handles_what_comes_later() {
    let config = Config { forever: true, ..Config::default() };
    let remote = MemoryQueue::at("https://acme.queue.core.windows.net/orders");
    let set = Set::new(config, remote, TestHandler::completes(S));
    let (queue, stopper) = (set.queue.clone(), set.stopper.clone());
    tokio::spawn(async move {
        sleep(3600 * S).await;
        queue.put("{}");
        sleep(60 * S).await;
        stopper.stop();
    });
    let finished = set.run().await;
    assert_eq!((finished.end, finished.summary.completed), (Ok(End::Stopped), 1));
    let polls = set.queue.calls_of("receive").len();
    assert!(polls > 3600 / 30 && polls < 3600 / 10, "{polls} polls in an hour");
}

#[tokio::test(start_paused = true)]
async fn forever_takes_a_message_of_a_file_queue_within_a_second_however_long_it_was_idle() {
    let config = Config { forever: true, ..Config::default() };
    let set = Set::new(config, MemoryQueue::new("orders"), TestHandler::completes(S));
    let (queue, stopper) = (set.queue.clone(), set.stopper.clone());
    let sent = tokio::spawn(async move {
        sleep(3600 * S).await;
        queue.put("{}");
        let sent = Instant::now();
        sleep(60 * S).await;
        stopper.stop();
        sent
    });
    set.run().await;
    let waited = set.handler.seen()[0].0 - sent.await.unwrap();
    assert!(waited <= S, "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_is_busy_for_a_while_is_waited_for() {
    let set = Set::new(Config::default(), MemoryQueue::filled("orders", 10), TestHandler::completes(S));
    let started = Instant::now();
    set.queue.set_faults(move |what, _| match what {
        "receive" if started.elapsed() < 60 * S => Fault { error: Some(busy(None)), ..Fault::default() },
        _ => Fault::default(),
    });
    assert_eq!(set.run().await.summary.completed, 10);
}

/// The pauses between the first receives of a queue that is busy for `busy_for` of them.
async fn pauses(busy_for: usize, retry_after: Option<Duration>) -> Vec<Duration> {
    let set = Set::new(Config::default(), MemoryQueue::new("orders"), TestHandler::completes(S));
    let mut receives = 0;
    set.queue.set_faults(move |what, _| {
        receives += usize::from(what == "receive");
        let is_busy = what == "receive" && receives <= busy_for;
        Fault { error: is_busy.then(|| busy(retry_after)), ..Fault::default() }
    });
    set.run().await;
    let sent = set.queue.sent_of("receive");
    sent.windows(2).map(|pair| pair[1].at - pair[0].at).take(busy_for).collect()
}

#[tokio::test(start_paused = true)]
async fn receives_that_fail_in_passing_are_repeated_after_doubled_pauses_up_to_thirty_seconds() {
    let expected = [1, 2, 4, 8, 16, 30, 30].map(|seconds| seconds * S);
    assert_eq!(pauses(7, None).await, expected);
}

#[tokio::test(start_paused = true)]
async fn a_busy_queue_is_left_alone_for_as_long_as_it_asks_and_no_longer_than_thirty_seconds() {
    assert_eq!(pauses(2, Some(7 * S)).await, [7 * S; 2]);
    assert_eq!(pauses(1, Some(600 * S)).await, [30 * S]);
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_stays_away_ends_the_run_with_the_cause() {
    let set = Set::new(Config::default(), MemoryQueue::filled("orders", 10), TestHandler::completes(S));
    set.queue.set_faults(|what, _| Fault { lost_before: what == "receive", ..Fault::default() });
    let started = Instant::now();
    assert!(matches!(set.run().await.end, Err(QueueError::Unclear { .. })));
    assert!(started.elapsed() >= 120 * S && started.elapsed() < 200 * S, "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_fault_ends_the_run_at_once_and_lets_what_runs_be_settled() {
    let set = Set::new(Config::default(), MemoryQueue::filled("orders", 40), TestHandler::completes(5 * S));
    let mut receives = 0;
    set.queue.set_faults(move |what, _| {
        receives += usize::from(what == "receive");
        let fault = QueueError::QueueNotFound { queue: "orders".into() };
        Fault { error: (what == "receive" && receives > 3).then_some(fault), ..Fault::default() }
    });
    let started = Instant::now();
    let finished = set.run().await;
    assert!(matches!(finished.end, Err(QueueError::QueueNotFound { .. })));
    // A receive that is busy is asked again for two minutes.
    assert!(started.elapsed() < 60 * S, "{:?}", started.elapsed());
    assert_eq!((finished.summary.received, finished.summary.abandoned), (finished.summary.completed, 0));
}

#[tokio::test(start_paused = true)]
async fn no_permission_to_delete_ends_the_run_instead_of_handling_everything_again() {
    let set = Set::new(Config::default(), MemoryQueue::filled("orders", 40), TestHandler::completes(S));
    set.queue.set_faults(|what, _| {
        let denied = QueueError::Denied {
            queue: "orders".into(),
            operation: "delete",
            cause: "403".into(),
            mend: "grant the role".into(),
        };
        Fault { error: (what == "delete").then_some(denied), ..Fault::default() }
    });
    let finished = set.run().await;
    assert!(matches!(finished.end, Err(QueueError::Denied { .. })));
    assert_eq!((finished.summary.received, set.queue.len()), (1, 40));
}

#[tokio::test(start_paused = true)]
async fn as_long_as_the_queue_gives_all_it_is_asked_for_a_receive_does_not_wait_for_another() {
    let config = Config { concurrency: 128, ..Config::default() };
    let uneven = TestHandler::new(|invocation| async move {
        sleep(S / 10 * (1 + invocation.id.parse::<u32>().unwrap() % 40)).await;
        Verdict::Completed
    });
    let set = Set::new(config, MemoryQueue::filled("orders", 2000), uneven);
    set.queue.set_faults(|what, _| Fault {
        delay_after: if what == "receive" { 2 * S } else { S / 100 },
        ..Fault::default()
    });
    let finished = set.run().await;
    let sent: Vec<Instant> = set.queue.calls_of("receive").iter().map(|call| call.at).collect();
    let beside = sent.windows(2).filter(|pair| pair[1] - pair[0] < S).count();
    assert_eq!(finished.summary.completed, 2000);
    assert!(beside > 10, "{beside} of {}", sent.len());
}
