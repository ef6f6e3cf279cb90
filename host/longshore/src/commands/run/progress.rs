//! The bar at the bottom of a terminal: how far a run has come, how fast, and what holds it up.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};
use tokio::time::Instant;

use crate::telemetry::PROGRESS;
use longshore_queue::Queue;
use longshore_worker::Worker;
use longshore_worker::hold::{HoldCause, OnHold};
use longshore_worker::report::Summary;

/// How often the bar is drawn.
const REDRAW: Duration = Duration::from_millis(100);
/// The rate is that of so much time.
const RATE_OF: Duration = Duration::from_secs(3);

/// Draws until it is aborted. Where standard error is no terminal, nothing is drawn.
pub(super) async fn draw(worker: Arc<Worker>, queue: Arc<dyn Queue>) {
    let bar = PROGRESS.add(ProgressBar::no_length().with_finish(ProgressFinish::AndClear));
    if bar.is_hidden() {
        return;
    }
    let style = |template| ProgressStyle::with_template(template).ok();
    let (working, held) = (style("{wide_bar} {msg}"), style("{msg:.yellow}"));
    let waiting = queue.approximate_count().await.unwrap_or_default();
    let (started, mut pace) = (Instant::now(), Pace::default());
    loop {
        let (now, done, hold) = (Instant::now(), worker.summary(), worker.on_hold());
        let settled = done.completed + done.poisoned;
        if let Some(style) = if hold.is_some() { &held } else { &working } {
            bar.set_style(style.clone());
        }
        let total = waiting.max(settled);
        bar.set_length(total);
        bar.set_position(settled);
        let rate = pace.per_second(now, settled);
        bar.set_message(match hold {
            Some(hold) => on_hold(&done, total, hold, now),
            None => at_work(&done, total, rate, now - started),
        });
        tokio::time::sleep(REDRAW).await;
    }
}

/// How many messages are settled in a second, over the last few.
#[derive(Debug, Default)]
struct Pace(VecDeque<(Instant, u64)>);

impl Pace {
    /// The rate, once `settled` messages are settled.
    fn per_second(&mut self, now: Instant, settled: u64) -> f64 {
        self.0.push_back((now, settled));
        while self.0.len() > 2 && now - self.0[1].0 >= RATE_OF {
            self.0.pop_front();
        }
        let Some((since, before)) = self.0.front() else { return 0.0 };
        let elapsed = now.saturating_duration_since(*since).as_secs_f64();
        if elapsed > 0.0 { (settled - before) as f64 / elapsed } else { 0.0 }
    }
}

/// How many messages a run has in hand.
fn in_flight(done: &Summary) -> u64 {
    let ended = done.completed + done.retried + done.poisoned + done.abandoned + done.lease_lost;
    done.received.saturating_sub(ended)
}

fn at_work(done: &Summary, total: u64, rate: f64, elapsed: Duration) -> String {
    let settled = done.completed + done.poisoned;
    let rate = if rate < 10.0 { format!("{rate:.1}") } else { format!("{rate:.0}") };
    format!(
        "{settled}/{total} settled in {}, {rate}/s, {} in flight{}",
        seconds(elapsed),
        in_flight(done),
        failed(done)
    )
}

fn failed(done: &Summary) -> String {
    let counts = [(done.retried, "retried"), (done.poisoned, "poisoned")];
    counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!(", {count} {what}")).collect()
}

/// What a hold waits for, in a few words.
fn on_hold(done: &Summary, total: u64, hold: OnHold, now: Instant) -> String {
    let cause = match hold.cause {
        HoldCause::Breaker => "BREAKER OPEN",
        HoldCause::NoHandler => "NO COMPONENT",
    };
    let left = |at: Instant| seconds(at.saturating_duration_since(now));
    let next = hold.try_at.map_or(", trying one now".to_owned(), |at| format!(", next try in {}", left(at)));
    let ends = hold.ends.map(|at| format!(", gives up in {}", left(at))).unwrap_or_default();
    format!("{cause}{next}{ends}; {}/{total} settled{}", done.completed + done.poisoned, failed(done))
}

/// `12 s`, or `14m 3s` from a minute on.
fn seconds(time: Duration) -> String {
    match time.as_secs() {
        seconds if seconds < 60 => format!("{seconds} s"),
        seconds => humantime::format_duration(Duration::from_secs(seconds)).to_string().replace(' ', ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done() -> Summary {
        Summary {
            received: 500_000,
            completed: 480_000,
            retried: 9_000,
            poisoned: 10_000,
            abandoned: 4,
            ..Summary::default()
        }
    }

    #[test]
    fn the_bar_has_the_rate_and_what_is_in_flight_and_fits_a_terminal() {
        let few = Summary { received: 20, completed: 4, ..Summary::default() };
        let bar = at_work(&few, 20, 1.25, Duration::from_secs(3));
        assert_eq!(bar, "4/20 settled in 3 s, 1.2/s, 16 in flight");
        let bar = at_work(&done(), 1_000_000, 1234.5, Duration::from_secs(3_725));
        assert_eq!(
            bar,
            "490000/1000000 settled in 1h2m5s, 1234/s, 996 in flight, 9000 retried, 10000 poisoned"
        );
        assert!(bar.len() <= 100, "{}", bar.len());
    }

    #[test]
    fn an_open_breaker_shows_itself_with_what_it_waits_for() {
        let now = Instant::now();
        let at = |seconds| Some(now + Duration::from_secs(seconds));
        let hold = |cause, try_at, ends| OnHold { cause, since: now, try_at, ends };
        let bar = on_hold(&done(), 1_000_000, hold(HoldCause::Breaker, at(28), at(843)), now);
        assert_eq!(
            bar,
            "BREAKER OPEN, next try in 28 s, gives up in 14m3s; 490000/1000000 settled, 9000 retried, 10000 poisoned"
        );
        let bar = on_hold(&Summary::default(), 3, hold(HoldCause::NoHandler, None, None), now);
        assert_eq!(bar, "NO COMPONENT, trying one now; 0/3 settled");
    }

    #[test]
    fn the_rate_is_that_of_the_last_seconds() {
        let start = Instant::now();
        let mut pace = Pace::default();
        assert!(pace.per_second(start, 0).abs() < 1e-9);
        let mut rate = 0.0;
        for tenth in 1..=100_u64 {
            rate = pace.per_second(start + Duration::from_millis(100 * tenth), 5 * tenth);
        }
        assert!((rate - 50.0).abs() < 1.0, "{rate}");
        for tenth in 101..=140_u64 {
            rate = pace.per_second(start + Duration::from_millis(100 * tenth), 500);
        }
        assert!(rate.abs() < 1e-9 && pace.0.len() < 40, "{rate}");
    }
}
