//! What `longshore dev` prints: a line for each thing that happens.

use std::collections::BTreeMap;
use std::time::Duration;

use humantime::format_duration;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;

use super::build_event::BuildEvent;
use crate::cli::Format;
use crate::commands::print;
use crate::exit::Failure;
use longshore_dev::{CauseCount, DevEvent, ExecutionRecord, ExecutionState, JobPlan, Scheduled};
use longshore_queue::QueueUrl;
use longshore_worker::scale::KEDA_VERSION;

/// How many causes are shown of one execution.
const SHOWN_CAUSES: usize = 5;
/// The counts of a run that are shown, if they are not zero.
const COUNTS: [&str; 6] = ["received", "completed", "retried", "poisoned", "abandoned", "lease_lost"];

/// Prints lines for people, or one JSON object for each.
pub(super) struct Lines {
    format: Format,
    /// The last sum, which is not repeated for people.
    last_sum: String,
}

/// One line for programs.
#[derive(Serialize)]
struct TimedEvent<'a, E: Serialize> {
    at: Timestamp,
    #[serde(flatten)]
    event: &'a E,
}

impl Lines {
    pub(super) fn new(format: Format) -> Self {
        Self { format, last_sum: String::new() }
    }

    /// The first lines: what is going to be done, and whose arithmetic that is.
    pub(super) fn begins(&mut self, plan: &JobPlan, queue: &QueueUrl) -> Result<(), Failure> {
        let JobPlan { job, rule, poll, start_delay, replica_timeout, retry_limit, speed } = plan;
        if self.format == Format::Json {
            return self.json(&json!({
                "event": "begun",
                "keda_version": KEDA_VERSION,
                "job": job,
                "queue": queue.to_string(),
                "queue_length": rule.length,
                "max_executions": rule.max_executions,
                "poll_ms": milliseconds(*poll),
                "start_delay_ms": milliseconds(*start_delay),
                "replica_timeout_ms": milliseconds(*replica_timeout),
                "retry_limit": retry_limit,
                "speed": speed,
            }));
        }
        let [poll, start, timeout] = [*poll, *start_delay, *replica_timeout].map(format_duration);
        self.line(
            "job",
            &format!("{job} unloads {queue}; executions start as KEDA {KEDA_VERSION} would start them"),
        );
        self.line(
            "",
            &format!(
                "a poll every {poll}, an execution for {} messages, {} at most",
                rule.length, rule.max_executions
            ),
        );
        let restarts = match retry_limit {
            0 => String::new(),
            limit => format!(", a container that failed starts again {limit} times"),
        };
        self.line("", &format!("a start takes {start}, an execution {timeout} at most{restarts}"));
        if *speed != 1 {
            self.line("", &format!("these times pass {speed} times as fast; leases and retries do not"));
        }
        Ok(())
    }

    /// Executions that had no end when this process began.
    pub(super) fn lost(&mut self, lost: &[String]) -> Result<(), Failure> {
        if lost.is_empty() {
            return Ok(());
        }
        if self.format == Format::Json {
            return self.json(&json!({ "event": "lost", "executions": lost }));
        }
        self.line("lost", &format!("{}: longshore dev ended before them", lost.join(", ")));
        Ok(())
    }

    /// A queue that was not there.
    pub(super) fn created(&mut self, queue: &QueueUrl) -> Result<(), Failure> {
        if self.format == Format::Json {
            return self.json(&json!({ "event": "created", "queue": queue.to_string() }));
        }
        self.line("created", &queue.to_string());
        Ok(())
    }

    /// The page, and the link that lets one browser in.
    pub(super) fn page(&mut self, link: &str) -> Result<(), Failure> {
        if self.format == Format::Json {
            return self.json(&json!({ "event": "page", "link": link }));
        }
        self.line("page", "this link lets one browser in, once");
        // Alone on its line: a link that wraps cannot be clicked.
        print::line(link);
        Ok(())
    }

    /// What a key did.
    pub(super) fn key(&mut self, words: &str) -> Result<(), Failure> {
        self.line("key", words);
        Ok(())
    }

    /// A signal has come.
    pub(super) fn stopping(&mut self) -> Result<(), Failure> {
        if self.format == Format::Json {
            return self.json(&json!({ "event": "stopping" }));
        }
        self.line("stopping", "executions got SIGTERM; once more to kill them");
        Ok(())
    }

    /// What happened to the handler.
    pub(super) fn build(&mut self, event: &BuildEvent) -> Result<(), Failure> {
        if self.format == Format::Json {
            return self.json(event);
        }
        match event {
            BuildEvent::Building { command } => self.line("build", command),
            BuildEvent::Built { took_ms } => self.line("built", &format!("in {}", seconds(*took_ms))),
            BuildEvent::NotBuilt { cause, output, has_component } => {
                output.lines().for_each(|line| print::line(&format!("          | {line}")));
                let rest = match has_component {
                    true => "the component of before goes on",
                    false => "there is no component yet, and nothing starts until there is",
                };
                self.line("NO BUILD", &format!("{cause}; {rest}"));
            }
        }
        Ok(())
    }

