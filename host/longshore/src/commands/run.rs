//! `longshore run`.

use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};
use tokio::signal::unix::{SignalKind, signal};

use super::fields::fields_of;
use super::print;
use crate::cli::{Format, OutboxQueue, RunArgs};
use crate::exit::{Clause, Exit, Failure};
use crate::telemetry::PROGRESS;
use longshore_component::LoadedComponent;
use longshore_handler::Handler;
use longshore_queue::Queue;
use longshore_queue_drivers::open;
use longshore_sandbox::Sandbox;
use longshore_worker::Worker;
use longshore_worker::drain::End;
use longshore_worker::outputs::Outputs;
use longshore_worker::report::Summary;
use longshore_worker::stop::Stopper;

/// How often the progress bar is drawn.
const REDRAW: Duration = Duration::from_millis(100);

pub(super) async fn execute(args: RunArgs, format: Format) -> Result<Exit, Failure> {
    let config = args.config().map_err(Failure::usage)?;
    let component = args.sandbox.registry.source(args.component.component).map_err(Failure::usage)?;
    let poison = args.of.url().map_err(Failure::usage)?;
    let stopper = Stopper::default();
    stop_on_signals(stopper.clone())?;
    let (queue, poison) = (open(&args.of.queue.queue).await?, open(&poison).await?);
    // While the sandbox is set up and the component loaded.
    let prepared = queue.clone();
    tokio::spawn(async move { prepared.prepare().await });
    let mut sends_to = Outputs::new(args.outbox_format);
    for OutboxQueue { name, url } in args.sandbox.grants.outbox() {
        let outbox = open(&url).await?;
        let learning = outbox.clone();
        tokio::spawn(async move { learning.learn_limits().await });
        sends_to.add(&name, outbox);
    }
    let sandbox = Sandbox::new(&args.sandbox.settings(config.concurrency))?;
    let handler = Arc::new(LoadedComponent::load(sandbox, component).await);
    tracing::info!(queue = %queue.url(), component = handler.digest(), concurrency = config.concurrency, "started");
    let worker = Arc::new(Worker::new(config, queue.clone(), poison, handler.clone()).sending_to(sends_to));
    if args.watch {
        tokio::spawn(async move { handler.watch().await });
    }
    let bar = tokio::spawn(draw_progress(worker.clone(), queue));
    // On a thread of the pool, the loop and what it spawns hand over to each other without waking
    // another thread.
    let run = tokio::spawn(async move { worker.run(stopper.signal()).await });
    let finished = run.await.during(|| "the worker's task panicked")?;
    bar.abort();
    let _ = bar.await;
    let _ = PROGRESS.clear();
    let ended = match &finished.end {
        Ok(End::Drained) => "drained",
        Ok(End::MaxMessages) => "max-messages",
        Ok(End::TimeBudget) => "time-budget",
        Ok(End::Stopped) => "stopped",
        Ok(End::BreakerOpen) => "breaker-open",
        Err(_) => "fault",
    };
    log(&finished.summary, ended);
    print_summary(&finished.summary, ended, format)?;
    match finished.end {
        Ok(End::BreakerOpen) => Err(Failure::breaker_open()),
        Ok(_) => Ok(Exit::Done),
        Err(error) => Err(error).during(|| format!("the run on {} was ended", args.of.queue.queue)),
    }
}

/// SIGTERM and Ctrl-C ask for an end; each further one asks more urgently.
fn stop_on_signals(stopper: Stopper) -> Result<(), Failure> {
    let mut terminate = signal(SignalKind::terminate()).during(|| "cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).during(|| "cannot listen for Ctrl-C")?;
    tokio::spawn(async move {
        loop {
            let name = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "Ctrl-C",
            };
            tracing::info!(signal = name, "stopping; once more to interrupt running handlers");
            stopper.stop();
        }
    });
    Ok(())
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
        bar.set_message(format!("{} retried, {} poisoned", done.retried, done.poisoned));
        tokio::time::sleep(REDRAW).await;
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

fn print_summary(summary: &Summary, ended: &str, format: Format) -> Result<(), Failure> {
    let mut fields = vec![("ended".to_owned(), ended.to_owned())];
    fields.extend(fields_of(summary)?);
    print::fields(&fields, summary, format)
}
