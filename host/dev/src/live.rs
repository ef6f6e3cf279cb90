//! What is read of replicas while they run.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::attempt::MessageAttempt;
use crate::history::History;
use crate::tail::Tail;

/// How many attempts wait to be kept, at most. A replica that logs faster waits.
const MAX_WAITING: usize = 4_096;
/// How many are kept in one transaction.
const BATCH: usize = 1_024;
/// The pause between two transactions.
const PAUSE: Duration = Duration::from_millis(250);

/// Where a replica's log goes while it is read.
#[derive(Clone, Debug)]
pub struct ReplicaWatch {
    logs: LiveLogs,
    attempts: Option<mpsc::Sender<MessageAttempt>>,
}

/// The logs of replicas that run, by the names of their executions.
#[derive(Clone, Debug, Default)]
pub struct LiveLogs(Arc<Mutex<BTreeMap<String, LiveReplica>>>);

/// The end of a log that is still being written.
pub(crate) type SharedTail = Arc<Mutex<Tail>>;

/// A replica that runs.
#[derive(Debug, Default)]
struct LiveReplica {
    tail: SharedTail,
    outcomes: OutcomeCounts,
}

/// How many attempts at messages ended in which way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutcomeCounts {
    /// The message was handled.
    pub completed: u64,
    /// It waits for its next attempt.
    pub retried: u64,
    /// It was given up.
    pub poisoned: u64,
}

impl OutcomeCounts {
    fn count(&mut self, outcome: &str) {
        match outcome {
            "completed" => self.completed += 1,
            "retried" => self.retried += 1,
            "poisoned" => self.poisoned += 1,
            // The message goes on elsewhere.
            _ => {}
        }
    }
}

impl ReplicaWatch {
    /// Keeps the attempts in this history, for as long as the runtime lives.
    #[must_use]
    pub fn keeping(history: Arc<History>) -> Self {
        let (attempts, waiting) = mpsc::channel(MAX_WAITING);
        tokio::spawn(keep(waiting, history));
        Self { logs: LiveLogs::default(), attempts: Some(attempts) }
    }

    /// Keeps no attempts.
    #[must_use]
    pub fn of_logs() -> Self {
        Self { logs: LiveLogs::default(), attempts: None }
    }

    /// The logs of what runs.
    #[must_use]
    pub fn logs(&self) -> LiveLogs {
        self.logs.clone()
    }

    /// A place for the log of this execution.
    pub(crate) fn begin(&self, execution: &str) -> SharedTail {
        let replica = LiveReplica::default();
        let tail = replica.tail.clone();
        self.logs.lock().insert(execution.to_owned(), replica);
        tail
    }

    /// Its container has ended.
    pub(crate) fn end(&self, execution: &str) {
        self.logs.lock().remove(execution);
    }

    /// Takes a line in.
    pub(crate) async fn line(&self, execution: &str, line: &str) {
        let Some(attempts) = &self.attempts else { return };
        if let Some(attempt) = MessageAttempt::of_line(line, execution) {
            if let Some(replica) = self.logs.lock().get_mut(execution) {
                replica.outcomes.count(&attempt.outcome);
            }
            // Without a reader this process is ending.
            let _ = attempts.send(attempt).await;
        }
    }
}

impl LiveLogs {
    /// The log of an execution whose container runs, so far.
    #[must_use]
    pub fn text(&self, execution: &str) -> Option<String> {
        let tail = self.lock().get(execution)?.tail.clone();
        let text = tail.lock().unwrap_or_else(PoisonError::into_inner).text();
        Some(text)
    }

    /// What all that runs has done with messages so far, as far as it logs that.
    #[must_use]
    pub fn outcomes(&self) -> OutcomeCounts {
        let mut sum = OutcomeCounts::default();
        for LiveReplica { outcomes, .. } in self.lock().values() {
            sum.completed += outcomes.completed;
            sum.retried += outcomes.retried;
            sum.poisoned += outcomes.poisoned;
        }
        sum
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, LiveReplica>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn keep(mut waiting: mpsc::Receiver<MessageAttempt>, history: Arc<History>) {
    let mut batch = Vec::new();
    while waiting.recv_many(&mut batch, BATCH).await > 0 {
        let (history, attempts) = (history.clone(), std::mem::take(&mut batch));
        // A disk that is full is no reason to stop a job: the history has a hole then.
        let _ = tokio::task::spawn_blocking(move || history.put_attempts(&attempts)).await;
        tokio::time::sleep(PAUSE).await;
    }
}
