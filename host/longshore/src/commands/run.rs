//! `longshore run`.

mod dead_letters;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join;
use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};
use serde::Serialize;
use tokio::time::Instant;

use self::dead_letters::DeadLetters;
use super::fields::fields_of;
use super::loading::while_compiling;
use super::print;
use super::stop_signals::StopSignals;
use crate::cli::{Format, OutboxQueue, RunArgs};
use crate::exit::{Clause, Exit, Failure};
use crate::memory;
use crate::telemetry::PROGRESS;
use longshore_component::LoadedComponent;
use longshore_handler::Handler;
use longshore_queue::Queue;
use longshore_queue_drivers::{open, open_with};
use longshore_sandbox::{Sandbox, Settings};
use longshore_worker::drain::End;
use longshore_worker::hold::{HoldCause, OnHold};
use longshore_worker::outbox::Outboxes;
use longshore_worker::report::Summary;
use longshore_worker::stop::{Stopper, Urgency};
use longshore_worker::{Config, Worker};

/// How often the progress bar is drawn.
const REDRAW: Duration = Duration::from_millis(100);

pub(super) async fn execute(args: RunArgs, format: Format) -> Result<Exit, Failure> {
    let mut config = args.config().map_err(Failure::usage)?;
    let component = args.sandbox.registry.source(args.component.component.clone()).map_err(Failure::usage)?;
    let takes_dead_letters = args.of.is_dead_letters();
    let poison = if takes_dead_letters {
        if config.forever {
            return Err(Failure::usage(
                "a dead-letter queue is unloaded once, and --forever polls without end; leave it out, or name a --poison-queue",
            ));
        }
        config.max_dequeue = 1;
        args.of.queue.queue.clone()
    } else {
        args.of.url().map_err(Failure::usage)?
    };
    let granted = args.sandbox.settings(config.concurrency).map_err(Failure::usage)?;
    let stopper = Stopper::default();
    stop_on_signals(stopper.clone())?;
    if args.stop_with_input {
        tokio::spawn(stop_with_input(stopper.clone()));
    }
    let sessions = args.sessions.options(config.concurrency);
    let (mut queue, mut poison) = (open_with(&args.of.queue.queue, sessions).await?, open(&poison).await?);
    let mut dead_letters = None;
    if takes_dead_letters {
        let letters = dead_letters.insert(Arc::new(DeadLetters::new(queue)));
        (queue, poison) = (letters.clone(), letters.clone());
    }
    // While the sandbox is set up and the component loaded.
    let prepared = queue.clone();
    tokio::spawn(async move { prepared.prepare().await });
    let mut sends_to = Outboxes::new(args.outbox_format);
    for OutboxQueue { name, url } in args.sandbox.grants.outbox() {
        let outbox = open(&url).await?;
        let learning = outbox.clone();
        tokio::spawn(async move { learning.learn_limits().await });
        sends_to.add(&name, outbox, args.encoding_of(&name));
    }
    let started = Instant::now();
    let settings = Settings {
        // Loading is a part of the run.
        load_timeout: args.sandbox.load_timeout.min(budget(&config)),
        ..granted
    };
    config.concurrency = admitted(&settings);
    let sandbox = Sandbox::new(&Settings { concurrency: config.concurrency, ..settings })?;
    let named = component.to_string();
    let handler = Arc::new(LoadedComponent::new(sandbox, component));
    let mut stop = stopper.signal();
    tokio::select! {
        biased;
        // A compiler that is at work ends with the process (rule 9).
        () = stop.wait(Urgency::Drain) => {}
        // Why it could not be loaded is in the log, and the worker looks for it again.
        (there, _) = join(sends_to.look(), while_compiling(named, handler.reload())) => {
            if let Err((name, error)) = there {
                return Err(error).during(|| format!("nothing was received, since a queue of --outbox is missing: {name}"));
            }
        }
    }
    config.time_budget = config.time_budget.saturating_sub(started.elapsed());
    tracing::info!(queue = %queue.url(), component = handler.digest(), concurrency = config.concurrency, "started");
    let ends_at_once = config.hold_without_handler == Some(Duration::ZERO);
    let worker = Arc::new(Worker::new(config, queue.clone(), poison, handler.clone()).sending_to(sends_to));
    if args.watch {
        let handler = handler.clone();
        tokio::spawn(async move { handler.watch().await });
    }
    let bar = tokio::spawn(draw_progress(worker.clone(), queue.clone()));
    // On a thread of the pool, the loop and what it spawns hand over to each other without waking
    // another thread.
    let run = tokio::spawn(async move { worker.run(stopper.signal()).await });
    let finished = run.await.during(|| "the worker's task panicked")?;
    if let Some(letters) = dead_letters {
        letters.release().await;
    }
    bar.abort();
    let _ = bar.await;
    let _ = PROGRESS.clear();
    let ended = match &finished.end {
        Ok(End::Drained) => "drained",
        Ok(End::MaxMessages) => "max-messages",
        Ok(End::TimeBudget) => "time-budget",
        Ok(End::Stopped) => "stopped",
        Ok(End::BreakerOpen) => "breaker-open",
        Ok(End::NoHandler) => "component-unavailable",
        Err(_) => "fault",
    };
    log(&finished.summary, ended);
    print_summary(&finished.summary, ended, format)?;
    if format == Format::Table && finished.summary.received == 0 && finished.end.is_ok() {
        say_what_is_hidden(&*queue).await;
    }
    match finished.end {
        Ok(End::BreakerOpen) => Err(Failure::breaker_open()),
        Ok(End::NoHandler) => {
            let cause = handler.unavailable().map(|it| it.cause).unwrap_or_default();
            Err(if ends_at_once { Failure::fault(cause) } else { Failure::no_component(&cause) })
        }
        Ok(_) => Ok(Exit::Done),
        Err(error) => Err(error).during(|| format!("the run on {} was ended", args.of.queue.queue)),
    }
}

