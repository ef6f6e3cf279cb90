//! The scale rule: by what KEDA starts executions, and how many.

use serde_json::Value;

use super::super::job::Setup;
use super::super::room;
use super::super::ruling::{Judge, Ruling, retry_delay, seconds};
use crate::cli::RunArgs;
use longshore_queue::kind::{self, Scaler};
use longshore_worker::lease::LeaseMode;
use longshore_worker::platform::POLLING_INTERVAL;
use longshore_worker::scale::DEFAULT_LENGTH;

pub(super) fn findings(
    setup: &Setup,
    given: &dyn Fn(Judge<'_>) -> Ruling,
    find: &mut dyn FnMut(&'static str, bool, Ruling),
) {
    let scale = &setup.configuration["eventTriggerConfig"]["scale"];
    let none = Vec::new();
    let rules = scale["rules"].as_array().unwrap_or(&none);
    let of_queue = |rule: &Value| kind::scalers().find(|scaler| rule["type"] == scaler.name);
    let Some((rule, scaler)) = rules.iter().find_map(|rule| Some((rule, of_queue(rule)?))) else {
        let names: Vec<_> = kind::scalers().map(|scaler| scaler.name).collect();
        return find(
            "scale rule",
            true,
            Ruling::wrong(format!(
                "there is none for a queue; add one of type {}: nothing starts an execution when messages arrive",
                names.join(", or ")
            )),
        );
    };
    find("scale rule", true, queue(setup, rule, rules.len()));
    find("scale identity", true, identity(setup, rule, scaler));
    find("counting", true, counting(rule));
    find("minExecutions", false, minimum(scale["minExecutions"].as_u64()));
    find("queueLength", false, given(&|run| length(run, room::admitted(run, setup.memory), rule, scaler)));
    let polling = scale["pollingInterval"].as_u64().unwrap_or_else(|| seconds(POLLING_INTERVAL));
    find("retry delays", false, given(&|run| retries(run, polling)));
    find("delays that handlers name", false, given(&|run| named_delays(run, polling)));
}

fn text<'a>(rule: &'a Value, name: &str) -> Option<&'a str> {
    rule["metadata"][name].as_str().filter(|it| !it.is_empty())
}

/// Whether it counts the messages of the queue that the host unloads.
fn queue(setup: &Setup, rule: &Value, rules: usize) -> Ruling {
    if rules > 1 {
        return Ruling::unknown(
            "there are several rules, and what the others start is not known; keep the queue's",
        );
    }
    let Some(url) = setup.queue() else {
        return Ruling::unknown("which queue the host unloads is not in a variable that can be read");
    };
    let Some(scaler) = &url.kind().scaler else {
        let schemes = kind::KINDS.iter().filter(|kind| kind.scaler.is_some()).map(|kind| kind.scheme());
        let schemes = schemes.collect::<Vec<_>>().join(" or ");
        return Ruling::wrong(format!("{url} is a queue that KEDA cannot count; name it by {schemes}"));
    };
    if rule["type"] != scaler.name {
        return Ruling::wrong(format!(
            "{url} is counted by {}, and the rule's type is {}",
            scaler.name, rule["type"]
        ));
    }
    for (name, is) in url.counted_by() {
        match text(rule, name) {
            Some(said) if said == is => {}
            Some(said) => {
                return Ruling::wrong(format!(
                    "the rule counts {name} {said}, and the host unloads {is}: messages start nothing, or something that finds none; make them the same"
                ));
            }
            None => return Ruling::unknown(format!("the rule has no {name} in its metadata")),
        }
    }
    Ruling::ok()
}

fn identity(setup: &Setup, rule: &Value, scaler: &Scaler) -> Ruling {
    let Some(identity) = rule["identity"].as_str().filter(|it| !it.is_empty()) else {
        return if rule["auth"].as_array().is_some_and(|it| !it.is_empty()) {
            Ruling::unknown(
                "the rule counts with a secret, and whether that is right cannot be seen; an identity needs none",
            )
        } else {
            Ruling::wrong(
                "the rule has neither identity nor secret, so that KEDA cannot count; set `identity` to the job's",
            )
        };
    };
    let kind = setup.identity["type"].as_str().unwrap_or_default();
    let assigned = setup.identity["userAssignedIdentities"].as_object();
    let has = match identity {
        "system" => kind.contains("SystemAssigned"),
        id => assigned.is_some_and(|it| it.keys().any(|key| key.eq_ignore_ascii_case(id))),
    };
    match has {
        // Roles are assigned elsewhere, at the queue or above it.
        true => Ruling::unknown(format!(
            "it is assigned to the job; whether it may read the queue's length cannot be seen there: {}",
            scaler.needs
        )),
        false => Ruling::wrong(format!(
            "the rule counts as {identity}, which is not assigned to the job; assign it"
        )),
    }
}

