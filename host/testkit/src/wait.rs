//! Waiting in tests, for what another process or thread does.
//!
//! A test that waits knows no good limit: a machine that is busy outlasts each one. So what is
//! awaited has one limit for all tests, which only ends a test that would hang. How fast something
//! has to be is an assertion of the test that promises it, with [`slack`] for what else the machine
//! does.

use std::fmt::Display;
use std::time::{Duration, Instant};

/// How long a test waits without a sign of progress before it fails. Nothing that works takes so
/// long on any machine.
pub const LAST_RESORT: Duration = Duration::from_secs(600);
/// The first pause between two looks, which doubles up to the second one.
const PAUSES: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(20));

/// Asks again and again until there is an answer, and blocks the thread meanwhile.
///
/// # Panics
/// After [`LAST_RESORT`], with what was awaited.
pub fn until<T>(what: impl Display, mut answer: impl FnMut() -> Option<T>) -> T {
    let mut patience = Patience::new(what);
    loop {
        if let Some(answer) = answer() {
            return answer;
        }
        std::thread::sleep(patience.pause());
    }
}

/// [`until`] for tests with a runtime, which goes on meanwhile.
///
/// # Panics
/// After [`LAST_RESORT`], with what was awaited.
pub async fn until_async<T>(what: impl Display, mut answer: impl AsyncFnMut() -> Option<T>) -> T {
    let mut patience = Patience::new(what);
    loop {
        if let Some(answer) = answer().await {
            return answer;
        }
        tokio::time::sleep(patience.pause()).await;
    }
}

/// A limit that starts anew with each sign of progress.
#[derive(Debug)]
pub struct Patience<D> {
    what: D,
    since: Instant,
    next: Duration,
}

impl<D: Display> Patience<D> {
    /// Starts now.
    pub fn new(what: D) -> Self {
        Self { what, since: Instant::now(), next: PAUSES.0 }
    }

    /// Something of what is awaited has happened.
    pub fn progress(&mut self) {
        self.since = Instant::now();
        self.next = PAUSES.0;
    }

    /// How long to pause before the next look.
    ///
    /// # Panics
    /// If nothing has happened for [`LAST_RESORT`].
    pub fn pause(&mut self) -> Duration {
        assert!(self.since.elapsed() < LAST_RESORT, "no progress in {LAST_RESORT:?}: {}", self.what);
        let pause = self.next;
        self.next = (pause * 2).min(PAUSES.1);
        pause
    }
}

/// What an assertion on time allows for the machine: this much at rest, and more by as many times
/// as the machine has more to do than it has processors.
pub fn slack(at_rest: Duration) -> Duration {
    at_rest.mul_f64(load(&std::fs::read_to_string("/proc/loadavg").unwrap_or_default()))
}

/// By how many times the machine has more to do than it has processors; at least 1.
///
/// `/proc/loadavg` begins with the average of a minute, and its fourth word with the number of
/// threads that would run now (proc_loadavg(5)).
fn load(loadavg: &str) -> f64 {
    let words: Vec<&str> = loadavg.split_whitespace().collect();
    let number = |at: usize| {
        let word = words.get(at)?.split('/').next()?;
        word.parse::<f64>().ok()
    };
    let threads = [number(0), number(3)].into_iter().flatten().fold(0.0, f64::max);
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    (threads / processors as f64).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_comes_late_is_returned() {
        let mut asked = 0;
        let answer = until("the third time", || {
            asked += 1;
            (asked == 3).then_some("here")
        });
        assert_eq!((answer, asked), ("here", 3));
    }

    #[test]
    #[should_panic(expected = "no progress in 600s: a bus")]
    fn what_never_comes_is_named() {
        let mut patience = Patience::new("a bus");
        patience.since = Instant::now().checked_sub(LAST_RESORT).unwrap();
        patience.pause();
    }

    #[test]
    fn progress_starts_the_limit_anew() {
        let mut patience = Patience::new("a bus");
        patience.since = Instant::now().checked_sub(LAST_RESORT).unwrap();
        patience.progress();
        assert_eq!(patience.pause(), PAUSES.0);
    }

    #[test]
    fn slack_grows_with_the_load_and_is_never_less_than_at_rest() {
        let processors = std::thread::available_parallelism().unwrap().get();
        assert_eq!(load("0.01 0.02 0.03 1/100 4711"), 1.0);
        assert_eq!(load(&format!("{} 0 0 1/100 4711", 3 * processors)), 3.0);
        assert_eq!(load(&format!("0 0 0 {}/1000 4711", 4 * processors)), 4.0, "the average lags behind");
        assert_eq!(load(""), 1.0, "there is no such file");
    }
}
