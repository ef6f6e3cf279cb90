//! What a link has brought and nobody has received yet, and for how many messages receives wait.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use longshore_queue::QueueError;

use crate::servicebus::arrived::Arrived;

/// The messages of a link between its pump and the receives.
#[derive(Default)]
pub(super) struct Inbox {
    state: Mutex<InboxState>,
    /// For receives: there is a message, or there will be none.
    changed: Notify,
    /// For the pump: more messages are wanted, or fewer.
    wanted: Notify,
}

impl std::fmt::Debug for Inbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Inbox")
    }
}

#[derive(Default)]
struct InboxState {
    messages: VecDeque<Arrived>,
    /// For how many messages the receives ask that wait now, and how many receives these are.
    asked: u64,
    receives: u32,
    /// Since when none has waited.
    idle_since: Option<Instant>,
    ended: Option<QueueError>,
    /// No more credit can be granted: another link has to take its place.
    is_stale: bool,
}

/// What is left of a link for a receive.
pub(super) enum Taken {
    /// These messages.
    Messages(Vec<Arrived>),
    /// None for now.
    Nothing,
    /// None, and there will be none.
    Stale,
    /// None, for this reason.
    Ended(QueueError),
}

/// A receive that waits. It stops when this is dropped.
pub(super) struct Waiting<'a> {
    inbox: &'a Inbox,
    asked: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.inbox.lock();
        state.asked -= self.asked;
        state.receives -= 1;
        state.idle_since = (state.receives == 0).then(Instant::now);
        drop(state);
        self.inbox.wanted.notify_one();
    }
}

impl Inbox {
    /// Begins to wait for up to `max` messages.
    pub(super) fn ask(&self, max: u32) -> Waiting<'_> {
        let mut state = self.lock();
        state.asked += u64::from(max);
        state.receives += 1;
        state.idle_since = None;
        drop(state);
        self.wanted.notify_one();
        Waiting { inbox: self, asked: max.into() }
    }

    /// Takes up to `max` messages.
    pub(super) fn take(&self, max: u32) -> Taken {
        let mut state = self.lock();
        let mut taken = Vec::new();
        while taken.len() < max as usize
            && let Some(next) = state.messages.pop_front()
        {
            // One whose lock is over comes again by itself.
            if !next.is_over() {
                taken.push(next);
            }
        }
        if !taken.is_empty() {
            return Taken::Messages(taken);
        }
        match &state.ended {
            Some(error) => Taken::Ended(error.clone()),
            None if state.is_stale => Taken::Stale,
            None => Taken::Nothing,
        }
    }

    /// Waits until there may be something to take.
    pub(super) async fn changes(&self) {
        self.changed.notified().await;
    }

    /// Whether only one receive waits.
    pub(super) fn has_one_receive(&self) -> bool {
        self.lock().receives <= 1
    }

    /// How many more messages are wanted than are there.
    pub(super) fn wants(&self) -> u32 {
        let state = self.lock();
        u32::try_from(state.asked.saturating_sub(state.messages.len() as u64)).unwrap_or(u32::MAX)
    }

    /// Waits until more messages are wanted, or fewer.
    pub(super) async fn wants_change(&self) {
        self.wanted.notified().await;
    }

    /// Since when no receive has waited.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        self.lock().idle_since
    }

    /// Puts a message in. [`Inbox::tell`] says so to those who wait.
    pub(super) fn put(&self, message: Arrived) {
        self.lock().messages.push_back(message);
    }

    /// Lets every receive that waits look again.
    pub(super) fn tell(&self) {
        self.changed.notify_waiters();
        // And one that is about to wait.
        self.changed.notify_one();
    }

    /// Takes all messages, if no receive waits for them.
    pub(super) fn empty(&self) -> Vec<Arrived> {
        let mut state = self.lock();
        if state.receives > 0 { Vec::new() } else { state.messages.drain(..).collect() }
    }

    pub(super) fn holds_messages(&self) -> bool {
        !self.lock().messages.is_empty()
    }

    /// No more credit can be granted on this link.
    pub(super) fn grow_stale(&self) {
        self.lock().is_stale = true;
        self.tell();
    }

    pub(super) fn is_over(&self) -> bool {
        let state = self.lock();
        state.is_stale || state.ended.is_some()
    }

    /// No more messages come, for this reason.
    pub(super) fn end(&self, why: QueueError) {
        self.lock().ended.get_or_insert(why);
        self.tell();
    }

    fn lock(&self) -> MutexGuard<'_, InboxState> {
        // What it guards is valid after every statement.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
