//! What is said while a component is loaded, which takes long where it is compiled.

use std::fmt::Display;
use std::io::{self, IsTerminal};
use std::pin::pin;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};
use tokio::time::{Instant, sleep};

use crate::telemetry::PROGRESS;

/// After how long a person is told. What is kept compiled is loaded sooner.
const TOLD_PERSON_AFTER: Duration = Duration::from_millis(300);
/// After how long the log says it.
const LOGGED_AFTER: Duration = Duration::from_secs(1);
/// How often the line on a terminal is drawn.
const REDRAW: Duration = Duration::from_millis(100);

/// Waits for what loads or compiles a component. A terminal shows a line meanwhile; elsewhere the
/// log says it once, if it takes long.
pub(super) async fn while_compiling<T>(what: impl Display, compiling: impl Future<Output = T>) -> T {
    let since = Instant::now();
    let is_attended = io::stderr().is_terminal();
    let mut compiling = pin!(compiling);
    let patience = if is_attended { TOLD_PERSON_AFTER } else { LOGGED_AFTER };
    tokio::select! {
        biased;
        done = &mut compiling => return done,
        () = sleep(patience) => {}
    }
    if is_attended {
        let _line = line(what);
        return compiling.await;
    }
    let done = compiling.await;
    let took_ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
    tracing::info!(component = %what, ms = took_ms, "the component is compiled");
    done
}

/// A line at the bottom of the terminal, until it is dropped.
fn line(what: impl Display) -> ProgressBar {
    let line = PROGRESS.add(ProgressBar::new_spinner().with_finish(ProgressFinish::AndClear));
    if let Ok(style) =
        ProgressStyle::with_template("{spinner} compiling {msg}, once for this machine: {elapsed}")
    {
        line.set_style(style);
    }
    line.set_message(crate::shown::shown(&what.to_string()).into_owned());
    line.enable_steady_tick(REDRAW);
    line
}
