//! The loop: receive, lease, admit, invoke, settle, until there is nothing left to do.
//!
//! Each rule of the loop is a small type of its own in a file of its own; this one only asks them. The worker owns
//! no connection and no sandbox: it is given a queue, a poison queue and a handler, and can be run against any.

pub mod admit;
mod attempt;
pub mod breaker;
pub mod drain;
pub mod lease;
pub mod outputs;
pub mod platform;
pub mod poison;
mod receive;
pub mod report;
pub mod retry;
mod settle;
pub mod stop;
pub mod usage;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use self::admit::Encoding;
use self::breaker::Breaker;
use self::drain::{Drain, End, Step, Until};
use self::lease::{LeaseMode, Terms};
use self::outputs::Outputs;
use self::platform::SETTLEMENT;
use self::poison::PoisonFormat;
use self::receive::{Answer, Receiver};
use self::report::{Outcome, Summary};
use self::retry::RetryPolicy;
use self::stop::{Stop, Urgency};
use self::usage::Measured;
use longshore_handler::Handler;
use longshore_queue::{Queue, QueueError, Received};

/// How a worker behaves. [`Config::default`] is what the documentation calls the defaults.
#[derive(Clone, Debug)]
pub struct Config {
    /// How many messages are handled at once.
    pub concurrency: usize,
    /// The visibility timeout of each lease.
    pub visibility: Duration,
    /// Whether leases are renewed.
    pub lease: LeaseMode,
    /// How long a handler may take for one message.
    pub deadline: Duration,
    /// How often a message may be received before it is poison.
    pub max_dequeue: u32,
    /// How long failed messages stay invisible.
    pub retry: RetryPolicy,
    /// How many failures of different messages in a row open the breaker; zero: it never opens.
    pub breaker: usize,
    /// How long an open breaker keeps the run alive; `None`: as long as the time budget lasts.
    pub hold: Option<Duration>,
    /// How long to wait for a retry that the run made itself.
    pub linger: Duration,
    /// How long the run lasts, the last deadline included.
    pub time_budget: Duration,
    /// Poll without end instead of draining.
    pub forever: bool,
    /// How many messages to receive at most.
    pub max_messages: Option<u64>,
    /// How long running handlers have after a signal.
    pub grace: Duration,
    /// How bodies are encoded.
    pub encoding: Encoding,
    /// How poison messages are written.
    pub poison_format: PoisonFormat,
    /// Seeds the jitter, for tests; `None`: from the system.
    pub seed: Option<u64>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            concurrency: 16,
            visibility: Duration::from_secs(60),
            lease: LeaseMode::Auto,
            deadline: Duration::from_secs(30),
            max_dequeue: 5,
            retry: RetryPolicy::default(),
            breaker: 20,
            hold: None,
            linger: Duration::from_secs(30),
            time_budget: Duration::from_secs(20 * 60),
            forever: false,
            max_messages: None,
            grace: Duration::from_secs(20),
            encoding: Encoding::Auto,
            poison_format: PoisonFormat::Envelope,
            seed: None,
        }
    }
}

/// What a run came to.
#[derive(Debug)]
pub struct Finished {
    /// What it did.
    pub summary: Summary,
    /// Why it ended: by itself, or by a fault that no retry will mend.
    pub end: Result<End, QueueError>,
}

/// A queue, a handler, and the policies between them.
pub struct Worker {
    config: Config,
    queue: Arc<dyn Queue>,
    queue_name: String,
    poison: Arc<dyn Queue>,
    outputs: Outputs,
    handler: Arc<dyn Handler>,
    breaker: Mutex<Breaker>,
    rng: Mutex<StdRng>,
    summary: Mutex<Summary>,
    measured: Mutex<Measured>,
    interrupt: watch::Sender<bool>,
    said_long_delay: AtomicBool,
}

/// How one message ended, and what that means for the run.
#[derive(Debug)]
struct Ended {
    outcome: Outcome,
    /// When which messages become visible again.
    due: Vec<(String, Instant)>,
    /// What will stop every other message as well.
    fault: Option<QueueError>,
}

