//! Hundreds of seeded schedules of faults between the worker and a real server.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use longshore_queue::{MAX_RECEIVE, Queue, QueueError};
use longshore_worker::Config;
use longshore_worker::lease::LeaseMode;
use longshore_worker::poison::Envelope;
use longshore_worker::retry::RetryPolicy;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::storage::azurite::{fresh, open, plain};
use crate::storage::logs::BODY;
use crate::storage::proxy::{Decide, Fate, Proxy};
use crate::storage::{Recorder, work};
use longshore_testkit::queue_suite::text;
use longshore_testkit::wait::Patience;

/// How many schedules, and how many of them at once.
const SCHEDULES: u64 = 200;
const AT_ONCE: usize = 25;
const MESSAGES: usize = 12;
/// The time limit of a call, here.
const LIMIT: Duration = Duration::from_millis(600);
/// The same where no call is late on purpose.
const PATIENT: Duration = Duration::from_secs(60);

const BUSY: Fate = Fate::Answer("503 Server Busy", "retry-after: 1\r\nx-ms-error-code: ServerBusy\r\n");
const UNAUTHORIZED: Fate = Fate::Answer("401 Unauthorized", "x-ms-error-code: InvalidAuthenticationInfo\r\n");
const FORBIDDEN: Fate = Fate::Answer("403 Forbidden", "x-ms-error-code: AuthorizationPermissionMismatch\r\n");

/// What happened in one schedule.
#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    /// How many calls met a fault.
    faults: usize,
    /// How many leases ended before their messages were settled.
    lost: usize,
    /// How often messages were completed that had been before.
    again: usize,
}

/// Faults by chance, from a tenth to four tenths of all calls, counted.
fn schedule(seed: u64, faults: Arc<AtomicUsize>) -> Decide {
    let rng = Mutex::new(StdRng::seed_from_u64(seed));
    let probability = f64::from(u32::try_from(seed % 4).unwrap()) * 0.1 + 0.1;
    Arc::new(move |_, _| {
        let mut rng = rng.lock().unwrap();
        if !rng.random_bool(probability) {
            return Fate::Pass;
        }
        faults.fetch_add(1, Ordering::Relaxed);
        let late = Duration::from_millis(rng.random_range(100..1500));
        match rng.random_range(0..100) {
            0..15 => Fate::CutBefore,
            15..35 => Fate::CutAfter,
            35..47 => Fate::LateBefore(late),
            47..60 => Fate::LateAfter(late),
            60..70 => Fate::Answer("500 Internal Server Error", "x-ms-error-code: InternalError\r\n"),
            70..80 => Fate::AnswerAfter("500 Internal Server Error"),
            80..86 => BUSY,
            86..97 => Fate::Truncated,
            97..98 => UNAUTHORIZED,
            _ => FORBIDDEN,
        }
    })
}

