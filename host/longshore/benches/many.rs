//! Many processes on one queue: how much they do together, how even their shares are, and whether
//! anything is handled twice, or lost.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::Connection;
use serde_json::Value;

use super::drain::{self, FilledQueue};
use super::workbench::Workbench;
use super::{servicebus, storage};

/// How many processes work at once.
const PROCESSES: [usize; 3] = [1, 10, 50];
/// How many messages they share.
const MESSAGES: usize = 20_000;
/// While the processes end, a message is sent each [`LATE_EVERY`], so many times.
const LATE: usize = 40;
const LATE_EVERY: Duration = Duration::from_millis(100);

/// What all the processes on one queue did.
#[derive(Default)]
pub(super) struct Shares {
    /// How many messages each process completed.
    completed: Vec<u64>,
    /// How often each message was handled, by the handlers' own lines.
    handled: BTreeMap<String, usize>,
    /// Lines of the logs that are warnings or errors, by what they say.
    troubles: BTreeMap<String, usize>,
    /// How long the processes worked: until the last message was handled.
    worked: Duration,
    /// Processes that ended with another exit code than 0.
    failed: usize,
}

pub(super) fn measure(workbench: &Workbench) {
    println!(
        "{MESSAGES} orders of {} bytes on one file queue, concurrency 16 each, synchronous=FULL; the start of all processes included",
        drain::BODY.len()
    );
    for processes in PROCESSES {
        let queue = drain::fill(&workbench.directory(&format!("many-{processes}")), MESSAGES);
        let drains = || drains(workbench, &queue.url(), Command::new(&workbench.host));
        let shares = work_off(workbench, processes, drains, || {});
        println!("{}", shares.row(processes, MESSAGES, left(&queue)));
    }
    late(workbench);
    storage::many(workbench);
    servicebus::many(workbench);
}

/// Ten processes drain a queue, and messages come while they end.
fn late(workbench: &Workbench) {
    let queue = drain::fill(&workbench.directory("many-late"), MESSAGES);
    let url = queue.url();
    let drains = || drains(workbench, &url, Command::new(&workbench.host));
    let shares = work_off(workbench, 10, drains, || {
        while left(&queue) > 0 {
            thread::sleep(LATE_EVERY);
        }
        for _ in 0..LATE {
            let mut send = Command::new(&workbench.host);
            let sent = send.args(["send", "--queue", &url, drain::BODY]).stdout(Stdio::null()).status();
            assert!(sent.expect("longshore runs").success());
            thread::sleep(LATE_EVERY);
        }
    });
    println!("{LATE} more, one each {} ms, once the queue is empty:", LATE_EVERY.as_millis());
    println!("{}", shares.row(10, MESSAGES + LATE, left(&queue)));
}

/// How many messages are in the queue, by a connection of our own.
fn left(queue: &FilledQueue) -> usize {
    let database = Connection::open(queue.directory.join("queues.db")).expect("the database");
    database.busy_timeout(Duration::from_secs(20)).expect("a connection");
    let count: i64 =
        database.query_row("SELECT count(*) FROM message", [], |row| row.get(0)).expect("a count");
    usize::try_from(count).expect("a count")
}

/// Lets so many processes drain a queue, each started with what `command` makes. `meanwhile` is
/// done beside them.
pub(super) fn work_off(
    workbench: &Workbench,
    processes: usize,
    command: impl Fn() -> Command,
    meanwhile: impl FnOnce(),
) -> Shares {
    let logs: Vec<PathBuf> =
        (0..processes).map(|it| workbench.directory.path().join(format!("many-{it}.log"))).collect();
    let started = Timestamp::now();
    let children: Vec<Child> = logs.iter().map(|log| start(command(), log)).collect();
    meanwhile();
    let mut shares = Shares::default();
    for child in children {
        let output = child.wait_with_output().expect("it ends");
        shares.failed += usize::from(!output.status.success());
        let summary: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        shares.completed.push(summary["completed"].as_u64().unwrap_or_default());
    }
    for log in &logs {
        shares.read(log, started);
    }
    shares
}

fn start(mut command: Command, log: &Path) -> Child {
    let log = File::create(log).expect("a log file");
    command.stdout(Stdio::piped()).stderr(log).spawn().expect("longshore runs")
}

/// The host, as it drains a queue.
pub(super) fn drains(workbench: &Workbench, queue: &str, mut host: Command) -> Command {
    host.args(["run", "--output", "json", "--queue", queue, "--component"]).arg(&workbench.component);
    host
}

impl Shares {
    /// Adds what a process has logged that was started at `started`.
    fn read(&mut self, log: &Path, started: Timestamp) {
        let text = std::fs::read_to_string(log).expect("a log");
        for line in text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
            if line["target"] == "guest"
                && let Some(id) = line["message_id"].as_str()
            {
                *self.handled.entry(id.to_owned()).or_default() += 1;
                let at: Option<Timestamp> = line["timestamp"].as_str().and_then(|it| it.parse().ok());
                let took = at.and_then(|at| Duration::try_from(at.duration_since(started)).ok());
                self.worked = self.worked.max(took.unwrap_or_default());
            }
            if line["level"] == "WARN" || line["level"] == "ERROR" {
                let [says, error] = ["message", "error"].map(|it| line[it].as_str().unwrap_or_default());
                *self.troubles.entry(format!("{says} {error}")).or_default() += 1;
            }
        }
    }
    /// What there is to say, where `sent` messages were sent and `left` are still there.
    pub(super) fn row(&self, processes: usize, sent: usize, left: usize) -> String {
        let (least, most) = (self.completed.iter().min(), self.completed.iter().max());
        let completed: u64 = self.completed.iter().sum();
        let again: usize = self.handled.values().map(|times| times - 1).sum();
        let lost = sent.saturating_sub(self.handled.len() + left);
        let row = format!(
            "{processes:>3} processes: {:6.0} a second, shares {} to {}, completed {completed}, handled again {again}, left {left}, lost {lost}, exits other than 0: {}",
            self.handled.len() as f64 / self.worked.as_secs_f64(),
            least.unwrap_or(&0),
            most.unwrap_or(&0),
            self.failed
        );
        let troubles = self.troubles.iter().map(|(says, times)| format!("\n      {times} times: {says}"));
        row + &troubles.collect::<String>()
    }
}
