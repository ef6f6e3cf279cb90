//! How many executions the sessions of a queue keep at work. KEDA counts messages, and of a session
//! only one message is handled at a time
//! ([keda#1479](https://github.com/kedacore/keda/issues/1479)).

use super::finding::Finding;
use super::job::Setup;
use super::ruling::Ruling;
use longshore_queue::{Queue, QueueError, QueueUrl};
use longshore_worker::scale::{ARM_MAX_EXECUTIONS, DEFAULT_LENGTH, Observation, ScaleRule};

/// Whether the scale rule fits the sessions that have messages now; `None` if the queue has no
/// sessions.
pub(super) async fn finding(
    url: &QueueUrl,
    queue: &dyn Queue,
    setup: &Setup,
) -> Result<Option<Finding>, QueueError> {
    let asked = async {
        match queue.groups().await? {
            Some(sessions) => Ok(Some((sessions, queue.approximate_count().await?))),
            None => Ok(None),
        }
    };
    let Ruling(result, detail) = match asked.await {
        Ok(None) => return Ok(None),
        Ok(Some((sessions, messages))) => ruling(setup, sessions, messages),
        Err(QueueError::Fault { .. } | QueueError::QueueNotFound { .. } | QueueError::Denied { .. }) => {
            return Ok(None);
        }
        Err(error) => Ruling::unknown(error.to_string()),
    };
    Ok(Some(Finding { check: "sessions", of: url.to_string(), result, needed: false, detail }))
}

fn ruling(setup: &Setup, sessions: u64, messages: u64) -> Ruling {
    let scale = &setup.configuration["eventTriggerConfig"]["scale"];
    let Ok(run) = &setup.run else { return Ruling::unknown("the flags of the job are not known") };
    if sessions == 0 {
        return Ruling::unknown(
            "no session has messages now: ask again while there are some, since KEDA counts messages and only their sessions keep executions at work",
        );
    }
    let at_once = run.sessions.options(usize::from(run.concurrency.concurrency)).at_once as u64;
    let of_rule = |name: &str| {
        let rules = scale["rules"].as_array().into_iter().flatten();
        rules.filter_map(|rule| rule["metadata"][name].as_str()?.parse().ok()).next()
    };
    let rule = ScaleRule {
        length: of_rule("messageCount").unwrap_or(DEFAULT_LENGTH),
        max_executions: scale["maxExecutions"].as_u64().unwrap_or(ARM_MAX_EXECUTIONS),
        ..ScaleRule::default()
    };
    verdict(Found { sessions, messages, at_once }, rule)
}

/// What is there now, and how many sessions an execution works off at once.
#[derive(Clone, Copy)]
struct Found {
    sessions: u64,
    messages: u64,
    at_once: u64,
}

fn verdict(found: Found, rule: ScaleRule) -> Ruling {
    let Found { sessions, messages, at_once } = found;
    let enough = sessions.div_ceil(at_once);
    let fitting = (messages.div_ceil(sessions) * at_once).max(1);
    let started = rule.decide(Observation { messages, ..Observation::default() }).start;
    let words = format!(
        "{messages} messages lie in {sessions} sessions now, and an execution works off {at_once} sessions at once (--sessions)"
    );
    if started > enough {
        return Ruling::wrong(format!(
            "{words}: KEDA starts up to {started} executions, and {enough} have something to do; the others find no free session and wait; set messageCount to {fitting} and maxExecutions to {enough}"
        ));
    }
    if started < enough {
        return Ruling::unknown(format!(
            "{words}: KEDA starts {started} executions, and {enough} would have something to do; for the most of them at once set messageCount to {fitting} and maxExecutions to {enough}"
        ));
    }
    Ruling(super::finding::Known::Ok, words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::check::finding::Known;

    #[test]
    fn as_many_executions_are_proposed_as_there_are_sessions_for() {
        for (found, set, result, words) in [
            // keda#1479: one session of 620 messages started 16 executions.
            ((1, 620, 16), (5, 16), Known::Wrong, "set messageCount to 9920 and maxExecutions to 1"),
            ((200, 10_000, 16), (800, 13), Known::Ok, "200 sessions"),
            ((200, 10_000, 16), (800, 2), Known::Unknown, "maxExecutions to 13"),
            ((3, 3, 1), (1, 100), Known::Ok, "3 messages"),
            ((3, 3, 1), (0, 100), Known::Unknown, "KEDA starts 0 executions"),
        ] {
            let (sessions, messages, at_once) = found;
            let (length, max_executions) = set;
            let rule = ScaleRule { length, max_executions, ..ScaleRule::default() };
            let Ruling(known, detail) = verdict(Found { sessions, messages, at_once }, rule);
            assert_eq!(known, result, "{detail}");
            assert!(detail.contains(words), "{detail}");
        }
    }
}
