//! Rules 5 and 8: never hold what can't be started, and a drain ends.

use std::time::Duration;

use longshore_handler::Verdict;
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

#[tokio::test(start_paused = true)]
async fn a_free_slot_waits_a_moment_for_others_and_a_fourth_of_them_does_not() {
    const MS: Duration = Duration::from_millis(1);
    let handler = TestHandler::new(|invocation| async move {
        sleep(match invocation.id.parse().unwrap() {
            0 => Duration::ZERO,
            1 => 10 * MS,
            2..6 => 20 * MS,
            _ => S,
        })
        .await;
        Verdict::Completed
    });
    // The first message comes alone, and sixteen after it.
    let set = Set::new(Config::default(), MemoryQueue::filled("orders", 30), handler);
    set.run().await;
    let (receives, deletes) = (set.queue.calls_of("receive"), set.queue.calls_of("delete"));
    let asked: Vec<_> = receives.iter().map(|call| call.id.as_str()).take(4).collect();
    assert_eq!(asked, ["1", "16", "1", "4"]);
    let waited = [receives[2].at - deletes[1].at, receives[3].at - deletes[5].at];
    assert!(waited[0] >= MS && waited[0] <= 2 * MS && waited[1].is_zero(), "{waited:?}");
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
    let set = Set::new(config, MemoryQueue::new("orders"), TestHandler::completes(S));
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
    let finished = set.run().await;
    assert!(matches!(finished.end, Err(QueueError::QueueNotFound { .. })));
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
