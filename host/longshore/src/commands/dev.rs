//! `longshore dev`: the job on this machine, as KEDA and Azure Container Apps would run it.

mod build_event;
mod build_result;
mod building;
mod lines;
mod planned;
mod status;

use std::path::PathBuf;
use std::sync::Arc;

use rustix::fs::Mode;
use tokio::sync::mpsc;
use tokio::sync::watch::Sender;

use self::building::Building;
use self::lines::Lines;
use self::planned::planned;
use self::status::{REDRAW, Status};
use super::stop_signals::StopSignals;
use crate::cli::{DevArgs, Format, Project};
use crate::exit::{Clause, Exit, Failure};
use longshore_component::Source;
use longshore_dev::{
    ExecutionRecord, ExecutionState, History, ReplicaLauncher, ScheduleUntil, Scheduled, Scheduler,
    StopStage, WaitingMessages,
};
use longshore_queue::{Queue, QueueUrl};
use longshore_queue_drivers::open;

/// Where the history lies of a queue that is no directory of this host.
const ELSEWHERE: &str = ".longshore/dev";

pub(super) async fn execute(
    args: DevArgs,
    project: &Project,
    umask: Mode,
    format: Format,
) -> Result<Exit, Failure> {
    let run = &args.run.args;
    // What a child would refuse is refused here, before anything is made.
    run.config().map_err(Failure::usage)?;
    let component = run.sandbox.registry.source(run.component.component.clone()).map_err(Failure::usage)?;
    let poison = run.of.url().map_err(Failure::usage)?;
    let plan = planned(&args);
    let launcher = launcher(&args, &component)?;
    let stop = Sender::new(StopStage::GoOn);
    stop_on_signals(stop.clone())?;

    let queue_url = run.of.queue.queue.clone();
    let (history, lost) = History::open(&state_file(&queue_url))?;
    let history = Arc::new(history);
    let mut lines = Lines::new(format);
    lines.begins(&plan, &queue_url)?;
    lines.lost(&lost)?;
    let outboxes = run.sandbox.grants.outbox();
    let named: Vec<_> = [&queue_url, &poison].into_iter().chain(outboxes.iter().map(|it| &it.url)).collect();
    let mut stopped = stop.subscribe();
    // A queue that does not answer holds up no stop.
    let queue = tokio::select! {
        biased;
        _ = stopped.wait_for(|stage| *stage > StopStage::GoOn) => return Ok(Exit::Done),
        opened = opened(&queue_url, &named, &mut lines) => Arc::new(WaitingMessages(opened?)),
    };

    let queues = named.into_iter().filter_map(|it| it.directory().map(Into::into)).collect();
    let building = Building::of(project, umask, component_file(&component), queues);
    let built = tokio::select! {
        biased;
        _ = stopped.wait_for(|stage| *stage > StopStage::GoOn) => return Ok(Exit::Done),
        built = building.first(&mut lines, args.once) => built?,
    };
    let (events, mut happened) = mpsc::unbounded_channel();
    let until = if args.once { ScheduleUntil::Drained } else { ScheduleUntil::Stopped };
    let mut status = Status::new(&plan);
    let scheduler = Scheduler::new(plan, queue, Arc::new(launcher), history, events);
    let running = tokio::spawn(scheduler.run(until, stop.subscribe()));
    let (said, mut builds) = mpsc::unbounded_channel();
    let watching = tokio::spawn(async move { building.watch(built, said).await });
    let mut redraw = tokio::time::interval(REDRAW);
    let mut is_stopping = false;
    loop {
        tokio::select! {
            biased;
            event = happened.recv() => match event {
                Some(event) => {
                    status.event(&event);
                    status.above(|| lines.event(&event))?;
                }
                // The scheduler has ended, and with it the executions.
                None => break,
            },
            _ = stopped.wait_for(|stage| *stage > StopStage::GoOn), if !is_stopping => {
                is_stopping = true;
                status.above(|| lines.stopping())?;
            }
            Some(build) = builds.recv() => status.above(|| lines.build(&build))?,
            _ = redraw.tick() => {}
        }
        status.draw(is_stopping);
    }
    drop(status);
    watching.abort();
    let done = running.await.during(|| "the scheduler's task panicked")?;
    lines.ends(&done)?;
    if args.once { exit_of(&done) } else { Ok(Exit::Done) }
}

