//! The order of each session, through retries, kills and cuts, as an outside judge sees it.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use longshore_azure::{Azure, Credential};
use longshore_queue::{MAX_RECEIVE, Outgoing, Queue, SESSION_ID, SessionOptions};
use longshore_queue_drivers::servicebus::ServiceBusQueue;
use longshore_testkit::queue_suite::text;
use longshore_testkit::recorder::Recorder;
use longshore_testkit::sample;
use longshore_testkit::wait::Patience;
use longshore_worker::retry::RetryPolicy;
use longshore_worker::stop::Stopper;
use longshore_worker::{Config, Worker};
use serde_json::json;

use crate::servicebus::broker::{Broker, installed};
use crate::servicebus::host::Host;
use crate::servicebus::queue::open;

/// How many schedules of faults, each with a broker of its own, and how many of them at once.
const SCHEDULES: u64 = 12;
const AT_ONCE: u64 = 6;
const SESSIONS: usize = 4;
const MESSAGES: usize = 5;
/// The time limit of a call, here. An accept takes two seconds of it where no session is free.
const LIMIT: Duration = Duration::from_secs(4);

fn config(seed: u64) -> Config {
    let short = Duration::from_millis(200);
    Config {
        concurrency: 3,
        visibility: Duration::from_secs(4),
        deadline: Duration::from_secs(1),
        max_dequeue: 1000,
        retry: RetryPolicy { base: short, cap: short, max_delay: short },
        breaker: 0,
        linger: Duration::from_secs(2),
        time_budget: Duration::from_secs(12),
        hold: Some(Duration::ZERO),
        seed: Some(seed),
        ..Config::default()
    }
}

pub fn sessions(broker: &Broker, name: &str, limit: Duration) -> Arc<dyn Queue> {
    let url = format!("{};EntityPath={name}", broker.connection_string()).parse().unwrap();
    let queue = ServiceBusQueue::open(url, &Azure::new(Credential::Developer)).unwrap().with_limit(limit);
    let options =
        SessionOptions { at_once: 3, idle: Duration::from_millis(300), ..SessionOptions::default() };
    Arc::new(queue.with_sessions(options))
}

/// What requires sessions.
#[derive(Clone, Copy)]
enum OfSessions {
    Queue,
    Subscription,
}

impl OfSessions {
    /// Makes one: its name, and that of what is sent to.
    fn make(self, broker: &Broker) -> (String, String) {
        match self {
            Self::Queue => {
                let name = broker.session_queue(4, 1000);
                (name.clone(), name)
            }
            Self::Subscription => {
                let topic = broker.session_topic(4, 1000, &["billing"]);
                (format!("{topic}/Subscriptions/billing"), topic)
            }
        }
    }
}

async fn work(config: Config, queue: Arc<dyn Queue>, poison: &Arc<dyn Queue>, handler: &Arc<Recorder>) {
    let worker = Worker::new(config, queue, poison.clone(), handler.clone());
    let _ = worker.run(Stopper::default().signal()).await;
}

