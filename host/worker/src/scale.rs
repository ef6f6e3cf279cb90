//! How many executions KEDA starts for a job, as Azure Container Apps runs it.
//!
//! At each poll KEDA counts the queue, computes, and creates jobs; it remembers nothing else. The
//! arithmetic is that of `pkg/scaling/executor/scale_jobs.go`, `pkg/scaling/scaledjob/metrics.go`,
//! `apis/keda/v1alpha1/scaledjob_types.go` and `pkg/scalers/azure_queue_scaler.go` in
//! [kedacore/keda](https://github.com/kedacore/keda), of the version that [`KEDA_VERSION`] names.

use std::fmt;

/// The version of KEDA whose arithmetic this is. Azure Container Apps ran it in October 2025
/// ([azure-container-apps#1588](https://github.com/microsoft/azure-container-apps/issues/1588)).
pub const KEDA_VERSION: &str = "2.17.2";
/// Messages for one execution, where the rule names none.
pub const DEFAULT_LENGTH: u64 = 5;
/// How many executions run at once at most, where nobody says it: as the project's templates have
/// it.
pub const DEFAULT_MAX_EXECUTIONS: u64 = 10;
/// The same for a job that other templates made: what Resource Manager takes where a job names none
/// ([JobScale](https://learn.microsoft.com/azure/templates/microsoft.app/jobs#jobscale)).
pub const ARM_MAX_EXECUTIONS: u64 = 100;
/// How many messages KEDA peeks at with [`Counting::VisibleOnly`].
pub const PEEKED_AT_MOST: u64 = 32;

/// What the scale rule of a job says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScaleRule {
    /// Messages for one execution: `queueLength`, or `messageCount` on Service Bus. Zero starts
    /// nothing.
    pub length: u64,
    /// As many messages, or fewer, start nothing: `activationQueueLength`.
    pub activation: u64,
    /// As many executions run although the queue is empty: `minExecutions`.
    pub min_executions: u64,
    /// As many executions run at most: `maxExecutions`.
    pub max_executions: u64,
    /// How the executions that run are subtracted.
    pub strategy: Strategy,
    /// Which messages count.
    pub counting: Counting,
}

impl Default for ScaleRule {
    fn default() -> Self {
        Self {
            length: DEFAULT_LENGTH,
            activation: 0,
            min_executions: 0,
            max_executions: DEFAULT_MAX_EXECUTIONS,
            strategy: Strategy::Default,
            counting: Counting::All,
        }
    }
}

/// How the executions that run are subtracted: `scalingStrategy.strategy`. Azure Container Apps has
/// no property for it, and so the default.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Strategy {
    /// All that run.
    #[default]
    Default,
    /// A number, and a share of those that run.
    Custom {
        /// `customScalingQueueLengthDeduction`.
        deduction: i64,
        /// `customScalingRunningJobPercentage`; 1 is all of them. Without one KEDA takes the
        /// default strategy.
        running_share: f64,
    },
    /// Those that are pending, for queues whose count leaves out what is being handled.
    Accurate,
    /// None of them, while the maximum has room.
    Eager,
}

/// Which messages of a Storage queue count: `queueLengthStrategy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Counting {
    /// Hidden messages as well: those that are being handled, and those that wait for a retry.
    #[default]
    All,
    /// Visible ones, as far as KEDA can see: fewer than [`PEEKED_AT_MOST`]. At more it counts all.
    VisibleOnly,
}

impl Counting {
    /// What KEDA takes for the queue's length, where a peek returned `peeked` messages and the
    /// queue holds `all`.
    #[must_use]
    pub fn messages(self, peeked: u64, all: u64) -> u64 {
        match self {
            Self::VisibleOnly if peeked < PEEKED_AT_MOST => peeked,
            Self::VisibleOnly | Self::All => all,
        }
    }
}

/// What KEDA sees at a poll.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Observation {
    /// The queue's length, as [`Counting`] has it.
    pub messages: u64,
    /// Executions that were created and have not ended. Pending ones are among them.
    pub running: u64,
    /// Executions whose container does not run yet.
    pub pending: u64,
}

/// What KEDA does at a poll. It is shown as a sum in words.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScaleDecision {
    /// How many executions it creates.
    pub start: u64,
    rule: ScaleRule,
    seen: Observation,
}

