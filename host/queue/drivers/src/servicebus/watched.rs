//! What the frames of a connection show of the links that receive on it: what came, what became of
//! what was settled, and when there is no credit left.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use fe2o3_amqp::types::messaging::DeliveryState;
use fe2o3_amqp::types::performatives::{Attach, Transfer};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

/// The largest message, with all that it carries: what the largest queues take, and some more
/// ([quotas](https://learn.microsoft.com/azure/service-bus-messaging/service-bus-quotas)).
const MAX_MESSAGE: usize = 101 << 20;

/// The links of a connection that receive. Those that bring messages have a session of their own.
#[derive(Debug, Default)]
pub(super) struct Watches {
    links: Mutex<Links>,
    /// The highest number of a session that the service takes, once it has told.
    channel_max: AtomicU16,
    /// Whether anything is to be said with an attach.
    has_ahead: AtomicBool,
}

/// What is said with the attach of a link, and does not wait for its answer.
#[derive(Debug)]
pub(super) enum Ahead {
    /// So much credit. The link is the first one of its session.
    Credit(u32),
    /// The attach of another link, which gets the next number. The library says the same as soon as
    /// the first link is there.
    Link(Box<Attach>),
}

#[derive(Debug, Default)]
struct Links {
    /// Those that are about to be attached, by name.
    expected: HashMap<String, Arc<Watched>>,
    /// What is said with which link's attach.
    ahead: HashMap<String, Ahead>,
    /// Why nothing more is read from the service.
    refusal: Option<String>,
    /// By the service's channel of their session, and its number of the link.
    attached: BTreeMap<(u16, u32), Arc<Watched>>,
}

impl Watches {
    /// Watches a link of this name, from its attach on.
    pub(super) fn expect(&self, name: &str) -> Arc<Watched> {
        let watched = Arc::<Watched>::default();
        lock(&self.links).expected.insert(name.to_owned(), watched.clone());
        watched
    }

    /// Something is to be said with the attach of a link of this name.
    pub(super) fn say_with(&self, name: &str, ahead: Ahead) {
        lock(&self.links).ahead.insert(name.to_owned(), ahead);
        self.has_ahead.store(true, Ordering::Relaxed);
    }

    /// Whether anything is to be said with the attach of a link.
    pub(super) fn has_ahead(&self) -> bool {
        self.has_ahead.load(Ordering::Relaxed)
    }

    /// Takes what is to be said with the attach of this link, if anything is.
    pub(super) fn take_ahead(&self, name: &str) -> Option<Ahead> {
        let mut links = lock(&self.links);
        let ahead = links.ahead.remove(name);
        self.has_ahead.store(!links.ahead.is_empty(), Ordering::Relaxed);
        ahead
    }

    /// Nothing more is read from the service, for this reason.
    pub(super) fn refuse(&self, why: &str) {
        lock(&self.links).refusal = Some(why.to_owned());
    }

    /// Why nothing more is read from the service, if that is so. The library forgets it where it
    /// fails to open a connection.
    pub(super) fn refusal(&self) -> Option<String> {
        lock(&self.links).refusal.clone()
    }

    /// The service has opened its end of the connection.
    pub(super) fn opened(&self, channel_max: u16) {
        self.channel_max.store(channel_max, Ordering::Relaxed);
    }

    /// The highest number of a session that the service takes.
    pub(super) fn channel_max(&self) -> u16 {
        self.channel_max.load(Ordering::Relaxed)
    }

    /// The service has attached its end of a link.
    pub(super) fn attached(&self, name: &str, channel: u16, handle: u32) {
        let mut links = lock(&self.links);
        if let Some(watched) = links.expected.remove(name) {
            links.attached.insert((channel, handle), watched);
        }
    }

    /// The link of a number.
    pub(super) fn link(&self, channel: u16, handle: u32) -> Option<Arc<Watched>> {
        lock(&self.links).attached.get(&(channel, handle)).cloned()
    }

    /// The links on a channel.
    pub(super) fn on(&self, channel: u16) -> Vec<Arc<Watched>> {
        let links = lock(&self.links);
        links.attached.range((channel, 0)..=(channel, u32::MAX)).map(|(_, watched)| watched.clone()).collect()
    }

    /// The service has ended a link.
    pub(super) fn detached(&self, channel: u16, handle: u32) {
        let detached = lock(&self.links).attached.remove(&(channel, handle));
        if let Some(watched) = detached {
            watched.end();
        }
    }