fn counting(rule: &Value) -> Ruling {
    if text(rule, "queueLengthStrategy").is_some_and(|it| it.eq_ignore_ascii_case("visibleonly")) {
        return Ruling::wrong(
            "with visibleonly, messages that are being handled do not count and the executions that handle them do: the others wait for these to end; leave queueLengthStrategy out",
        );
    }
    for name in kind::scalers().map(|scaler| scaler.activation) {
        match text(rule, name).map(str::parse::<u64>) {
            Some(Ok(0)) | None => {}
            Some(Ok(least)) => {
                return Ruling::wrong(format!(
                    "{name} is {least}: as many messages, or fewer, start nothing and wait for ever; leave it out"
                ));
            }
            Some(Err(_)) => return Ruling::unknown(format!("{name} is no number")),
        }
    }
    Ruling::ok()
}

fn minimum(least: Option<u64>) -> Ruling {
    match least {
        // What is not set is zero, as ARM documents.
        Some(0) | None => Ruling::ok(),
        Some(least) => {
            Ruling::wrong(format!("{least} executions run although the queue is empty; set it to 0"))
        }
    }
}

/// Messages for each execution, against what one execution takes, which handles `at_once` at once.
fn length(run: &RunArgs, at_once: u64, rule: &Value, scaler: &Scaler) -> Ruling {
    let name = scaler.length;
    let length = match text(rule, name).map(str::parse::<u64>) {
        None => DEFAULT_LENGTH,
        Some(Ok(length)) if length > 0 => length,
        Some(_) => return Ruling::wrong(format!("{name} is no number above zero")),
    };
    match run.max_messages {
        Some(most) if length > most => Ruling::wrong(format!(
            "one execution is started for {length} messages, and takes {most} (--max-messages): the rest waits for the next poll; set {name} to {most}, or leave LONGSHORE_MAX_MESSAGES out"
        )),
        Some(most) if length < most.min(at_once) => few(name, length, most.min(at_once)),
        None if length < at_once => few(name, length, at_once),
        _ => {
            // The slots share the messages; each takes its share one after the other, until the
            // last deadline.
            let rounds = length.div_ceil(at_once);
            let working_ms = (run.time_budget - run.deadline).as_millis();
            let worst_ms = u128::from(rounds) * run.deadline.as_millis();
            let fits_ms = working_ms / u128::from(rounds);
            let fits = if worst_ms <= working_ms || run.forever {
                String::new()
            } else {
                format!(
                    "; within its time budget it gets through {length} if each takes {fits_ms} ms at most"
                )
            };
            Ruling::unknown(format!(
                "right if it is what one execution is meant to take, {at_once} × seconds of work ÷ seconds for one message, which is not known{fits}"
            ))
        }
    }
}

fn few(name: &str, length: u64, takes: u64) -> Ruling {
    Ruling::wrong(format!(
        "an execution is started for every {length} messages, and one handles {takes} at once: the others find nothing, and cost their start; set {name} to {takes} or more"
    ))
}

/// Whether a run waits for its retries. KEDA counts a message that waits for one, and starts
/// nothing while the run is there.
fn retries(run: &RunArgs, polling: u64) -> Ruling {
    let (delay, linger) = (seconds(retry_delay(run)), seconds(run.linger));
    if delay > linger && delay > polling {
        let mend = match run.lease {
            LeaseMode::Fixed => format!("set LONGSHORE_LINGER to {delay}s"),
            _ => format!("set LONGSHORE_LINGER to {delay}s, or LONGSHORE_RETRY_CAP to {linger}s"),
        };
        return Ruling::wrong(format!(
            "a retry may be {delay} s away, a run waits {linger} s for it, and KEDA polls every {polling} s: until it is due, each poll starts an execution that finds nothing; {mend}"
        ));
    }
    match run.lease {
        LeaseMode::Auto => {
            let fixed = seconds(run.deadline + longshore_worker::lease::FIXED_ROOM);
            if fixed > linger && fixed > polling {
                return Ruling::unknown(format!(
                    "if the identity may not update messages, leases are fixed and a retry is {fixed} s away, longer than a run waits ({linger} s); set LONGSHORE_LEASE to renew if it may, or LONGSHORE_LINGER to {fixed}s"
                ));
            }
            Ruling::ok()
        }
        _ => Ruling::ok(),
    }
}

fn named_delays(run: &RunArgs, polling: u64) -> Ruling {
    let (longest, linger) = (seconds(run.max_retry_delay), seconds(run.linger));
    if run.lease != LeaseMode::Fixed && longest > linger && longest > polling {
        return Ruling::unknown(format!(
            "whether the handler names any is not known: it may say up to {longest} s, and each poll meanwhile starts an execution that finds nothing; a LONGSHORE_MAX_RETRY_DELAY of {}s rules that out",
            linger.max(polling)
        ));
    }
    Ruling::ok()
}
