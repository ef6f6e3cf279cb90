//! The job on a laptop: what KEDA and Azure Container Apps do with it, by real processes.
//!
//! [`Scheduler`] polls the queue, computes as KEDA does, and starts executions. An execution is a
//! process of `longshore run` with the variables of Azure Container Apps, which a [`Launcher`]
//! starts. [`History`] keeps what became of each. [`Sources`] tells when what a handler is built
//! from changes. Nothing here knows flags, components or any kind of queue.

mod attempt;
mod cause;
mod event;
mod execution;
mod history;
mod kills;
mod launcher;
mod live;
mod names;
pub mod page;
mod plan;
mod process;
mod scheduler;
mod sources;
mod tail;
mod trouble;

pub use attempt::MessageAttempt;
pub use cause::CauseCount;
pub use event::DevEvent;
pub use execution::{ExecutionRecord, ExecutionState};
pub use history::{Depth, Executed, History, HistoryError, PAST_EXECUTIONS, PastMessage};
pub use kills::Kills;
pub use launcher::{Launcher, QueueLength, ReplicaEnd, RunningReplica};
pub use live::{LiveLogs, OutcomeCounts, ReplicaWatch};
pub use names::{ReplicaNames, job_name};
pub use plan::{JobPlan, START_DELAY};
pub use process::{ReplicaLauncher, VariablesAtStart, WaitingMessages};
pub use scheduler::{ScheduleUntil, Scheduled, Scheduler, StopStage};
pub use sources::{SourceStamps, Sources};
pub use tail::Tail;
pub use trouble::{Trouble, TroubledQueue};
