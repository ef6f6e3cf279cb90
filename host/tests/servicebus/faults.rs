//! Seeded faults at every step of the protocol, between the worker and the broker.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use longshore::queue::{MAX_RECEIVE, Queue};
use longshore::sandbox::{Answer, Invocation, RetryReason, Verdict};
use longshore::worker::retry::RetryPolicy;
use longshore::worker::stop::Stopper;
use longshore::worker::{Config, Handler, Worker};
use serde_json::json;

use crate::broker::Broker;
use crate::queue::open;
use crate::queue_suite::text;

/// How many schedules, each with a broker of its own, and how many of them at once.
const SCHEDULES: u64 = 12;
const AT_ONCE: u64 = 4;
const MESSAGES: usize = 12;
/// The time limit of a call, here.
const LIMIT: Duration = Duration::from_secs(1);

/// Does what bodies say, and remembers which it was given.
#[derive(Default)]
struct Recorder(Mutex<HashMap<String, u32>>);

#[async_trait::async_trait]
impl Handler for Recorder {
    async fn handle(&self, invocation: Invocation) -> Answer {
        let body = String::from_utf8(invocation.body.to_vec()).unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        *self.0.lock().unwrap().entry(body.clone()).or_default() += 1;
        if body.contains("reject") {
            return Verdict::Reject { detail: "as asked".into() }.into();
        }
        if body.contains("once") && invocation.dequeue_count == 1 {
            let reason = RetryReason::Requested;
            return Verdict::Retry { reason, detail: "as asked".into(), after: None }.into();
        }
        Verdict::Completed.into()
    }

    async fn reload(&self) {}

    fn digest(&self) -> Option<String> {
        None
    }
}

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
    assert!(faults >= 2 * SCHEDULES, "{faults} faults are too few to show anything");
}

/// Returns how many faults there were, and how many messages were handled more often than need be.
async fn schedule(seed: u64) -> (u64, usize) {
    let broker = Broker::start(&[]);
    let name = broker.queue(4, 1000);
    let queue = open(&broker, &name, Duration::from_secs(10));
    let poison = open(&broker, queue.url().poison().unwrap().name(), Duration::from_secs(10));
    let kinds = ["plain", "plain", "once", "reject"];
    let bodies: Vec<String> = (0..MESSAGES).map(|n| format!("[\"{} {n}\"]", kinds[n % 4])).collect();
    for body in &bodies {
        queue.send(text(body)).await.unwrap();
    }
    let handler = Arc::new(Recorder::default());
    broker.order(&json!({ "seed": seed, "probability": 0.03 * (seed % 4 + 1) as f64, "limit": 40 }));
    let faulty = open(&broker, &name, LIMIT);
    work(config(seed), &faulty, &poison, &handler).await;
    let done = broker.order(&json!([]));
    drop(faulty);
    for _ in 0..10 {
        work(Config { time_budget: Duration::from_secs(30), ..config(seed) }, &queue, &poison, &handler)
            .await;
        if queue.approximate_count().await == Ok(0) {
            break;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(queue.approximate_count().await, Ok(0), "seed {seed}: drained");
    let handled = handler.0.lock().unwrap().clone();
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
