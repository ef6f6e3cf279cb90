//! What a run says about itself at its end, and meanwhile.

use std::time::Duration;

use longshore_handler::{Usage, Verdict};
use longshore_worker::Config;
use longshore_worker::percentiles::Percentiles;
use tokio::time::sleep;

use super::Set;
use super::handler::TestHandler;
use super::model::{MemoryQueue, S};

#[tokio::test(start_paused = true)]
async fn a_summary_says_how_long_the_run_took_and_what_its_handlers_used() {
    let usage = Usage { time: Duration::from_millis(7), cpu: Duration::from_millis(3), peak_memory: 65536 };
    let handler = TestHandler::using(usage, |_| async {
        sleep(2 * S).await;
        Verdict::Completed
    });
    let config = Config { max_messages: Some(2), ..Config::default() };
    let set = Set::new(config, MemoryQueue::filled("orders", 2), handler);
    let summary = set.run().await.summary;
    let all = |value| Percentiles { p50: value, p95: value, p99: value };
    assert_eq!(summary.duration_ms, 4000, "one message after the other, until the first has succeeded");
    assert_eq!((summary.handler_us, summary.cpu_us), (all(7000), all(3000)));
    assert_eq!(summary.peak_memory_bytes, all(65536));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_goes_on_says_what_it_has_done_so_far() {
    let set = Set::new(Config::default(), MemoryQueue::filled("orders", 40), TestHandler::completes(10 * S));
    let (worker, signal) = (set.worker.clone(), set.signal());
    let running = tokio::spawn(async move { worker.run(signal).await });
    sleep(25 * S).await;
    let so_far = set.worker.summary();
    assert_eq!((so_far.received, so_far.completed), (33, 17));
    assert_eq!(running.await.unwrap().summary.completed, 40);
}
