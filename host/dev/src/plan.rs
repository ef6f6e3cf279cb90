//! What the job is told: its scale rule and its times.

use std::time::Duration;

use longshore_worker::scale::ScaleRule;

/// What a replica takes from its creation until the host runs in it, as the simulations of the
/// breaker have it.
pub const START_DELAY: Duration = Duration::from_secs(15);

/// What the job is told. The times are those of Azure; [`JobPlan::speed`] divides three of them.
#[derive(Clone, Debug, PartialEq)]
pub struct JobPlan {
    /// The job's name.
    pub job: String,
    /// When KEDA starts how many executions.
    pub rule: ScaleRule,
    /// How often KEDA looks: `pollingInterval`.
    pub poll: Duration,
    /// From an execution's creation to its start.
    pub start_delay: Duration,
    /// How long an execution may last, from its creation: `replicaTimeout`.
    pub replica_timeout: Duration,
    /// How often a replica that failed is started again, within its execution:
    /// `replicaRetryLimit`.
    pub retry_limit: u32,
    /// By what the three times above are divided. A lease lasts as long as it does.
    pub speed: u32,
}

impl JobPlan {
    pub(crate) fn poll(&self) -> Duration {
        self.poll / self.speed.max(1)
    }

    pub(crate) fn start_delay(&self) -> Duration {
        self.start_delay / self.speed.max(1)
    }

    pub(crate) fn replica_timeout(&self) -> Duration {
        self.replica_timeout / self.speed.max(1)
    }
}