impl From<Outcome> for Ended {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, due: Vec::new(), fault: None }
    }
}

impl Worker {
    /// A worker that moves what cannot be handled from `queue` to `poison`.
    pub fn new(
        config: Config,
        queue: Arc<dyn Queue>,
        poison: Arc<dyn Queue>,
        handler: Arc<dyn Handler>,
    ) -> Self {
        let rng = config.seed.map_or_else(|| StdRng::from_rng(&mut rand::rng()), StdRng::seed_from_u64);
        Self {
            breaker: Mutex::new(Breaker::new(config.breaker)),
            rng: Mutex::new(rng),
            queue_name: queue.url().name().to_owned(),
            summary: Mutex::default(),
            measured: Mutex::default(),
            outputs: Outputs::default(),
            interrupt: watch::Sender::new(false),
            said_long_delay: AtomicBool::new(false),
            config,
            queue,
            poison,
            handler,
        }
    }

    /// Where the handler's own messages go; without it, nowhere.
    #[must_use]
    pub fn sending_to(self, outputs: Outputs) -> Self {
        Self { outputs, ..self }
    }

    /// What was done so far.
    pub fn summary(&self) -> Summary {
        lock(&self.summary).clone()
    }

    /// Works until the queue is drained, or until told to stop.
    pub async fn run(self: &Arc<Self>, mut stop: Stop) -> Finished {
        let started = Instant::now();
        let mut tasks = JoinSet::new();
        let mut drain = Drain::new(self.until(), self.config.max_messages, started);
        let terms =
            Terms::agree(self.config.lease, &*self.queue, self.config.visibility, self.config.deadline).await;
        let mut receiver = Receiver::default();
        let end = self.work_off(&mut tasks, &mut drain, &mut receiver, terms, &mut stop).await;
        tokio::join!(receiver.give_back(self, terms), self.wind_down(&mut tasks, &mut stop));
        let mut summary = self.summary();
        lock(&self.measured).report(&mut summary);
        summary.duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        Finished { summary, end }
    }

    /// The loop itself: it ends when the run is over, when told to stop, and on a fault that will not go away.
    async fn work_off(
        self: &Arc<Self>,
        tasks: &mut JoinSet<Ended>,
        drain: &mut Drain,
        receiver: &mut Receiver,
        terms: Terms,
        stop: &mut Stop,
    ) -> Result<End, QueueError> {
        loop {
            while let Some(ended) = tasks.try_join_next() {
                self.note(ended, drain)?;
            }
            let now = Instant::now();
            let wait_until = match self.step(drain, tasks.len() + drain.asked(), now) {
                Step::End(end) => return Ok(end),
                Step::Wait(until) => until,
                Step::Receive(max) => match receiver.due(max, tasks.len(), now) {
                    Some(due) if due <= now => {
                        drain.asks(max);
                        receiver.send(Arc::clone(self), max, terms);
                        continue;
                    }
                    due => due,
                },
            };
            tokio::select! {
                biased;
                () = stop.wait(Urgency::Drain) => return Ok(End::Stopped),
                Some(answered) = receiver.next() => {
                    drain.answered(answered.asked);
                    let sent = answered.sent;
                    match receiver.judge(answered)? {
                        Answer::Batch(messages) => self.start(messages, sent, terms, tasks, drain),
                        Answer::Later(at) => drain.pause_until(at),
                        Answer::Nothing => {
                            self.breaker().found_nothing(Instant::now());
                            drain.found_nothing(sent, Instant::now(), &mut *self.rng());
                        }
                    }
                }
                Some(ended) = tasks.join_next() => self.note(ended, drain)?,
                () = sleep_until(wait_until.unwrap_or_else(Instant::now)), if wait_until.is_some() => {}
            }
        }
    }

