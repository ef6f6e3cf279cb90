//! Rule 9: SIGTERM.

use longshore_handler::Verdict;
use longshore_queue::QueueError;
use longshore_worker::Config;
use longshore_worker::drain::End;
use tokio::time::{Instant, sleep};

use super::Set;
use super::handler::TestHandler;
use super::model::{Fault, MemoryQueue, S};

fn stop_after(set: &Set, wait: std::time::Duration) {
    let stopper = set.stopper.clone();
    tokio::spawn(async move {
        sleep(wait).await;
        stopper.stop();
    });
}

#[tokio::test(start_paused = true)]
async fn handlers_that_end_within_the_grace_are_completed() {
    let set = Set::new(Config::default(), MemoryQueue::filled("orders", 100), TestHandler::completes(15 * S));
    stop_after(&set, 16 * S);
    let finished = set.run().await;
    assert_eq!(
        (finished.end, finished.summary.abandoned, finished.summary.completed),
        (Ok(End::Stopped), 0, 17)
    );
}

#[tokio::test(start_paused = true)]
async fn handlers_beyond_the_grace_are_interrupted_and_their_messages_are_visible_at_once() {
    let config = Config { deadline: 300 * S, time_budget: 900 * S, ..Config::default() };
    let slow = TestHandler::new(|invocation| async move {
        sleep(if invocation.id == "0" { S } else { 200 * S }).await;
        longshore_handler::Verdict::Completed
    });
    let set = Set::new(config, MemoryQueue::filled("orders", 100), slow);
    stop_after(&set, 10 * S);
    let started = Instant::now();
    let finished = set.run().await;
    assert!(started.elapsed() <= 31 * S, "{:?}", started.elapsed());
    assert_eq!((finished.summary.abandoned, finished.summary.completed), (16, 1));
    assert_eq!(*set.handler.interrupted.lock().unwrap(), 16);
    assert!(set.queue.hidden_for().iter().all(|(left, _)| left.is_zero()));
}

#[tokio::test(start_paused = true)]
async fn a_receive_in_flight_is_awaited_and_what_it_leased_is_released_unhandled() {
    let set = Set::new(Config::default(), MemoryQueue::filled("orders", 10), TestHandler::completes(S));
    set.queue.set_faults(|what, _| Fault {
        delay_after: if what == "receive" { 2 * S } else { S / 10 },
        ..Fault::default()
    });
    stop_after(&set, S);
    let finished = set.run().await;
    assert_eq!(
        (finished.end, finished.summary.received, finished.summary.abandoned),
        (Ok(End::Stopped), 1, 1)
    );
    assert_eq!(set.handler.seen().len(), 0);
    assert!(set.queue.hidden_for().iter().all(|(left, _)| left.is_zero()));
}