    /// What the scheduler tells.
    pub(super) fn event(&mut self, event: &DevEvent) -> Result<(), Failure> {
        if self.format == Format::Json {
            return self.json(event);
        }
        match event {
            DevEvent::Polled { sum, .. } => {
                if *sum != self.last_sum {
                    self.line("poll", sum);
                    self.last_sum.clone_from(sum);
                }
            }
            DevEvent::NotCounted { cause } => self.line("poll", &format!("nothing was counted: {cause}")),
            DevEvent::Started { execution, restarts: 0 } => self.line("started", execution),
            DevEvent::Started { execution, restarts } => {
                self.line("started", &format!("{execution}, for the {restarts}. time again"));
            }
            DevEvent::TimedOut { execution } => {
                self.line("timeout", &format!("{execution} got SIGTERM, and 30 s"));
            }
            DevEvent::Restarting { execution, exit_code, cause } => {
                let code = exit_code.map_or("a signal".to_owned(), |it| format!("exit code {it}"));
                let cause = cause.as_deref().map(|it| format!(": {it}")).unwrap_or_default();
                self.line("restart", &format!("{execution} after {code}{cause}"));
            }
            DevEvent::Ended(record) => self.ended(record),
        }
        Ok(())
    }

    fn ended(&self, record: &ExecutionRecord) {
        self.line("ended", &outcome(record));
        self.failures(&record.failures);
    }

    fn failures(&self, failures: &[CauseCount]) {
        for CauseCount { outcome, cause, count } in failures.iter().take(SHOWN_CAUSES) {
            let outcome = if outcome.is_empty() { String::new() } else { format!("{outcome}, ") };
            self.line("", &format!("{count} × {outcome}{cause}"));
        }
        if failures.len() > SHOWN_CAUSES {
            self.line("", &format!("and {} more causes", failures.len() - SHOWN_CAUSES));
        }
    }

    /// The last lines: what all executions did together.
    pub(super) fn ends(&mut self, done: &Scheduled) -> Result<(), Failure> {
        let mut totals = Totals::default();
        done.executions.iter().for_each(|it| totals.add(it));
        if self.format == Format::Json {
            return self.json(&json!({
                "event": "finished",
                "executions": done.executions.len(),
                "states": totals.states,
                "replica_ms": totals.replica_ms,
                "messages": totals.counts,
                "failures": totals.failures(),
            }));
        }
        let states: Vec<_> = totals.states.iter().map(|(state, count)| format!("{count} {state}")).collect();
        let states = if states.is_empty() { String::new() } else { format!(": {}", states.join(", ")) };
        let ran = seconds(totals.replica_ms);
        self.line("done", &format!("executions: {}{states}, {ran} together", done.executions.len()));
        self.line("", &format!("messages: {}", counts(|name| totals.counts.get(name).copied().unwrap_or(0))));
        self.failures(&totals.failures());
        Ok(())
    }

    fn json(&self, event: &impl Serialize) -> Result<(), Failure> {
        print::json(&TimedEvent { at: Timestamp::now(), event })
    }

    fn line(&self, what: &str, text: &str) {
        let now = Timestamp::now().to_string();
        // The time of day, in UTC.
        let time = now.get(11..19).unwrap_or_default();
        let time = if what.is_empty() { "" } else { time };
        print::line(&format!("{time:8}  {what:8}  {text}"));
    }
}

/// What all executions did together.
#[derive(Default)]
struct Totals {
    states: BTreeMap<&'static str, u64>,
    counts: BTreeMap<&'static str, u64>,
    causes: BTreeMap<(String, String), u64>,
    replica_ms: u64,
}

impl Totals {
    fn add(&mut self, record: &ExecutionRecord) {
        *self.states.entry(record.state.as_str()).or_default() += 1;
        self.replica_ms += u64::try_from(record.ran_ms()).unwrap_or_default();
        for name in COUNTS {
            *self.counts.entry(name).or_default() += record.counted(name);
        }
        for CauseCount { outcome, cause, count } in &record.failures {
            *self.causes.entry((outcome.clone(), cause.clone())).or_default() += count;
        }
    }

    fn failures(&self) -> Vec<CauseCount> {
        let count = |((outcome, cause), count): (&(String, String), &u64)| CauseCount {
            outcome: outcome.clone(),
            cause: cause.clone(),
            count: *count,
        };
        let mut failures: Vec<_> = self.causes.iter().map(count).collect();
        failures.sort_by_key(|it| std::cmp::Reverse(it.count));
        failures
    }
}

/// How an execution ended, in words.
fn outcome(record: &ExecutionRecord) -> String {
    let mut words = vec![record.execution.clone()];
    let state = record.state.as_str();
    match (record.exit_code, record.signal) {
        (Some(code), _) => words.push(format!("{state}, exit code {code}")),
        (None, Some(signal)) => words.push(format!("{state}, killed by signal {signal}")),
        (None, None) => words.push(state.to_owned()),
    }
    if record.started_ms.is_some() {
        words.push(format!("after {}", seconds(u64::try_from(record.ran_ms()).unwrap_or_default())));
    }
    let mut text = words.join("  ");
    if let Some(summary) = &record.summary {
        let ended = summary["ended"].as_str().unwrap_or("ended");
        text.push_str(&format!("  {ended}: {}", counts(|name| record.counted(name))));
    }
    if let (Some(cause), ExecutionState::Failed) = (&record.cause, record.state) {
        text.push_str(&format!("  {cause}"));
    }
    text
}

fn counts(of: impl Fn(&str) -> u64) -> String {
    let shown: Vec<_> = COUNTS
        .iter()
        .map(|name| (of(name), name.replace('_', " ")))
        .filter(|(count, name)| *count > 0 || name == "received")
        .map(|(count, name)| format!("{count} {name}"))
        .collect();
    shown.join(", ")
}

fn seconds(milliseconds: u64) -> String {
    format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100)
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
