//! The loop: it receives, starts a task for each message, and counts how they end.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use crate::attempt::attempt;
use crate::attendance::{Attendance, Change};
use crate::breaker::Allowance;
use crate::config::Config;
use crate::context::{Parts, RunContext};
use crate::drain::{Drain, End, Until};
use crate::fate::Earlier;
use crate::give_back::{give_back, release};
use crate::hide::hide_earlier;
use crate::hold::OnHold;
use crate::hold_log::HoldLog;
use crate::intake::{InHand, Intake, Next};
use crate::lease::{Agreed, Terms};
use crate::outbox::Outboxes;
use crate::platform::{LEAVING, SETTLEMENT};
use crate::receive::{Answered, Batch, Receiver};
use crate::report::{Outcome, Summary};
use crate::settled::Settled;
use crate::stop::{StopSignal, Urgency};
use crate::telemetry::Telemetry;
use crate::totals::Totals;
use crate::trace;
use crate::withheld::Withheld;
use longshore_handler::Handler;
use longshore_queue::{Queue, QueueError, Received, Right};

/// What a run came to.
#[derive(Debug)]
pub struct Finished {
    /// What it did.
    pub summary: Summary,
    /// Why it ended: by itself, or by a fault that no retry will mend.
    pub end: Result<End, QueueError>,
}

/// A queue, a handler, and the settings of the policies between them.
pub struct Worker {
    parts: Parts,
}

impl Worker {
    /// A worker that moves what cannot be handled from `queue` to `poison`.
    pub fn new(
        config: Config,
        queue: Arc<dyn Queue>,
        poison: Arc<dyn Queue>,
        handler: Arc<dyn Handler>,
    ) -> Self {
        let (outboxes, totals) = (Arc::default(), Arc::new(Totals::default()));
        Self { parts: Parts { config, queue, poison, outboxes, handler, totals, telemetry: None } }
    }

    /// Tells somebody what runs do.
    #[must_use]
    pub fn telling(self, telemetry: Arc<dyn Telemetry>) -> Self {
        Self { parts: Parts { telemetry: Some(telemetry), ..self.parts } }
    }

    /// Lets the handler send messages to these queues. Without them it can send none.
    #[must_use]
    pub fn sending_to(self, outboxes: Outboxes) -> Self {
        Self { parts: Parts { outboxes: Arc::new(outboxes), ..self.parts } }
    }

    /// What the run waits for, while it is on hold.
    pub fn on_hold(&self) -> Option<OnHold> {
        self.parts.totals.hold()
    }

    /// What was done so far.
    pub fn summary(&self) -> Summary {
        self.parts.totals.so_far()
    }

    /// Works until the queue is drained, or until told to stop.
    pub async fn run(&self, stop: StopSignal) -> Finished {
        let started = Instant::now();
        let end = self.work(stop, started).await;
        Finished { summary: self.parts.totals.report(started.elapsed()), end }
    }

    async fn work(&self, stop: StopSignal, started: Instant) -> Result<End, QueueError> {
        let Parts { config, handler, .. } = &self.parts;
        if config.hold_without_handler == Some(Duration::ZERO) && handler.unavailable().is_some() {
            return Ok(End::NoHandler);
        }
        let mut stopped = stop.clone();
        let mut run = tokio::select! {
            biased;
            () = stopped.wait(Urgency::Drain) => return Ok(End::Stopped),
            run = Run::start(self.parts.clone(), stop, started) => run?,
        };
        let end = run.work_off().await;
        run.wind_down().await;
        end
    }
}

/// What one run has in hand.
struct Run {
    context: Arc<RunContext>,
    intake: Intake,
    receiver: Receiver,
    attendance: Attendance,
    hold_log: HoldLog,
    withheld: Withheld,
    /// The messages that are being handled or settled, each in a task of its own.
    tasks: JoinSet<Settled>,
    /// Whether the queue is to be asked for the terms of leases with the first message.
    is_open: bool,
    /// That question, while it has no answer. It ends with the run.
    question: JoinSet<()>,
    stop: StopSignal,
}

impl Run {
    /// Agrees with the queue on the terms of leases. Its time budget counts from `started`.
    async fn start(parts: Parts, stop: StopSignal, started: Instant) -> Result<Self, QueueError> {
        let Parts { config, queue, handler, .. } = &parts;
        let now = Instant::now();
        let attendance = Attendance::new(Arc::clone(handler), now);
        if attendance.is_missing() {
            look_at_queue(&**queue).await?;
        }
        let drain = Drain::new(until(config, &**queue), config.max_messages, started);
        let intake = Intake::new(drain, config.concurrency)
            .holding(config.hold, config.hold_without_handler)
            .on_credit(queue.url().kind().receives_are_credit);
        let Agreed { terms, unclear, is_open } =
            Terms::agree(config.lease, &**queue, config.visibility, config.deadline).await;
        let receiver = Receiver::new(Arc::clone(queue), unclear);
        let context = Arc::new(RunContext::new(parts, terms));
        let (hold_log, withheld, question) = (HoldLog::default(), Withheld::default(), JoinSet::new());
        let tasks = JoinSet::new();
        Ok(Self { context, intake, receiver, attendance, hold_log, withheld, tasks, is_open, question, stop })
    }

