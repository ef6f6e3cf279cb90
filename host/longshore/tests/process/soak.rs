//! Hours of work: messages come at a steady rate and fail in each way there is, one worker lives as
//! long as the run, and another one is killed or stopped again and again. Nothing may grow in the
//! one that lives, nothing may become slower, and nothing may be lost.
//!
//! What is measured comes from the kernel and from a trigger in the database, and the handler's own
//! lines say what was handled: the host counts nothing here. `make soak TIME=3600` runs for an hour
//! with the program of a release, at 5 million messages an hour; each `make test` runs for seconds,
//! at a rate that a busy machine keeps up with.

mod feeder;
mod flat;
mod judge;
mod messages;
mod victim;
mod worker;

use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use self::feeder::Feeder;
use self::flat::{Bounds, Row, not_flat, percentile};
use self::judge::Judge;
use self::messages::Pace;
use self::victim::Victim;
use self::worker::Starter;
use crate::directory::{Directory, ORDERS};
use longshore_testkit::fuzz::number;
use longshore_testkit::guest;
use longshore_testkit::wait::Patience;

/// How long it takes in `make test`, in seconds, and at how many messages a second.
const SHORT: (u64, u64) = (15, 200);
/// The rate of a run that takes as long as somebody says: 5 million messages in an hour.
const RATE: u64 = 1389;
/// From here on a run is long enough to say how fast it is, and how much memory it needs.
const LONG: Duration = Duration::from_secs(300);
/// How many messages wait at most. Then nothing is sent for a while.
const MAX_WAITING: u64 = 20_000;
/// How many messages each worker has in hand.
const CONCURRENCY: u64 = 64;
/// How many rows a run has at least while messages are sent, so that parts of it can be compared.
const ROWS: usize = 10;
/// How often messages are sent, and how often everything is looked at.
const TICK: Duration = Duration::from_millis(50);
const LOOK: Duration = Duration::from_secs(1);

/// One run.
struct Soak {
    time: Duration,
    rate: u64,
    /// Whether somebody has asked for it, and reads a line a minute.
    is_asked_for: bool,
    program: PathBuf,
}

impl Soak {
    /// As the variables say: `LONGSHORE_SOAK_SECONDS`, and `LONGSHORE_SOAK_PROGRAM`.
    fn new() -> Self {
        let seconds = number("LONGSHORE_SOAK_SECONDS", 0);
        let program = std::env::var_os("LONGSHORE_SOAK_PROGRAM");
        let (time, rate) = if seconds == 0 { SHORT } else { (seconds, RATE) };
        Self {
            time: Duration::from_secs(time),
            rate,
            is_asked_for: seconds > 0,
            program: program.map_or_else(|| env!("CARGO_BIN_EXE_longshore").into(), PathBuf::from),
        }
    }

