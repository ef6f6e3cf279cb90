//! What stands at the bottom of a terminal: the queue, the executions, the last failures by cause,
//! and the keys.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::shown::shown;
use crate::telemetry::PROGRESS;
use crate::unread::is_ready;
use longshore_dev::{CauseCount, DevEvent, JobPlan, LiveLogs, OutcomeCounts};

/// How often it is drawn.
pub(super) const REDRAW: Duration = Duration::from_millis(500);

/// How many causes are shown.
const CAUSES: usize = 3;
/// How much of a cause is shown, in characters: a line that is broken cannot be drawn anew.
const MAX_CAUSE: usize = 68;
/// What the keys do.
const KEYS: &str = "s send a sample   r redrive   o open the page   q quit";

/// What the lines say.
pub(super) struct Status {
    bar: ProgressBar,
    logs: LiveLogs,
    /// The time between polls, as it passes here.
    poll: Duration,
    polled: Instant,
    counts: StatusCounts,
    has_keys: bool,
}

/// What is counted for it.
#[derive(Debug, Default)]
struct StatusCounts {
    /// Messages in the queue at the last poll.
    waiting: Option<u64>,
    /// Executions without an end.
    executions: u64,
    /// Those of them whose container runs.
    started: BTreeSet<String>,
    /// Attempts of executions that have ended.
    completed: u64,
    retried: u64,
    poisoned: u64,
    /// Failures of those executions that ended last, by cause, each with the number of the end that
    /// told of it.
    causes: BTreeMap<String, (u64, u64)>,
    ended: u64,
}

impl Status {
    /// A line that is drawn where standard error is a terminal, and nowhere else.
    /// The messages of executions that run are counted as `logs` tell of them.
    pub(super) fn new(plan: &JobPlan, logs: LiveLogs) -> Self {
        let bar = PROGRESS.add(ProgressBar::no_length());
        if let Ok(style) = ProgressStyle::with_template("{msg}") {
            bar.set_style(style);
        }
        let counts = StatusCounts::default();
        let poll = plan.poll / plan.speed.max(1);
        Self { bar, logs, poll, polled: Instant::now(), counts, has_keys: false }
    }

    /// The terminal hands on keys.
    pub(super) fn has_keys(&mut self) {
        self.has_keys = true;
    }

    /// Takes in what happened.
    pub(super) fn event(&mut self, event: &DevEvent) {
        if matches!(event, DevEvent::Polled { .. } | DevEvent::NotCounted { .. }) {
            self.polled = Instant::now();
        }
        self.counts.event(event);
    }

    /// Draws it. A job that `is_stopping` polls no more.
    pub(super) fn draw(&self, is_stopping: bool) {
        // A terminal that was told to wait holds up no stop.
        if !is_ready(io::stderr(), Duration::ZERO) {
            return;
        }
        let next = self.poll.saturating_sub(self.polled.elapsed());
        let mut lines = self.counts.failures();
        lines.insert(0, self.counts.text(&self.logs.outcomes(), (!is_stopping).then_some(next)));
        lines.extend(self.has_keys.then(|| KEYS.to_owned()));
        self.bar.set_message(lines.join("\n"));
    }

    /// Takes it away while something is printed above it.
    pub(super) fn above<T>(&self, print: impl FnOnce() -> T) -> T {
        if is_ready(io::stderr(), Duration::ZERO) { PROGRESS.suspend(print) } else { print() }
    }
}

impl Drop for Status {
    fn drop(&mut self) {
        if !is_ready(io::stderr(), Duration::ZERO) {
            // Nothing that is drawn from now on waits for it.
            PROGRESS.set_draw_target(ProgressDrawTarget::hidden());
        }
        self.bar.finish_and_clear();
    }
}

impl StatusCounts {
    fn event(&mut self, event: &DevEvent) {
        match event {
            DevEvent::Polled { messages, running, started, .. } => {
                self.waiting = Some(*messages);
                self.executions = running + started;
            }
            DevEvent::NotCounted { .. } => self.waiting = None,
            DevEvent::Started { execution, .. } => {
                self.started.insert(execution.clone());
            }
            DevEvent::Restarting { execution, .. } => {
                self.started.remove(execution);
            }
            DevEvent::Ended(record) => {
                self.executions = self.executions.saturating_sub(1);
                self.started.remove(&record.execution);
                self.completed += record.counted("completed");
                self.retried += record.counted("retried");
                self.poisoned += record.counted("poisoned");
                self.ended += 1;
                for failure in &record.failures {
                    self.failed(failure);
                }
            }
            DevEvent::TimedOut { .. } => {}
        }
    }

