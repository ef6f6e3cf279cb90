//! The line at the bottom of a terminal: the queue, the executions, and when KEDA looks again.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::telemetry::PROGRESS;
use longshore_dev::{DevEvent, JobPlan};

/// How often it is drawn.
pub(super) const REDRAW: Duration = Duration::from_millis(500);

/// What the line says.
pub(super) struct Status {
    bar: ProgressBar,
    /// The time between polls, as it passes here.
    poll: Duration,
    polled: Instant,
    counts: StatusCounts,
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
    /// Messages of executions that have ended.
    completed: u64,
    poisoned: u64,
}

impl Status {
    /// A line that is drawn where standard error is a terminal, and nowhere else.
    pub(super) fn new(plan: &JobPlan) -> Self {
        let bar = PROGRESS.add(ProgressBar::no_length());
        if let Ok(style) = ProgressStyle::with_template("{msg}") {
            bar.set_style(style);
        }
        let counts = StatusCounts::default();
        Self { bar, poll: plan.poll / plan.speed.max(1), polled: Instant::now(), counts }
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
        let next = self.poll.saturating_sub(self.polled.elapsed());
        self.bar.set_message(self.counts.text((!is_stopping).then_some(next)));
    }

    /// Takes it away while something is printed above it.
    pub(super) fn above<T>(&self, print: impl FnOnce() -> T) -> T {
        PROGRESS.suspend(print)
    }
}

impl Drop for Status {
    fn drop(&mut self) {
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
                self.poisoned += record.counted("poisoned");
            }
            DevEvent::TimedOut { .. } => {}
        }
    }

    fn text(&self, next_poll: Option<Duration>) -> String {
        let Self { waiting, executions, started, completed, poisoned } = self;
        let waiting = waiting.map_or("?".to_owned(), |it| it.to_string());
        let starting = executions.saturating_sub(started.len() as u64);
        let next = match next_poll {
            Some(next) => format!("next poll in {} s", next.as_secs_f64().ceil()),
            None => "stopping".to_owned(),
        };
        format!(
            "queue {waiting}  executions {executions} ({starting} starting)  completed {completed}  poisoned {poisoned}  {next}"
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
        let text = |counts: &StatusCounts| counts.text(Some(Duration::from_millis(11_200)));
        let sum = String::new();
        counts.event(&DevEvent::Polled { messages: 902, running: 0, pending: 0, started: 3, sum });
        counts.event(&DevEvent::Started { execution: "orders-1".into(), restarts: 0 });
        counts.event(&DevEvent::Started { execution: "orders-2".into(), restarts: 0 });
        assert_eq!(
            text(&counts),
            "queue 902  executions 3 (1 starting)  completed 0  poisoned 0  next poll in 12 s"
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
            failures: Vec::new(),
            log: String::new(),
        })));
        counts.event(&DevEvent::NotCounted { cause: "away".into() });
        assert_eq!(
            text(&counts),
            "queue ?  executions 2 (1 starting)  completed 208  poisoned 5  next poll in 12 s"
        );
        assert!(counts.text(None).ends_with("poisoned 5  stopping"));
    }
}
