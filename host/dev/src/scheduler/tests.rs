//! The policy, under paused time, with replicas that are no processes.

use std::collections::VecDeque;
use std::sync::Mutex;

use async_trait::async_trait;
use tokio::sync::watch::Sender;

use super::*;
use longshore_worker::scale::{Counting, ScaleRule};

const S: Duration = Duration::from_secs(1);

/// The length of a queue that does not answer.
const HANGS: u64 = u64::MAX - 1;

/// A queue of which only the length is known.
#[derive(Default)]
struct Length(AtomicU64);

#[async_trait]
impl QueueLength for Length {
    async fn messages(&self, _: Counting) -> Result<u64, String> {
        match self.0.load(Ordering::SeqCst) {
            u64::MAX => Err("the queue is away".into()),
            HANGS => std::future::pending().await,
            messages => Ok(messages),
        }
    }
}

/// How a replica behaves.
#[derive(Clone, Copy, Debug)]
enum Behaviour {
    /// It works for so long, takes all messages, and ends with this code.
    Ends(Duration, i32),
    /// It ends so long after SIGTERM.
    StopsAfter(Duration),
    /// It does not hear SIGTERM.
    Deaf,
    /// It cannot be started.
    Missing,
}

/// Starts replicas that behave as they are told, and notes what is done to them.
struct Stage {
    queue: Arc<Length>,
    behaviours: Mutex<VecDeque<Behaviour>>,
    log: Arc<Mutex<Vec<(u64, String)>>>,
    began: Instant,
}

impl Stage {
    fn note(&self, what: &str) {
        note(&self.log, self.began, what);
    }
}

fn note(log: &Mutex<Vec<(u64, String)>>, began: Instant, what: &str) {
    log.lock().unwrap().push((began.elapsed().as_secs(), what.to_owned()));
}

#[async_trait]
impl Launcher for Stage {
    async fn launch(&self, names: &ReplicaNames) -> Result<Box<dyn RunningReplica>, String> {
        assert!(names.replica.starts_with(&names.execution) && names.execution.starts_with("orders-"));
        let behaviour = {
            let mut behaviours = self.behaviours.lock().unwrap();
            let next = behaviours.pop_front().expect("a behaviour for each replica");
            // The last one stands for all that follow.
            if behaviours.is_empty() {
                behaviours.push_back(next);
            }
            next
        };
        if let Behaviour::Missing = behaviour {
            return Err("there is no such program".into());
        }
        self.note("start");
        let ends_at = match behaviour {
            Behaviour::Ends(after, code) => Some((Instant::now() + after, Some(code))),
            _ => None,
        };
        let (queue, log, began) = (self.queue.clone(), self.log.clone(), self.began);
        Ok(Box::new(Acting { behaviour, ends_at, queue, log, began }))
    }
}

struct Acting {
    behaviour: Behaviour,
    ends_at: Option<(Instant, Option<i32>)>,
    queue: Arc<Length>,
    log: Arc<Mutex<Vec<(u64, String)>>>,
    began: Instant,
}

#[async_trait]
impl RunningReplica for Acting {
    async fn ended(&mut self) -> ReplicaEnd {
        let Some((at, exit_code)) = self.ends_at else { return std::future::pending().await };
        sleep_until(at).await;
        if exit_code == Some(0) {
            self.queue.0.store(0, Ordering::SeqCst);
        }
        note(&self.log, self.began, "end");
        ReplicaEnd { exit_code, signal: exit_code.is_none().then_some(9), ..ReplicaEnd::default() }
    }

    fn terminate(&mut self) {
        note(&self.log, self.began, "SIGTERM");
        if let Behaviour::StopsAfter(after) = self.behaviour {
            self.ends_at = Some((Instant::now() + after, Some(0)));
        }
    }

    fn kill(&mut self) {
        note(&self.log, self.began, "SIGKILL");
        self.ends_at = Some((Instant::now(), None));
    }
}

struct Theatre {
    queue: Arc<Length>,
    stage: Arc<Stage>,
    history: Arc<History>,
    events: mpsc::UnboundedReceiver<DevEvent>,
    stop: Sender<StopStage>,
    scheduler: Option<Scheduler>,
}

