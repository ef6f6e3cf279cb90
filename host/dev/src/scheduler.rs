//! The polls of KEDA, and the life of each execution.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};

use crate::event::DevEvent;
use crate::execution::{ExecutionRecord, ExecutionState};
use crate::history::History;
use crate::kills::{KillMark, Kills};
use crate::launcher::{Launcher, QueueLength, ReplicaEnd, RunningReplica};
use crate::names::ReplicaNames;
use crate::plan::JobPlan;
use longshore_worker::platform::KILLED_AFTER;
use longshore_worker::scale::Observation;

/// After so many polls in a row a queue that cannot be counted is given up.
const TRIED: u32 = 3;

/// How urgently everything is to stop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum StopStage {
    /// It is not.
    #[default]
    GoOn,
    /// No execution is started any more, and those that run get SIGTERM.
    Terminate,
    /// Those that still run get SIGKILL.
    Kill,
}

/// When the scheduler ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScheduleUntil {
    /// It does not.
    Stopped,
    /// When the queue is empty and no execution runs, or when one has failed and no other runs.
    /// Also when the queue could not be counted for three polls, and none runs.
    Drained,
}

/// What the scheduler did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scheduled {
    /// The executions that ended, in the order of their ends.
    pub executions: Vec<ExecutionRecord>,
    /// How many executions were created.
    pub created: u64,
    /// Whether it was told to stop.
    pub was_stopped: bool,
    /// Why the queue could not be counted, if that was the end.
    pub not_counted: Option<String>,
}

/// Polls a queue as KEDA does, and runs what it starts.
pub struct Scheduler {
    plan: Arc<JobPlan>,
    queue: Arc<dyn QueueLength>,
    launcher: Arc<dyn Launcher>,
    history: Arc<History>,
    events: mpsc::UnboundedSender<DevEvent>,
    pending: Arc<AtomicU64>,
    kills: Kills,
}

impl Scheduler {
    /// A scheduler of this plan. What happens is sent to `events`.
    pub fn new(
        plan: JobPlan,
        queue: Arc<dyn QueueLength>,
        launcher: Arc<dyn Launcher>,
        history: Arc<History>,
        events: mpsc::UnboundedSender<DevEvent>,
    ) -> Self {
        let (pending, kills) = (Arc::default(), Kills::default());
        Self { plan: Arc::new(plan), queue, launcher, history, events, pending, kills }
    }

    /// What kills one of its executions.
    #[must_use]
    pub fn kills(&self) -> Kills {
        self.kills.clone()
    }