/// How many handlers may run at once: as many as was asked for, or as fit into the container's
/// memory beside each other. At least one, since a container that is too small for its limits may
/// be large enough for what a handler takes.
fn admitted(settings: &Settings) -> usize {
    let asked = settings.concurrency;
    let Some(room) = memory::room(settings).filter(|room| room.handlers < asked) else { return asked };
    let admitted = room.handlers.max(1);
    tracing::warn!(
        concurrency = asked,
        admitted,
        container_mib = room.memory >> 20,
        handler_mib = settings.limits.memory >> 20,
        "the container's memory has no room for so many handlers beside each other, and fewer are admitted; give it more memory, or lower --memory or --concurrency"
    );
    admitted
}

/// How long the run may last; without a limit where it polls for ever.
fn budget(config: &Config) -> Duration {
    if config.forever { Duration::MAX } else { config.time_budget }
}

/// SIGTERM and Ctrl-C ask for an end; each further one asks more urgently.
fn stop_on_signals(stopper: Stopper) -> Result<(), Failure> {
    let mut signals = StopSignals::listen()?;
    tokio::spawn(async move {
        loop {
            let signal = signals.next().await;
            tracing::info!(signal, "stopping; once more to interrupt running handlers");
            stopper.stop();
        }
    });
    Ok(())
}

/// The end of standard input asks for an end, as SIGTERM does.
async fn stop_with_input(stopper: Stopper) {
    // What is written there says nothing. An input that cannot be read has no other end.
    let _ = tokio::io::copy(&mut tokio::io::stdin(), &mut tokio::io::sink()).await;
    tracing::info!("stopping: standard input has ended");
    stopper.stop();
}

/// A person who sees that nothing was received is told of what could not be. Programs count for
/// themselves: an execution that finds nothing shall not cost another call.
async fn say_what_is_hidden(queue: &dyn Queue) {
    let hidden = queue.approximate_count().await.unwrap_or_default();
    if hidden > 0 {
        print::note(&format!(
            "about {hidden} messages are in the queue and not visible: leased, delayed, or hidden by an open breaker for 15 minutes at most"
        ));
    }
}

/// Draws until it is aborted. Where standard error is no terminal, nothing is drawn.
async fn draw_progress(worker: Arc<Worker>, queue: Arc<dyn Queue>) {
    let bar = PROGRESS.add(ProgressBar::no_length().with_finish(ProgressFinish::AndClear));
    if bar.is_hidden() {
        return;
    }
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {pos}/{len} settled in {elapsed}, {msg}") {
        bar.set_style(style);
    }
    let waiting = queue.approximate_count().await.unwrap_or_default();
    loop {
        let done = worker.summary();
        let settled = done.completed + done.poisoned;
        bar.set_length(waiting.max(settled));
        bar.set_position(settled);
        let held = worker.on_hold().map(|hold| format!(", {}", on_hold(hold))).unwrap_or_default();
        bar.set_message(format!("{} retried, {} poisoned{held}", done.retried, done.poisoned));
        tokio::time::sleep(REDRAW).await;
    }
}

/// What a hold waits for, in a few words.
fn on_hold(hold: OnHold) -> String {
    let cause = match hold.cause {
        HoldCause::Breaker => "on hold: the breaker is open",
        HoldCause::NoHandler => "on hold: there is no component",
    };
    let seconds = |at: Instant| at.saturating_duration_since(Instant::now()).as_secs();
    let next = hold.try_at.map(|at| format!(", next try in {} s", seconds(at))).unwrap_or_default();
    let ends = hold.ends.map(|at| format!(", ends in {} s", seconds(at))).unwrap_or_default();
    format!("{cause}{next}{ends}")
}

/// The last line of the log. It names every field, so that a new one cannot be forgotten here.
fn log(summary: &Summary, ended: &str) {
    let Summary {
        received,
        completed,
        retried,
        poisoned,
        abandoned,
        lease_lost,
        duration_ms,
        // Each poisoned message has a line with its reason.
        poison_reasons: _,
        handler_us,
        cpu_us,
        peak_memory_bytes,
    } = summary;
    tracing::info!(
        ended,
        received,
        completed,
        retried,
        poisoned,
        abandoned,
        lease_lost,
        duration_ms,
        %handler_us,
        %cpu_us,
        %peak_memory_bytes,
        "finished"
    );
}

/// What is printed of a run: why it ended, and what it did.
#[derive(Serialize)]
struct Printed<'a> {
    ended: &'a str,
    #[serde(flatten)]
    summary: &'a Summary,
}

fn print_summary(summary: &Summary, ended: &str, format: Format) -> Result<(), Failure> {
    let printed = Printed { ended, summary };
    print::fields(&fields_of(&printed)?, &printed, format)
}