impl Theatre {
    fn new(messages: u64, plan: JobPlan, behaviours: &[Behaviour]) -> Self {
        let queue = Arc::new(Length(AtomicU64::new(messages)));
        let stage = Arc::new(Stage {
            queue: queue.clone(),
            behaviours: Mutex::new(behaviours.iter().copied().collect()),
            log: Arc::default(),
            began: Instant::now(),
        });
        let history = Arc::new(History::in_memory().unwrap());
        let (sender, events) = mpsc::unbounded_channel();
        let scheduler = Scheduler::new(plan, queue.clone(), stage.clone(), history.clone(), sender);
        Self { queue, stage, history, events, stop: Sender::default(), scheduler: Some(scheduler) }
    }

    async fn run(&mut self, until: ScheduleUntil) -> Scheduled {
        self.scheduler.take().unwrap().run(until, self.stop.subscribe()).await
    }

    /// Runs beside `acting`, and asks for a stop after it.
    async fn run_beside(&mut self, acting: impl Future<Output = ()>) -> Scheduled {
        let scheduler = self.scheduler.take().unwrap();
        let running = scheduler.run(ScheduleUntil::Stopped, self.stop.subscribe());
        tokio::join!(running, async {
            acting.await;
            self.stop.send_replace(StopStage::Terminate);
        })
        .0
    }

    /// What was done to replicas, with the second in which it was.
    fn log(&self) -> Vec<(u64, String)> {
        self.stage.log.lock().unwrap().clone()
    }

    fn seconds_of(&self, what: &str) -> Vec<u64> {
        self.log().into_iter().filter(|(_, it)| it == what).map(|(at, _)| at).collect()
    }

    fn sums(&mut self) -> Vec<String> {
        let mut sums = Vec::new();
        while let Ok(event) = self.events.try_recv() {
            if let DevEvent::Polled { sum, .. } = event {
                sums.push(sum);
            }
        }
        sums
    }
}

fn plan() -> JobPlan {
    JobPlan {
        job: "orders".into(),
        rule: ScaleRule { length: 100, ..ScaleRule::default() },
        poll: 30 * S,
        start_delay: 15 * S,
        replica_timeout: 600 * S,
        retry_limit: 0,
        speed: 1,
    }
}

#[tokio::test(start_paused = true)]
async fn each_poll_starts_what_the_sum_says_after_the_start_delay() {
    let mut theatre = Theatre::new(250, plan(), &[Behaviour::StopsAfter(S)]);
    let queue = theatre.queue.clone();
    let done = theatre
        .run_beside(async {
            sleep(40 * S).await;
            queue.0.store(450, Ordering::SeqCst);
            sleep(60 * S).await;
        })
        .await;
    assert_eq!(theatre.seconds_of("start"), [15, 15, 15, 75, 75]);
    assert_eq!(done.created, 5);
    assert_eq!(
        theatre.sums(),
        [
            "250 / 100 → 3, 0 running → start 3",
            "250 / 100 → 3, 3 running → start none",
            "450 / 100 → 5, 3 running → start 2",
            "450 / 100 → 5, 5 running → start none",
        ]
    );
    assert!(done.executions.iter().all(|it| it.state == ExecutionState::Stopped), "{done:?}");
}

#[tokio::test(start_paused = true)]
async fn speed_divides_the_poll_the_start_and_the_time_limit_and_not_the_time_to_stop() {
    let plan = JobPlan { speed: 10, ..plan() };
    let mut theatre = Theatre::new(1, plan, &[Behaviour::Deaf, Behaviour::Ends(S, 0)]);
    let done = theatre.run_beside(sleep(100 * S)).await;
    let log = theatre.log();
    let expected = [(1, "start"), (60, "SIGTERM"), (90, "SIGKILL"), (90, "end")];
    assert_eq!(log[..4], expected.map(|(at, what)| (at, what.to_owned())), "{log:?}");
    assert_eq!(done.executions[0].state, ExecutionState::Failed);
    // KEDA remembers nothing: the next poll starts another one.
    assert_eq!(log[4], (94, "start".into()), "{log:?}");
}

