//! Nothing is lost, whatever dies, wherever: two workers on one directory are killed again and
//! again, at named places and at random moments, and each is started anew. Then one that nobody
//! kills drains the queue, and the oracle speaks.
//!
//! `LONGSHORE_TORTURE=N` sets the number of kills at random moments.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rand::RngExt;

use crate::directory::{Directory, ORDERS, POISON, Row, database, now_ms, rows};
use crate::oracle::{Account, Expected, Oracle, Sent, handled};
use crate::orders::{mixed, order};
use crate::outbox;
use crate::process::{Process, warm};
use longshore_testkit::guest;
use longshore_testkit::wait::{Patience, until};

/// How many kills at each failpoint, and at random moments.
#[cfg(feature = "failpoints")]
const KILLS: usize = 20;
const RANDOM_KILLS: usize = 200;
/// How long a worker lives at most that starts in some ten milliseconds.
const LIFE: Duration = Duration::from_millis(400);
/// How often it is looked whether a worker has died, or the queue runs dry.
const LOOK: Duration = Duration::from_millis(3);
/// Attempts that each message has: crashes count as such, and each undoes up to one per slot.
const MAX_DEQUEUE: u32 = 12;
/// Below so many visible messages, more are sent: workers that find nothing are not killed anywhere
/// of interest.
const ENOUGH: i64 = 30;

/// One way to torture.
struct Torture {
    name: &'static str,
    kills: usize,
    /// What `FAILPOINTS` says; without, workers are killed from outside.
    failpoints: Option<&'static str>,
    /// The poison queue lies in another directory: copy and delete are two steps.
    poison_elsewhere: bool,
    /// Handlers outlive half of their lease, and are renewed.
    renewed: bool,
    /// What handles the messages.
    component: fn() -> PathBuf,
    /// How long a worker lives at most, before it is killed at a random moment.
    life: Duration,
    /// Handlers send messages to another directory.
    outputs: bool,
}

/// What came of it.
struct Outcome {
    account: Account,
    kills: usize,
}

impl Torture {
    fn run(&self) -> Outcome {
        let started = Instant::now();
        let directory = Directory::new();
        let poison = if self.poison_elsewhere {
            format!("file:{}/poison", directory.path("elsewhere").display())
        } else {
            directory.url(POISON)
        };
        let mut oracle = Oracle::watch(&directory, MAX_DEQUEUE);
        let mut flags = vec![format!("--poison-queue={poison}"), format!("--max-dequeue={MAX_DEQUEUE}")];
        if self.outputs {
            flags.extend(outbox::flags(&directory.path("elsewhere")));
        }
        let mut workers = Workers { torture: self, directory: &directory, flags, logs: Vec::new() };
        let kills = workers.kill_often(&mut oracle);
        workers.drain();

        let handled = self.handled(&directory, &workers.logs);
        let account = oracle.account(&directory.database(), &self.poison(&directory), &handled);
        let said = format!(
            "torture {:<38} {kills:>5} kills {:>6} sent {:>6} handled {:>5} poisoned by crashes {:>3} handled again {:>4} poison duplicates {:>3} lost {:>6.1} s\n",
            self.name,
            oracle.count(),
            handled.len(),
            account.exhausted_by_crashes,
            account.handled_again,
            account.poison_duplicates,
            account.lost.len(),
            started.elapsed().as_secs_f64(),
        );
        // Past the test harness, which shows what is printed only if the test fails.
        std::io::stderr().write_all(said.as_bytes()).unwrap();
        Outcome { account, kills }
    }

    /// How often each message was handled: by what handlers sent, or by what they logged.
    fn handled(&self, directory: &Directory, logs: &[String]) -> BTreeMap<String, usize> {
        if self.outputs {
            return outbox::handled(&rows(&database(&directory.path("elsewhere")), "invoices"));
        }
        let mut lines = BTreeMap::new();
        logs.iter().for_each(|log| handled(log, &mut lines));
        lines
    }

    fn poison(&self, directory: &Directory) -> Vec<Row> {
        if self.poison_elsewhere {
            rows(&database(&directory.path("elsewhere")), "poison")
        } else {
            directory.rows(POISON)
        }
    }

