//! What the job is told: by flags, or as `infra/` computes it.

use std::time::Duration;

use crate::cli::{DevArgs, RunArgs};
use crate::memory;
use longshore_dev::{JobPlan, job_name};
use longshore_worker::platform::{START, STOP};
use longshore_worker::scale::ScaleRule;

/// The memory of a replica, in bytes, where `cpu` is not set (`infra/types.bicep`).
const REPLICA_MEMORY: u64 = 1024 << 20;
/// What a handler takes for an ordinary message, where `handlingMs` is not set.
const HANDLING: Duration = Duration::from_millis(500);
/// For how much work one execution is started, where `busySeconds` is not set.
const BUSY: Duration = Duration::from_secs(30);

/// What the job is told.
pub(super) fn planned(args: &DevArgs) -> JobPlan {
    let (schedule, run) = (&args.schedule, &args.run.args);
    JobPlan {
        job: job_name(run.of.queue.queue.name()),
        rule: ScaleRule {
            length: schedule.queue_length.unwrap_or_else(|| queue_length(run)),
            max_executions: schedule.max_executions.into(),
            ..ScaleRule::default()
        },
        poll: schedule.poll,
        start_delay: schedule.start_delay,
        replica_timeout: schedule.replica_timeout.unwrap_or_else(|| replica_timeout(run)),
        retry_limit: schedule.retry_limit,
        speed: schedule.speed,
    }
}

/// `queueLength` of `infra/modules/job.bicep`.
fn queue_length(run: &RunArgs) -> u64 {
    let fitting = memory::fit(REPLICA_MEMORY, &run.sandbox.limits(), &run.sandbox.grants.reach()).max(1);
    let admitted = u64::from(run.concurrency.concurrency).min(fitting as u64);
    let busy = BUSY.min(run.time_budget.saturating_sub(run.deadline));
    let taken = u128::from(admitted) * busy.as_millis() / HANDLING.as_millis();
    let taken = u64::try_from(taken).unwrap_or(u64::MAX);
    run.max_messages.map_or(taken, |most| taken.min(most)).max(1)
}

/// `replicaTimeout` of `infra/modules/job.bicep`.
fn replica_timeout(run: &RunArgs) -> Duration {
    START.saturating_add(run.time_budget).saturating_add(run.grace).saturating_add(STOP)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Verb};

    fn plan(flags: &[&str]) -> JobPlan {
        let words = ["longshore", "dev", "--queue=file:./q/orders", "--component=o.wasm"];
        let cli = Cli::parse_from(words.iter().chain(flags));
        let Verb::Dev(dev) = cli.verb else { panic!("not dev") };
        planned(&dev)
    }

    /// docs/concepts/keda.md says the same two numbers.
    #[test]
    fn the_defaults_are_those_of_the_deployment() {
        let told = plan(&[]);
        assert_eq!((told.rule.length, told.replica_timeout), (360, Duration::from_secs(1350)));
        assert_eq!(told.poll, longshore_worker::platform::POLLING_INTERVAL);
        assert_eq!(told.start_delay, longshore_dev::START_DELAY);
        assert_eq!(told.rule.max_executions, longshore_worker::scale::DEFAULT_MAX_EXECUTIONS);
        assert_eq!((told.retry_limit, told.speed, &*told.job), (0, 1, "orders"));
        for (flags, length) in [
            (&["--concurrency=2"][..], 120),
            (&["--memory=64"], 780),
            (&["--max-messages=7"], 7),
            (&["--time-budget=40s", "--deadline=30s"], 120),
            (&["--queue-length=960"], 960),
        ] {
            assert_eq!(plan(flags).rule.length, length, "{flags:?}");
        }
        let short = plan(&["--time-budget=60s", "--grace=5s"]);
        assert_eq!(short.replica_timeout, Duration::from_secs(195));
    }

    #[test]
    fn the_numbers_that_the_defaults_are_made_of_are_those_of_the_template() {
        let infra = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../infra/types.bicep");
        let text = std::fs::read_to_string(infra).unwrap();
        let lines: Vec<_> = text.lines().map(str::trim).collect();
        let (handling, busy) = (HANDLING.as_millis(), BUSY.as_secs());
        for line in [
            format!("handlingMs: {handling}"),
            format!("busySeconds: {busy}"),
            "cpu: '0.5'".into(),
            format!("maxExecutions: {}", longshore_worker::scale::DEFAULT_MAX_EXECUTIONS),
            format!("'0.5': {}", REPLICA_MEMORY >> 20),
        ] {
            assert_eq!(
                lines.iter().filter(|it| **it == line).count(),
                1,
                "types.bicep does not say `{line}`"
            );
        }
    }
}
