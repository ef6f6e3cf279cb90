//! Says whether anything was lost: a trigger in the database records each deletion, the handler's
//! own lines say what was handled, and what comes into the poison queue is taken out and looked at.
//!
//! Of millions of messages a byte each is kept.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rusqlite::Connection;
use serde_json::Value;

use super::messages::{Way, expected, number, way};
use crate::directory::POISON;
use crate::oracle::Expected;

/// Each deletion from the queue, with the beginning of the body, which names the message, and when
/// that was, in milliseconds since 1970.
const TRIGGER: &str = "
    CREATE TABLE gone (dequeue_count INTEGER, inserted_at INTEGER, at INTEGER, head BLOB);
    CREATE TRIGGER record AFTER DELETE ON message WHEN old.queue = 'orders' BEGIN
        INSERT INTO gone VALUES (old.dequeue_count, old.inserted_at,
            CAST(unixepoch('subsec') * 1000 AS INTEGER), substr(old.body, 1, 64));
    END;
    PRAGMA synchronous = NORMAL;";
/// How many rows are taken at once: others wait meanwhile.
const BATCH: i64 = 4000;
/// How many defects, and how many lost messages, are shown.
const SHOWN: usize = 20;

/// What is known of a message.
const HANDLED: u8 = 1;
const POISONED: u8 = 2;
const DELETED: u8 = 4;

/// Watches a queue from outside.
pub(super) struct Judge {
    database: Connection,
    known: Vec<u8>,
    deleted: u64,
    handled_again: u64,
    exhausted_by_kills: u64,
    /// Long ones that were deleted at their first attempt: their leases were renewed.
    renewed: u64,
    poisoned: BTreeMap<String, u64>,
    defects: Vec<String>,
    /// From being sent to being deleted, in milliseconds, of plain messages at their first attempt.
    latencies: Vec<i64>,
}

impl Judge {
    /// Begins to watch.
    pub(super) fn watch(database: Connection) -> Self {
        database.execute_batch(TRIGGER).unwrap();
        Self {
            database,
            known: Vec::new(),
            deleted: 0,
            handled_again: 0,
            exhausted_by_kills: 0,
            renewed: 0,
            poisoned: BTreeMap::new(),
            defects: Vec::new(),
            latencies: Vec::new(),
        }
    }

    /// How many messages are gone from the queue.
    pub(super) fn deleted(&self) -> u64 {
        self.deleted
    }

    /// What plain messages took since this was asked last.
    pub(super) fn latencies(&mut self) -> Vec<i64> {
        std::mem::take(&mut self.latencies)
    }

    /// Reads one whole line of a worker's log.
    pub(super) fn read(&mut self, line: &str) {
        if !line.starts_with('{') {
            self.defect(format!("no line of a log: {line}"));
        } else if line.contains("handled order o-") {
            let event: Value = serde_json::from_str(line).unwrap_or_default();
            let says = event["message"].as_str().unwrap_or_default();
            let number = says.strip_prefix("handled order o-").and_then(|number| number.parse().ok());
            match number.filter(|_| event["target"] == "guest") {
                Some(number) if self.note(number, HANDLED) => self.handled_again += 1,
                Some(number) if expected(number) == Expected::Handled => {}
                _ => self.defect(format!("cannot have been handled: {line}")),
            }
        }
    }

    /// Takes what has been deleted, and what was poisoned, since this was called last. Says how
    /// many rows that were.
    pub(super) fn collect(&mut self) -> usize {
        let mut taken = 0;
        loop {
            let (gone, poison) = self.take();
            let rows = gone.len() + poison.len();
            poison.iter().for_each(|(id, body)| self.look_at_poison(id, body));
            gone.into_iter().for_each(|row| self.look_at_deletion(row));
            taken += rows;
            if rows < BATCH as usize {
                return taken;
            }
        }
    }