    /// The n-th message.
    fn message(&self, number: usize) -> Sent {
        if self.outputs {
            return outbox::message(number);
        }
        let mut message = mixed(number);
        if self.renewed && message.expected == Expected::Handled && number.is_multiple_of(2) {
            message.body = order(&format!("o-{number}"), "sleep:700").into_bytes();
        }
        message
    }
}

/// The processes that work on a directory.
struct Workers<'a> {
    torture: &'a Torture,
    directory: &'a Directory,
    /// Of every worker.
    flags: Vec<String>,
    /// What those wrote that have ended.
    logs: Vec<String>,
}

impl Workers<'_> {
    fn start(&self, flags: &[&str], failpoints: Option<&str>) -> Process {
        let all: Vec<_> = self.flags.iter().map(String::as_str).chain(flags.iter().copied()).collect();
        let mut program = self.directory.worker_with(&(self.torture.component)(), &all);
        if let Some(failpoints) = failpoints {
            program.env("FAILPOINTS", failpoints);
        }
        program.start()
    }

    /// Keeps two workers running and the queue filled until so many were killed; then kills both,
    /// uncounted.
    fn kill_often(&mut self, oracle: &mut Oracle) -> usize {
        let mut rng = rand::rng();
        let database = self.directory.database();
        let mut workers: [Option<(Process, Instant)>; 2] = [None, None];
        let visibility = if self.torture.renewed { "--visibility=1s" } else { "--visibility=2s" };
        let mut patience = Patience::new(format!("the next kill {}", self.torture.name));
        let mut kills = 0;
        while kills < self.torture.kills {
            for slot in &mut workers {
                let (mut worker, dies_at) = slot.take().unwrap_or_else(|| {
                    let dies_at = Instant::now() + rng.random_range(Duration::ZERO..self.torture.life);
                    (self.start(&["--forever", visibility], self.torture.failpoints), dies_at)
                });
                let killed = match worker.ended() {
                    Some(ended) if ended.was_killed() => ended,
                    Some(ended) => panic!("{}: it ended by itself: {ended:?}", self.torture.name),
                    None if self.torture.failpoints.is_none() && Instant::now() >= dies_at => worker.kill(),
                    None => {
                        *slot = Some((worker, dies_at));
                        continue;
                    }
                };
                self.logs.push(killed.stderr);
                kills += 1;
                patience.progress();
            }
            if visible(&database) < ENOUGH {
                let numbers = oracle.count()..oracle.count() + 64;
                let messages: Vec<_> = numbers.map(|number| self.torture.message(number)).collect();
                let ids = self.directory.send(messages.iter().map(|message| &message.body));
                oracle.sent(ids.into_iter().zip(messages));
            }
            std::thread::sleep(patience.pause().min(LOOK));
        }
        self.logs.extend(workers.into_iter().flatten().map(|(worker, _)| worker.kill().stderr));
        kills
    }

    /// One worker that nobody kills, once the leases of the dead have run out.
    fn drain(&mut self) {
        until("the end of all leases", || {
            let leased = self.directory.rows(ORDERS).iter().any(|row| row.visible_at > now_ms());
            (!leased).then_some(())
        });
        let ended = self.start(&["--visibility=30s"], None).wait().succeeded();
        assert_eq!(ended.json()["lease_lost"], 0, "nobody else is there to take a lease: {ended:?}");
        self.logs.push(ended.stderr);
    }
}

fn visible(database: &rusqlite::Connection) -> i64 {
    let sql = "SELECT count(*) FROM message WHERE queue = ? AND visible_at <= ?";
    database.prepare_cached(sql).unwrap().query_row((ORDERS, now_ms()), |row| row.get(0)).unwrap()
}

impl Outcome {
    /// Asserts that the oracle has nothing to say.
    fn lost_nothing(self) -> Self {
        self.account.assert_nothing_lost();
        self
    }
}

fn random_kills() -> usize {
    let kills = std::env::var("LONGSHORE_TORTURE").ok().and_then(|kills| kills.parse().ok());
    kills.unwrap_or(RANDOM_KILLS)
}