#[tokio::test(start_paused = true)]
async fn a_queue_is_told_once_and_after_its_last_receive_that_none_follows() {
    for stops in [false, true] {
        let set = Set::new(Config::default(), MemoryQueue::filled("orders", 40), TestHandler::completes(S));
        set.queue.set_faults(|what, _| Fault {
            delay_after: if what == "receive" { S / 2 } else { S / 10 },
            ..Fault::default()
        });
        if stops {
            stop_after(&set, 2 * S);
        }
        let finished = set.run().await;
        assert_eq!(finished.end, Ok(if stops { End::Stopped } else { End::Drained }));
        let told = set.queue.calls_of("stop_receiving");
        let received = set.queue.calls_of("receive");
        assert_eq!(told.len(), 1, "{stops}");
        assert!(received.last().is_some_and(|last| last.at <= told[0].at), "{stops}: {told:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_does_not_give_back_what_it_received_ahead_holds_up_no_stop() {
    let set = Set::new(Config::default(), MemoryQueue::filled("orders", 10), TestHandler::completes(S));
    set.queue.set_faults(|what, _| Fault {
        delay_before: if what == "stop_receiving" { 600 * S } else { S / 10 },
        ..Fault::default()
    });
    stop_after(&set, 3 * S);
    let started = Instant::now();
    set.run().await;
    assert!(started.elapsed() <= 3 * S + 4 * S, "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_several_receives_in_flight_leased_is_released_beside_the_grace() {
    let uneven = TestHandler::new(|invocation| async move {
        sleep(S * (invocation.id.parse::<u32>().unwrap() % 3)).await;
        Verdict::Completed
    });
    let set = Set::new(Config::default(), MemoryQueue::filled("orders", 200), uneven);
    set.queue.set_faults(|what, _| Fault {
        delay_after: if what == "receive" { 2 * S } else { S / 10 },
        ..Fault::default()
    });
    stop_after(&set, 20 * S);
    let started = Instant::now();
    let finished = set.run().await;
    assert_eq!(finished.end, Ok(End::Stopped));
    assert!(finished.summary.abandoned > 1, "{finished:?}");
    assert!(started.elapsed() < 25 * S, "{:?}", started.elapsed());
    assert!(set.queue.hidden_for().iter().all(|(left, _)| left.is_zero()));
}

#[tokio::test(start_paused = true)]
async fn a_stop_never_takes_longer_than_the_platform_allows() {
    let config = Config { deadline: 300 * S, time_budget: 900 * S, ..Config::default() };
    let set = Set::new(config, MemoryQueue::filled("orders", 100), TestHandler::completes(200 * S));
    // The service has stopped answering as well.
    let queue = set.queue.clone();
    tokio::spawn(async move {
        sleep(5 * S).await;
        queue.set_faults(|_, _| Fault { delay_before: 600 * S, ..Fault::default() });
    });
    stop_after(&set, 10 * S);
    let started = Instant::now();
    let finished = set.run().await;
    assert_eq!(finished.end, Ok(End::Stopped));
    assert!(started.elapsed() <= (10 + 30) * S, "{:?}", started.elapsed());
    assert_eq!(finished.summary.abandoned, finished.summary.received);
}

#[tokio::test(start_paused = true)]
async fn settlement_has_five_seconds_once_no_handler_runs() {
    // The delete of the last message but one is refused for now and for ever. Where there is a last
    // one, its handler runs until three seconds after the stop.
    for (refused, last, ends_after) in [("0", "1", 5 * S), ("1", "2", 8 * S)] {
        let uneven = TestHandler::new(move |invocation| async move {
            sleep(if invocation.id == last { 12 * S } else { S }).await;
            Verdict::Completed
        });
        let messages: usize = if refused == "0" { 1 } else { 3 };
        let set = Set::new(Config::default(), MemoryQueue::filled("orders", messages), uneven);
        set.queue.set_faults(move |what, id| Fault {
            error: (what == "delete" && id == refused).then(|| QueueError::busy("orders", "HTTP 503")),
            ..Fault::default()
        });
        stop_after(&set, 10 * S);
        let started = Instant::now();
        let finished = set.run().await;
        let took = started.elapsed() - 10 * S;
        assert!(took >= ends_after - S && took <= ends_after + S, "{messages}: {took:?}");
        assert_eq!((finished.end, finished.summary.completed), (Ok(End::Stopped), messages as u64 - 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_signal_interrupts_at_once() {
    let config = Config { deadline: 300 * S, time_budget: 900 * S, ..Config::default() };
    let set = Set::new(config, MemoryQueue::filled("orders", 10), TestHandler::completes(200 * S));
    stop_after(&set, 10 * S);
    stop_after(&set, 12 * S);
    let started = Instant::now();
    set.run().await;
    assert!(started.elapsed() < 13 * S, "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_stop_while_idle_or_on_hold_ends_at_once() {
    for handler in [TestHandler::completes(S), TestHandler::fails()] {
        let config = Config { forever: true, ..Config::default() };
        let set = Set::new(config, MemoryQueue::filled("orders", 20), handler);
        stop_after(&set, 100 * S);
        let started = Instant::now();
        assert_eq!(set.run().await.end, Ok(End::Stopped));
        assert!(started.elapsed() < 101 * S, "{:?}", started.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_on_a_terminal_shows_what_an_open_breaker_has_hidden() {
    for (stop_shows_hidden, hidden) in [(true, 0), (false, 5)] {
        let config = Config { stop_shows_hidden, ..Config::default() };
        let set = Set::new(config, MemoryQueue::filled("orders", 20), TestHandler::fails());
        stop_after(&set, 10 * S);
        assert_eq!(set.run().await.end, Ok(End::Stopped));
        assert_eq!(set.queue.hidden_for().iter().filter(|(left, _)| !left.is_zero()).count(), hidden);
    }
}
