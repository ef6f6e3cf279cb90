//! The arithmetic of a job: does what the platform does fit what the host does?
//!
//! KEDA starts `min(ceil(messages / queueLength), maxExecutions) − running` executions at each
//! poll, hidden messages included and finished executions not ([azure-queue
//! scaler](https://keda.sh/docs/latest/scalers/azure-storage-queue/)).

mod scale;

use serde_json::Value;

use super::finding::Finding;
use super::job::{NoFlags, Setup};
use super::room;
use super::ruling::{Judge, Ruling, seconds};
use crate::cli::RunArgs;
use longshore_worker::platform::{KILLED_AFTER, LAST_RECEIVE, MAX_GRACE, SETTLEMENT, START, STOP};

/// Everything that can be said about the job, in the order in which it matters.
pub(in crate::commands) fn findings(setup: &Setup, of: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    // `needed`: without it messages are lost or stay, or executions fail. The rest costs money or
    // attempts.
    let mut find = |check: &'static str, needed: bool, Ruling(result, detail): Ruling| {
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
        Err(why) => Ruling::unknown(*why),
    };
    find("replicaTimeout", true, given(&|run| timeout(run, configuration["replicaTimeout"].as_u64())));
    find("grace", true, given(&grace));
    find("deadline", false, given(&deadline));
    find("memory", false, given(&|run| memory(run, setup.memory)));
    match configuration["triggerType"].as_str() {
        Some("Event") => scale::findings(setup, &given, &mut find),
        Some(other) => find(
            "scale rule",
            false,
            Ruling::unknown(format!(
                "the job is started by its trigger {other}, and not by the queue's length"
            )),
        ),
        None => find("scale rule", true, Ruling::unknown("ARM does not say what starts the job")),
    }
    findings
}

fn flags(run: &Result<Box<RunArgs>, NoFlags>) -> Ruling {
    match run {
        Ok(_) => Ruling::unknown(
            "they fit each other; whether the image brings variables of its own cannot be seen from here",
        ),
        Err(NoFlags::Wrong(why)) => Ruling::wrong(format!("{why}; each execution ends with exit code 2")),
        Err(NoFlags::Hidden(why)) => Ruling::unknown(why.clone()),
    }
}

/// Whether the host will find the identity that the job has.
fn identity(setup: &Setup) -> Ruling {
    let kind = setup.identity["type"].as_str().unwrap_or("None");
    let assigned = setup.identity["userAssignedIdentities"].as_object();
    let ids = || assigned.into_iter().flat_map(|it| it.values()).filter_map(|it| it["clientId"].as_str());
    match (setup.variables.get("AZURE_CLIENT_ID"), assigned.is_some_and(|it| !it.is_empty())) {
        (Some(None), _) => Ruling::unknown("AZURE_CLIENT_ID comes from a secret"),
        (Some(Some(id)), true) if ids().any(|it| it.eq_ignore_ascii_case(id)) => Ruling::ok(),
        (Some(Some(id)), true) if ids().next().is_some() => Ruling::wrong(format!(
            "AZURE_CLIENT_ID is {id}, which is none of the job's identities ({}); name one by its client id",
            ids().collect::<Vec<_>>().join(", ")
        )),
        (_, true) if !kind.contains("SystemAssigned") && !setup.variables.contains_key("AZURE_CLIENT_ID") => {
            Ruling::wrong(
                "AZURE_CLIENT_ID is not set, and the job has no system-assigned identity: set it to the client id of the user-assigned one",
            )
        }
        (None, _) if kind.contains("SystemAssigned") => Ruling::ok(),
        (_, true) => Ruling::unknown("ARM does not say which client ids the job's identities have"),
        (_, false) => Ruling::unknown(
            "the job has no user-assigned identity: whether it needs one depends on the queue's URL",
        ),
    }
}

fn retries(limit: Option<u64>) -> Ruling {
    match limit {
        Some(0) => Ruling::ok(),
        Some(limit) => Ruling::wrong(format!(
            "it is {limit}: an execution that fails, which is a fault of rights or configuration or an open breaker, is run {limit} more times; set it to 0"
        )),
        None => Ruling::unknown("it is not set; set it to 0"),
    }
}

fn parallelism(configuration: &Value) -> Ruling {
    let triggers = ["eventTriggerConfig", "manualTriggerConfig", "scheduleTriggerConfig"];
    let trigger = triggers.iter().map(|it| &configuration[*it]).find(|it| !it.is_null());
    let both = ["parallelism", "replicaCompletionCount"];
    let numbers = both.map(|name| trigger.and_then(|it| it[name].as_u64()));
    match numbers {
        [Some(1), Some(1)] => Ruling::ok(),
        [Some(parallel), Some(complete)] => Ruling::wrong(format!(
            "each execution starts {parallel} replicas at once and {complete} in all, and queueLength knows of one; set both to 1, and let there be more executions"
        )),
        _ => Ruling::unknown("parallelism or replicaCompletionCount is not set; set both to 1"),
    }
}

fn timeout(run: &RunArgs, timeout: Option<u64>) -> Ruling {
    let Some(timeout) = timeout else { return Ruling::unknown("ARM does not say what it is") };
    if run.forever {
        return Ruling::wrong(format!(
            "--forever does not end by itself: the platform stops each execution after {timeout} s, and calls it failed; leave it out"
        ));
    }
    let (start, stop) = (seconds(START), seconds(run.grace + STOP));
    let (least, budget) = (seconds(run.time_budget) + stop, seconds(run.time_budget));
    let mend = match timeout.checked_sub(start + stop).filter(|budget| *budget > seconds(run.deadline)) {
        Some(fitting) => format!("set it to {}, or LONGSHORE_TIME_BUDGET to {fitting}s", least + start),
        None => format!("set it to {}", least + start),
    };
    if timeout < least {
        return Ruling::wrong(format!(
            "{timeout} s is less than the time budget ({budget} s) and a stop ({stop} s): the platform stops executions at work, and calls them failed; {mend}"
        ));
    }
    match timeout - least {
        left if left < start => Ruling::unknown(format!(
            "it leaves {left} s to pull the image and to start, which may do or not; {mend}"
        )),
        _ => Ruling::ok(),
    }
}

fn grace(run: &RunArgs) -> Ruling {
    if run.grace > MAX_GRACE {
        let [grace, receive, settlement, kill, most] =
            [run.grace, LAST_RECEIVE, SETTLEMENT, KILLED_AFTER, MAX_GRACE].map(seconds);
        return Ruling::wrong(format!(
            "{grace} s for handlers, {receive} s for a receive in flight and {settlement} s for settlement are more than the {kill} s after which the platform kills; set LONGSHORE_GRACE to {most}s or less"
        ));
    }
    Ruling::ok()
}

fn deadline(run: &RunArgs) -> Ruling {
    let (deadline, grace) = (seconds(run.deadline), seconds(run.grace));
    if deadline > grace {
        return Ruling::unknown(format!(
            "whether handlers take as long is not known: one that needs more than the grace of {grace} s is interrupted by a stop, which costs its message an attempt; a LONGSHORE_DEADLINE of {grace}s or less rules that out"
        ));
    }
    Ruling::ok()
}

fn memory(run: &RunArgs, container: Option<u64>) -> Ruling {
    match container {
        Some(container) => room::ruling(container, run.concurrency.concurrency, &run.sandbox),
        None => Ruling::unknown("ARM does not say how much the container has"),
    }
}
