//! Rule 10: what an outage, a broken release and a poison message cost where KEDA starts the
//! executions. The count includes hidden messages.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use longshore_handler::Verdict;
use longshore_worker::Config;
use longshore_worker::scale::{Observation, ScaleRule};
use tokio::time::{Instant, sleep};

use super::Set;
use super::handler::{TestHandler, failed};
use super::model::{MemoryQueue, S};

const POLL: Duration = Duration::from_secs(30);
const BOOT: Duration = Duration::from_secs(15);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
/// How long a handler takes.
const WORK: Duration = Duration::from_millis(400);

#[derive(Debug)]
struct Bill {
    executions: usize,
    attempts: usize,
    completed: usize,
    poisoned: usize,
    replica_hours: f64,
    /// When the queue was empty, and nothing ran.
    over_at: Option<Duration>,
    /// When the last message was poisoned.
    last_poison_at: Option<Duration>,
}

/// Messages that wait, messages that come in, and the scaler's `queueLength`.
struct Load {
    waiting: usize,
    one_a_second_for: Duration,
    queue_length: u64,
    /// By what the time between polls and that of a start are divided.
    speed: u32,
}

impl Load {
    /// Messages that wait from the beginning.
    fn waiting(waiting: usize, queue_length: u64) -> Self {
        Self { waiting, one_a_second_for: Duration::ZERO, queue_length, speed: 1 }
    }
}

/// Lets KEDA start executions of the real loop until the queue has been empty for a while, or
/// `horizon` is over.
async fn scale(load: Load, handler: &Arc<TestHandler>, horizon: Duration) -> Bill {
    let queue = MemoryQueue::filled("orders", load.waiting);
    let poison = MemoryQueue::new("orders-poison");
    let running = Arc::new(AtomicUsize::new(0));
    let pending = Arc::new(AtomicUsize::new(0));
    let rule = ScaleRule { length: load.queue_length, ..ScaleRule::default() };
    let billed_ms = Arc::new(AtomicUsize::new(0));
    let (started, mut executions, mut over_at) = (Instant::now(), 0, None);
    let (arriving, arrives_for) = (queue.clone(), load.one_a_second_for);
    tokio::spawn(async move {
        while started.elapsed() < arrives_for {
            arriving.put("{}");
            sleep(S).await;
        }
    });
    while started.elapsed() < horizon {
        let seen = Observation {
            messages: queue.len() as u64,
            running: running.load(Ordering::SeqCst) as u64,
            pending: pending.load(Ordering::SeqCst) as u64,
        };
        for _ in 0..rule.decide(seen).start {
            executions += 1;
            running.fetch_add(1, Ordering::SeqCst);
            pending.fetch_add(1, Ordering::SeqCst);
            let config = Config { seed: Some(executions as u64), ..Config::default() };
            let set = Set::on(config, queue.clone(), poison.clone(), handler.clone());
            let (running, pending, billed_ms) = (running.clone(), pending.clone(), billed_ms.clone());
            tokio::spawn(async move {
                sleep(BOOT / load.speed).await;
                pending.fetch_sub(1, Ordering::SeqCst);
                let finished = set.run().await;
                billed_ms.fetch_add(usize::try_from(finished.summary.duration_ms).unwrap(), Ordering::SeqCst);
                running.fetch_sub(1, Ordering::SeqCst);
            });
        }
        let has_come = started.elapsed() > load.one_a_second_for;
        if has_come && queue.len() == 0 && running.load(Ordering::SeqCst) == 0 {
            over_at = Some(started.elapsed());
            sleep(10 * POLL / load.speed).await;
            break;
        }
        sleep(POLL / load.speed).await;
    }
    Bill {
        executions,
        attempts: handler.seen().len(),
        completed: handler.completed().len(),
        poisoned: poison.len(),
        replica_hours: billed_ms.load(Ordering::SeqCst) as f64 / 3_600_000.0,
        over_at,
        last_poison_at: poison.calls_of("send").last().map(|call| call.at - started),
    }
}

/// A handler that fails on some messages, by their number and the time since now.
fn failing(fails: impl Fn(u64, Duration) -> bool + Send + Sync + 'static) -> Arc<TestHandler> {
    let started = Instant::now();
    let fails = Arc::new(fails);
    TestHandler::new(move |invocation| {
        let fails = fails.clone();
        async move {
            sleep(WORK).await;
            let number = invocation.id.parse().unwrap();
            if fails(number, started.elapsed()) { failed() } else { Verdict::Completed }
        }
    })
}

