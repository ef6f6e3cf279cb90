//! `longshore run`.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};
use tokio::signal::unix::{SignalKind, signal};

use super::{BREAKER_OPEN, poison_url, print_fields, say, source, usage};
use crate::cli::{Format, OutboxQueue, PoisonOf, Run};
use crate::telemetry::PROGRESS;
use longshore_component::LoadedComponent;
use longshore_handler::Handler;
use longshore_queue::{Queue, QueueError};
use longshore_queue_drivers::open;
use longshore_sandbox::Sandbox;
use longshore_worker::Worker;
use longshore_worker::drain::End;
use longshore_worker::outputs::Outputs;
use longshore_worker::report::Summary;
use longshore_worker::stop::Stopper;
use longshore_worker::usage::Percentiles;

/// How often the progress bar is drawn.
const REDRAW: Duration = Duration::from_millis(100);

pub(super) async fn execute(args: Run, format: Format) -> anyhow::Result<ExitCode> {
    let config = args.config().unwrap_or_else(|error| usage(&error));
    let component = source(&args.sandbox.registry, args.component);
    let stopper = Stopper::default();
    stop_on_signals(stopper.clone())?;
    let poison = poison_url(&PoisonOf { queue: args.queue.clone(), poison: args.poison.clone() });
    let (queue, poison) = (open(&args.queue.queue).await?, open(&poison).await?);
    // While the sandbox is set up and the component loaded.
    let prepared = queue.clone();
    tokio::spawn(async move { prepared.prepare().await });
    let mut sends_to = Outputs::new(args.outbox_format);
    for OutboxQueue { name, url } in args.sandbox.grants.outbox() {
        sends_to.add(&name, open(&url).await?);
    }
    let sandbox = Sandbox::new(&args.sandbox.settings(config.concurrency))
        .map_err(|error| QueueError::Fault { cause: error.to_string(), mend: "see above".into() })?;
    let handler = Arc::new(LoadedComponent::load(sandbox, component).await);
    tracing::info!(queue = %queue.url(), component = handler.digest(), concurrency = config.concurrency, "started");
    let worker = Arc::new(Worker::new(config, queue.clone(), poison, handler.clone()).sending_to(sends_to));
    if args.watch {
        tokio::spawn(async move { handler.watch().await });
    }
    let bar = tokio::spawn(draw_progress(worker.clone(), queue));
    // On a thread of the pool: the loop and what it spawns hand over to each other without waking another thread.
    let run = tokio::spawn(async move { worker.run(stopper.signal()).await });
    let finished = run.await.context("the loop has a defect")?;
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
    print(&finished.summary, ended, format)?;
    match finished.end {
        Ok(End::BreakerOpen) => {
            say(format_args!(
                "the circuit breaker was open at the end: too many different messages failed in a row; look at the log for their reasons, and at what the handler depends on"
            ));
            Ok(ExitCode::from(BREAKER_OPEN))
        }
        Ok(_) => Ok(ExitCode::SUCCESS),
        Err(error) => Err(error).with_context(|| format!("the run on {} was ended", args.queue.queue)),
    }
}

/// SIGTERM and Ctrl-C ask for an end; each further one asks more urgently.
fn stop_on_signals(stopper: Stopper) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for Ctrl-C")?;
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

fn log(summary: &Summary, ended: &str) {
    let Summary { received, completed, retried, poisoned, abandoned, lease_lost, duration_ms, .. } = summary;
    let (handler_us, cpu_us, peak_memory) = (summary.handler_us, summary.cpu_us, summary.peak_memory_bytes);
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
        peak_memory_bytes = %peak_memory,
        "finished"
    );
}

fn print(summary: &Summary, ended: &str, format: Format) -> anyhow::Result<()> {
    let reasons: Vec<String> =
        summary.poison_reasons.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    let poisoned = match reasons.is_empty() {
        true => summary.poisoned.to_string(),
        false => format!("{} ({})", summary.poisoned, reasons.join(", ")),
    };
    let time = |us: u64| humantime::format_duration(Duration::from_micros(us)).to_string();
    let Percentiles { p50, p95, p99 } = summary.handler_us;
    let handlers = format!("p50 {}, p95 {}, p99 {}", time(p50), time(p95), time(p99));
    let took = Duration::from_millis(summary.duration_ms);
    let fields = [
        ("ended", ended.to_owned()),
        ("received", summary.received.to_string()),
        ("completed", summary.completed.to_string()),
        ("retried", summary.retried.to_string()),
        ("poisoned", poisoned),
        ("abandoned", summary.abandoned.to_string()),
        ("lease lost", summary.lease_lost.to_string()),
        ("handlers", handlers),
        ("took", humantime::format_duration(took).to_string()),
    ];
    print_fields(&fields, summary, format)
}
