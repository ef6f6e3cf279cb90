//! The arithmetic of a job: does what the platform does go with what the host does?
//!
//! KEDA starts `min(ceil(messages / queueLength), maxExecutions) − running` executions at each poll, hidden messages
//! included and finished executions not ([azure-queue scaler](https://keda.sh/docs/latest/scalers/azure-storage-queue/)).

mod scale;

use std::time::Duration;

use serde_json::Value;

use super::job::{NoFlags, Setup};
use super::{Finding, Known};
use crate::cli::Run;
use longshore_queue::limits::whole_seconds as seconds;
use longshore_worker::lease::LeaseMode;

/// What the platform takes to create a replica, pull the image and start it, generously: `replicaTimeout` counts it.
const START: u64 = 120;
/// What a stop takes beside `--grace`: a receive in flight (3 s) and settlement (5 s), and a little more.
const STOP: u64 = 10;
/// The platform kills so long after SIGTERM ([Jobs in Azure Container Apps](https://learn.microsoft.com/azure/container-apps/jobs)).
const KILL: u64 = 30;
/// What the host may take beside its handlers' memories, in MiB: a drain that was measured held 22.5 MB in all, and
/// messages, instances and what allocators keep come on top.
const HOST: f64 = 64.0;
/// `pollingInterval`, where nothing else is said.
const POLLING: u64 = 30;

/// What came of one question, and why.
pub(super) struct Verdict(pub(super) Known, pub(super) String);

impl Verdict {
    pub(super) fn ok() -> Self {
        Self(Known::Ok, String::new())
    }

    pub(super) fn wrong(why: impl Into<String>) -> Self {
        Self(Known::Wrong, why.into())
    }

    pub(super) fn unknown(why: impl Into<String>) -> Self {
        Self(Known::Unknown, why.into())
    }
}

/// Answers a question by the job's flags.
type Judge<'a> = &'a dyn Fn(&Run) -> Verdict;

/// Everything that can be said about the job, in the order in which it matters.
pub(super) fn findings(setup: &Setup, of: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    // `needed`: without it messages are lost, stay, or executions fail; the rest costs money or attempts.
    let mut find = |check: &'static str, needed: bool, Verdict(result, detail): Verdict| {
        findings.push(Finding { check, of: of.to_owned(), result, needed, detail });
    };
    let configuration = &setup.configuration;
    find("job flags", true, flags(&setup.run));
    find("job identity", true, identity(setup));
    find("replicaRetryLimit", false, retries(configuration["replicaRetryLimit"].as_u64()));
    find("parallelism", false, parallelism(configuration));
    let settled = setup.run.as_ref().map_err(|_| "the flags of the job are not known");
    let given = |judge: Judge<'_>| match &settled {
        Ok(run) => judge(run),
        Err(why) => Verdict::unknown(*why),
    };
    find("replicaTimeout", true, given(&|run| timeout(run, configuration["replicaTimeout"].as_u64())));
    find("grace", true, given(&grace));
    find("deadline", false, given(&deadline));
    find("memory", false, given(&|run| memory(run, setup.container["resources"]["memory"].as_str())));
    match configuration["triggerType"].as_str() {
        Some("Event") => scale::findings(setup, &given, &mut find),
        Some(other) => find(
            "scale rule",
            false,
            Verdict::unknown(format!(
                "the job is started by its trigger {other}, and not by the queue's length"
            )),
        ),
        None => find("scale rule", true, Verdict::unknown("ARM does not say what starts the job")),
    }
    findings
}

fn flags(run: &Result<Box<Run>, NoFlags>) -> Verdict {
    match run {
        Ok(_) => Verdict::unknown(
            "they fit each other; whether the image brings variables of its own cannot be seen from here",
        ),
        Err(NoFlags::Wrong(why)) => Verdict::wrong(format!("{why}; each execution ends with exit code 2")),
        Err(NoFlags::Hidden(why)) => Verdict::unknown(why.clone()),
    }
}

/// Whether the host will find the identity that the job has.
fn identity(setup: &Setup) -> Verdict {
    let kind = setup.identity["type"].as_str().unwrap_or("None");
    let assigned = setup.identity["userAssignedIdentities"].as_object();
    let ids = || assigned.into_iter().flat_map(|it| it.values()).filter_map(|it| it["clientId"].as_str());
    match (setup.variables.get("AZURE_CLIENT_ID"), assigned.is_some_and(|it| !it.is_empty())) {
        (Some(None), _) => Verdict::unknown("AZURE_CLIENT_ID comes from a secret"),
        (Some(Some(id)), true) if ids().any(|it| it.eq_ignore_ascii_case(id)) => Verdict::ok(),
        (Some(Some(id)), true) if ids().next().is_some() => Verdict::wrong(format!(
            "AZURE_CLIENT_ID is {id}, which is none of the job's identities ({}); name one by its client id",
            ids().collect::<Vec<_>>().join(", ")
        )),
        (_, true) if !kind.contains("SystemAssigned") && !setup.variables.contains_key("AZURE_CLIENT_ID") => {
            Verdict::wrong(
                "AZURE_CLIENT_ID is not set, and the job has no system-assigned identity: set it to the client id of the user-assigned one",
            )
        }
        (None, _) if kind.contains("SystemAssigned") => Verdict::ok(),
        (_, true) => Verdict::unknown("ARM does not say which client ids the job's identities have"),
        (_, false) => Verdict::unknown(
            "the job has no user-assigned identity: whether it needs one depends on the queue's URL",
        ),
    }
}

