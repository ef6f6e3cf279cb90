//! Executions that are killed by hand.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Kills executions by their names, as a node of Azure does that goes away.
#[derive(Clone, Debug, Default)]
pub struct Kills(Arc<Mutex<BTreeMap<String, Arc<Notify>>>>);

impl Kills {
    /// Sends SIGKILL to the container of this execution. Says whether there is such an execution.
    #[must_use]
    pub fn kill(&self, execution: &str) -> bool {
        let asked = self.lock().get(execution).cloned();
        if let Some(asked) = &asked {
            asked.notify_one();
        }
        asked.is_some()
    }

    /// An execution that can be killed while the mark lives.
    pub(crate) fn register(&self, execution: &str) -> KillMark {
        let asked = Arc::new(Notify::new());
        self.lock().insert(execution.to_owned(), asked.clone());
        KillMark { kills: self.clone(), execution: execution.to_owned(), asked }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Notify>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One execution that can be killed.
#[derive(Debug)]
pub(crate) struct KillMark {
    kills: Kills,
    execution: String,
    asked: Arc<Notify>,
}

impl KillMark {
    /// Waits until somebody asks for it.
    pub(crate) async fn asked(&self) {
        self.asked.notified().await;
    }
}

impl Drop for KillMark {
    fn drop(&mut self) {
        self.kills.lock().remove(&self.execution);
    }
}