    /// The service has ended the session of a channel.
    pub(super) fn ended(&self, channel: u16) {
        for watched in self.on(channel) {
            watched.end();
        }
        lock(&self.links).attached.retain(|(of, _), _| *of != channel);
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
    /// What has come of the next message.
    coming: Coming,
    /// What messages carry that the library has not handed over yet, by their deliveries.
    payloads: VecDeque<(u32, Bytes)>,
    /// How many messages have come, and how many of them were taken from the library.
    came: u64,
    taken: u64,
    /// The service has said that there is no credit left.
    is_dry: bool,
    miscounted: bool,
    has_ended: bool,
    /// The deliveries that are kept and not settled: the library settles no others.
    unsettled: HashSet<u32>,
    /// Who waits for the outcome of which delivery.
    waiting: HashMap<u32, oneshot::Sender<Option<DeliveryState>>>,
}

/// What has come of a message that came in several frames.
#[derive(Debug, Default)]
struct Coming {
    delivery: Option<u32>,
    bytes: BytesMut,
    newest: Option<Instant>,
}

/// What a frame has brought of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// More is to come.
    Open,
    /// All of it is there.
    Last,
    /// The service has given the message up.
    Dropped,
    /// The message is larger than messages are.
    TooLarge,
}

impl Watched {
    /// A part of a message has come, or all of it. Returns what is known then.
    pub(super) fn transferred(&self, transfer: &Transfer, part: Bytes) -> Part {
        let mut state = lock(&self.state);
        if transfer.aborted {
            state.coming = Coming::default();
            return Part::Dropped;
        }
        if transfer.resume && state.coming.delivery.is_none() {
            // No link here is attached with deliveries of another one: the library passes it over.
            return Part::Dropped;
        }
        let coming = &mut state.coming;
        coming.delivery = coming.delivery.or(transfer.delivery_id);
        if coming.bytes.len() + part.len() > MAX_MESSAGE {
            return Part::TooLarge;
        }
        if transfer.more {
            // Copied: each part would keep all that was read with it.
            coming.bytes.extend_from_slice(&part);
            coming.newest = Some(Instant::now());
            return Part::Open;
        }
        let Coming { delivery, mut bytes, .. } = std::mem::take(&mut state.coming);
        let whole = if bytes.is_empty() {
            part
        } else {
            bytes.extend_from_slice(&part);
            bytes.freeze()
        };
        state.came += 1;
        // Without a number it is the library's to refuse.
        state.payloads.extend(delivery.map(|delivery| (delivery, whole)));
        Part::Last
    }

    /// The service has told the state of the link.
    pub(super) fn flowed(&self, credit: u32) {
        let mut state = lock(&self.state);
        // The service's count includes what the library has not counted yet, and will add to it.
        state.miscounted |= state.came > state.taken;
        if credit == 0 {
            state.is_dry = true;
            self.ran_dry.notify_one();
        }
    }

    /// The service has settled these deliveries, whoever asked for it; with this outcome, if it
    /// says which.
    pub(super) fn disposed(&self, deliveries: RangeInclusive<u32>, outcome: Option<&DeliveryState>) {
        let mut state = lock(&self.state);
        let told: Vec<u32> = if deliveries.end().saturating_sub(*deliveries.start()) < 16 {
            deliveries.collect()
        } else {
            state.unsettled.retain(|it| !deliveries.contains(it));
            state.waiting.keys().copied().filter(|it| deliveries.contains(it)).collect()
        };
        for delivery in told {
            state.unsettled.remove(&delivery);
            if let Some(waiting) = state.waiting.remove(&delivery) {
                // Who has stopped waiting has learnt that the outcome is not known.
                let _ = waiting.send(outcome.cloned());
            }
        }
    }

    /// Takes what a message carries that the library has handed over; `None` if it has not come.
    pub(super) fn take(&self, delivery: u32) -> Option<Bytes> {
        let mut state = lock(&self.state);
        state.taken += 1;
        // What the library has passed over is nobody's.
        while let Some((of, payload)) = state.payloads.pop_front() {
            if of == delivery {
                return Some(payload);
            }
        }
        None
    }

    /// A delivery is kept until it is settled.
    pub(super) fn keep(&self, delivery: u32) {
        lock(&self.state).unsettled.insert(delivery);
    }

    /// The outcome of a delivery that is about to be settled; an error once the link is gone.
    /// `None` if it is gone already, or the delivery is kept no more.
    pub(super) fn outcome(&self, delivery: u32) -> Option<oneshot::Receiver<Option<DeliveryState>>> {
        let mut state = lock(&self.state);
        if state.has_ended || !state.unsettled.contains(&delivery) {
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

    /// When the newest part came of a message that has not come as a whole.
    pub(super) fn coming_since(&self) -> Option<Instant> {
        lock(&self.state).coming.newest
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
        state.coming = Coming::default();
        state.waiting.clear();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What each guards is valid after every statement.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