fn config(seed: u64) -> Config {
    Config {
        concurrency: 4,
        visibility: Duration::from_secs(2),
        deadline: Duration::from_secs(1),
        lease: if seed.is_multiple_of(5) { LeaseMode::Auto } else { LeaseMode::Renew },
        max_dequeue: 1000,
        retry: RetryPolicy {
            base: Duration::from_millis(100),
            cap: Duration::from_secs(1),
            max_delay: Duration::from_secs(1),
        },
        breaker: 0,
        linger: Duration::from_secs(2),
        time_budget: Duration::from_secs(6),
        seed: Some(seed),
        ..Config::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_hundreds_of_fault_schedules_nothing_is_lost_and_nothing_deleted_unhandled() {
    let schedules: Vec<Counted> = stream::iter(0..SCHEDULES)
        .map(|seed| tokio::spawn(one_schedule(seed)))
        .buffer_unordered(AT_ONCE)
        .map(|done| done.unwrap())
        .collect()
        .await;
    let messages = MESSAGES * schedules.len();
    let Counted { faults, lost, again } = schedules.iter().fold(Counted::default(), |sum, it| Counted {
        faults: sum.faults + it.faults,
        lost: sum.lost + it.lost,
        again: sum.again + it.again,
    });
    let most = schedules.iter().map(|it| it.again).max().unwrap_or_default();
    println!(
        "{} schedules, {messages} messages, {faults} faults, {lost} leases lost: completed once more {again} times, in one schedule {most} times at most",
        schedules.len()
    );
    assert!(again > 0, "faults that cause no duplicate at all are none");
    // A message is completed again for a reason: an answer that was lost, a call that was refused,
    // or a lease that ended first, as it does where the machine is too busy to renew it.
    assert!(
        again <= faults / 2 + lost,
        "{faults} faults, {lost} leases lost, and messages completed once more {again} times"
    );
}

/// Calls until the server answers. On a busy machine Azurite closes a connection as idle that a
/// call is about to use. A message that was sent twice for that is one that is handled once more.
async fn certainly<T, F: Future<Output = Result<T, QueueError>>>(call: impl Fn() -> F) -> T {
    let mut patience = Patience::new("a server that answers".to_owned());
    loop {
        match call().await {
            Err(error) if error.is_transient() => tokio::time::sleep(patience.pause()).await,
            answer => return answer.unwrap(),
        }
    }
}

async fn one_schedule(seed: u64) -> Counted {
    let server = plain();
    let (name, poison_name) = (fresh(), fresh());
    let (queue, poison) = (server.named(&name), server.named(&poison_name));
    certainly(|| queue.create()).await;
    certainly(|| poison.create()).await;
    let kinds = ["plain", "plain", "once", "reject"];
    let bodies: Vec<String> = (0..MESSAGES).map(|n| format!("[\"{} {n} {BODY}\"]", kinds[n % 4])).collect();
    for body in &bodies {
        certainly(|| queue.send(text(body))).await;
    }
    let handler = Arc::new(Recorder { work: Duration::from_millis(20), ..Recorder::default() });
    let faults = Arc::new(AtomicUsize::new(0));
    let proxy = Proxy::start(server, schedule(seed, faults.clone())).await;
    let faulty = |name: &str| open(&proxy.url(&server.signed(name)), LIMIT);
    let finished = work(config(seed), &faulty(&name), &faulty(&poison_name), &handler).await;
    let mut lost = finished.summary.lease_lost;

    let calm = Config { lease: LeaseMode::Renew, time_budget: Duration::from_secs(60), ..config(seed) };
    // What a lost answer leased comes back when its lease ends; a fixed lease lasts longest.
    let mut patience = Patience::new(format!("an empty queue, seed {seed}"));
    while queue.approximate_count().await != Ok(0) {
        let finished = work(calm.clone(), &queue, &poison, &handler).await;
        finished.end.unwrap();
        lost += finished.summary.lease_lost;
        tokio::time::sleep(patience.pause()).await;
    }

    let handled = handler.handled();
    for body in &bodies {
        assert!(handled.contains_key(body), "seed {seed}: {body} was deleted and never handled");
    }
    let poisoned: HashSet<String> = envelopes(&*poison).await;
    let rejected: HashSet<String> = bodies.iter().filter(|body| body.contains("reject")).cloned().collect();
    assert_eq!(poisoned, rejected, "seed {seed}: what is poison, and nothing else");
    let seen = handler.seen.lock().unwrap();
    let receipts: HashSet<(&String, u32)> = seen.iter().map(|(id, _, count)| (id, *count)).collect();
    assert_eq!(receipts.len(), seen.len(), "seed {seed}: no receipt was handled twice");
    let needed = |body: &str| if body.contains("once") { 2 } else { 1 };
    let again = bodies.iter().map(|body| handled[body].saturating_sub(needed(body)) as usize).sum();
    let lost = usize::try_from(lost).unwrap();
    Counted { faults: faults.load(Ordering::Relaxed), lost, again }
}

/// The bodies of all that was poisoned. What a receive has hidden whose answer was lost is awaited.
async fn envelopes(poison: &dyn Queue) -> HashSet<String> {
    let (mut ids, mut bodies) = (HashSet::new(), HashSet::new());
    loop {
        let batch = certainly(|| poison.receive(MAX_RECEIVE, Duration::from_secs(60))).await;
        if batch.is_empty() {
            if ids.len() as u64 >= certainly(|| poison.approximate_count()).await {
                return bodies;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        for held in batch {
            bodies.insert(Envelope::parse(&held.message.body).unwrap().body.body.into_owned());
            ids.insert(held.message.id);
        }
    }
}

/// A proxy that refuses one kind of call, and a worker behind it.
async fn refused(
    method: &'static str,
    part: &'static str,
    fate: Fate,
    limit: Duration,
) -> (Arc<dyn Queue>, Arc<dyn Queue>, Proxy) {
    let (name, poison) = (fresh(), fresh());
    plain().named(&name).create().await.unwrap();
    plain().named(&poison).create().await.unwrap();
    let decide: Decide =
        Arc::new(
            move |asked, path| {
                if asked == method && path.contains(part) { fate.clone() } else { Fate::Pass }
            },
        );
    let proxy = Proxy::start(plain(), decide).await;
    let queue = open(&proxy.url(&plain().signed(&name)), limit);
    (queue, open(&proxy.url(&plain().signed(&poison)), limit), proxy)
}

fn quick() -> Config {
    let (visibility, time_budget) = (Duration::from_secs(30), Duration::from_secs(120));
    Config { lease: LeaseMode::Auto, linger: Duration::ZERO, visibility, time_budget, ..config(1) }
}

#[tokio::test]
async fn with_the_processor_role_alone_leases_are_fixed_and_the_work_is_done() {
    let (queue, poison, _proxy) = refused("PUT", "popreceipt", FORBIDDEN, PATIENT).await;
    for body in ["[1]", "[2]", "[\"reject\"]"] {
        certainly(|| queue.send(text(body))).await;
    }
    let handler = Arc::new(Recorder::default());
    let finished = work(quick(), &queue, &poison, &handler).await;
    finished.end.unwrap();
    assert_eq!((finished.summary.completed, finished.summary.poisoned), (2, 1), "{:?}", finished.summary);
}

#[tokio::test]
async fn no_permission_to_receive_ends_the_run_with_the_permission_that_is_missing() {
    let (queue, poison, _proxy) = refused("GET", "numofmessages", FORBIDDEN, PATIENT).await;
    let finished = work(quick(), &queue, &poison, &Arc::new(Recorder::default())).await;
    let error = finished.end.unwrap_err();
    assert!(matches!(&error, QueueError::Denied { mend, .. } if mend.contains("p (process)")), "{error}");
}

#[tokio::test]
async fn no_permission_to_delete_or_to_poison_ends_the_run_and_keeps_the_message() {
    for (method, part, body) in [("DELETE", "popreceipt", "[1]"), ("POST", "messages", "[\"reject\"]")] {
        let (queue, poison, proxy) = refused(method, part, FORBIDDEN, PATIENT).await;
        let direct = plain().named(queue.url().name());
        direct.send(text(body)).await.unwrap();
        let finished = work(quick(), &queue, &poison, &Arc::new(Recorder::default())).await;
        assert!(matches!(finished.end, Err(QueueError::Denied { .. })), "{method}: {finished:?}");
        assert_eq!(direct.approximate_count().await, Ok(1), "{method}");
        drop(proxy);
    }
}

#[tokio::test]
async fn a_busy_service_says_when_to_come_again() {
    let (queue, _poison, _proxy) = refused("GET", "messages", BUSY, PATIENT).await;
    let error = queue.receive(1, Duration::from_secs(60)).await.unwrap_err();
    let expected = Some(Duration::from_secs(1));
    assert!(matches!(&error, QueueError::Busy { retry_after, .. } if *retry_after == expected), "{error:?}");
}

#[tokio::test]
async fn a_receive_whose_answer_is_lost_is_unclear_not_repeated_and_shows_no_secret() {
    let fates = [
        Fate::CutBefore,
        Fate::CutAfter,
        Fate::LateBefore(LIMIT * 2),
        Fate::LateAfter(LIMIT * 2),
        Fate::AnswerAfter("500 Internal Server Error"),
        Fate::Truncated,
    ];
    for fate in fates {
        let (queue, _poison, proxy) = refused("GET", "messages", fate.clone(), LIMIT).await;
        plain().named(queue.url().name()).send(text("a-secret-body")).await.unwrap();
        let error = queue.receive(1, Duration::from_secs(1)).await.unwrap_err();
        assert!(matches!(error, QueueError::Unclear { .. }), "{fate:?}: {error:?}");
        assert_eq!(proxy.calls(), 1, "{fate:?}: a second receive would lease a batch that nobody handles");
        let shown = format!("{error} {error:?} {queue:?}");
        assert!(!["sig=", "a-secret", "numofmessages"].iter().any(|it| shown.contains(it)), "{shown}");
    }
}

#[tokio::test]
async fn a_delete_repeated_after_a_lost_answer_is_a_success() {
    let lost = Mutex::new(true);
    let decide: Decide = Arc::new(move |method, _| {
        if method == "DELETE" && std::mem::take(&mut *lost.lock().unwrap()) {
            Fate::CutAfter
        } else {
            Fate::Pass
        }
    });
    let proxy = Proxy::start(plain(), decide).await;
    let queue = open(&proxy.url(&plain().signed(&fresh())), LIMIT);
    queue.create().await.unwrap();
    queue.send(text("[1]")).await.unwrap();
    let finished = work(quick(), &queue, &plain().queue(), &Arc::new(Recorder::default())).await;
    assert_eq!((finished.summary.completed, finished.summary.lease_lost), (1, 0), "{finished:?}");
}
