//! The worker that is killed or stopped again and again.

use std::fmt;
use std::ops::Range;
use std::time::{Duration, Instant};

use rand::RngExt;
use rand::rngs::ThreadRng;

use super::judge::Judge;
use super::worker::{Starter, Worker};
use longshore_testkit::wait::until;

/// One worker after the other.
pub(super) struct Victim {
    state: Option<Worker>,
    dies_at: Instant,
    was_told_to_stop: bool,
    /// How long each lives, in seconds.
    lives: Range<u64>,
    ends: Ends,
    rng: ThreadRng,
}

/// How many ended in which way.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ends {
    pub(super) killed: u64,
    pub(super) stopped: u64,
}

impl fmt::Display for Ends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} killed, {} stopped", self.killed, self.stopped)
    }
}

impl Victim {
    /// Starts the first.
    pub(super) fn start(starter: &Starter, lives: Range<u64>) -> Self {
        let (ends, rng) = (Ends::default(), rand::rng());
        let mut victim =
            Self { state: None, dies_at: Instant::now(), was_told_to_stop: false, lives, ends, rng };
        victim.begin(starter);
        victim
    }

    fn begin(&mut self, starter: &Starter) {
        self.was_told_to_stop = false;
        let life = self.rng.random_range(self.lives.start * 1000..self.lives.end * 1000);
        self.dies_at = Instant::now() + Duration::from_millis(life);
        self.state = Some(starter.worker("victim"));
    }

    /// Ends the worker when its time has come, and starts the next one. In the end they live.
    pub(super) fn look(&mut self, starter: &Starter, judge: &mut Judge, dies: bool) {
        let Some(mut worker) = self.state.take() else { return self.begin(starter) };
        worker.read_log(|line| judge.read(line));
        if let Some(status) = worker.ended() {
            assert!(self.was_told_to_stop && status.success(), "a worker ended with {status}");
            worker.read_log(|line| judge.read(line));
            self.ends.stopped += 1;
            return self.begin(starter);
        }
        // One is killed, wherever it is; the next is stopped, once it works.
        let stops = self.ends.killed > self.ends.stopped;
        let is_ready = worker.has_begun() || !stops;
        if !dies || self.was_told_to_stop || Instant::now() < self.dies_at || !is_ready {
            self.state = Some(worker);
        } else if stops {
            worker.terminate();
            self.was_told_to_stop = true;
            self.state = Some(worker);
        } else {
            worker.kill(|line| judge.read(line));
            self.ends.killed += 1;
            self.begin(starter);
        }
    }

    /// How they ended so far.
    pub(super) fn ends(&self) -> Ends {
        self.ends
    }

    /// Hands over the last one, unless it was told to stop already.
    pub(super) fn leave(&mut self, judge: &mut Judge) -> Option<Worker> {
        let mut worker = self.state.take()?;
        if !self.was_told_to_stop {
            return Some(worker);
        }
        let status = until("the end of a worker", || worker.ended());
        worker.read_log(|line| judge.read(line));
        assert!(status.success(), "a worker ended with {status}");
        self.ends.stopped += 1;
        None
    }
}