fn retries(limit: Option<u64>) -> Verdict {
    match limit {
        Some(0) => Verdict::ok(),
        Some(limit) => Verdict::wrong(format!(
            "it is {limit}: an execution that fails, which is a fault of rights or configuration or an open breaker, is run {limit} more times; set it to 0"
        )),
        None => Verdict::unknown("it is not set; set it to 0"),
    }
}

fn parallelism(configuration: &Value) -> Verdict {
    let triggers = ["eventTriggerConfig", "manualTriggerConfig", "scheduleTriggerConfig"];
    let trigger = triggers.iter().map(|it| &configuration[*it]).find(|it| !it.is_null());
    let both = ["parallelism", "replicaCompletionCount"];
    let numbers = both.map(|name| trigger.and_then(|it| it[name].as_u64()));
    match numbers {
        [Some(1), Some(1)] => Verdict::ok(),
        [Some(parallel), Some(complete)] => Verdict::wrong(format!(
            "each execution starts {parallel} replicas at once and {complete} in all, and queueLength knows of one; set both to 1, and let there be more executions"
        )),
        _ => Verdict::unknown("parallelism or replicaCompletionCount is not set; set both to 1"),
    }
}

fn timeout(run: &Run, timeout: Option<u64>) -> Verdict {
    let Some(timeout) = timeout else { return Verdict::unknown("ARM does not say what it is") };
    if run.forever {
        return Verdict::wrong(format!(
            "--forever does not end by itself: the platform stops each execution after {timeout} s, and calls it failed; leave it out"
        ));
    }
    let stop = seconds(run.grace) + STOP;
    let (least, budget) = (seconds(run.time_budget) + stop, seconds(run.time_budget));
    let mend = match timeout.checked_sub(START + stop).filter(|budget| *budget > seconds(run.deadline)) {
        Some(fitting) => format!("set it to {}, or LONGSHORE_TIME_BUDGET to {fitting}s", least + START),
        None => format!("set it to {}", least + START),
    };
    if timeout < least {
        return Verdict::wrong(format!(
            "{timeout} s is less than the time budget ({budget} s) and a stop ({stop} s): the platform stops executions at work, and calls them failed; {mend}"
        ));
    }
    match timeout - least {
        left if left < START => Verdict::unknown(format!(
            "it leaves {left} s to pull the image and to start, which may do or not; {mend}"
        )),
        _ => Verdict::ok(),
    }
}

fn grace(run: &Run) -> Verdict {
    let grace = seconds(run.grace);
    // What STOP has in addition is for the platform's own clock.
    let most = KILL - 8;
    if grace > most {
        return Verdict::wrong(format!(
            "{grace} s for handlers, 3 s for a receive in flight and 5 s for settlement are more than the {KILL} s after which the platform kills; set LONGSHORE_GRACE to {most}s or less"
        ));
    }
    Verdict::ok()
}

fn deadline(run: &Run) -> Verdict {
    let (deadline, grace) = (seconds(run.deadline), seconds(run.grace));
    if deadline > grace {
        return Verdict::unknown(format!(
            "whether handlers take as long is not known: one that needs more than the grace of {grace} s is interrupted by a stop, which costs its message an attempt; a LONGSHORE_DEADLINE of {grace}s or less rules that out"
        ));
    }
    Verdict::ok()
}

fn memory(run: &Run, memory: Option<&str>) -> Verdict {
    let gib = |text: &str| text.strip_suffix("Gi")?.parse::<f64>().ok();
    let mib = |text: &str| text.strip_suffix("Mi")?.parse::<f64>().ok();
    let Some(has) = memory.and_then(|text| gib(text).map(|it| it * 1024.0).or_else(|| mib(text))) else {
        return Verdict::unknown("ARM does not say how much the container has");
    };
    let most = f64::from(run.concurrency) * f64::from(run.sandbox.memory) + HOST;
    if most > has {
        return Verdict::unknown(format!(
            "whether handlers need it is not known: {} at once may take {} MiB each, with the host's {HOST} that is {most} MiB, and the container has {has} MiB; lower LONGSHORE_CONCURRENCY or LONGSHORE_MEMORY to rule that out",
            run.concurrency, run.sandbox.memory
        ));
    }
    Verdict::ok()
}

/// How long a message that failed may stay hidden, unless its handler says so.
fn retry_delay(run: &Run) -> Duration {
    match run.lease {
        // The end of the lease is the retry.
        LeaseMode::Fixed => run.deadline + longshore_worker::lease::FIXED_ROOM,
        _ => run.retry_cap,
    }
}
