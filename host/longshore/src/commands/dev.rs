//! `longshore dev`: the job on this machine, as KEDA and Azure Container Apps would run it.

mod build_event;
mod build_result;
mod building;
mod burst;
mod hands;
mod keys;
mod lines;
mod open_link;
mod page;
mod parameters;
mod planned;
mod status;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use rustix::fs::Mode;
use tokio::sync::mpsc;
use tokio::sync::watch::Sender;

use self::building::Building;
use self::hands::Hands;
use self::keys::{DevKeys, JobControl, is_in_foreground};
use self::lines::Lines;
use self::open_link::LinkOpener;
use self::page::{
    COUNT_ELSEWHERE_EVERY, COUNT_EVERY, DevActions, is_on_this_host, names, rights, samples, without_identity,
};
use self::parameters::start_again;
use self::planned::{cores, planned};
use self::status::{REDRAW, Status};
use super::page::{BoundPage, PoisonProgram};
use super::print;
use super::stop_signals::StopSignals;
use crate::cli::{DevArgs, Format, Project};
use crate::exit::{Clause, Exit, Failure};
use longshore_component::Source;
use longshore_dev::page::{Board, SignIn};
use longshore_dev::{
    ExecutionRecord, ExecutionState, History, ReplicaLauncher, ReplicaWatch, ScheduleUntil, Scheduled,
    Scheduler, StopStage, Trouble, TroubledQueue, VariablesAtStart, WaitingMessages,
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
    if let Some(file) = &args.parameters {
        return Err(start_again(file));
    }
    let run = &args.run.args;
    // What a child would refuse is refused here, before anything is made.
    run.config().map_err(Failure::usage)?;
    let component = run.sandbox.registry.source(run.component.component.clone()).map_err(Failure::usage)?;
    let poison = run.of.url().map_err(Failure::usage)?;
    let plan = planned(&args);
    let stop = Sender::new(StopStage::GoOn);
    stop_on_signals(stop.clone())?;

    let queue_url = run.of.queue.queue.clone();
    let (history, lost) = History::open(&state_file(&queue_url))?;
    let history = Arc::new(history);
    let trouble = Trouble::in_file(state_file(&queue_url).with_extension("trouble"));
    // What was made for a `dev` that is gone is over.
    trouble.end();
    let watch = ReplicaWatch::keeping(history.clone());
    let launcher = launcher(&args, &component, &trouble, watch.clone())?;
    // A port that is taken is said before anything starts.
    let page = if args.no_page || args.once { None } else { Some(BoundPage::bind(&args.page).await?) };
    // A stop is heard, whether somebody reads what is printed or not.
    print::wait_for_nobody(format);
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
        opened = opened(&queue_url, &named, &mut lines) => opened?,
    };
    let queue: Arc<dyn Queue> = Arc::new(TroubledQueue::new(queue, trouble.clone()));
    let waiting = Arc::new(WaitingMessages(queue.clone()));

    let queues = named.into_iter().filter_map(|it| it.directory().map(Into::into)).collect();
    let building = Building::of(project, umask, component_file(&component), queues);
    let (events, mut happened) = mpsc::unbounded_channel();
    let until = if args.once { ScheduleUntil::Drained } else { ScheduleUntil::Stopped };
    let mut status = Status::new(&plan, watch.logs());
    let (page_names, page_rights) =
        (names(&plan, cores(&args.schedule), &queue_url, &poison), rights(&args, &queue_url));
    let scheduler = Scheduler::new(plan, waiting, Arc::new(launcher), history.clone(), events);
    let actions = Arc::new(DevActions {
        poison: PoisonProgram::of_this_process()?,
        run: args.run.words.clone(),
        kills: scheduler.kills(),
        trouble: trouble.clone(),
        asked: Mutex::default(),
    });
    let to_send = samples(project.file.as_deref().map(Path::new));
    let poison_queue: Arc<dyn Queue> = Arc::new(TroubledQueue::new(open(&poison).await?, trouble.clone()));
    let board =
        Board::new(page_names, page_rights, history, queue.clone(), Some(poison_queue), actions.clone());
    let board = Arc::new(board.with_logs(watch.logs()).with_samples(to_send.clone()));
    let mut sign_in = None::<SignIn>;
    if let Some(page) = page {
        let link = sign_in.insert(page.sign_in()).link();
        page.serve(board.clone());
        let pause = if is_on_this_host(&queue_url) { COUNT_EVERY } else { COUNT_ELSEWHERE_EVERY };
        tokio::spawn(board.clone().keep_counting(pause));
        lines.page(&link)?;
    }
    // With its page: a build that fails or takes long is seen there as well.
    let built = tokio::select! {
        biased;
        _ = stopped.wait_for(|stage| *stage > StopStage::GoOn) => return Ok(Exit::Done),
        built = building.first(&mut lines, &board, args.once) => built?,
    };
    let (tell, mut told) = mpsc::unbounded_channel();
    let is_for_people = !args.once && format == Format::Table;
    let opener = Arc::new(LinkOpener { directory: state_directory(&queue_url), file: Mutex::default() });
    let keys = if is_for_people { DevKeys::listen() } else { None };
    let mut keys = keys.map(|(keys, pressed)| {
        let may_change = page_rights.messages;
        let (samples, stop, said) = (to_send, stop.clone(), tell.clone());
        let opener = opener.clone();
        tokio::spawn(
            Hands { queue, actions, samples, may_change, sign_in, opener, stop, said }.work(pressed),
        );
        status.has_keys();
        keys
    });
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
                    board.event(&event);
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
            Some(build) = builds.recv() => {
                board.say(build.problem());
                status.above(|| lines.build(&build))?;
            }
            Some(words) = told.recv() => status.above(|| lines.key(&words))?,
            asked = asked_of(&mut keys) => {
                status.above(|| keys.iter().for_each(|it| it.obey(asked)));
            }
            _ = redraw.tick() => {
                if print::has_backlog() {
                    status.above(print::is_behind);
                }
            }
        }
        // The terminal of a process in the background is somebody else's.
        if keys.is_none() || is_in_foreground() {
            status.draw(is_stopping);
        }
    }
    while let Ok(words) = told.try_recv() {
        status.above(|| lines.key(&words))?;
    }
    drop((status, keys));
    trouble.end();
    opener.close();
    watching.abort();
    let done = running.await.during(|| "the scheduler's task panicked")?;
    lines.ends(&done)?;
    if args.once { exit_of(&done) } else { Ok(Exit::Done) }
}