    /// Polls at once and then at each interval, until it is told to stop or `until` says so. Every
    /// execution has ended when it returns.
    pub async fn run(self, until: ScheduleUntil, mut stop: watch::Receiver<StopStage>) -> Scheduled {
        let mut polls = interval(self.plan.poll());
        polls.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut running, mut done) = (JoinSet::new(), Scheduled::default());
        let (mut has_failed, mut not_counted) = (false, 0);
        loop {
            tokio::select! {
                biased;
                () = reached(&mut stop, StopStage::Terminate) => break,
                Some(ended) = running.join_next() => {
                    let record = self.ended(ended);
                    has_failed |= record.as_ref().is_none_or(|it| it.state == ExecutionState::Failed);
                    done.executions.extend(record);
                }
                _ = polls.tick(), if !(until == ScheduleUntil::Drained && has_failed) => {
                    let Some(counted) = self.count(&mut stop).await else { break };
                    not_counted = if counted.is_ok() { 0 } else { not_counted + 1 };
                    match counted {
                        Ok(messages) => {
                            done.not_counted = None;
                            self.poll(messages, &mut running, &mut done, &stop);
                        }
                        Err(cause) => {
                            self.tell(DevEvent::NotCounted { cause: cause.clone() });
                            done.not_counted = Some(cause).filter(|_| not_counted >= TRIED);
                        }
                    }
                }
            }
            if until == ScheduleUntil::Drained && running.is_empty() {
                // Nothing is gained by the wait for the next poll.
                let Some(left) = self.count(&mut stop).await else { break };
                if has_failed || left == Ok(0) || done.not_counted.is_some() {
                    return done;
                }
            }
        }
        done.was_stopped = true;
        while let Some(ended) = running.join_next().await {
            done.executions.extend(self.ended(ended));
        }
        done
    }

    /// The queue's length, unless a stop is asked for before it is known. A queue that does not
    /// answer holds up no stop.
    async fn count(&self, stop: &mut watch::Receiver<StopStage>) -> Option<Result<u64, String>> {
        tokio::select! {
            biased;
            () = reached(stop, StopStage::Terminate) => None,
            counted = self.queue.messages(self.plan.rule.counting) => Some(counted),
        }
    }

    /// One poll that found so many messages.
    fn poll(
        &self,
        messages: u64,
        running: &mut JoinSet<ExecutionRecord>,
        done: &mut Scheduled,
        stop: &watch::Receiver<StopStage>,
    ) {
        let pending = self.pending.load(Ordering::SeqCst);
        let seen = Observation { messages, running: running.len() as u64, pending };
        let decision = self.plan.rule.decide(seen);
        self.tell(DevEvent::Polled {
            messages,
            running: seen.running,
            pending,
            started: decision.start,
            sum: decision.to_string(),
        });
        for _ in 0..decision.start {
            done.created += 1;
            let names = ReplicaNames::new(&self.plan.job);
            let record = ExecutionRecord::created(names.execution.clone(), now());
            self.history.put(&record);
            let execution = RunningExecution {
                plan: self.plan.clone(),
                launcher: self.launcher.clone(),
                history: self.history.clone(),
                events: self.events.clone(),
                pending: Some(PendingMark::on(&self.pending)),
                stop: stop.clone(),
                killed: self.kills.register(&names.execution),
                times_out_at: Instant::now() + self.plan.replica_timeout(),
                names,
                record,
            };
            running.spawn(execution.run());
        }
    }

    /// Keeps what became of an execution.
    fn ended(&self, ended: Result<ExecutionRecord, tokio::task::JoinError>) -> Option<ExecutionRecord> {
        // Its task panicked: the process was killed with it, and the record says that it is lost.
        let Ok(record) = ended else { return None };
        self.history.put(&record);
        // The log is in the history. What is kept here is kept until the end.
        let record = ExecutionRecord { log: String::new(), ..record };
        self.tell(DevEvent::Ended(Box::new(record.clone())));
        Some(record)
    }

    fn tell(&self, event: DevEvent) {
        // Nobody has to listen.
        let _ = self.events.send(event);
    }
}

/// Waits until a stop of at least this urgency is asked for; for ever, if nobody can ask any more.
async fn reached(stop: &mut watch::Receiver<StopStage>, stage: StopStage) {
    if stop.wait_for(|it| *it >= stage).await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn now() -> i64 {
    Timestamp::now().as_millisecond()
}

/// One execution.
struct RunningExecution {
    plan: Arc<JobPlan>,
    launcher: Arc<dyn Launcher>,
    history: Arc<History>,
    events: mpsc::UnboundedSender<DevEvent>,
    /// Counts it as pending until it is taken out.
    pending: Option<PendingMark>,
    stop: watch::Receiver<StopStage>,
    killed: KillMark,
    times_out_at: Instant,
    names: ReplicaNames,
    record: ExecutionRecord,
}

/// Why a replica was told to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    TimeIsOver,
    Stop,
}

impl RunningExecution {
    /// Runs it, and its restarts, to its end.
    async fn run(mut self) -> ExecutionRecord {
        loop {
            let told = self.wait_for_start().await;
            let told = match told {
                Some(told) => Some(told),
                None => match self.launcher.launch(&self.names).await {
                    Ok(replica) => {
                        self.has_started();
                        self.attend(replica).await
                    }
                    Err(cause) => {
                        self.record.cause = Some(cause);
                        None
                    }
                },
            };
            let succeeded = self.record.exit_code == Some(0) && self.record.cause.is_none();
            self.record.state = match told {
                Some(Told::Stop) => ExecutionState::Stopped,
                Some(Told::TimeIsOver) => {
                    let limit = self.plan.replica_timeout();
                    self.record.cause = Some(format!("it lasted longer than its time limit of {limit:?}"));
                    ExecutionState::Failed
                }
                None if succeeded => ExecutionState::Succeeded,
                None if self.record.restarts < self.plan.retry_limit => {
                    self.restart();
                    continue;
                }
                None => ExecutionState::Failed,
            };
            self.pending = None;
            self.record.ended_ms = Some(now());
            return self.record;
        }
    }

