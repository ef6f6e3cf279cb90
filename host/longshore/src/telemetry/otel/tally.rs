//! What was to be exported, and what was taken.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::answer::{OtlpFailure, OtlpTaken};
use super::asked::Signal;

/// What is said where a receiver took all that it was sent in time, and some spans were not sent.
const NO_ROOM: &str =
    "more spans ended than wait for their export; raise OTEL_BSP_MAX_QUEUE_SIZE, or sample fewer traces";

/// What was to be exported, and what was.
#[derive(Debug, Default)]
pub(super) struct ExportTally {
    ended_spans: AtomicU64,
    taken_spans: AtomicU64,
    untaken_metrics: AtomicU64,
    state: Mutex<ExportState>,
    /// When the time is up; `None` while the run goes on.
    ends: watch::Sender<Option<Instant>>,
}

#[derive(Debug, Default)]
struct ExportState {
    /// Whether exports have failed since one was taken.
    is_failing: bool,
    /// Whether the receiver's words beside what it took were said.
    has_said_words: bool,
    /// Whether a span found no room among those that wait.
    had_no_room: bool,
    /// Why the newest of all was not taken.
    newest: Option<String>,
}

/// What was not exported in the end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Dropped {
    /// How many spans.
    pub(super) spans: u64,
    /// How often the metrics were sent in vain.
    pub(super) metric_exports: u64,
    /// Why, as far as a receiver said.
    pub(super) cause: String,
}

impl ExportTally {
    /// The run has ended. What is not taken by then is dropped.
    pub(super) fn end(&self, by: Instant) {
        self.ends.send_replace(Some(by));
    }

    /// When the time is up; `None` while the run goes on.
    pub(super) fn ends(&self) -> Option<Instant> {
        *self.ends.borrow()
    }

    /// So many spans have ended, and are to be exported.
    pub(super) fn spans_ended(&self, spans: u64) {
        self.ended_spans.fetch_add(spans, Ordering::Relaxed);
    }

    /// A span that has ended is not exported, since too many wait.
    pub(super) fn span_without_room(&self) {
        self.state().had_no_room = true;
    }

    /// Metrics are to be exported. Until they are taken they are not, even if there never is an end
    /// of it.
    pub(super) fn metrics_begin(&self) {
        self.untaken_metrics.fetch_add(1, Ordering::Relaxed);
    }

    /// An export of so many spans was taken, apart from what the receiver rejected.
    pub(super) fn spans_taken(&self, spans: u64, answer: &OtlpTaken) {
        self.taken_spans.fetch_add(spans.saturating_sub(answer.rejected), Ordering::Relaxed);
        self.answered(Signal::Traces, answer);
    }

    /// Metrics were taken. Where they are cumulative, they say all that those before them said.
    pub(super) fn metrics_taken(&self, is_cumulative: bool, answer: &OtlpTaken) {
        if answer.rejected == 0 && is_cumulative {
            self.untaken_metrics.store(0, Ordering::Relaxed);
        } else if answer.rejected == 0 {
            self.untaken_metrics.fetch_sub(1, Ordering::Relaxed);
        }
        self.answered(Signal::Metrics, answer);
    }

    /// An export was not taken. The first of several is said.
    pub(super) fn failed(&self, signal: Signal, failure: &OtlpFailure) {
        let what = signal.word();
        let OtlpFailure { cause, is_final, .. } = failure;
        let mut state = self.state();
        if !state.is_failing && self.ends().is_none() {
            let then =
                if *is_final { "they are dropped" } else { "they are tried again, and dropped at last" };
            tracing::warn!(%cause, "{what} could not be exported; {then}");
        }
        state.is_failing = true;
        state.newest = Some(cause.clone());
    }

    /// What was not taken so far; `None` if all was.
    pub(super) fn dropped(&self) -> Option<Dropped> {
        let spans = self.ended_spans.load(Ordering::Relaxed);
        let spans = spans.saturating_sub(self.taken_spans.load(Ordering::Relaxed));
        let metric_exports = self.untaken_metrics.load(Ordering::Relaxed);
        let cause = {
            let state = self.state();
            let own = if state.had_no_room { NO_ROOM } else { "there was no time left" };
            state.newest.clone().unwrap_or_else(|| own.to_owned())
        };
        (spans > 0 || metric_exports > 0).then_some(Dropped { spans, metric_exports, cause })
    }

    /// Waits, unless the run ends meanwhile. Returns whether it does not.
    pub(super) async fn waits(&self, pause: Duration) -> bool {
        let mut ends = self.ends.subscribe();
        timeout(pause, ends.wait_for(Option::is_some)).await.is_err()
    }

    /// Notes what a receiver said of what it took. Its words are said once.
    fn answered(&self, signal: Signal, OtlpTaken { rejected, words }: &OtlpTaken) {
        let mut state = self.state();
        state.is_failing = false;
        if *rejected == 0 && words.is_empty() {
            return;
        }
        if *rejected > 0 {
            let colon = if words.is_empty() { "" } else { ": " };
            state.newest = Some(format!("the receiver rejected a part{colon}{words}"));
        }
        if !std::mem::replace(&mut state.has_said_words, true) {
            let what = signal.word();
            tracing::warn!(
                rejected,
                %words,
                "the receiver took {what}, and had something to say; this is said once"
            );
        }
    }

    fn state(&self) -> MutexGuard<'_, ExportState> {
        // What it guards is valid after every statement.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_dropped_says_why_as_far_as_anybody_knows() {
        let tally = ExportTally::default();
        tally.spans_ended(1);
        let cause = || tally.dropped().unwrap().cause;
        assert_eq!(cause(), "there was no time left");
        tally.span_without_room();
        assert_eq!(cause(), NO_ROOM);
        tally.spans_taken(1, &OtlpTaken { rejected: 1, words: String::new() });
        assert_eq!(cause(), "the receiver rejected a part");
        tally.failed(Signal::Traces, &OtlpFailure::passing("busy".into()));
        assert_eq!(cause(), "busy");
    }

    #[test]
    fn what_a_receiver_rejected_counts_as_dropped() {
        let tally = ExportTally::default();
        tally.spans_ended(10);
        tally.metrics_begin();
        tally.spans_taken(10, &OtlpTaken::default());
        tally.metrics_taken(true, &OtlpTaken::default());
        assert_eq!(tally.dropped(), None);
        tally.spans_ended(10);
        tally.metrics_begin();
        let partly = OtlpTaken { rejected: 4, words: "too old".into() };
        tally.spans_taken(10, &partly);
        tally.metrics_taken(true, &partly);
        let cause = "the receiver rejected a part: too old".to_owned();
        assert_eq!(tally.dropped(), Some(Dropped { spans: 4, metric_exports: 1, cause }));
    }
}
