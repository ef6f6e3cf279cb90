//! What a queue does otherwise where messages are received by session.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use longshore_queue::{QueueError, Receipt, Received, SessionLook, SessionOptions, SessionStanding};

use crate::servicebus::ServiceBusQueue;
use crate::servicebus::arrived::Arrived;
use crate::servicebus::connection::Connected;
use crate::servicebus::disposition::Disposition;
use crate::servicebus::error::WITHOUT_SESSIONS;
use crate::servicebus::receive;
use crate::servicebus::sessions::{self, OwnSessions, Sessions};

impl ServiceBusQueue {
    /// The same queue, whose sessions are worked off so, if it has any.
    #[must_use]
    pub fn with_sessions(self, options: SessionOptions) -> Self {
        Self { session_options: options, ..self }
    }

    /// The sessions of the queue, if it is known to have them.
    pub(super) fn sessions(&self) -> Option<&Arc<Sessions>> {
        if let Some(own) = self.sessions.get() {
            return Some(&own.0);
        }
        let is_found = self.wire.entity.requires_sessions.load(Ordering::Relaxed);
        if !self.session_options.are_required && !is_found || self.url.is_dead_letter_queue() {
            return None;
        }
        let made = || OwnSessions(Arc::new(Sessions::new(self.wire.clone(), self.session_options)));
        Some(&self.sessions.get_or_init(made).0)
    }

    /// Receives without sessions. It may be found out that they are required: then there is
    /// nothing.
    pub(super) async fn receive_plainly(&self, max: u32) -> Result<Vec<Arrived>, QueueError> {
        let receive = async |it: &Connected| match receive::receive(it, max).await {
            // The connection is as good as before.
            Err(_) if self.wire.entity.requires_sessions.load(Ordering::Relaxed) => Ok(Vec::new()),
            received => received,
        };
        self.wire.call(receive).await
    }

    pub(super) async fn receive_by_session(
        &self,
        sessions: &Arc<Sessions>,
        max: u32,
        visibility: Duration,
    ) -> Result<Vec<Received>, QueueError> {
        let received = sessions.receive(max, visibility).await?;
        if let Some(lock) = sessions.surely_locked_for() {
            self.note_lease(lock);
        }
        Ok(received)
    }

    /// Gives back what nobody has received.
    pub(super) async fn rest(&self) {
        if let Some(sessions) = self.sessions.get() {
            return sessions.0.rest().await;
        }
        if let Some(connected) = self.wire.present().await {
            connected.rest().await;
        }
    }

    pub(super) async fn settle(&self, receipt: &Receipt, disposition: Disposition) -> Result<(), QueueError> {
        match self.sessions.get() {
            Some(sessions) => sessions.0.settle(receipt, disposition).await,
            None => self.held.settle(receipt, disposition).await,
        }
    }

    /// The place in the queue of a message that is ours.
    pub(super) fn sequence(&self, receipt: &Receipt) -> Option<i64> {
        match self.sessions.get() {
            Some(sessions) => sessions.0.sequence(receipt),
            None => self.held.sequence(receipt),
        }
    }

    /// The state of the session of a message that is ours.
    pub(super) fn state_of_session(&self, receipt: &Receipt) -> Option<Option<Bytes>> {
        self.sessions.get()?.0.clients_state(receipt)
    }

    /// Sets it.
    pub(super) async fn set_state_of_session(
        &self,
        receipt: &Receipt,
        state: Option<Bytes>,
    ) -> Result<(), QueueError> {
        match self.sessions.get() {
            Some(sessions) => sessions.0.set_state(receipt, state).await,
            None => Err(QueueError::MessageNotFound),
        }
    }

    /// How many sessions have messages; `None` if there are no sessions.
    pub(super) async fn count_sessions(&self) -> Result<Option<u64>, QueueError> {
        if self.url.is_dead_letter_queue() {
            return Ok(None);
        }
        self.wire.call(async |it| sessions::look::with_messages(it).await).await
    }

    /// The sessions as they are now; `None` if there are none.
    pub(super) async fn look_at_sessions(&self) -> Result<Option<Vec<SessionLook>>, QueueError> {
        if self.url.is_dead_letter_queue() {
            return Ok(None);
        }
        let Some(ids) = self.wire.call(async |it| sessions::look::ids(it).await).await? else {
            return Ok(None);
        };
        let mut looks = Vec::with_capacity(ids.len());
        // One call each: a call has a limit in time.
        for id in &ids {
            looks.push(self.wire.call(async |it| sessions::look::at(it, id).await).await?);
        }
        Ok(Some(looks))
    }

    /// Lets a session go on that stands still.
    pub(super) async fn let_session_go_on(&self, id: &str) -> Result<SessionStanding, QueueError> {
        let done = self.wire.call(async |it| sessions::look::let_go_on(it, id).await).await;
        done.map_err(|error| match error {
            QueueError::Fault { cause, .. } if cause.ends_with(WITHOUT_SESSIONS) => QueueError::Fault {
                cause,
                mend: "name a queue or a subscription of Service Bus that requires them".into(),
            },
            error => error,
        })
    }

    pub(super) fn note_lease(&self, lease: Duration) {
        let lease_ms = u64::try_from(lease.as_millis()).unwrap_or(u64::MAX);
        self.longest_lease_ms.store(lease_ms, Ordering::Relaxed);
    }
}