/// What a shell asks for; never, where no keys are listened to.
async fn asked_of(keys: &mut Option<DevKeys>) -> JobControl {
    match keys {
        Some(keys) => keys.asked().await,
        None => std::future::pending().await,
    }
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
fn launcher(
    args: &DevArgs,
    component: &Source,
    trouble: &Trouble,
    watch: ReplicaWatch,
) -> Result<ReplicaLauncher, Failure> {
    if args.run.says_forever {
        return Err(Failure::usage("an execution of a job ends; leave --forever out"));
    }
    let program = std::env::current_exe().during(|| "this program's own file cannot be found")?;
    let mut arguments = vec!["run".into()];
    arguments.extend(args.run.words.iter().cloned());
    arguments.extend(["--stop-with-input", "--output=json", "--log-format=json"].map(Into::into));
    let mut troubled = std::ffi::OsString::from("--trouble=");
    troubled.push(trouble.file());
    arguments.push(troubled);
    // What was just built reaches an execution that runs as well, and a breaker that it opened.
    let is_file = component_file(component).is_some();
    let switches = [("LONGSHORE_FOREVER", false), ("LONGSHORE_WATCH", is_file)];
    let variables = switches.map(|(name, on)| (name.to_owned(), on.to_string())).into();
    let trouble = trouble.clone();
    let at_start = Some(VariablesAtStart(Arc::new(move || without_identity(&trouble))));
    Ok(ReplicaLauncher { program, arguments, variables, watch, at_start })
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

/// Where the history lies.
fn state_directory(queue: &QueueUrl) -> PathBuf {
    state_file(queue).parent().map(Into::into).unwrap_or_default()
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