impl ScaleRule {
    /// What KEDA does on seeing this.
    #[must_use]
    pub fn decide(&self, seen: Observation) -> ScaleDecision {
        ScaleDecision { start: self.executions(seen), rule: *self, seen }
    }

    /// `RequestJobScale` and `createJobs`.
    fn executions(&self, seen: Observation) -> u64 {
        let is_active = self.is_triggered(seen) || self.min_executions() > 0;
        if !is_active {
            return 0;
        }
        let (effective, scale_to) = self.getting(seen);
        u64::try_from(effective.min(scale_to)).unwrap_or(0)
    }

    /// `getScalingDecision`: how many it may create, and how many it would.
    fn getting(&self, seen: Observation) -> (i64, i64) {
        let (running, least) = (signed(seen.running), signed(self.min_executions()));
        if running < least {
            return (least - running, least - running);
        }
        // What is not over the activation counts as an empty queue.
        let messages = if self.is_triggered(seen) { seen.messages } else { 0 };
        let max_scale = signed(self.wanted(messages));
        self.strategy.effective(
            max_scale,
            running - least,
            signed(seen.pending),
            signed(self.room()),
            signed(messages),
        )
    }

    /// Whether the queue is a reason to start something.
    fn is_triggered(&self, seen: Observation) -> bool {
        seen.messages > self.activation
    }

    /// Executions for so many messages, and no more than there is room for: `maxScale`.
    fn wanted(&self, messages: u64) -> u64 {
        self.needed(messages).min(self.room())
    }

    /// Executions for so many messages.
    fn needed(&self, messages: u64) -> u64 {
        if self.length == 0 { 0 } else { messages.div_ceil(self.length) }
    }

    /// `ScaledJob.MinReplicaCount`.
    fn min_executions(&self) -> u64 {
        self.min_executions.min(self.max_executions)
    }

    /// `ScaledJob.MaxReplicaCount`: the executions beside those of the minimum.
    fn room(&self) -> u64 {
        if self.min_executions > self.max_executions {
            self.max_executions
        } else {
            self.max_executions - self.min_executions
        }
    }
}

impl Strategy {
    /// `GetEffectiveMaxScale`: how many may be created, and how many would.
    fn effective(self, max_scale: i64, running: i64, pending: i64, max: i64, scale_to: i64) -> (i64, i64) {
        match self {
            Self::Default => (max_scale - running, scale_to),
            Self::Custom { deduction, running_share } => {
                // Go's conversion cuts off what is behind the point, as this one does.
                let share = (running as f64 * running_share) as i64;
                ((max_scale - deduction - share).min(max), scale_to)
            }
            // From 2.18 on the condition subtracts pending executions as well.
            Self::Accurate if max_scale + running > max => (max - running, scale_to),
            Self::Accurate => (max_scale - pending, scale_to),
            Self::Eager => ((max - running - pending).min(max_scale), max),
        }
    }
}

/// No queue and no job comes near the end of either type.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl fmt::Display for ScaleDecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { start, rule, seen } = self;
        let Observation { messages, running, pending } = *seen;
        if running < rule.min_executions() {
            write!(f, "{running} running, at least {} → start {start}", rule.min_executions())?;
            return Ok(());
        }
        let needed = rule.needed(messages);
        write!(f, "{messages} / {} → {needed}", rule.length)?;
        if !rule.is_triggered(*seen) && messages > 0 {
            write!(f, ", not more than the activation of {}", rule.activation)?;
        } else if needed > rule.room() {
            write!(f, ", at most {} → {}", rule.room(), rule.room())?;
        }
        write!(f, ", {running} running")?;
        match rule.strategy {
            Strategy::Default => {}
            Strategy::Custom { deduction, running_share } => {
                write!(f, " × {running_share}, {deduction} less (custom)")?;
            }
            Strategy::Accurate => write!(f, ", {pending} pending (accurate)")?,
            Strategy::Eager => write!(f, ", {pending} pending (eager)")?,
        }
        if rule.min_executions() > 0 {
            write!(f, ", {} of them always", rule.min_executions())?;
        }
        match start {
            0 => f.write_str(" → start none"),
            _ => write!(f, " → start {start}"),
        }
    }
}

#[cfg(test)]
mod tests;
