//! The real binary on a real queue, durable, with its log going to a file.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rusqlite::{Connection, params};

use super::child::{self, Consumed};
use super::floor;
use super::workbench::{self, Workbench};

const MESSAGES: usize = 20_000;
pub(super) const BODY: &str = r#"{"order_id":"o-000001","msg":"two books and a pen, please deliver soon"}"#;

/// What a drain is to reach.
struct Aim {
    concurrency: usize,
    /// Which part of raw SQLite's messages a second.
    of_raw: f64,
    /// How many times litequeue's.
    litequeues: usize,
}

const AIMS: [Aim; 3] = [
    Aim { concurrency: 16, of_raw: 0.4, litequeues: 8 },
    Aim { concurrency: 64, of_raw: 0.6, litequeues: 10 },
    Aim { concurrency: 256, of_raw: 0.6, litequeues: 10 },
];

/// What one drain did.
struct Drained {
    per_second: f64,
    cpu_us: f64,
}

pub(super) fn measure(workbench: &Workbench) {
    println!(
        "{MESSAGES} orders of {} bytes, synchronous=FULL, a log line from the handler and one from the host for each",
        BODY.len()
    );
    let raw = floor::raw_sqlite(&workbench.directory("raw"), MESSAGES, BODY);
    println!("raw SQLite, lease and delete in transactions of 32     {raw:8.0} a second");
    let peers = floor::peers(&workbench.directory("peers"), MESSAGES);
    if let Some(peers) = &peers {
        println!(
            "the same from Python                                   {:8} a second",
            peers["raw_python"]["take"]
        );
        println!(
            "litequeue, take and acknowledge                        {:8} a second",
            peers["litequeue"]["take"]
        );
    } else {
        println!("litequeue and Python's SQLite: not installed; `make bench` does that");
    }
    for Aim { concurrency, of_raw, litequeues } in AIMS {
        let queue = fill(&workbench.directory(&format!("drain-{concurrency}")), MESSAGES + 1000);
        let drained = drain(workbench, &queue, concurrency, MESSAGES);
        let Drained { per_second, cpu_us } = drained;
        print!(
            "longshore run --concurrency {concurrency:<3}                        {per_second:8.0} a second, {cpu_us:.0} µs CPU each; / raw SQLite: {:.2} (at least {of_raw})",
            per_second / raw
        );
        match peers.as_ref().and_then(|peers| peers["litequeue"]["take"].as_f64()) {
            Some(litequeue) => {
                println!("; / litequeue: {:.1} (at least {litequeues})", per_second / litequeue)
            }
            None => println!(),
        }
    }
}

pub(super) fn measure_depth(workbench: &Workbench) {
    // The queue never holds fewer than the number in the first column while it is measured.
    let mut rates = Vec::new();
    for waiting in [1_000, 1_000_000] {
        let queue = fill(&workbench.directory(&format!("depth-{waiting}")), MESSAGES + waiting);
        // In turns of one queue each, the better of two: a checkpoint or a neighbour may hit one of
        // them.
        let best = (0..2).map(|_| drain(workbench, &queue, 64, MESSAGES / 2).per_second).fold(0.0, f64::max);
        println!("{waiting:9} messages waiting: {best:8.0} a second");
        rates.push(best);
    }
    println!("the deep queue is slower by {:.0} % (less than 20)", 100.0 * (1.0 - rates[1] / rates[0]));
}

/// A queue in this directory with so many orders, written past the queue itself to save time.
pub(super) fn fill(directory: &Path, messages: usize) -> FilledQueue {
    fill_with(directory, messages, BODY)
}

/// The same with so many messages of another body.
pub(super) fn fill_with(directory: &Path, messages: usize, body: &str) -> FilledQueue {
    let queue = FilledQueue { directory: directory.to_owned() };
    let made = Command::new(workbench::host())
        .args(["queue", "create", "--queue", &queue.url()])
        .stdout(Stdio::null())
        .status();
    assert!(made.expect("longshore runs").success());
    let mut db = Connection::open(directory.join("queues.db")).expect("the queue's database");
    let fill = db.transaction().expect("a transaction");
    for number in 0..messages {
        let id = format!("01a204d0-21f3-7157-b43c-{number:012}");
        fill.prepare_cached(
            "INSERT INTO message (queue, id, dequeue_count, visible_at, inserted_at, expires_at, receipt, properties, body)
             VALUES ('orders', ?1, 0, ?2, ?2, NULL, ?3, NULL, ?4)",
        )
        .and_then(|mut insert| insert.execute(params![id, 1_790_000_000_000_i64, i64::MAX, body.as_bytes()]))
        .expect("inserted");
    }
    fill.commit().expect("committed");
    db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").expect("checkpointed");
    queue
}

pub(super) struct FilledQueue {
    pub(super) directory: PathBuf,
}

impl FilledQueue {
    pub(super) fn url(&self) -> String {
        format!("file:{}", self.directory.join("orders").display())
    }

    pub(super) fn log(&self) -> PathBuf {
        self.directory.join("log")
    }
}

fn drain(workbench: &Workbench, queue: &FilledQueue, concurrency: usize, messages: usize) -> Drained {
    let flags = ["--concurrency", &concurrency.to_string(), "--max-messages", &messages.to_string()];
    let (summary, usage) = run(workbench, &queue.url(), &queue.log(), &flags, messages);
    let seconds = summary["duration_ms"].as_f64().expect("a duration") / 1000.0;
    Drained { per_second: messages as f64 / seconds, cpu_us: usage.cpu.as_secs_f64() * 1e6 / messages as f64 }
}

/// The peak memory of a drain, in MB.
pub(super) fn peak_memory(workbench: &Workbench, messages: usize) -> f64 {
    let queue = fill(&workbench.directory("memory"), messages);
    run(workbench, &queue.url(), &queue.log(), &[], messages).1.peak_mb
}

/// Runs the host until so many messages are completed; its summary, and what it used.
pub(super) fn run(
    workbench: &Workbench,
    queue: &str,
    log: &Path,
    flags: &[&str],
    messages: usize,
) -> (serde_json::Value, Consumed) {
    let log = File::create(log).expect("a log file");
    let run = Command::new(&workbench.host)
        .args(["run", "--output", "json", "--queue", queue, "--component"])
        .arg(&workbench.component)
        .args(flags)
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .expect("longshore runs");
    let (output, usage) = child::wait(run);
    let summary: serde_json::Value = serde_json::from_slice(&output).expect("a summary");
    assert_eq!(summary["completed"], messages, "{summary}");
    (summary, usage)
}

/// One message in a queue of its own, for the start.
pub(super) fn one_message(workbench: &Workbench, turn: usize) -> String {
    fill(&workbench.directory(&format!("start-{turn}")), 1).url()
}