    /// Waits as long as a start takes, unless it is told to end before.
    async fn wait_for_start(&mut self) -> Option<Told> {
        tokio::select! {
            biased;
            () = reached(&mut self.stop, StopStage::Terminate) => Some(Told::Stop),
            () = sleep_until(self.times_out_at) => Some(Told::TimeIsOver),
            () = sleep(self.plan.start_delay()) => None,
        }
    }

    fn has_started(&mut self) {
        self.pending = None;
        self.record.state = ExecutionState::Running;
        self.record.started_ms.get_or_insert_with(now);
        (self.record.exit_code, self.record.signal, self.record.cause) = (None, None, None);
        self.history.put(&self.record);
        let (execution, restarts) = (self.record.execution.clone(), self.record.restarts);
        self.tell(DevEvent::Started { execution, restarts });
    }

    /// Waits for the end of a replica, and sees to it that it comes.
    async fn attend(&mut self, mut replica: Box<dyn RunningReplica>) -> Option<Told> {
        let (mut told, mut kill_at, mut by_hand) = (None, None, false);
        let mut stop_to_kill = self.stop.clone();
        let end = loop {
            tokio::select! {
                biased;
                end = replica.ended() => break end,
                () = reached(&mut stop_to_kill, StopStage::Kill) => {
                    told = told.or(Some(Told::Stop));
                    replica.kill();
                    break replica.ended().await;
                }
                () = self.killed.asked() => {
                    by_hand = true;
                    replica.kill();
                }
                () = reached(&mut self.stop, StopStage::Terminate), if told.is_none() => {
                    told = Some(Told::Stop);
                    kill_at = Some(Instant::now() + KILLED_AFTER);
                    replica.terminate();
                }
                () = sleep_until(self.times_out_at), if told.is_none() => {
                    told = Some(Told::TimeIsOver);
                    kill_at = Some(Instant::now() + KILLED_AFTER);
                    self.tell(DevEvent::TimedOut { execution: self.record.execution.clone() });
                    replica.terminate();
                }
                () = sleep_until(kill_at.unwrap_or_else(far_away)), if kill_at.is_some() => {
                    kill_at = None;
                    replica.kill();
                }
            }
        };
        let ReplicaEnd { exit_code, signal, cause, summary, failures, log } = end;
        let record = &mut self.record;
        (record.exit_code, record.signal, record.cause) = (exit_code, signal, cause);
        (record.summary, record.failures, record.log) = (summary, failures, log);
        if by_hand && exit_code.is_none() {
            record.cause = Some("it was killed by hand".into());
        }
        if exit_code == Some(0) {
            // What it said of its end is no cause of a failure.
            record.cause = None;
        }
        told
    }

    fn restart(&mut self) {
        let (execution, exit_code) = (self.record.execution.clone(), self.record.exit_code);
        let cause = self.record.cause.take();
        self.tell(DevEvent::Restarting { execution, exit_code, cause });
        self.record.restarts += 1;
    }

    fn tell(&self, event: DevEvent) {
        // Nobody has to listen.
        let _ = self.events.send(event);
    }
}

/// A time that does not come.
fn far_away() -> Instant {
    Instant::now() + Duration::from_secs(86_400 * 365)
}

/// Counts an execution as pending while it lives.
struct PendingMark(Arc<AtomicU64>);

impl PendingMark {
    fn on(pending: &Arc<AtomicU64>) -> Self {
        pending.fetch_add(1, Ordering::SeqCst);
        Self(pending.clone())
    }
}

impl Drop for PendingMark {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests;
