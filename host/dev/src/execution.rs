//! What became of one execution.

use serde::Serialize;
use serde_json::Value;

use crate::cause::CauseCount;

/// The state of an execution, in the words of Azure Container Apps, and one more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ExecutionState {
    /// It was created, and its container does not run yet.
    Pending,
    /// Its container runs.
    Running,
    /// It ended with exit code 0.
    Succeeded,
    /// It ended with another code, was killed, or reached its time limit.
    Failed,
    /// It was told to stop.
    Stopped,
    /// Whoever started it was gone before it ended.
    Lost,
}

impl ExecutionState {
    /// The word that stands for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
            Self::Lost => "lost",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        [Self::Pending, Self::Running, Self::Succeeded, Self::Failed, Self::Stopped, Self::Lost]
            .into_iter()
            .find(|state| state.as_str() == word)
    }
}

/// One execution, from its creation to its end.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExecutionRecord {
    /// Its name.
    pub execution: String,
    /// How it is, or ended.
    pub state: ExecutionState,
    /// When it was created, in milliseconds since 1970-01-01 UTC.
    pub created_ms: i64,
    /// When its first container ran.
    pub started_ms: Option<i64>,
    /// When it ended.
    pub ended_ms: Option<i64>,
    /// The exit code of its last container; `None` if a signal ended it, or none was started.
    pub exit_code: Option<i32>,
    /// The signal that ended its last container.
    pub signal: Option<i32>,
    /// How often its container was started again.
    pub restarts: u32,
    /// Why it failed, in words.
    pub cause: Option<String>,
    /// The last object that its container printed: the summary of its run.
    pub summary: Option<Value>,
    /// What failed in it, by cause, the most frequent first.
    pub failures: Vec<CauseCount>,
    /// The end of its log.
    #[serde(skip)]
    pub log: String,
}

impl ExecutionRecord {
    pub(crate) fn created(execution: String, created_ms: i64) -> Self {
        Self {
            execution,
            state: ExecutionState::Pending,
            created_ms,
            started_ms: None,
            ended_ms: None,
            exit_code: None,
            signal: None,
            restarts: 0,
            cause: None,
            summary: None,
            failures: Vec::new(),
            log: String::new(),
        }
    }

    /// A number of its summary.
    #[must_use]
    pub fn counted(&self, name: &str) -> u64 {
        self.summary.as_ref().and_then(|it| it[name].as_u64()).unwrap_or_default()
    }

    /// How long its container ran, in milliseconds.
    #[must_use]
    pub fn ran_ms(&self) -> i64 {
        self.ended_ms.zip(self.started_ms).map_or(0, |(ended, started)| ended - started)
    }
}