fn print(name: &str, bill: &Bill) {
    let Bill { executions, attempts, completed, poisoned, replica_hours, over_at, last_poison_at } = bill;
    println!(
        "{name}: {executions} executions, {replica_hours:.2} replica-hours, {attempts} attempts, {completed} completed, {poisoned} poisoned (the last after {last_poison_at:?}), empty after {over_at:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_always_fails_is_poisoned_in_minutes_by_one_execution() {
    for (waiting, every, queue_length, executions) in
        [(500, 20, 960, 1), (900, 10, 960, 1), (2000, 10, 100, 10)]
    {
        let handler = failing(move |number, _| number % every == 0);
        let bill = scale(Load::waiting(waiting, queue_length), &handler, 4 * HOUR).await;
        print(&format!("{waiting} messages, one in {every} bad"), &bill);
        let bad = waiting.div_ceil(usize::try_from(every).unwrap());
        assert_eq!((bill.poisoned, bill.completed), (bad, waiting - bad));
        assert!(bill.executions <= executions, "{bill:?}");
        assert!(bill.replica_hours < 0.15 && bill.last_poison_at.unwrap() < 4 * MINUTE, "{bill:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn bad_messages_that_keep_coming_are_poisoned_as_they_come() {
    let handler = failing(|number, _| number % 2 == 0);
    let load = Load { waiting: 0, one_a_second_for: HOUR, queue_length: 100, speed: 1 };
    let bill = scale(load, &handler, 4 * HOUR).await;
    print("one message a second for an hour, half of them bad", &bill);
    assert_eq!((bill.poisoned, bill.completed), (1800, 1800));
    assert!(bill.last_poison_at.unwrap() < 65 * MINUTE && bill.replica_hours < 3.0, "{bill:?}");
}

#[tokio::test(start_paused = true)]
async fn an_outage_from_the_start_poisons_nothing() {
    for waiting in [15, 200, 2000] {
        for outage in [10 * MINUTE, HOUR] {
            let handler = failing(move |_, since| since < outage);
            let bill = scale(Load::waiting(waiting, 100), &handler, 4 * HOUR).await;
            print(&format!("outage of {outage:?}, {waiting} waiting"), &bill);
            assert_eq!((bill.poisoned, bill.completed), (0, waiting), "{outage:?}");
            assert!(bill.over_at.unwrap() < outage + 30 * MINUTE, "{bill:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_after_ten_seconds_of_successes_poisons_nothing() {
    let handler = failing(|_, since| since > BOOT + 10 * S && since < BOOT + HOUR);
    let bill = scale(Load::waiting(4098, 960), &handler, 4 * HOUR).await;
    print("outage of an hour after ten seconds of successes", &bill);
    assert_eq!((bill.poisoned, bill.completed), (0, 4098));
    assert!(bill.attempts > 4098 + 50 && bill.replica_hours < 6.0, "{bill:?}");
}

#[tokio::test(start_paused = true)]
async fn an_outage_in_the_middle_of_an_inflow_poisons_few() {
    let handler = failing(|_, since| since > 30 * MINUTE && since < 50 * MINUTE);
    let load = Load { waiting: 0, one_a_second_for: 2 * HOUR, queue_length: 100, speed: 1 };
    let bill = scale(load, &handler, 4 * HOUR).await;
    print("outage of 20 minutes in the middle of one message a second", &bill);
    assert_eq!(bill.poisoned + bill.completed, 7200);
    assert!(bill.poisoned <= 25 && bill.replica_hours < 7.0, "{bill:?}");
}

#[tokio::test(start_paused = true)]
async fn bad_messages_alone_cannot_be_told_from_an_outage_and_end_in_the_poison_queue_all_the_same() {
    let handler = failing(|_, _| true);
    let bill = scale(Load::waiting(25, 100), &handler, 4 * HOUR).await;
    print("25 bad messages alone", &bill);
    assert_eq!(bill.poisoned, 25);
    assert!(bill.last_poison_at.unwrap() < 4 * HOUR && bill.replica_hours < 4.0, "{bill:?}");
}

#[tokio::test(start_paused = true)]
async fn four_messages_that_always_fail_open_nothing() {
    let handler = failing(|_, _| true);
    let bill = scale(Load::waiting(4, 100), &handler, HOUR).await;
    print("4 messages, all bad", &bill);
    assert_eq!((bill.executions, bill.poisoned), (1, 4));
    assert!(bill.last_poison_at.unwrap() < 4 * MINUTE, "{bill:?}");
}

#[tokio::test(start_paused = true)]
async fn one_message_that_does_not_parse_costs_one_execution() {
    let handler = TestHandler::new(|_| async { Verdict::Reject { detail: "body: not JSON".into() } });
    let bill = scale(Load::waiting(1, 100), &handler, 2 * HOUR).await;
    print("one message that does not parse", &bill);
    assert_eq!((bill.executions, bill.attempts, bill.poisoned), (1, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn one_message_that_always_fails_costs_one_execution() {
    let handler = TestHandler::fails();
    let bill = scale(Load::waiting(1, 100), &handler, 2 * HOUR).await;
    print("one message that always fails", &bill);
    assert_eq!((bill.executions, bill.attempts, bill.poisoned), (1, 5, 1));
}

#[tokio::test(start_paused = true)]
async fn a_broken_release_keeps_most_of_the_queue_out_of_the_poison_queue() {
    let handler = failing(|_, since| since < 2 * HOUR);
    let bill = scale(Load::waiting(2000, 100), &handler, 4 * HOUR).await;
    print("broken release for two hours, 2,000 messages", &bill);
    assert!(bill.poisoned <= 200, "{bill:?}");
    assert_eq!(bill.completed + bill.poisoned, 2000);
}

/// What `longshore dev` does with the real program is compared with this: `make dev-scenarios`.
#[tokio::test(start_paused = true)]
#[ignore = "it writes a file for another test"]
async fn the_scenarios_of_dev() {
    let mut simulated = String::new();
    for line in include_str!("../../../dev/scenarios.txt").lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<_> = line.split_whitespace().collect();
        let numbers: Vec<u64> = words[1..].iter().map(|it| it.parse().unwrap()).collect();
        let [waiting, every, queue_length, speed, after_s, outage_s] = numbers[..] else { panic!("{line}") };
        let speed = u32::try_from(speed).unwrap();
        let [after, outage] = [after_s, outage_s].map(|it| Duration::from_secs(it) / speed);
        let handler = failing(move |number, since| {
            (every > 0 && number % every == 0) || (after..after + outage).contains(&since)
        });
        let load = Load { speed, ..Load::waiting(usize::try_from(waiting).unwrap(), queue_length) };
        let bill = scale(load, &handler, 4 * HOUR).await;
        print(words[0], &bill);
        simulated += &format!("{} {} {}\n", words[0], bill.executions, bill.poisoned);
    }
    let file = std::env::var("LONGSHORE_SIMULATED").expect("make dev-scenarios says where");
    std::fs::write(file, simulated).unwrap();
}