    fn run(&self) {
        let directory = Directory::new();
        let mut judge = Judge::watch(directory.database());
        let pace = if self.time >= LONG { Pace::LONG } else { Pace::SHORT };
        let starter = Starter {
            program: self.program.clone(),
            directory: directory.path(""),
            queue: directory.url(ORDERS),
            component: guest::order(),
            pace,
            concurrency: CONCURRENCY,
        };
        starter.warm();
        let mut elder = starter.worker("elder");
        let mut victim = Victim::start(&starter, if self.time >= LONG { 3..12 } else { 1..4 });
        let total = self.rate * self.time.as_secs();
        let feeder = Feeder::start(&starter, total);
        self.say(&format!("{}\n{}", machine(), Row::HEAD));

        let started = Instant::now();
        let every = (self.time / (2 * ROWS as u32)).clamp(LOOK, Duration::from_secs(60));
        let (mut rows, mut row, mut looked) = (Vec::new(), Row::default(), started);
        let mut patience = Patience::new("the end of messages in a soak");
        let mut sent_all = None;
        while judge.deleted() < total {
            let due = (self.rate as f64 * started.elapsed().as_secs_f64()) as u64;
            if feeder.sent().saturating_sub(judge.deleted()) < MAX_WAITING {
                feeder.allow(due);
            }
            std::thread::sleep(TICK);
            let is_sending = feeder.sent() < total;
            if !is_sending && sent_all.is_none() {
                sent_all = Some((started.elapsed(), rows.len()));
            }
            victim.look(&starter, &mut judge, is_sending);
            if looked.elapsed() < LOOK {
                continue;
            }
            looked = Instant::now();
            patience.pause();
            elder.read_log(|line| judge.read(line));
            if judge.collect() > 0 {
                patience.progress();
            }
            row.look(elder.sample(), feeder.sample());
            if started.elapsed() >= every * u32::try_from(rows.len() + 1).unwrap() {
                let waiting = feeder.sent().saturating_sub(judge.deleted());
                row.end(started.elapsed(), feeder.sent(), judge.deleted(), waiting);
                (row.p50, row.p99) = percentile(judge.latencies());
                row.ends = victim.ends();
                self.say(&row.to_string());
                rows.push(std::mem::take(&mut row));
            }
        }
        let (took, sending) = sent_all.unwrap_or((started.elapsed(), rows.len()));
        assert!(sending >= ROWS, "{sending} rows are too few to compare two parts of them");
        feeder.end();
        for worker in [victim.leave(&mut judge), Some(elder)].into_iter().flatten() {
            worker.stop(|line| judge.read(line));
        }
        judge.collect();

        let bounds = if self.time >= LONG { Bounds::LONG } else { Bounds::SHORT };
        let wrong = [not_flat(&rows[..sending], &bounds), judge.verdict(total)].concat();
        let ends = victim.ends();
        self.conclude(&format!(
            "soak {total} messages sent in {:.0} s ({:.0} a second) and worked off in {:.0}; {ends}; {judge}; {}",
            took.as_secs_f64(),
            total as f64 / took.as_secs_f64(),
            started.elapsed().as_secs_f64(),
            flat::summary(&rows[..sending], &bounds),
        ));
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert!(ends.killed > 0 && ends.stopped > 0, "{ends}");
    }

    /// Past the test harness, which shows what is printed only if the test fails.
    fn say(&self, line: &str) {
        if self.is_asked_for {
            self.conclude(line);
        }
    }

    fn conclude(&self, line: &str) {
        std::io::stderr().write_all(format!("{line}\n").as_bytes()).unwrap();
    }
}

fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let (kernel, load) = (read("/proc/sys/kernel/osrelease"), read("/proc/loadavg"));
    format!("kernel {kernel}, {cores} cores, load {load}")
}

#[test]
fn nothing_grows_and_nothing_is_lost_while_messages_fail_in_each_way_and_workers_die() {
    Soak::new().run();
}

#[test]
fn a_message_that_is_deleted_unhandled_is_missed() {
    let directory = Directory::new();
    let mut judge = Judge::watch(directory.database());
    directory.send((0..3).map(|number| messages::body(number, Pace::SHORT)));
    let sql = "DELETE FROM message WHERE queue = ? AND seq = 2";
    assert_eq!(directory.database().execute(sql, [ORDERS]).unwrap(), 1);
    let ended = directory.worker(&[]).run().succeeded();
    ended.stderr.lines().for_each(|line| judge.read(line));
    judge.collect();
    let wrong = judge.verdict(3);
    assert!(wrong.len() == 1 && wrong[0].contains("lost: o-1"), "{wrong:?}");
    assert!(judge.verdict(4).iter().any(|it| it.contains("lost: o-1, o-3")), "what is still somewhere");
}

#[test]
fn a_panic_of_a_worker_and_an_unknown_poison_message_are_no_success() {
    let directory = Directory::new();
    let mut judge = Judge::watch(directory.database());
    judge.read("thread 'main' panicked at src/main.rs");
    directory.create("orders-poison");
    directory.send_to("orders-poison", "{}");
    judge.collect();
    let wrong = judge.verdict(0).join("\n");
    assert!(wrong.contains("no line of a log") && wrong.contains("no envelope"), "{wrong}");
}