/// The queue, when each of those named is there that is made here.
async fn opened(queue: &QueueUrl, named: &[&QueueUrl], lines: &mut Lines) -> Result<Arc<dyn Queue>, Failure> {
    for url in named {
        if is_on_this_host(url) && open(url).await?.create().await? {
            lines.created(url)?;
        }
    }
    Ok(open(queue).await?)
}

/// With `--once`: how the first execution ended that failed.
fn exit_of(done: &Scheduled) -> Result<Exit, Failure> {
    if let Some(cause) = &done.not_counted {
        return Err(Failure::fault(cause.clone()));
    }
    let failed = |it: &&ExecutionRecord| it.state == ExecutionState::Failed;
    let Some(first) = done.executions.iter().find(failed) else { return Ok(Exit::Done) };
    let cause = first.cause.as_deref().unwrap_or("its log says why");
    let message = format!("the execution {} failed: {cause}", first.execution);
    Err(match first.exit_code.and_then(Exit::of_code) {
        Some(Exit::Fault) => Failure::fault(message),
        Some(Exit::BreakerOpen) => Failure::execution_on_hold(message),
        _ => Failure::other(message),
    })
}

/// How executions are started: as this very program, with what this one was given.
fn launcher(args: &DevArgs, component: &Source) -> Result<ReplicaLauncher, Failure> {
    if args.run.says_forever {
        return Err(Failure::usage("an execution of a job ends; leave --forever out"));
    }
    let program = std::env::current_exe().during(|| "this program's own file cannot be found")?;
    let mut arguments = vec!["run".into()];
    arguments.extend(args.run.words.iter().cloned());
    arguments.extend(["--stop-with-input", "--output=json", "--log-format=json"].map(Into::into));
    // What was just built reaches an execution that runs as well, and a breaker that it opened.
    let watch = component_file(component).is_some();
    let switches = [("LONGSHORE_FOREVER", false), ("LONGSHORE_WATCH", watch)];
    let variables = switches.map(|(name, on)| (name.to_owned(), on.to_string())).into();
    Ok(ReplicaLauncher { program, arguments, variables })
}

fn component_file(component: &Source) -> Option<PathBuf> {
    match component {
        Source::File(path) => Some(path.clone()),
        Source::Registry(..) => None,
    }
}

/// Beside the queue, or in the working directory where the queue is no directory of this host.
fn state_file(queue: &QueueUrl) -> PathBuf {
    let name = queue.name().replace('/', "-");
    match (queue.directory(), queue.owner()) {
        (Some(directory), _) => directory.join(format!("{name}.dev.db")),
        (None, owner) => {
            let owner = owner.unwrap_or_default();
            PathBuf::from(ELSEWHERE).join(format!("{owner}-{name}.dev.db"))
        }
    }
}

/// Whether nobody pays for a queue, nor shares it: a directory, or an emulator without TLS.
fn is_on_this_host(queue: &QueueUrl) -> bool {
    queue.directory().is_some() || queue.to_string().starts_with("http://")
}

/// The first signal ends executions as SIGTERM does, a second one kills them.
fn stop_on_signals(stop: Sender<StopStage>) -> Result<(), Failure> {
    let mut signals = StopSignals::listen()?;
    tokio::spawn(async move {
        signals.next().await;
        stop.send_replace(StopStage::Terminate);
        signals.next().await;
        stop.send_replace(StopStage::Kill);
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_history_of_a_queue_lies_beside_it() {
        for (url, file) in [
            ("file:./queues/orders", "./queues/orders.dev.db"),
            (
                "http://127.0.0.1:10001/devstoreaccount1/orders",
                ".longshore/dev/devstoreaccount1-orders.dev.db",
            ),
            (
                "sb://ns.servicebus.windows.net/t/Subscriptions/s",
                ".longshore/dev/ns-t-Subscriptions-s.dev.db",
            ),
        ] {
            assert_eq!(state_file(&url.parse().unwrap()), PathBuf::from(file));
        }
    }

    #[test]
    fn queues_are_made_only_where_nobody_pays_for_them() {
        let on = |url: &str| is_on_this_host(&url.parse().unwrap());
        assert!(on("file:./q/orders") && on("http://127.0.0.1:10001/devstoreaccount1/orders"));
        assert!(!on("https://account.queue.core.windows.net/orders"));
        assert!(!on("sb://ns.servicebus.windows.net/orders"));
    }
}
