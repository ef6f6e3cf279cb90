//! What the job is told: by flags, or as `infra/` computes it.

use std::time::Duration;

use crate::cli::{DevArgs, RunArgs, ScheduleArgs};
use crate::memory;
use longshore_dev::{JobPlan, job_name};
use longshore_worker::platform::{START, STOP};
use longshore_worker::scale::ScaleRule;

/// The memory of a replica for each of its cores, in bytes (`infra/types.bicep`).
const MEMORY_OF_A_CORE: f64 = 2048.0 * 1024.0 * 1024.0;

/// What the job is told.
pub(super) fn planned(args: &DevArgs) -> JobPlan {
    let (schedule, run) = (&args.schedule, &args.run.args);
    JobPlan {
        job: job_name(run.of.queue.queue.name()),
        rule: ScaleRule {
            length: schedule.queue_length.unwrap_or_else(|| queue_length(schedule, run)),
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
fn queue_length(schedule: &ScheduleArgs, run: &RunArgs) -> u64 {
    let memory = (cores(schedule) * MEMORY_OF_A_CORE) as u64;
    let fitting = memory::fit(memory, &run.sandbox.limits(), &run.sandbox.grants.reach()).max(1);
    let admitted = u64::from(run.concurrency.concurrency).min(fitting as u64);
    let busy = schedule.busy.min(run.time_budget.saturating_sub(run.deadline));
    let taken = u128::from(admitted) * busy.as_millis() / schedule.handling.as_millis().max(1);
    let taken = u64::try_from(taken).unwrap_or(u64::MAX);
    run.max_messages.map_or(taken, |most| taken.min(most)).max(1)
}

/// The cores of a replica.
pub(super) fn cores(schedule: &ScheduleArgs) -> f64 {
    // The flag takes numbers only.
    schedule.cpu.parse().unwrap_or(0.5)
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
            (&["--cpu=1.0", "--handling=50ms", "--busy=60s"], 14 * 60 * 20),
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
        let words = ["longshore", "dev", "--queue=file:./q/orders", "--component=o.wasm"];
        let Verb::Dev(dev) = Cli::parse_from(words).verb else { panic!("not dev") };
        let schedule = &dev.schedule;
        let (handling, busy) = (schedule.handling.as_millis(), schedule.busy.as_secs());
        let memory = (cores(schedule) * MEMORY_OF_A_CORE) as u64;
        for line in [
            format!("handlingMs: {handling}"),
            format!("busySeconds: {busy}"),
            format!("cpu: '{}'", schedule.cpu),
            format!("maxExecutions: {}", longshore_worker::scale::DEFAULT_MAX_EXECUTIONS),
            format!("'{}': {}", schedule.cpu, memory >> 20),
        ] {
            assert_eq!(
                lines.iter().filter(|it| **it == line).count(),
                1,
                "types.bicep does not say `{line}`"
            );
        }
    }
}