    /// Handles the messages of a receive that was sent at `sent`, each in a task of its own.
    fn start(
        self: &Arc<Self>,
        messages: Vec<Received>,
        sent: Instant,
        terms: Terms,
        tasks: &mut JoinSet<Ended>,
        drain: &mut Drain,
    ) {
        longshore_failpoint::kill_at("after-receive");
        lock(&self.summary).received += messages.len() as u64;
        drain.received(messages.iter().map(|it| it.message.id.as_str()), Instant::now());
        for message in messages {
            self.breaker().received(&message.message.id);
            // In a box: a task is copied several times before it runs, and this one is large.
            tasks.spawn(Box::pin(Arc::clone(self).attempt(message, sent, terms)));
        }
    }

    /// What to do next: the drain decides, unless the breaker is open.
    fn step(&self, drain: &Drain, in_flight: usize, now: Instant) -> Step {
        let breaker = self.breaker();
        let allowed = breaker.allowance(self.config.concurrency, now);
        let (Some(since), Some(probe_at)) = (breaker.open_since(), breaker.probe_at()) else {
            return drain.next(now, allowed.saturating_sub(in_flight), in_flight);
        };
        let hold_ends = self.config.hold.map(|hold| since + hold);
        let over = drain.over(now).is_some() || hold_ends.is_some_and(|at| now >= at);
        let ends = [hold_ends, drain.stop_at()].into_iter().flatten().min();
        match (over, in_flight) {
            (true, 0) => Step::End(End::BreakerOpen),
            (true, _) => Step::Wait(None),
            (false, 0) if allowed > 0 => drain.probe(now),
            (false, 0) => Step::Wait(Some(ends.map_or(probe_at, |ends| ends.min(probe_at)))),
            (false, _) => Step::Wait(ends),
        }
    }

    /// Counts a message that ended.
    fn note(&self, ended: Result<Ended, JoinError>, drain: &mut Drain) -> Result<(), QueueError> {
        let ended = ended.unwrap_or_else(|error| {
            tracing::error!(%error, "a message's task ended early: its lease will run out, and it comes back");
            Outcome::Abandoned("host-error").into()
        });
        lock(&self.summary).count(&ended.outcome);
        for (id, due) in ended.due {
            drain.retry_due(id, due);
        }
        ended.fault.map_or(Ok(()), Err)
    }

    /// Lets what is in flight end: handlers within the grace, then settlement.
    async fn wind_down(&self, tasks: &mut JoinSet<Ended>, stop: &mut Stop) {
        let grace_ends = Instant::now() + self.config.grace;
        tokio::select! {
            _ = timeout_at(grace_ends, self.join_all(tasks)) => {}
            () = stop.wait(Urgency::Now) => {}
        }
        self.interrupt.send_replace(true);
        if timeout(SETTLEMENT, self.join_all(tasks)).await.is_err() {
            tracing::warn!(
                messages = tasks.len(),
                "not settled in time: they come back when their leases run out"
            );
            tasks.abort_all();
            self.join_all(tasks).await;
        }
    }

    async fn join_all(&self, tasks: &mut JoinSet<Ended>) {
        while let Some(ended) = tasks.join_next().await {
            lock(&self.summary).count(&ended.map_or(Outcome::Abandoned("host-error"), |ended| ended.outcome));
        }
    }

    fn until(&self) -> Until {
        if self.config.forever {
            return Until::Stopped;
        }
        let receive_for = self.config.time_budget.saturating_sub(self.config.deadline);
        // A delay that ends with this process is waited for: KEDA counts the message meanwhile, and us as running.
        let linger = match self.queue.hides_only_while_running() {
            true => self.config.linger.max(self.config.retry.max_delay),
            false => self.config.linger,
        };
        Until::Drained { linger, receive_for }
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        lock(&self.breaker)
    }

    fn rng(&self) -> MutexGuard<'_, StdRng> {
        lock(&self.rng)
    }

    fn said_long_delay(&self) -> bool {
        self.said_long_delay.swap(true, Ordering::Relaxed)
    }
}

/// What these locks guard is valid after every statement, so that a panic elsewhere is no reason to stop.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
