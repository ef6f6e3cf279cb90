//! Rule 10: what an outage, a broken release and a poison message cost, under KEDA's formula for
//! scaled jobs. At each poll, min(ceil(count / queueLength), maxExecutions) − running executions
//! are new. The count includes hidden messages.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use longshore_handler::Verdict;
use longshore_worker::Config;
use tokio::time::{Instant, sleep};

use super::Set;
use super::handler::{TestHandler, failed};
use super::model::{MemoryQueue, S};

const POLL: Duration = Duration::from_secs(30);
const BOOT: Duration = Duration::from_secs(15);
const QUEUE_LENGTH: usize = 100;
const MAX_EXECUTIONS: usize = 10;

struct Bill {
    executions: usize,
    attempts: usize,
    poisoned: usize,
    replica_hours: f64,
    over_at: Option<Duration>,
}

/// Lets KEDA start executions of the real loop until the queue has been empty for a while, or
/// `horizon` is over.
async fn scale(queue: &Arc<MemoryQueue>, handler: &Arc<TestHandler>, horizon: Duration) -> Bill {
    let poison = MemoryQueue::new("orders-poison");
    let running = Arc::new(AtomicUsize::new(0));
    let billed_ms = Arc::new(AtomicUsize::new(0));
    let (started, mut executions, mut over_at) = (Instant::now(), 0, None);
    while started.elapsed() < horizon {
        let wanted = queue.len().div_ceil(QUEUE_LENGTH).min(MAX_EXECUTIONS);
        for _ in running.load(Ordering::SeqCst)..wanted {
            executions += 1;
            running.fetch_add(1, Ordering::SeqCst);
            let config = Config { seed: Some(executions as u64), ..Config::default() };
            let set = Set::on(config, queue.clone(), poison.clone(), handler.clone());
            let (running, billed_ms) = (running.clone(), billed_ms.clone());
            tokio::spawn(async move {
                sleep(BOOT).await;
                let finished = set.run().await;
                billed_ms.fetch_add(usize::try_from(finished.summary.duration_ms).unwrap(), Ordering::SeqCst);
                running.fetch_sub(1, Ordering::SeqCst);
            });
        }
        if queue.len() == 0 && running.load(Ordering::SeqCst) == 0 {
            over_at = Some(started.elapsed());
            sleep(10 * POLL).await;
            break;
        }
        sleep(POLL).await;
    }
    let attempts = handler.seen().len();
    let replica_hours = billed_ms.load(Ordering::SeqCst) as f64 / 3_600_000.0;
    Bill { executions, attempts, poisoned: poison.len(), replica_hours, over_at }
}

fn print(name: &str, bill: &Bill) {
    println!(
        "{name}: {} executions, {:.1} replica-hours, {} attempts, {} poisoned, empty after {:?}",
        bill.executions, bill.replica_hours, bill.attempts, bill.poisoned, bill.over_at
    );
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_an_hour_poisons_none_of_500_messages_and_loses_none() {
    let queue = MemoryQueue::filled("orders", 500);
    let started = Instant::now();
    let handler = TestHandler::new(move |_| async move {
        sleep(S * 2 / 5).await;
        if started.elapsed() < 3600 * S { failed() } else { Verdict::Completed }
    });
    let bill = scale(&queue, &handler, 3 * 3600 * S).await;
    print("outage of an hour, 500 messages", &bill);
    assert_eq!((bill.poisoned, handler.completed().len(), queue.len()), (0, 500, 0));
    assert!(bill.over_at.is_some_and(|at| at < 5400 * S), "{:?}", bill.over_at);
    // Fifteen hold, and short ones follow: KEDA counts what an ended execution left hidden for its
    // 15 minutes.
    assert!(bill.executions <= 60 && bill.replica_hours < 6.0, "{}", bill.executions);
}

#[tokio::test(start_paused = true)]
async fn one_message_that_does_not_parse_costs_one_execution() {
    let queue = MemoryQueue::filled("orders", 1);
    let handler = TestHandler::new(|_| async { Verdict::Reject { detail: "body: not JSON".into() } });
    let bill = scale(&queue, &handler, 7200 * S).await;
    print("one message that does not parse", &bill);
    assert_eq!((bill.executions, bill.attempts, bill.poisoned), (1, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn one_message_that_always_fails_costs_one_execution() {
    let queue = MemoryQueue::filled("orders", 1);
    let handler = TestHandler::fails();
    let bill = scale(&queue, &handler, 7200 * S).await;
    print("one message that always fails", &bill);
    assert_eq!((bill.executions, bill.attempts, bill.poisoned), (1, 5, 1));
}

#[tokio::test(start_paused = true)]
async fn a_broken_release_keeps_most_of_the_queue_out_of_the_poison_queue() {
    let queue = MemoryQueue::filled("orders", 2000);
    let handler = TestHandler::fails();
    let bill = scale(&queue, &handler, 7200 * S).await;
    print("broken release for two hours, 2,000 messages", &bill);
    assert!(bill.poisoned <= 200, "{}", bill.poisoned);
    assert_eq!(queue.len() + bill.poisoned, 2000);
}