#[tokio::test(start_paused = true)]
async fn an_execution_that_reaches_its_time_limit_has_failed_although_it_stopped_in_time() {
    let mut theatre = Theatre::new(1, plan(), &[Behaviour::StopsAfter(5 * S)]);
    let done = theatre.run(ScheduleUntil::Drained).await;
    assert_eq!(theatre.log(), [(15, "start".into()), (600, "SIGTERM".into()), (605, "end".into())]);
    let [only] = &done.executions[..] else { panic!("{done:?}") };
    assert_eq!((only.state, only.exit_code), (ExecutionState::Failed, Some(0)));
    assert!(only.cause.as_ref().unwrap().contains("time limit of 600s"), "{only:?}");
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_fails_is_started_again_within_its_execution_which_runs_all_the_while() {
    let plan = JobPlan { retry_limit: 2, ..plan() };
    let fails = Behaviour::Ends(20 * S, 3);
    let mut theatre = Theatre::new(1, plan, &[fails, fails, fails, Behaviour::Ends(S, 0)]);
    let done = theatre.run_beside(sleep(106 * S)).await;
    // 15 + 20, 15 + 20, 15 + 20: it has failed at 105 s, after two restarts.
    assert_eq!(theatre.seconds_of("start"), [15, 50, 85]);
    assert_eq!((done.executions[0].restarts, done.executions[0].exit_code), (2, Some(3)));
    assert_eq!(done.executions[0].state, ExecutionState::Failed);
    assert_eq!(done.created, 1);
    let running: Vec<_> = theatre.sums().iter().map(|it| it.contains("1 running")).collect();
    assert_eq!(running, [false, true, true, true]);
}

#[tokio::test(start_paused = true)]
async fn a_time_limit_that_ends_an_execution_ends_its_restarts_as_well() {
    let plan = JobPlan { retry_limit: 9, replica_timeout: 60 * S, ..plan() };
    let mut theatre = Theatre::new(1, plan, &[Behaviour::Ends(20 * S, 1), Behaviour::StopsAfter(S)]);
    let done = theatre.run(ScheduleUntil::Drained).await;
    assert_eq!(theatre.seconds_of("SIGTERM"), [60]);
    assert_eq!((done.executions[0].restarts, done.executions[0].state), (1, ExecutionState::Failed));
}

#[tokio::test(start_paused = true)]
async fn a_failure_slows_nothing_down_and_every_poll_starts_another_execution() {
    let mut theatre = Theatre::new(1, plan(), &[Behaviour::Ends(S, 3)]);
    let done = theatre.run_beside(sleep(300 * S - S)).await;
    assert_eq!(done.created, 10);
    assert_eq!(theatre.history.newest(100).unwrap().len(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_cannot_be_counted_starts_nothing_and_is_asked_again() {
    let mut theatre = Theatre::new(u64::MAX, plan(), &[Behaviour::Ends(S, 0)]);
    let queue = theatre.queue.clone();
    let done = theatre
        .run_beside(async {
            sleep(40 * S).await;
            queue.0.store(1, Ordering::SeqCst);
            sleep(60 * S).await;
        })
        .await;
    assert_eq!((done.created, theatre.seconds_of("start")), (1, vec![75]));
    assert!(matches!(theatre.events.try_recv().unwrap(), DevEvent::NotCounted { .. }));
}

#[tokio::test(start_paused = true)]
async fn once_gives_up_a_queue_that_cannot_be_counted_for_three_polls() {
    let mut theatre = Theatre::new(u64::MAX, plan(), &[Behaviour::Deaf]);
    let done = theatre.run(ScheduleUntil::Drained).await;
    assert_eq!(done.not_counted.as_deref(), Some("the queue is away"));
    assert_eq!((theatre.stage.began.elapsed().as_secs(), done.created), (60, 0));
}

#[tokio::test(start_paused = true)]
async fn once_ends_when_the_queue_is_empty_and_nothing_runs() {
    let mut theatre = Theatre::new(250, plan(), &[Behaviour::Ends(40 * S, 0)]);
    let done = theatre.run(ScheduleUntil::Drained).await;
    assert_eq!((done.executions.len(), done.was_stopped), (3, false));
    assert!(done.executions.iter().all(|it| it.state == ExecutionState::Succeeded));
    assert_eq!(theatre.stage.began.elapsed().as_secs(), 55, "it does not wait for the next poll");
    let mut empty = Theatre::new(0, plan(), &[Behaviour::Deaf]);
    assert_eq!(empty.run(ScheduleUntil::Drained).await, Scheduled::default());
}

#[tokio::test(start_paused = true)]
async fn once_ends_after_a_failure_when_the_others_have_ended() {
    let mut theatre = Theatre::new(150, plan(), &[Behaviour::Ends(S, 3), Behaviour::Ends(100 * S, 4)]);
    let done = theatre.run(ScheduleUntil::Drained).await;
    let codes: Vec<_> = done.executions.iter().map(|it| it.exit_code).collect();
    assert_eq!(codes, [Some(3), Some(4)]);
    assert_eq!(done.created, 2, "nothing is started after the first failure");
    let mut missing = Theatre::new(1, plan(), &[Behaviour::Missing]);
    let done = missing.run(ScheduleUntil::Drained).await;
    assert_eq!(done.executions[0].cause.as_deref(), Some("there is no such program"));
    assert_eq!(done.executions[0].state, ExecutionState::Failed);
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_all_executions_by_sigterm_and_those_that_do_not_hear_by_sigkill() {
    let mut theatre = Theatre::new(250, plan(), &[Behaviour::StopsAfter(2 * S), Behaviour::Deaf]);
    let done = theatre.run_beside(sleep(20 * S)).await;
    assert_eq!(theatre.seconds_of("SIGTERM"), [20, 20, 20]);
    assert_eq!(theatre.seconds_of("SIGKILL"), [50, 50]);
    assert!(done.was_stopped && done.executions.len() == 3);
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_does_not_answer_holds_up_no_stop() {
    let mut theatre = Theatre::new(HANGS, plan(), &[Behaviour::Deaf]);
    let done = theatre.run_beside(sleep(3 * S)).await;
    assert_eq!((theatre.stage.began.elapsed(), done.was_stopped), (3 * S, true));

    // An execution that runs is stopped as well, although a poll hangs beside it.
    let mut theatre = Theatre::new(50, plan(), &[Behaviour::StopsAfter(2 * S)]);
    let queue = theatre.queue.clone();
    let done = theatre
        .run_beside(async move {
            sleep(20 * S).await;
            queue.0.store(HANGS, Ordering::SeqCst);
            sleep(20 * S).await;
        })
        .await;
    assert_eq!((theatre.seconds_of("SIGTERM"), theatre.seconds_of("end")), (vec![40], vec![42]));
    assert!(done.was_stopped && done.executions.len() == 1);

    // The same with `--once`, when the last execution has ended and the queue is counted again.
    let mut theatre = Theatre::new(50, plan(), &[Behaviour::Ends(S, 3)]);
    let (queue, stop) = (theatre.queue.clone(), theatre.stop.clone());
    let acting = async move {
        sleep(10 * S).await;
        queue.0.store(HANGS, Ordering::SeqCst);
        sleep(20 * S).await;
        stop.send_replace(StopStage::Terminate);
    };
    let (done, ()) = tokio::join!(theatre.run(ScheduleUntil::Drained), acting);
    assert!(done.was_stopped && done.executions.len() == 1, "{done:?}");
    assert_eq!(theatre.stage.began.elapsed(), 30 * S);
}

#[tokio::test(start_paused = true)]
async fn a_second_stop_kills_at_once_and_what_has_not_started_does_not_start() {
    let mut theatre = Theatre::new(50, plan(), &[Behaviour::Deaf]);
    let stop = theatre.stop.clone();
    let done = theatre
        .run_beside(async move {
            sleep(20 * S).await;
            stop.send_replace(StopStage::Terminate);
            sleep(S).await;
            stop.send_replace(StopStage::Kill);
            // `run_beside` asks for a stop at the end, which is none any more.
            sleep(S).await;
        })
        .await;
    assert_eq!((theatre.seconds_of("SIGKILL"), done.executions.len()), (vec![21], 1));

    let mut early = Theatre::new(50, plan(), &[Behaviour::Deaf]);
    let done = early.run_beside(sleep(5 * S)).await;
    assert_eq!(done.executions[0].state, ExecutionState::Stopped);
    assert_eq!(early.log(), []);
}

#[tokio::test(start_paused = true)]
async fn what_is_pending_is_seen_by_the_strategies_that_look_at_it() {
    let rule = ScaleRule { strategy: longshore_worker::scale::Strategy::Accurate, ..plan().rule };
    let plan = JobPlan { rule, start_delay: 45 * S, ..plan() };
    let mut theatre = Theatre::new(150, plan, &[Behaviour::StopsAfter(S)]);
    theatre.run_beside(sleep(70 * S)).await;
    assert_eq!(
        theatre.sums(),
        [
            "150 / 100 → 2, 0 running, 0 pending (accurate) → start 2",
            "150 / 100 → 2, 2 running, 2 pending (accurate) → start none",
            "150 / 100 → 2, 2 running, 0 pending (accurate) → start 2",
        ]
    );
}