pub fn of_session(session: &str, id: String, body: &str) -> Outgoing {
    let properties = vec![(SESSION_ID.to_owned(), session.to_owned())];
    Outgoing { id: Some(id), properties, ..text(body) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_cut_each_session_stays_in_order_and_nothing_is_lost() {
    schedules(OfSessions::Queue).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_cut_each_session_of_a_subscription_stays_in_order_and_nothing_is_lost() {
    schedules(OfSessions::Subscription).await;
}

async fn schedules(of: OfSessions) {
    let mut faults = 0;
    for first in (0..SCHEDULES).step_by(usize::try_from(AT_ONCE).unwrap()) {
        let seeds = first..first + AT_ONCE;
        let running: Vec<_> = seeds.map(|seed| tokio::spawn(schedule(of, seed))).collect();
        for schedule in running {
            faults += schedule.await.unwrap();
        }
    }
    println!("{SCHEDULES} schedules with {faults} faults");
    assert!(faults > 30, "{faults} faults are too few to show anything");
}

/// Returns how many faults there were.
async fn schedule(of: OfSessions, seed: u64) -> u64 {
    let broker = tokio::task::spawn_blocking(|| Broker::start(&[])).await.unwrap();
    let (name, to) = of.make(&broker);
    let (calm, to) = (sessions(&broker, &name, LIMIT), sessions(&broker, &to, LIMIT));
    let poison = open(&broker, calm.url().poison().unwrap().name(), Duration::from_secs(10));
    let kinds = ["plain", "once", "plain", "reject"];
    for n in 0..MESSAGES {
        for session in 0..SESSIONS {
            let body = format!("[\"{} s{session} {n}\"]", kinds[(n + session) % kinds.len()]);
            to.send(of_session(&format!("s{session}"), format!("s{session}-{n}"), &body)).await.unwrap();
        }
    }
    let handler = Arc::new(Recorder { work: Duration::from_millis(20), ..Recorder::default() });
    broker.order(&json!({ "seed": seed, "probability": 0.02 * (seed % 4 + 1) as f64, "limit": 25 }));
    work(config(seed), sessions(&broker, &name, LIMIT), &poison, &handler).await;
    let done = broker.order(&json!([]));
    let mut patience = Patience::new(format!("an empty queue, seed {seed}"));
    while calm.approximate_count().await != Ok(0) {
        work(config(seed), sessions(&broker, &name, LIMIT), &poison, &handler).await;
        tokio::time::sleep(patience.pause()).await;
    }
    let seen = handler.seen.lock().unwrap().clone();
    let mut newest = HashMap::<String, usize>::new();
    for (id, ..) in &seen {
        let (session, number) = id.split_once('-').unwrap();
        let (number, before) = (number.parse::<usize>().unwrap(), newest.get(session).copied());
        // A message may come again as long as none behind it has come.
        let follows = before.map_or(number == 0, |before| number == before || number == before + 1);
        assert!(follows, "seed {seed}: {id} after {before:?}: {seen:?}");
        newest.insert(session.into(), number);
    }
    assert!(
        newest.len() == SESSIONS && newest.values().all(|it| it + 1 == MESSAGES),
        "seed {seed}: {newest:?}"
    );
    let dead = poison.peek(MAX_RECEIVE).await.unwrap();
    let rejected = (0..MESSAGES * SESSIONS)
        .filter(|at| kinds[(at / SESSIONS + at % SESSIONS) % kinds.len()] == "reject")
        .count();
    assert_eq!(dead.len(), rejected, "seed {seed}: what is dead is what was rejected, once each");
    done.as_object().unwrap().values().filter_map(serde_json::Value::as_u64).sum()
}

/// `make servicebus-sessions` runs it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it takes minutes: make servicebus-sessions"]
async fn ten_thousand_messages_of_two_hundred_sessions_stay_in_order_through_retries_kills_and_cuts() {
    const SESSIONS: usize = 200;
    const MESSAGES: usize = 50;
    let broker = Broker::start(&[]);
    let host = Host::of_sessions(&broker, 5);
    let queue = sessions(&broker, &host.name, LIMIT);
    for n in 0..MESSAGES {
        let send = (0..SESSIONS).map(|session| {
            // Some fail at first, and some always.
            let msg = match (session * 7 + n * 13) % 97 {
                0..3 => "retry-until:2",
                3 => "trap",
                4 => "reject",
                _ => "ok",
            };
            let id = format!("s{session}-{n}");
            queue.send(of_session(&format!("s{session}"), id.clone(), &sample::order(&id, msg)))
        });
        futures_util::future::try_join_all(send).await.unwrap();
    }
    let logs = tokio::task::spawn_blocking(move || {
        let started = std::time::Instant::now();
        let mut logs = Vec::new();
        let run = || host.run(&["--sessions", "8", "--max-dequeue", "3", "--hold", "0"]).start();
        let survivor = run();
        for _ in 0..8 {
            let killed = run();
            std::thread::sleep(Duration::from_secs(3));
            let cuts = ["deliver", "settle", "attach", "renew-session-lock", "set-session-state"];
            let cut = |at: &&str| json!({ "at": at, "do": "cut-after", "times": 1 });
            broker.order(&cuts.iter().map(cut).collect::<Vec<_>>().into());
            std::thread::sleep(Duration::from_secs(2));
            logs.push(killed.kill().stderr);
        }
        broker.order(&json!([]));
        logs.push(survivor.wait().succeeded().stderr);
        while host.count() != 0 {
            logs.push(run().wait().succeeded().stderr);
        }
        println!("{} runs in {:?}", logs.len(), started.elapsed());
        logs
    });
    let directory = tempfile::tempdir().unwrap();
    let mut judge = Command::new(installed(".venv/bin/python"));
    judge.arg(installed("python/judge_order.py")).args([SESSIONS.to_string(), MESSAGES.to_string()]);
    for (n, log) in logs.await.unwrap().iter().enumerate() {
        let mut name = String::new();
        write!(name, "{n}.log").unwrap();
        let path = directory.path().join(name);
        std::fs::write(&path, log).unwrap();
        judge.arg(path);
    }
    let judged = judge.output().unwrap();
    let said = String::from_utf8_lossy(&judged.stdout);
    assert!(judged.status.success(), "{said}{}", String::from_utf8_lossy(&judged.stderr));
    println!("{said}");
}
