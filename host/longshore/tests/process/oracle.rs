//! Says whether anything was lost, without asking the host: a trigger in the database records each
//! deletion, and the handler's own lines in the log record what was handled.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::Connection;
use serde_json::Value;

use crate::directory::{Directory, ORDERS, Row, rows};

/// What has to become of a message if nobody dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// The handler says `handled order …`.
    Handled,
    /// It goes to the poison queue, for this reason.
    Poison(&'static str),
}

/// What was sent.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) body: Vec<u8>,
    pub(crate) expected: Expected,
}

/// What happened to everything that was sent.
#[derive(Debug, Default)]
pub(crate) struct Account {
    /// Sent, and neither handled nor poison.
    pub(crate) lost: BTreeSet<String>,
    /// Deleted from the queue, and neither handled nor poison.
    pub(crate) deleted_unhandled: BTreeSet<String>,
    /// Anything else that must not be.
    pub(crate) defects: Vec<String>,
    /// Handled more than once.
    pub(crate) handled_again: usize,
    /// Copies in the poison queue beyond the first.
    pub(crate) poison_duplicates: usize,
    /// Messages that used up their attempts by crashes.
    pub(crate) exhausted_by_crashes: usize,
}

impl Account {
    /// Asserts that nothing was lost, and that nothing else is wrong.
    pub(crate) fn assert_nothing_lost(&self) {
        let Self { lost, deleted_unhandled, defects, .. } = self;
        assert!(lost.is_empty() && deleted_unhandled.is_empty() && defects.is_empty(), "{self:#?}");
    }
}

/// Watches a directory from its making on.
#[derive(Debug)]
pub(crate) struct Oracle {
    sent: BTreeMap<String, Sent>,
    max_dequeue: u32,
}

impl Oracle {
    /// Installs the trigger: each deletion is recorded in the transaction that deletes.
    pub(crate) fn watch(directory: &Directory, max_dequeue: u32) -> Self {
        let trigger = "
            CREATE TABLE deleted (id TEXT, dequeue_count INTEGER, queue TEXT);
            CREATE TRIGGER record AFTER DELETE ON message BEGIN
                INSERT INTO deleted VALUES (old.id, old.dequeue_count, old.queue);
            END;";
        directory.database().execute_batch(trigger).unwrap();
        Self { sent: BTreeMap::new(), max_dequeue }
    }

    /// Messages that were sent, by id.
    pub(crate) fn sent(&mut self, messages: impl IntoIterator<Item = (String, Sent)>) {
        self.sent.extend(messages);
    }

    /// How many were sent.
    pub(crate) fn count(&self) -> usize {
        self.sent.len()
    }

    /// Compares what was sent with the database, the poison queue's copies, and the log lines of
    /// all workers.
    pub(crate) fn account(
        &self,
        database: &Connection,
        poison: &[Row],
        handled: &BTreeMap<String, usize>,
    ) -> Account {
        let mut account = Account::default();
        let copies = self.copies(poison, &mut account);
        let safe = |id: &str| handled.contains_key(id) || copies.contains(id);
        account.lost = self.sent.keys().filter(|id| !safe(id)).cloned().collect();
        let mut deleted = BTreeSet::new();
        for (id, queue) in deletions(database) {
            if queue != ORDERS {
                account.defects.push(format!("{id} was deleted from {queue}"));
            } else if !safe(&id) {
                account.deleted_unhandled.insert(id);
            } else if !deleted.insert(id.clone()) {
                account.defects.push(format!("{id} was deleted twice"));
            }
        }
        for left in rows(database, ORDERS) {
            account.defects.push(format!("{} is still in the queue", left.id));
        }
        for (id, times) in handled {
            match self.sent.get(id) {
                Some(Sent { expected: Expected::Handled, .. }) => account.handled_again += times - 1,
                other => account.defects.push(format!("{id} cannot have been handled: {other:?}")),
            }
        }
        account
    }

    /// The ids of the messages that are in the poison queue, each checked against what was sent.
    fn copies(&self, poison: &[Row], account: &mut Account) -> BTreeSet<String> {
        let mut copies = BTreeSet::new();
        for row in poison {
            let envelope: Value = serde_json::from_slice(&row.body).unwrap_or_default();
            let id = envelope["id"].as_str().unwrap_or_default().to_owned();
            let Some(sent) = self.sent.get(&id).filter(|_| row.id == id) else {
                account.defects.push(format!("a poison copy of an unknown message: {envelope}"));
                continue;
            };
            let exhausted = envelope["reason"] == "attempts-exhausted"
                && envelope["dequeue_count"].as_u64() >= Some(u64::from(self.max_dequeue));
            let expected = matches!(sent.expected, Expected::Poison(reason) if envelope["reason"] == reason);
            if envelope["body"].as_str().map(str::as_bytes) != Some(&sent.body) || !(expected || exhausted) {
                account.defects.push(format!("a poison copy that is none of {sent:?}: {envelope}"));
            }
            if !copies.insert(id) {
                account.poison_duplicates += 1;
            } else if !expected {
                account.exhausted_by_crashes += 1;
            }
        }
        copies
    }
}

/// What the trigger has recorded: the message's id, and its queue.
pub(crate) fn deletions(database: &Connection) -> Vec<(String, String)> {
    let mut deletions = database.prepare("SELECT id, queue FROM deleted").unwrap();
    let deletions = deletions.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    deletions.map(Result::unwrap).collect()
}

/// How often the handler said that it handled which message, by the log of one worker.
///
/// # Panics
/// If there is anything in it but log lines, as from a host that panics. The last line may be cut
/// off by a kill.
pub(crate) fn handled(log: &str, handled: &mut BTreeMap<String, usize>) {
    for line in log.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
        let event: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("no line of a log: {line}"));
        let says = event["message"].as_str().unwrap_or_default();
        if event["target"] == "guest" && says.starts_with("handled order ") {
            *handled.entry(event["message_id"].as_str().unwrap().to_owned()).or_default() += 1;
        }
    }
}
