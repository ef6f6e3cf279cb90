//! `longshore run`.

mod dead_letters;
mod progress;

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::join;
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
#[cfg(feature = "otel")]
use crate::telemetry::otel::{Otel, RunEnd};
use longshore_component::LoadedComponent;
use longshore_handler::Handler;
use longshore_queue::Queue;
use longshore_queue_drivers::{open, open_with};
use longshore_sandbox::{Sandbox, Settings};
use longshore_worker::drain::End;
use longshore_worker::outbox::Outboxes;
use longshore_worker::report::Summary;
use longshore_worker::stop::{Stopper, Urgency};
use longshore_worker::{Config, Worker};

/// How long the queue's own count is awaited, once everything is settled.
const LAST_COUNT: Duration = Duration::from_secs(2);

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
    let mut granted = args.sandbox.settings(config.concurrency).map_err(Failure::usage)?;
    granted.limits.log_tail = config.poison_log;
    let stopper = Stopper::default();
    stop_on_signals(stopper.clone())?;
    let sessions = args.sessions.options(config.concurrency);
    let (mut queue, mut poison) = (open_with(&args.of.queue.queue, sessions).await?, open(&poison).await?);
    #[cfg(feature = "dev")]
    if let Some(file) = &args.trouble {
        let trouble = longshore_dev::Trouble::in_file(file.clone());
        let troubled = |queue| Arc::new(longshore_dev::TroubledQueue::new(queue, trouble.clone()));
        (queue, poison) = (troubled(queue), troubled(poison));
    }
    let mut dead_letters = None;
    if takes_dead_letters {
        let letters = dead_letters.insert(Arc::new(DeadLetters::new(queue)));
        (queue, poison) = (letters.clone(), letters.clone());
    }
    // While the sandbox is set up and the component loaded.
    let prepared = queue.clone();
    tokio::spawn(async move { drop(prepared.prepare().await) });
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
    let worker = Worker::new(config, queue.clone(), poison, handler.clone()).sending_to(sends_to);
    #[cfg(feature = "otel")]
    let otel = Otel::start(queue.url(), args.trace, started.elapsed());
    #[cfg(feature = "otel")]
    let worker = match &otel {
        Some(otel) => {
            otel.measure_depth(queue.clone());
            worker.telling(otel.observer())
        }
        None => worker,
    };
    let worker = Arc::new(worker);
    if args.watch {
        let handler = handler.clone();
        tokio::spawn(async move { handler.watch().await });
    }
    let bar = tokio::spawn(progress::draw(worker.clone(), queue.clone()));
    // On a thread of the pool, the loop and what it spawns hand over to each other without waking
    // another thread.
    let stop = stopper.signal();
    let run = tokio::spawn(async move { worker.run(stop).await });
    let finished = run.await;
    // What is done from here on is nothing that a stop would wait for.
    let mut further = stopper.signal();
    let hurry = async move { further.wait_for_another().await }.boxed().shared();
    let finished = match finished {
        Ok(finished) => finished,
        Err(error) => {
            #[cfg(feature = "otel")]
            if let Some(otel) = otel {
                otel.end(&*queue, None, args.telemetry_flush, hurry).await;
            }
            return Err(error).during(|| "the worker's task panicked");
        }
    };
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
    if matches!(finished.end, Ok(End::Drained)) && !takes_dead_letters {
        tokio::select! {
            biased;
            () = hurry.clone() => {}
            () = say_what_is_hidden(&*queue, finished.summary.received) => {}
        }
    }
    log(&finished.summary, ended);
    let printed = print_summary(&finished.summary, ended, format);
    // Everything is settled. What this waits for holds no lease, and changes nothing below.
    #[cfg(feature = "otel")]
    if let Some(otel) = otel {
        let ended = RunEnd { end: ended, summary: &finished.summary, component: handler.digest() };
        otel.end(&*queue, Some(ended), args.telemetry_flush, hurry).await;
    }
    printed?;
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

/// Says that messages are in a drained queue which nobody can receive now. To an operator they look
/// like work that is not done, and KEDA starts executions for them that find nothing. Where it
/// starts one at each poll, each would pay for a count. Such a run says the same without one.
async fn say_what_is_hidden(queue: &dyn Queue, received: u64) {
    if received == 0 && queue.url().kind().scaler.is_some() && !std::io::stderr().is_terminal() {
        if queue.is_in_order() {
            tracing::info!(
                "nothing was received: what the queue counts belongs to sessions that other executions hold or that stand still after a poisoned message (`--on-poison continue` takes these up again), or is delayed by its sender; `longshore queue stats` counts it"
            );
        } else {
            tracing::info!(
                "nothing was received: what the queue counts is leased by another execution, delayed by a retry or by its sender, or hidden by an open breaker of an earlier run; `longshore queue stats` counts it"
            );
        }
        return;
    }
    // An identity without the right to count still has a run that ends well.
    let counted = tokio::time::timeout(LAST_COUNT, queue.approximate_count()).await;
    let not_visible = counted.ok().and_then(Result::ok).unwrap_or_default();
    match (not_visible, received) {
        (0, _) => {}
        (_, 0) => tracing::warn!(
            not_visible,
            "nothing was received, and about {not_visible} messages are in the queue and not visible: leased by another execution, delayed by a retry or by their sender, or hidden by an open breaker of an earlier run, for 15 minutes at most"
        ),
        _ => tracing::info!(
            not_visible,
            "about {not_visible} messages are in the queue and not visible: leased by another execution, or delayed by a retry or by their sender"
        ),
    }
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
