//! How often a run asks its queue, and whether slots wait for the answers (rule 5).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use longshore_handler::Verdict;
use longshore_worker::Config;
use tokio::time::{Instant, sleep};

use super::Set;
use super::handler::TestHandler;
use super::model::{Fault, MemoryQueue};
use super::weather::unclear;

const MS: Duration = Duration::from_millis(1);

/// A queue at some distance, and what works it off.
#[derive(Clone, Copy, Debug)]
struct Case {
    messages: u32,
    concurrency: usize,
    /// The handler's mean, in ms. tokio's clock knows whole ones only.
    handler_ms: u32,
    round_trip: Duration,
}

impl Case {
    /// How long this message's handler takes: half as long as the mean to one and a half times as
    /// long, so that no two end together for ever.
    fn handler(self, number: u32) -> Duration {
        MS * (self.handler_ms.div_ceil(2) + number * 37 % (self.handler_ms + 1))
    }
}

/// Drains the queue. Returns how many receives that takes, and how long.
async fn drain(case: Case) -> (usize, Duration) {
    let config = Config {
        concurrency: case.concurrency,
        max_messages: Some(case.messages.into()),
        ..Config::default()
    };
    let handler = TestHandler::new(move |invocation| async move {
        sleep(case.handler(invocation.id.parse().unwrap())).await;
        Verdict::Completed
    });
    let set = Set::new(config, MemoryQueue::filled("orders", case.messages as usize), handler);
    let half = case.round_trip / 2;
    set.queue.set_faults(move |_, _| Fault { delay_before: half, delay_after: half, ..Fault::default() });
    let started = Instant::now();
    assert_eq!(set.run().await.summary.completed, u64::from(case.messages));
    (set.queue.calls_of("receive").len(), started.elapsed())
}

/// Handlers of 1 to 20 ms, at round trips of up to 10 ms.
fn cases(messages: u32, concurrency: usize) -> impl Iterator<Item = Case> {
    [1, 5, 20].into_iter().flat_map(move |handler_ms| {
        [0, 2, 10].map(|ms| Case { messages, concurrency, handler_ms, round_trip: ms * MS })
    })
}

#[tokio::test(start_paused = true)]
async fn a_queue_is_asked_at_most_fifteen_hundredths_more_often_than_full_batches_need() {
    let far = |concurrency| Case { messages: 5000, concurrency, handler_ms: 20, round_trip: 10 * MS };
    for case in cases(600, 16).chain(cases(600, 64)).chain([far(16), far(64)]) {
        let (receives, _) = drain(case).await;
        let bound = f64::from(case.messages) / 32.0 * 1.15;
        println!("{receives} receives (at most {bound:.1}): {case:?}");
        assert!(receives as f64 <= bound, "{receives} receives: {case:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_slot_waits_for_a_receive_while_messages_are_there() {
    for case in cases(2000, 16) {
        let (_, took) = drain(case).await;
        // Handlers and deletes one after the other in each slot.
        let in_slots: Duration = (0..case.messages).map(|it| case.handler(it) + case.round_trip).sum();
        let busy = in_slots / 16;
        // The first message goes alone, and so do its receive and its delete. At the end slots have
        // nothing left to do, for at most as long as the longest message takes.
        let ends = 4 * case.round_trip + 4 * case.handler_ms * MS;
        println!("{took:?} for {busy:?} of work: {case:?}");
        assert!(took <= busy.mul_f64(1.02) + ends, "{took:?} instead of {busy:?}: {case:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn receives_that_one_broken_connection_ends_are_one_failure() {
    const MESSAGES: u64 = 4000;
    let config = Config { concurrency: 256, max_messages: Some(MESSAGES), ..Config::default() };
    let handler = TestHandler::new(|_| async {
        sleep(20 * MS).await;
        Verdict::Completed
    });
    // Whose receives wait beside each other.
    let queue = MemoryQueue::at("sb://acme.servicebus.windows.net/orders");
    (0..MESSAGES).for_each(|number| drop(queue.put(&format!("[{number}]"))));
    let set = Set::new(config, queue, handler);
    // Within a round of 256 that has begun: handlers take 20 ms, and a call 10.
    let breaks = Instant::now() + 190 * MS;
    let ended = Arc::new(AtomicUsize::new(0));
    let ends = ended.clone();
    set.queue.set_faults(move |what, _| {
        let left = breaks.saturating_duration_since(Instant::now());
        if what != "receive" || left.is_zero() || left > 10 * MS {
            return Fault { delay_after: 10 * MS, ..Fault::default() };
        }
        ends.fetch_add(1, Ordering::Relaxed);
        Fault { delay_before: left, error: Some(unclear()), ..Fault::default() }
    });
    assert_eq!(set.run().await.summary.completed, MESSAGES);
    assert!(ended.load(Ordering::Relaxed) >= 4, "{ended:?} receives were under way");
    let next = set.queue.sent_of("receive").into_iter().map(|call| call.at).find(|at| *at >= breaks);
    assert_eq!(next.map(|at| at - breaks), Some(Duration::from_secs(1)));
}