#[test]
fn nothing_is_lost_when_workers_are_killed_at_random_moments() {
    let kills = random_kills();
    let torture = Torture {
        name: "at random moments",
        kills,
        failpoints: None,
        poison_elsewhere: false,
        renewed: false,
        component: guest::order,
        life: LIFE,
        outputs: false,
    };
    let outcome = torture.run().lost_nothing();
    assert!(outcome.kills >= kills);
    assert_eq!(outcome.account.poison_duplicates, 0, "copy and delete are one transaction here");
}

#[test]
#[ignore = "needs Python and Node.js: make test-services"]
fn nothing_is_lost_with_handlers_in_other_languages() {
    for (name, component) in
        [("in Python", guest::python as fn() -> PathBuf), ("in JavaScript", guest::javascript)]
    {
        warm(&component());
        // An interpreter takes longer to load.
        let life = Duration::from_secs(3);
        let torture = Torture {
            name,
            kills: random_kills() / 20,
            failpoints: None,
            poison_elsewhere: false,
            renewed: false,
            component,
            life,
            outputs: false,
        };
        torture.run().lost_nothing();
    }
}

#[test]
fn no_output_is_lost_when_workers_are_killed_at_random_moments() {
    let torture = Torture {
        name: "at random moments, handlers that send",
        kills: random_kills() / 2,
        failpoints: None,
        poison_elsewhere: false,
        renewed: false,
        component: guest::rogue,
        life: LIFE,
        outputs: true,
    };
    torture.run().lost_nothing();
}

#[cfg(feature = "failpoints")]
mod failpoints {
    use super::*;

    fn at(name: &'static str, failpoints: &'static str) -> Torture {
        let failpoints = Some(failpoints);
        Torture {
            name,
            kills: KILLS,
            failpoints,
            poison_elsewhere: false,
            renewed: false,
            component: guest::order,
            life: LIFE,
            outputs: false,
        }
    }

    #[test]
    fn nothing_is_lost_after_a_receive() {
        at("after-receive", "after-receive=15%return").run().lost_nothing();
    }

    #[test]
    fn nothing_is_lost_before_the_handler() {
        at("before-handler", "before-handler=3%return").run().lost_nothing();
    }

    #[test]
    fn nothing_is_lost_in_the_handler() {
        at("in-handler", "in-handler=3%return").run().lost_nothing();
    }

    #[test]
    fn nothing_is_lost_before_the_poison_copy() {
        at("before-poison-copy", "before-poison-copy=20%return").run().lost_nothing();
    }

    #[test]
    fn nothing_is_lost_or_doubled_between_copy_and_delete_in_one_transaction() {
        let torture = at("between-copy-and-delete", "between-copy-and-delete=20%return");
        let outcome = torture.run().lost_nothing();
        assert_eq!(outcome.account.poison_duplicates, 0);
    }

    #[test]
    fn nothing_is_lost_between_copy_and_delete_and_duplicates_carry_the_original_id() {
        let torture = at("between-copy-and-delete, two queues", "between-copy-and-delete=20%return");
        let outcome = Torture { poison_elsewhere: true, ..torture }.run().lost_nothing();
        assert!(outcome.account.poison_duplicates > 0, "no kill hit the gap");
    }

    #[test]
    fn outputs_repeat_under_the_same_id_and_none_is_lost_between_output_and_delete() {
        let torture = at("between-output-and-delete", "between-output-and-delete=10%return");
        let outcome = Torture { component: guest::rogue, outputs: true, ..torture }.run().lost_nothing();
        assert!(outcome.account.handled_again > 0, "no kill hit the gap");
    }

    #[test]
    fn nothing_is_lost_in_a_renewal() {
        let torture = at("in-renewal", "in-renewal=10%return");
        Torture { renewed: true, ..torture }.run().lost_nothing();
    }

    #[test]
    fn nothing_is_lost_in_a_batch_of_settlements() {
        at("settle-batch", "settle-batch=2%return").run().lost_nothing();
    }

    #[test]
    fn the_oracle_notices_an_order_of_settlement_that_loses_messages() {
        let torture = at("delete-first", "delete-first=return;between-copy-and-delete=20%return");
        let outcome = torture.run();
        let Account { lost, deleted_unhandled, defects, .. } = outcome.account;
        assert!(!lost.is_empty(), "messages were deleted before they were copied, and none is missed");
        assert_eq!((lost, defects), (deleted_unhandled, Vec::new()));
    }
}
