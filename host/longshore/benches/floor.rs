//! What the disk and SQLite can do with nothing of ours on top.

use std::fs::OpenOptions;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use rusqlite::{Connection, params};

/// Messages in each transaction of the floor.
const BATCH: u32 = 32;

/// How often a second this disk makes a 4 KiB write durable.
pub(super) fn flushes(directory: &Path) -> f64 {
    const FLUSHES: u32 = 500;
    let path = directory.join("flush");
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).open(path).expect("a file");
    file.write_all(&[1; 4096]).expect("written");
    file.sync_all().expect("flushed");
    let started = Instant::now();
    for turn in 0..FLUSHES {
        file.seek(SeekFrom::Start(0)).expect("at the start");
        file.write_all(&[turn as u8; 4096]).expect("written");
        file.sync_data().expect("flushed");
    }
    f64::from(FLUSHES) / started.elapsed().as_secs_f64()
}

/// Messages a second that raw SQLite leases and deletes in transactions of [`BATCH`], as durable as
/// the queue.
pub(super) fn raw_sqlite(directory: &Path, messages: usize, body: &str) -> f64 {
    let mut db = Connection::open(directory.join("raw.db")).expect("a database");
    db.execute_batch(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;
         CREATE TABLE m (id INTEGER PRIMARY KEY, visible INTEGER NOT NULL, body BLOB NOT NULL);
         CREATE INDEX m_visible ON m (visible);",
    )
    .expect("a schema");
    let fill = db.transaction().expect("a transaction");
    for _ in 0..messages {
        fill.prepare_cached("INSERT INTO m (visible, body) VALUES (0, ?1)")
            .and_then(|mut insert| insert.execute([body]))
            .expect("inserted");
    }
    fill.commit().expect("committed");
    let started = Instant::now();
    for _ in 0..messages.div_ceil(BATCH as usize) {
        let ids = lease(&mut db);
        let delete = db.transaction().expect("a transaction");
        for id in ids {
            delete
                .prepare_cached("DELETE FROM m WHERE id = ?1")
                .and_then(|mut it| it.execute([id]))
                .expect("deleted");
        }
        delete.commit().expect("committed");
    }
    messages as f64 / started.elapsed().as_secs_f64()
}

fn lease(db: &mut Connection) -> Vec<i64> {
    let lease = db.transaction().expect("a transaction");
    let ids: Vec<i64> = {
        let mut select = lease
            .prepare_cached("SELECT id, body FROM m WHERE visible <= 1 ORDER BY visible, id LIMIT ?1")
            .expect("a statement");
        let rows = select.query_map([BATCH], |row| {
            std::hint::black_box(row.get::<_, String>(1)?);
            row.get(0)
        });
        rows.and_then(Iterator::collect).expect("rows")
    };
    for id in &ids {
        let mut update = lease.prepare_cached("UPDATE m SET visible = 2 WHERE id = ?1").expect("a statement");
        update.execute(params![id]).expect("updated");
    }
    lease.commit().expect("committed");
    ids
}

/// What Python's queues and Python's SQLite do, if `make bench` has installed them.
pub(super) fn peers(directory: &Path, messages: usize) -> Option<serde_json::Value> {
    let python = std::env::var_os("BENCH_PYTHON")?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/peers.py");
    let ran = Command::new(python)
        .arg(script)
        .arg(directory)
        .arg(messages.to_string())
        .output()
        .expect("Python runs");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    Some(serde_json::from_slice(&ran.stdout).expect("one JSON object"))
}