    /// The loop itself. It ends when the run is over, when told to stop, and on a fault that will
    /// not go away.
    async fn work_off(&mut self) -> Result<End, QueueError> {
        loop {
            if self.stop.is_asked(Urgency::Drain) {
                return Ok(End::Stopped);
            }
            while let Some(ended) = self.tasks.try_join_next() {
                self.note(ended)?;
            }
            let now = Instant::now();
            self.attendance.look(now);
            let allowance = self.allowance();
            self.say_whether_on_hold(allowance, now);
            let wake_at = match self.intake.next(now, self.in_hand(), allowance) {
                Next::End(End::Drained) if self.waits_for_others().await => continue,
                Next::End(end) => return self.ended(end),
                Next::Receive(max) => {
                    self.intake.receive_sent(max, now);
                    self.receiver.send(max, self.context.terms());
                    continue;
                }
                Next::LookForHandler => {
                    self.attendance.reload();
                    continue;
                }
                Next::Wait(until) => until,
            };
            tokio::select! {
                biased;
                () = self.stop.wait(Urgency::Drain) => return Ok(End::Stopped),
                Some(answered) = self.receiver.next() => self.take_in(answered)?,
                Some(ended) = self.tasks.join_next() => self.note(ended)?,
                change = self.attendance.change() => self.handler_changed(change),
                () = wait_until(wake_at) => {}
            }
        }
    }

    /// How the run ends that comes to this end. A queue that gave no answer in all its time is a
    /// fault, and no end of the work.
    fn ended(&self, end: End) -> Result<End, QueueError> {
        match self.receiver.never_answered() {
            Some(error) if end == End::TimeBudget => Err(error.clone()),
            _ => Ok(end),
        }
    }

    /// Whether the run goes on although the queue has nothing for it, since others hold what is
    /// there.
    async fn waits_for_others(&mut self) -> bool {
        let Self { withheld, context, stop, intake, .. } = self;
        let Parts { config, queue, .. } = &context.parts;
        let Some(look_at) = withheld.look(&**queue, config.hold, stop).await else { return false };
        intake.more_may_come(look_at);
        true
    }

    /// How many messages may be handled at once.
    fn allowance(&self) -> Allowance {
        self.attendance.allowance().unwrap_or_else(|| self.context.breaker().allowance())
    }

    fn in_hand(&self) -> InHand {
        InHand { messages: self.tasks.len(), received_before: self.context.received_before() }
    }

    /// Logs that the run is on hold, or no longer, if that has changed.
    fn say_whether_on_hold(&mut self, allowance: Allowance, now: Instant) {
        let Self { hold_log, intake, context, .. } = self;
        let on_hold = intake.on_hold(allowance);
        if hold_log.note(on_hold, now, || context.breaker().reasons()) {
            context.parts.totals.on_hold(on_hold);
            if let Some(telemetry) = &context.parts.telemetry {
                telemetry.on_hold(on_hold.map(|hold| hold.cause));
            }
        }
    }

    /// The handler was looked for, or is another one than before.
    fn handler_changed(&mut self, change: Change) {
        let now = Instant::now();
        match change {
            Change::Replaced => self.context.breaker().handler_replaced(now),
            Change::Looked => self.attendance.looked(now),
        }
    }

    /// Takes in what a receive brought.
    fn take_in(&mut self, answered: Answered) -> Result<(), QueueError> {
        let (asked, sent, terms, now) = (answered.asked, answered.sent, answered.terms, Instant::now());
        self.intake.receive_answered(asked, answered.brought());
        let batch = self.receiver.accept(answered)?;
        match batch {
            Batch::Messages(messages) => self.start_attempts(messages, asked, sent, terms),
            Batch::Busy(retry_at) => self.intake.pause_until(retry_at),
            Batch::Lost(retry_at) => {
                self.intake.receive_lost();
                self.intake.pause_until(retry_at);
                return Ok(());
            }
            Batch::Empty => {
                self.context.breaker().found_nothing(sent, now);
                self.intake.found_nothing(sent, now, &mut *self.context.rng());
            }
        }
        self.intake.receive_clear(now, terms.visibility);
        Ok(())
    }

