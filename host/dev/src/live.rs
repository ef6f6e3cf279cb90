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
pub struct LiveLogs(Arc<Mutex<BTreeMap<String, SharedTail>>>);

/// The end of a log that is still being written.
pub(crate) type SharedTail = Arc<Mutex<Tail>>;

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
        let tail = SharedTail::default();
        self.logs.lock().insert(execution.to_owned(), tail.clone());
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
            // Without a reader this process is ending.
            let _ = attempts.send(attempt).await;
        }
    }
}

impl LiveLogs {
    /// The log of an execution whose container runs, so far.
    #[must_use]
    pub fn text(&self, execution: &str) -> Option<String> {
        let tail = self.lock().get(execution).cloned()?;
        let text = tail.lock().unwrap_or_else(PoisonError::into_inner).text();
        Some(text)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, SharedTail>> {
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
