//! What the frames of a connection show of the links that receive on it: what came, what became of
//! what was settled, and when there is no credit left.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fe2o3_amqp::types::messaging::DeliveryState;
use tokio::sync::{Notify, oneshot};

/// The links of a connection that are watched, each in a session of its own.
#[derive(Debug, Default)]
pub(super) struct Watches {
    links: Mutex<Links>,
}

#[derive(Debug, Default)]
struct Links {
    /// Those that are about to be attached, by name.
    expected: HashMap<String, Arc<Watched>>,
    /// By the service's channel of their session.
    attached: HashMap<u16, Arc<Watched>>,
}

impl Watches {
    /// Watches a link of this name, from its attach on.
    pub(super) fn expect(&self, name: &str) -> Arc<Watched> {
        let watched = Arc::<Watched>::default();
        lock(&self.links).expected.insert(name.to_owned(), watched.clone());
        watched
    }

    /// The service has attached its end of a link.
    pub(super) fn attached(&self, name: &str, channel: u16, handle: u32) {
        let mut links = lock(&self.links);
        if let Some(watched) = links.expected.remove(name) {
            lock(&watched.state).handle = Some(handle);
            links.attached.insert(channel, watched);
        }
    }

    /// The link on a channel.
    pub(super) fn on(&self, channel: u16) -> Option<Arc<Watched>> {
        lock(&self.links).attached.get(&channel).cloned()
    }

    /// The link on a channel, or its session, was ended by the service.
    pub(super) fn ended(&self, channel: u16) {
        let ended = lock(&self.links).attached.remove(&channel);
        if let Some(watched) = ended {
            watched.end();
        }
    }
}

/// One link that receives.
#[derive(Debug, Default)]
pub(super) struct Watched {
    state: Mutex<WatchedLink>,
    ran_dry: Notify,
}

#[derive(Debug, Default)]
struct WatchedLink {
    /// The service's number of the link.
    handle: Option<u32>,
    /// How many messages have come, and how many of them were taken from the library.
    came: u64,
    taken: u64,
    /// The service has said that there is no credit left.
    is_dry: bool,
    miscounted: bool,
    has_ended: bool,
    /// Who waits for the outcome of which delivery.
    waiting: HashMap<u32, oneshot::Sender<DeliveryState>>,
}

impl Watched {
    /// Whether it is the link of this number.
    pub(super) fn is(&self, handle: u32) -> bool {
        lock(&self.state).handle == Some(handle)
    }

    /// A part of a message has come, or all of it.
    pub(super) fn transferred(&self, handle: u32, is_whole: bool) {
        let mut state = lock(&self.state);
        if state.handle == Some(handle) && is_whole {
            state.came += 1;
        }
    }

    /// The service has told the state of the link.
    pub(super) fn flowed(&self, handle: u32, credit: u32) {
        let mut state = lock(&self.state);
        if state.handle != Some(handle) {
            return;
        }
        // The service's count includes what the library has not counted yet, and will add to it.
        state.miscounted |= state.came > state.taken;
        if credit == 0 {
            state.is_dry = true;
            self.ran_dry.notify_one();
        }
    }

    /// The service has settled these deliveries.
    pub(super) fn disposed(&self, deliveries: RangeInclusive<u32>, outcome: &DeliveryState) {
        let mut state = lock(&self.state);
        let told: Vec<u32> = if deliveries.end().saturating_sub(*deliveries.start()) < 16 {
            deliveries.collect()
        } else {
            state.waiting.keys().copied().filter(|it| deliveries.contains(it)).collect()
        };
        for waiting in told.iter().filter_map(|delivery| state.waiting.remove(delivery)) {
            // Who has stopped waiting has learnt that the outcome is not known.
            let _ = waiting.send(outcome.clone());
        }
    }

    /// A message was taken from the library.
    pub(super) fn took(&self) {
        lock(&self.state).taken += 1;
    }

    /// The outcome of a delivery that is about to be settled; an error once the link is gone.
    /// `None` if it is gone already.
    pub(super) fn outcome(&self, delivery: u32) -> Option<oneshot::Receiver<DeliveryState>> {
        let mut state = lock(&self.state);
        if state.has_ended {
            return None;
        }
        let (outcome, told) = oneshot::channel();
        state.waiting.insert(delivery, outcome);
        Some(told)
    }

    /// From now on the service is asked to use up all credit.
    pub(super) fn begin_to_drain(&self) {
        lock(&self.state).is_dry = false;
    }

    /// Whether no credit is left, and all that came before has been taken.
    pub(super) fn is_drained(&self) -> bool {
        let state = lock(&self.state);
        state.is_dry && state.came == state.taken
    }

    /// Waits until the service says that no credit is left.
    pub(super) async fn runs_dry(&self) {
        self.ran_dry.notified().await;
    }

    /// A message came while the service told its own count. The library counts it a second time,
    /// and would grant more than it is told to: what comes beyond that is an error to it.
    pub(super) fn is_miscounted(&self) -> bool {
        lock(&self.state).miscounted
    }

    /// No outcome comes any more.
    pub(super) fn end(&self) {
        let mut state = lock(&self.state);
        state.has_ended = true;
        state.waiting.clear();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What each guards is valid after every statement.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
