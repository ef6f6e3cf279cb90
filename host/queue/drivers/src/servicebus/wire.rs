//! The connection to a queue, which is made again when it breaks.

use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until, timeout};

use longshore_queue::QueueError;

use crate::servicebus::connection::Connected;
use crate::servicebus::entity::Entity;

/// The first and the longest pause between two tries to connect.
const RECONNECT: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// The connection, which is made again when it breaks.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) entity: Arc<Entity>,
    limit: Duration,
    state: Mutex<WireState>,
    /// Until when the service asked to be left alone, and in which words.
    pause: StdMutex<Option<(Instant, String)>>,
}

/// The connection of a call that is under way. A caller that gives up waiting drops it: what the
/// connection does then is not known, and it may be dead.
struct InUse(Option<Arc<Connected>>);

impl Drop for InUse {
    fn drop(&mut self) {
        if let Some(connected) = &self.0 {
            connected.give_up();
        }
    }
}

#[derive(Debug)]
struct WireState {
    connected: Option<Arc<Connected>>,
    failures: u32,
    not_before: Instant,
}

impl Wire {
    /// The way to a queue, on which each call may take this long. Nothing is opened yet.
    pub(super) fn new(entity: Arc<Entity>, limit: Duration) -> Self {
        let state = WireState { connected: None, failures: 0, not_before: Instant::now() };
        Self { entity, limit, state: Mutex::new(state), pause: StdMutex::default() }
    }

    /// Carries out a call on the connection, within the limit. What went wrong on the way ends the
    /// connection.
    pub(super) async fn call<T>(
        &self,
        call: impl AsyncFnOnce(&Connected) -> Result<T, QueueError>,
    ) -> Result<T, QueueError> {
        self.not_paused()?;
        let mut used = InUse(None);
        let calling = async {
            let connected = used.0.insert(self.connected().await?);
            call(connected).await
        };
        let done = timeout(self.limit, calling).await.unwrap_or_else(|_| {
            Err(QueueError::unclear(&self.entity.url, format!("no answer within {:?}", self.limit)))
        });
        // Links to what is not there, or not allowed, have ended, and would say so for ever.
        let ended = matches!(
            done,
            Err(QueueError::Unclear { .. }
                | QueueError::QueueNotFound { .. }
                | QueueError::Denied { .. }
                | QueueError::Fault { .. })
        );
        if !ended {
            used.0 = None;
        }
        self.note_pause(&done);
        done
    }

    /// The connection that is there, if one is.
    pub(super) async fn present(&self) -> Option<Arc<Connected>> {
        self.state.lock().await.connected.clone()
    }

    /// Refuses a call while the service wants to be left alone: each of them would make it last
    /// longer.
    fn not_paused(&self) -> Result<(), QueueError> {
        let pause = self.pause.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((until, cause)) = &*pause else { return Ok(()) };
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        let (queue, cause) = (self.entity.url.to_string(), cause.clone());
        Err(QueueError::Busy { queue, cause, retry_after: Some(left) })
    }

    fn note_pause<T>(&self, done: &Result<T, QueueError>) {
        if let Err(QueueError::Busy { retry_after: Some(after), cause, .. }) = done {
            // A call's limit is the measure of how long its caller can wait.
            let until = Instant::now() + (*after).min(self.limit);
            tracing::debug!(queue = %self.entity.url, cause, pause_ms = after.as_millis() as u64, "the service is busy");
            *self.pause.lock().unwrap_or_else(PoisonError::into_inner) = Some((until, cause.clone()));
        }
    }

    /// The connection, or a new one. Tries that fail are followed by growing pauses.
    async fn connected(&self) -> Result<Arc<Connected>, QueueError> {
        let mut state = self.state.lock().await;
        if let Some(connected) = state.connected.as_ref().filter(|it| it.is_whole()) {
            return Ok(connected.clone());
        }
        state.connected = None;
        sleep_until(state.not_before).await;
        let (first, longest) = RECONNECT;
        let pause = first.saturating_mul(1 << state.failures.min(10)).min(longest);
        // Noted before the try, since its caller may give up waiting.
        state.failures += 1;
        state.not_before = Instant::now() + pause;
        // Boxed: every call would be as large as this one, which is rare.
        let connected = Arc::new(Box::pin(Connected::open(self.entity.clone())).await?);
        state.failures = 0;
        state.connected = Some(connected.clone());
        Ok(connected)
    }
}