    fn take(&mut self) -> (Vec<Deletion>, Vec<(String, Vec<u8>)>) {
        let immediate = rusqlite::TransactionBehavior::Immediate;
        let taking = self.database.transaction_with_behavior(immediate).unwrap();
        let mut gone = taking
            .prepare_cached("DELETE FROM gone WHERE rowid IN (SELECT rowid FROM gone ORDER BY rowid LIMIT ?) RETURNING dequeue_count, inserted_at, at, head")
            .unwrap();
        let read = |row: &rusqlite::Row<'_>| {
            Ok(Deletion { dequeue_count: row.get(0)?, sent: row.get(1)?, at: row.get(2)?, head: row.get(3)? })
        };
        let deletions = gone.query_map([BATCH], read).unwrap().map(Result::unwrap).collect();
        let mut poison = taking
            .prepare_cached("DELETE FROM message WHERE seq IN (SELECT seq FROM message WHERE queue = ? LIMIT ?) RETURNING id, body")
            .unwrap();
        let copies = poison.query_map((POISON, BATCH), |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        let copies = copies.map(Result::unwrap).collect();
        drop((gone, poison));
        taking.commit().unwrap();
        (deletions, copies)
    }

    fn look_at_deletion(&mut self, row: Deletion) {
        let Some(number) = number(&row.head) else {
            let head = String::from_utf8_lossy(&row.head).into_owned();
            return self.defect(format!("deleted, and never sent: {head}"));
        };
        self.deleted += 1;
        if self.note(number, DELETED) {
            self.defect(format!("o-{number} was deleted twice"));
        }
        if row.dequeue_count == 1 {
            match way(number) {
                Way::Plain => self.latencies.push(row.at - row.sent),
                Way::Long => self.renewed += 1,
                _ => {}
            }
        }
    }

    fn look_at_poison(&mut self, id: &str, body: &[u8]) {
        let envelope: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = envelope["body"].as_str().unwrap_or_default();
        let original = match envelope["encoding"].as_str() {
            Some("base64") => STANDARD.decode(text).unwrap_or_default(),
            _ => text.as_bytes().to_vec(),
        };
        let Some(number) = number(&original).filter(|_| envelope["id"] == id) else {
            return self.defect(format!("in the poison queue is no envelope of a message: {envelope}"));
        };
        let reason = envelope["reason"].as_str().unwrap_or_default();
        *self.poisoned.entry(reason.to_owned()).or_default() += 1;
        if expected(number) != Expected::Poison(known_reason(reason)) {
            // Crashes count as attempts, and may use up those of any message.
            if reason == "attempts-exhausted" {
                self.exhausted_by_kills += 1;
            } else {
                self.defect(format!("o-{number} was poisoned as {reason}, and is {:?}", way(number)));
            }
        }
        if self.note(number, POISONED) {
            self.defect(format!("o-{number} was poisoned twice"));
        }
    }

    /// Notes something of a message. Says whether it was known.
    fn note(&mut self, number: u64, what: u8) -> bool {
        let place = usize::try_from(number).unwrap();
        if self.known.len() <= place {
            self.known.resize(place + 1, 0);
        }
        let was = self.known[place] & what != 0;
        self.known[place] |= what;
        was
    }

    fn defect(&mut self, defect: String) {
        if self.defects.len() < SHOWN {
            self.defects.push(defect);
        }
    }

    /// What is wrong, if that is all that was sent.
    pub(super) fn verdict(&self, sent: u64) -> Vec<String> {
        let known = |number: u64| self.known.get(usize::try_from(number).unwrap()).copied().unwrap_or(0);
        let lost = (0..sent).filter(|number| known(*number) & (HANDLED | POISONED) == 0);
        let lost: Vec<_> = lost.map(|number| format!("o-{number}")).collect();
        let mut wrong = self.defects.clone();
        if !lost.is_empty() {
            wrong.push(format!("{} are lost: {}", lost.len(), lost[..lost.len().min(SHOWN)].join(", ")));
        }
        if self.known.len() as u64 > sent {
            wrong.push(format!("{} were found of {sent} that were sent", self.known.len()));
        }
        wrong
    }
}

/// A reason as messages expect it.
fn known_reason(reason: &str) -> &'static str {
    let known = ["rejected", "undecodable", "attempts-exhausted"];
    known.into_iter().find(|it| *it == reason).unwrap_or_default()
}

/// What the trigger has recorded.
struct Deletion {
    dequeue_count: u32,
    sent: i64,
    at: i64,
    head: Vec<u8>,
}

impl fmt::Display for Judge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let handled = self.known.iter().filter(|known| **known & HANDLED != 0).count();
        write!(
            f,
            "{handled} handled ({} more than once, {} of the long ones in one renewed attempt), poisoned {:?} ({} by kills)",
            self.handled_again, self.renewed, self.poisoned, self.exhausted_by_kills
        )
    }
}
