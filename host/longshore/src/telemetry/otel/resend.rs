//! Exports that were not taken, and are sent again while there is time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::answer::OtlpTaken;
use super::asked::Signal;
use super::encoded::EncodedExport;
use super::otlp::OtlpClient;
use super::tally::ExportTally;

/// How long is waited before spans are sent again while the run goes on.
const PAUSES: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];
/// How long is waited at its end. The exports of a signal share these: several that wait one after
/// the other would take all the time that there is.
const LAST_PAUSES: [Duration; 3] =
    [Duration::from_millis(100), Duration::from_millis(300), Duration::from_millis(600)];
/// The longest pause that a receiver is granted while the run goes on. What ends meanwhile waits.
const MAX_NAMED_PAUSE: Duration = Duration::from_secs(30);

/// Sends the exports of a signal to its receiver.
#[derive(Debug)]
pub(super) struct OtlpSender {
    signal: Signal,
    client: OtlpClient,
    tally: Arc<ExportTally>,
    /// Whether the next export says all that this one says, and more.
    is_cumulative: bool,
    /// How many of the last pauses are used up.
    last_pauses: AtomicUsize,
}

impl OtlpSender {
    /// Sends the exports of a signal. They may be cumulative: the next has what was not taken.
    pub(super) fn new(
        signal: Signal,
        client: OtlpClient,
        tally: Arc<ExportTally>,
        is_cumulative: bool,
    ) -> Self {
        Self { signal, client, tally, is_cumulative, last_pauses: AtomicUsize::new(0) }
    }

    /// Sends an export until it is taken; `None` if it is given up. The tally hears of each
    /// failure.
    ///
    /// Cumulative ones are sent again at the end of the run only.
    pub(super) async fn send(&self, export: EncodedExport) -> Option<OtlpTaken> {
        let mut pauses = if self.is_cumulative { [].iter() } else { PAUSES.iter() };
        loop {
            let failure = match self.client.send(export.clone()).await {
                Ok(answer) => return Some(answer),
                Err(failure) => failure,
            };
            let failed = Instant::now();
            self.tally.failed(self.signal, &failure);
            if failure.is_final {
                return None;
            }
            let named = failure.pause.unwrap_or_default();
            if self.tally.ends().is_none()
                && self.tally.waits(named.min(MAX_NAMED_PAUSE).max(*pauses.next()?)).await
            {
                continue;
            }
            let ends = self.tally.ends()?;
            let due = (failed + named).max(Instant::now() + self.last_pause()?);
            // A receiver that wants to be left alone for longer is not asked in vain.
            if due >= ends {
                return None;
            }
            sleep_until(due).await;
        }
    }

    /// The next pause at the end of the run, if any is left.
    fn last_pause(&self) -> Option<Duration> {
        LAST_PAUSES.get(self.last_pauses.fetch_add(1, Ordering::Relaxed)).copied()
    }
}