    /// Handles the messages of a receive that was sent at `sent` and `asked` for so many, each in a
    /// task of its own. A service may give more than it was asked for: these are given back.
    fn start_attempts(&mut self, mut messages: Vec<Received>, asked: u32, sent: Instant, terms: Terms) {
        longshore_failpoint::kill_at("after-receive");
        let Parts { totals, telemetry, .. } = &self.context.parts;
        totals.received(messages.len());
        if let Some(telemetry) = telemetry {
            telemetry.received(&messages, sent.elapsed());
        }
        let surplus = messages.split_off(messages.len().min(asked as usize));
        if !surplus.is_empty() {
            let messages = surplus.len();
            tracing::warn!(
                asked,
                messages,
                "the queue gave more messages than it was asked for: these are released"
            );
        }
        if std::mem::take(&mut self.is_open) {
            let context = Arc::clone(&self.context);
            self.question.spawn(async move { context.ask_for_terms().await });
        }
        self.intake.received(messages.iter().map(|it| it.message.id.as_str()), Instant::now());
        for message in messages {
            self.context.breaker().received(&message.message.id);
            // In a box: a task is copied several times before it runs, and this one is large.
            let (context, handling) = (Arc::clone(&self.context), self.context.handling());
            self.tasks.spawn(trace::scope(Box::pin(attempt(context, message, sent, terms, handling))));
        }
        for message in surplus {
            let context = Arc::clone(&self.context);
            self.tasks
                .spawn(async move { release(&message, sent, terms, &context, "not-asked-for").await.into() });
        }
    }

    /// Counts a message that ended.
    fn note(&mut self, ended: Result<Settled, JoinError>) -> Result<(), QueueError> {
        let ended = ended.unwrap_or_else(|error| {
            tracing::error!(%error, "a message's task ended early: its lease will run out, and it comes back");
            Outcome::Abandoned("host-error").into()
        });
        self.context.parts.totals.ended(&ended.outcome);
        let now = Instant::now();
        if let Some(slot) = ended.slot {
            self.intake.settled(now, slot);
        }
        if self.context.parts.queue.is_in_order() {
            self.intake.more_may_come(now);
        }
        for due in ended.due {
            self.intake.retry_due(due.id, due.at);
        }
        ended.fault.map_or(Ok(()), Err)
    }

    /// Lets what is in flight end: handlers within the grace, then settlement. What has no slot yet
    /// is given back, and meanwhile what receives in flight lease.
    async fn wind_down(self) {
        let Self { context, receiver, mut tasks, mut stop, .. } = self;
        context.start_none();
        let shows_hidden = context.parts.config.stop_shows_hidden && stop.is_asked(Urgency::Drain);
        tokio::join!(give_back(receiver, &context), end_attempts(&context, &mut tasks, &mut stop));
        if shows_hidden {
            show_hidden(&context).await;
        }
        if context.parts.queue.is_in_order() {
            // What was in hand until now has kept others from its order.
            let _ = timeout(LEAVING, context.parts.queue.stop_receiving()).await;
        }
    }
}

/// Makes visible what an open breaker has hidden.
async fn show_hidden(context: &RunContext) {
    let hidden = context.breaker().give_up();
    // What is not shown in time comes back when it would have come back anyway.
    let _ = timeout(SETTLEMENT, hide_earlier(context, Earlier::Show(hidden))).await;
}

/// Asks the queue whether it is there, and may be received from. A run that is on hold from its
/// start would find out only when the hold is over.
async fn look_at_queue(queue: &dyn Queue) -> Result<(), QueueError> {
    match queue.may(Right::Receive).await {
        Err(error) if !error.is_transient() => Err(error),
        _ => Ok(()),
    }
}

/// What ends a run by itself.
fn until(config: &Config, queue: &dyn Queue) -> Until {
    if config.forever {
        return Until::Stopped { max_poll_pause: queue.url().kind().max_poll_pause };
    }
    let receive_for = config.time_budget.saturating_sub(config.deadline);
    // A delay that ends with this process is waited for. Meanwhile KEDA counts the message, and
    // it counts this execution as running.
    let linger = if queue.hides_only_while_running() {
        config.linger.max(config.retry.max_delay)
    } else {
        config.linger
    };
    Until::Drained { linger, receive_for }
}

/// Waits until that time; for ever if there is none.
async fn wait_until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Waits for the messages in hand: for their handlers as long as the grace lasts, then for what is
/// still to be settled.
async fn end_attempts(context: &RunContext, tasks: &mut JoinSet<Settled>, stop: &mut StopSignal) {
    let grace_ends = Instant::now() + context.parts.config.grace;
    tokio::select! {
        () = count_all(context, tasks) => {}
        _ = timeout_at(grace_ends, context.handlers_ended()) => {}
        () = stop.wait(Urgency::Now) => {}
    }
    context.interrupt();
    if timeout(SETTLEMENT, count_all(context, tasks)).await.is_err() {
        tracing::warn!(
            messages = tasks.len(),
            "not settled in time: they come back when their leases run out"
        );
        tasks.abort_all();
        count_all(context, tasks).await;
    }
}

/// Waits for all tasks, and counts how their messages ended.
async fn count_all(context: &RunContext, tasks: &mut JoinSet<Settled>) {
    while let Some(ended) = tasks.join_next().await {
        let outcome = ended.map_or(Outcome::Abandoned("host-error"), |ended| ended.outcome);
        context.parts.totals.ended(&outcome);
    }
}