    fn failed(&mut self, failure: &CauseCount) {
        let words =
            shown(&format!("{}, {}", failure.outcome, failure.cause)).chars().take(MAX_CAUSE).collect();
        let entry = self.causes.entry(words).or_default();
        *entry = (self.ended, entry.1 + failure.count);
        // Hardly ever, since numbers tell no causes apart.
        while self.causes.len() > 100 {
            let oldest = self.causes.iter().min_by_key(|(_, (at, _))| *at).map(|(words, _)| words.clone());
            if let Some(oldest) = oldest {
                self.causes.remove(&oldest);
            }
        }
    }

    /// The causes that were seen last, each with its count.
    fn failures(&self) -> Vec<String> {
        let mut causes: Vec<_> = self.causes.iter().collect();
        causes.sort_by_key(|(_, (at, count))| std::cmp::Reverse((*at, *count)));
        let line = |(words, (_, count)): (&String, &(u64, u64))| format!("  {count:>5} {words}");
        causes.into_iter().take(CAUSES).map(line).collect()
    }

    /// With the messages of executions that run.
    fn text(&self, live: &OutcomeCounts, next_poll: Option<Duration>) -> String {
        let Self { waiting, executions, started, .. } = self;
        let (completed, poisoned) = (self.completed + live.completed, self.poisoned + live.poisoned);
        let retried = match self.retried + live.retried {
            0 => String::new(),
            count => format!("retried {count}  "),
        };
        let waiting = waiting.map_or("?".to_owned(), |it| it.to_string());
        let starting = executions.saturating_sub(started.len() as u64);
        let next = match next_poll {
            Some(next) => format!("next poll in {} s", next.as_secs_f64().ceil()),
            None => "stopping".to_owned(),
        };
        format!(
            "queue {waiting}  executions {executions} ({starting} starting)  completed {completed}  {retried}poisoned {poisoned}  {next}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use longshore_dev::{ExecutionRecord, ExecutionState};

    #[test]
    fn the_line_says_what_waits_what_runs_and_what_became_of_messages() {
        let mut counts = StatusCounts::default();
        let mut live = OutcomeCounts { completed: 7, retried: 2, ..OutcomeCounts::default() };
        let text = |counts: &StatusCounts, live: &OutcomeCounts| {
            counts.text(live, Some(Duration::from_millis(11_200)))
        };
        let sum = String::new();
        counts.event(&DevEvent::Polled { messages: 902, running: 0, pending: 0, started: 3, sum });
        counts.event(&DevEvent::Started { execution: "orders-1".into(), restarts: 0 });
        counts.event(&DevEvent::Started { execution: "orders-2".into(), restarts: 0 });
        assert_eq!(
            text(&counts, &live),
            "queue 902  executions 3 (1 starting)  completed 7  retried 2  poisoned 0  next poll in 12 s"
        );
        let summary = serde_json::json!({ "completed": 208, "poisoned": 5 });
        counts.event(&DevEvent::Ended(Box::new(ExecutionRecord {
            execution: "orders-1".into(),
            state: ExecutionState::Succeeded,
            created_ms: 1,
            started_ms: Some(2),
            ended_ms: Some(3),
            exit_code: Some(0),
            signal: None,
            restarts: 0,
            cause: None,
            summary: Some(summary),
            failures: vec![CauseCount {
                outcome: "poisoned".into(),
                cause: "rejected: no \u{1b}[1mstock".into(),
                count: 5,
            }],
            log: String::new(),
        })));
        assert_eq!(counts.failures(), ["      5 poisoned, rejected: no \\u{1b}[1mstock"]);
        counts.event(&DevEvent::NotCounted { cause: "away".into() });
        live = OutcomeCounts::default();
        assert_eq!(
            text(&counts, &live),
            "queue ?  executions 2 (1 starting)  completed 208  poisoned 5  next poll in 12 s"
        );
        assert!(counts.text(&live, None).ends_with("poisoned 5  stopping"));
    }
}
