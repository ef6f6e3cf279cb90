//! Seeded faults at every step of the protocol, between the worker and the broker.

use std::sync::Arc;
use std::time::Duration;

use longshore_queue::{MAX_RECEIVE, Queue};
use longshore_worker::retry::RetryPolicy;
use longshore_worker::stop::Stopper;
use longshore_worker::{Config, Worker};
use serde_json::json;

use crate::servicebus::broker::Broker;
use crate::servicebus::queue::open;
use longshore_testkit::queue_suite::text;
use longshore_testkit::recorder::Recorder;
use longshore_testkit::wait::Patience;

/// How many schedules, each with a broker of its own, and how many of them at once.
const SCHEDULES: u64 = 20;
const AT_ONCE: u64 = 10;
const MESSAGES: usize = 12;
/// The time limit of a call, here.
const LIMIT: Duration = Duration::from_secs(1);

fn config(seed: u64) -> Config {
    let short = Duration::from_millis(200);
    Config {
        concurrency: 4,
        visibility: Duration::from_secs(4),
        deadline: Duration::from_secs(1),
        max_dequeue: 1000,
        retry: RetryPolicy { base: short, cap: short, max_delay: short },
        breaker: 0,
        linger: Duration::from_secs(2),
        time_budget: Duration::from_secs(7),
        seed: Some(seed),
        ..Config::default()
    }
}

async fn work(config: Config, queue: &Arc<dyn Queue>, poison: &Arc<dyn Queue>, handler: &Arc<Recorder>) {
    let worker = Arc::new(Worker::new(config, queue.clone(), poison.clone(), handler.clone()));
    worker.run(Stopper::default().signal()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_cut_nothing_is_lost_and_nothing_deleted_unhandled() {
    let (mut faults, mut twice) = (0, 0);
    for first in (0..SCHEDULES).step_by(usize::try_from(AT_ONCE).unwrap()) {
        let running: Vec<_> = (first..first + AT_ONCE).map(|seed| tokio::spawn(schedule(seed))).collect();
        for schedule in running {
            let (done, more) = schedule.await.unwrap();
            faults += done;
            twice += more;
        }
    }
    println!("{SCHEDULES} schedules with {faults} faults, {twice} messages handled more than once");
    assert!(faults > 50, "{faults} faults are too few to show anything");
}

/// Returns how many faults there were, and how many messages were handled more often than need be.
async fn schedule(seed: u64) -> (u64, usize) {
    // Its start takes seconds on a busy machine, in which the schedules beside this one go on.
    let broker = tokio::task::spawn_blocking(|| Broker::start(&[])).await.unwrap();
    let name = broker.queue(4, 1000);
    let queue = open(&broker, &name, Duration::from_secs(10));
    let poison = open(&broker, queue.url().poison().unwrap().name(), Duration::from_secs(10));
    let kinds = ["plain", "plain", "once", "reject"];
    let bodies: Vec<String> = (0..MESSAGES).map(|n| format!("[\"{} {n}\"]", kinds[n % 4])).collect();
    for body in &bodies {
        queue.send(text(body)).await.unwrap();
    }
    let handler = Arc::new(Recorder { work: Duration::from_millis(20), ..Recorder::default() });
    broker.order(&json!({ "seed": seed, "probability": 0.03 * (seed % 4 + 1) as f64, "limit": 40 }));
    let faulty = open(&broker, &name, LIMIT);
    work(config(seed), &faulty, &poison, &handler).await;
    let done = broker.order(&json!([]));
    drop(faulty);
    let calm = Config { time_budget: Duration::from_secs(30), ..config(seed) };
    let mut patience = Patience::new(format!("an empty queue, seed {seed}"));
    while queue.approximate_count().await != Ok(0) {
        work(calm.clone(), &queue, &poison, &handler).await;
        tokio::time::sleep(patience.pause()).await;
    }
    let handled = handler.handled();
    for body in &bodies {
        assert!(handled.contains_key(body), "seed {seed}: {body} was deleted and never handled");
    }
    let mut dead: Vec<_> = poison.peek(MAX_RECEIVE).await.unwrap().into_iter().map(|it| it.body).collect();
    let mut rejected: Vec<_> = bodies.iter().filter(|body| body.contains("reject")).cloned().collect();
    dead.sort();
    rejected.sort();
    assert_eq!(dead, rejected, "seed {seed}: what is dead is what was rejected, once each");
    let more = bodies.iter().filter(|it| handled[*it] > if it.contains("once") { 2 } else { 1 }).count();
    (done.as_object().unwrap().values().filter_map(serde_json::Value::as_u64).sum(), more)
}
