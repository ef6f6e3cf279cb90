//! What the scheduler asks of the world. Its tests have a world of their own, under paused time.

use async_trait::async_trait;
use serde_json::Value;

use crate::cause::CauseCount;
use crate::names::ReplicaNames;
use longshore_worker::scale::Counting;

/// Counts the queue as KEDA does.
#[async_trait]
pub trait QueueLength: Send + Sync {
    /// The queue's length, or why it cannot be had.
    async fn messages(&self, counting: Counting) -> Result<u64, String>;
}

/// Starts replicas.
#[async_trait]
pub trait Launcher: Send + Sync {
    /// Starts one. The error says why it cannot be started.
    async fn launch(&self, names: &ReplicaNames) -> Result<Box<dyn RunningReplica>, String>;
}

/// A replica that runs. When it is dropped, it is killed.
#[async_trait]
pub trait RunningReplica: Send {
    /// Waits for its end. A wait that is given up loses nothing.
    async fn ended(&mut self) -> ReplicaEnd;

    /// Sends SIGTERM.
    fn terminate(&mut self);

    /// Sends SIGKILL.
    fn kill(&mut self);
}

/// How a replica ended, and what it left.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReplicaEnd {
    /// Its exit code; `None` if a signal ended it.
    pub exit_code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// What it said of its end.
    pub cause: Option<String>,
    /// The last object that it printed.
    pub summary: Option<Value>,
    /// What failed in it, by cause.
    pub failures: Vec<CauseCount>,
    /// The end of its log.
    pub log: String,
}
