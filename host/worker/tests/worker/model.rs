//! A queue in memory, under tokio's clock. Each of its answers can be delayed, lost or wrong.
//!
//! Its semantics are those of Azure Storage Queue. The model itself records what happened to each
//! message, so that a test never has to believe the worker's own counting.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use longshore_queue::{
    DeadLetter, Message, Outgoing, Properties, Queue, QueueError, QueueUrl, Receipt, Received, Right,
};
use longshore_worker::poison::Envelope;
use tokio::time::{Instant, sleep};

pub const S: Duration = Duration::from_secs(1);

/// What goes wrong with one call.
#[derive(Clone, Debug, Default)]
pub struct Fault {
    /// How long the call travels before it is done.
    pub delay_before: Duration,
    /// How long its answer travels.
    pub delay_after: Duration,
    /// It is never done, and no answer comes.
    pub lost_before: bool,
    /// It is done, and no answer comes.
    pub lost_after: bool,
    /// It is answered with this instead of being done.
    pub error: Option<QueueError>,
}

type Faults = Box<dyn FnMut(&'static str, &str) -> Fault + Send>;

#[derive(Debug)]
struct Slot {
    body: Bytes,
    visible: Instant,
    expires: Option<Instant>,
    receipt: u64,
    dequeue_count: u32,
    properties: Properties,
}

impl Slot {
    fn new(body: Bytes, visible: Instant, expires: Option<Instant>, properties: Properties) -> Self {
        Self { body, visible, expires, receipt: 0, dequeue_count: 0, properties }
    }
}

/// One call: when, what, and on which message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub at: Instant,
    pub what: &'static str,
    pub id: String,
}

#[derive(Default)]
struct State {
    slots: BTreeMap<u64, Slot>,
    ids: u64,
    receipts: u64,
    /// Whether any message can expire.
    expiring: bool,
    /// The calls that were sent, carried out or not.
    sent: Vec<Call>,
    /// The calls that were carried out.
    calls: Vec<Call>,
    limit: usize,
    /// How many messages each receive brings beyond those that it asks for.
    surplus: usize,
    /// Whether the queue has to be created before anything can be sent to it.
    missing: bool,
}

pub struct MemoryQueue {
    url: QueueUrl,
    state: Mutex<State>,
    faults: Mutex<Option<Faults>>,
    /// The poison queue that messages can be moved to in one step.
    moves_to: Mutex<Option<Arc<MemoryQueue>>>,
}

impl std::fmt::Debug for MemoryQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MemoryQueue({})", self.url)
    }
}

impl MemoryQueue {
    pub fn new(name: &str) -> Arc<Self> {
        Self::at(&format!("file:./memory/{name}"))
    }

    /// A queue that is of another kind, by its URL.
    pub fn at(url: &str) -> Arc<Self> {
        let state = State { limit: 64 * 1024, ..State::default() };
        let url = url.parse().unwrap();
        Arc::new(Self { url, state: Mutex::new(state), faults: Mutex::new(None), moves_to: Mutex::new(None) })
    }

    /// A queue with `count` messages, whose bodies are their numbers as JSON.
    pub fn filled(name: &str, count: usize) -> Arc<Self> {
        let queue = Self::new(name);
        for number in 0..count {
            queue.put(&format!("[{number}]"));
        }
        queue
    }

    pub fn put(&self, body: &str) -> String {
        self.put_expiring(body, None)
    }

    pub fn put_expiring(&self, body: &str, time_to_live: Option<Duration>) -> String {
        let now = Instant::now();
        let mut state = self.state.lock().unwrap();
        let id = state.ids;
        state.ids += 1;
        let expires = time_to_live.map(|life| now + life);
        state.expiring |= expires.is_some();
        let body = Bytes::copy_from_slice(body.as_bytes());
        state.slots.insert(id, Slot::new(body, now, expires, Vec::new()));
        id.to_string()
    }

    pub fn set_dequeue_count(&self, id: &str, count: u32) {
        self.state.lock().unwrap().slots.get_mut(&id.parse().unwrap()).unwrap().dequeue_count = count;
    }

    /// Takes a message's lease away from its holder.
    pub fn steal(&self, id: &str) {
        let mut state = self.state.lock().unwrap();
        state.receipts += 1;
        let receipt = state.receipts;
        state.slots.get_mut(&id.parse().unwrap()).unwrap().receipt = receipt;
    }

    /// From now on the queue is missing until it is created.
    pub fn remove(&self) {
        self.state.lock().unwrap().missing = true;
    }

    /// From now on messages can be moved to `poison` in one step.
    pub fn moves_to_in_one_step(&self, poison: &Arc<Self>) {
        *self.moves_to.lock().unwrap() = Some(Arc::clone(poison));
    }

    /// From now on each receive brings up to `surplus` messages more than it asks for.
    pub fn gives_more_than_asked(&self, surplus: usize) {
        self.state.lock().unwrap().surplus = surplus;
    }

    pub fn set_limit(&self, limit: usize) {
        self.state.lock().unwrap().limit = limit;
    }

    /// Decides what goes wrong with each call from now on, by its name and the message's id.
    pub fn set_faults(&self, faults: impl FnMut(&'static str, &str) -> Fault + Send + 'static) {
        *self.faults.lock().unwrap() = Some(Box::new(faults));
    }

    pub fn heal(&self) {
        *self.faults.lock().unwrap() = None;
    }

    pub fn len(&self) -> usize {
        self.state.lock().unwrap().slots.len()
    }

    pub fn bodies(&self) -> Vec<Bytes> {
        self.state.lock().unwrap().slots.values().map(|slot| slot.body.clone()).collect()
    }

    /// The envelopes that a poison queue holds: original id, reason and detail.
    pub fn envelopes(&self) -> Vec<(String, String, String)> {
        let read = |body: Bytes| {
            let envelope = Envelope::parse(&body).expect("an envelope");
            (envelope.id.into_owned(), envelope.reason.into_owned(), envelope.detail.into_owned())
        };
        self.bodies().into_iter().map(read).collect()
    }

    /// The calls of this name that were sent, carried out or not.
    pub fn sent_of(&self, what: &str) -> Vec<Call> {
        self.state.lock().unwrap().sent.iter().filter(|call| call.what == what).cloned().collect()
    }

    /// The calls that were carried out.
    pub fn calls(&self) -> Vec<Call> {
        self.state.lock().unwrap().calls.clone()
    }

    pub fn calls_of(&self, what: &str) -> Vec<Call> {
        self.calls().into_iter().filter(|call| call.what == what).collect()
    }

    /// For each message: how long from now until it is visible (zero: it is), and its dequeue
    /// count.
    pub fn hidden_for(&self) -> Vec<(Duration, u32)> {
        let now = Instant::now();
        let state = self.state.lock().unwrap();
        state
            .slots
            .values()
            .map(|slot| (slot.visible.saturating_duration_since(now), slot.dequeue_count))
            .collect()
    }

    async fn call<T>(
        &self,
        what: &'static str,
        id: &str,
        work: impl FnOnce(&mut State, Instant) -> Result<T, QueueError>,
    ) -> Result<T, QueueError> {
        self.state.lock().unwrap().sent.push(Call { at: Instant::now(), what, id: id.to_owned() });
        let fault = self.faults.lock().unwrap().as_mut().map(|decide| decide(what, id)).unwrap_or_default();
        sleep(fault.delay_before).await;
        // A real client gives up waiting in the end.
        let lost = || QueueError::unclear(&self.url, "no answer");
        if fault.lost_before {
            sleep(10 * S).await;
            return Err(lost());
        }
        if let Some(error) = fault.error {
            return Err(error);
        }
        let now = Instant::now();
        let done = {
            let mut state = self.state.lock().unwrap();
            if state.expiring {
                state.slots.retain(|_, slot| slot.expires.is_none_or(|at| at > now));
            }
            state.calls.push(Call { at: now, what, id: id.to_owned() });
            work(&mut state, now)
        };
        sleep(fault.delay_after).await;
        if fault.lost_after {
            sleep(10 * S).await;
            return Err(lost());
        }
        done
    }
}

fn owned<'a>(state: &'a mut State, id: &str, receipt: &Receipt) -> Result<&'a mut Slot, QueueError> {
    let slot =
        id.parse().ok().and_then(|id: u64| state.slots.get_mut(&id)).ok_or(QueueError::MessageNotFound)?;
    if slot.receipt.to_string() == receipt.0 { Ok(slot) } else { Err(QueueError::ReceiptMismatch) }
}

fn show(id: u64, slot: &Slot, now: Instant) -> Message {
    Message {
        id: id.to_string(),
        body: slot.body.clone(),
        dequeue_count: slot.dequeue_count,
        inserted: Timestamp::UNIX_EPOCH,
        time_to_live: slot.expires.map(|at| at - now),
        properties: slot.properties.clone(),
    }
}

#[async_trait::async_trait]
impl Queue for MemoryQueue {
    fn url(&self) -> &QueueUrl {
        &self.url
    }

    async fn create(&self) -> Result<bool, QueueError> {
        self.call("create", "", |state, _| Ok(std::mem::take(&mut state.missing))).await
    }

    fn moves_to(&self, poison: &QueueUrl) -> bool {
        self.moves_to.lock().unwrap().as_ref().is_some_and(|queue| queue.url == *poison)
    }

    async fn dead_letter(
        &self,
        id: &str,
        receipt: &Receipt,
        letter: DeadLetter<'_>,
    ) -> Result<(), QueueError> {
        let poison = self.moves_to.lock().unwrap().clone().expect("it was asked whether it moves messages");
        self.call("dead_letter", id, |state, _| {
            owned(state, id, receipt)?;
            state.slots.remove(&id.parse().unwrap());
            poison.put(str::from_utf8(&letter.body).unwrap());
            Ok(())
        })
        .await
    }

    /// Asked and answered as a call on a message that does not exist, so that tests refuse a right
    /// with its call.
    async fn may(&self, right: Right) -> Result<(), QueueError> {
        let call = match right {
            Right::Receive => "delete",
            Right::Update => "update",
        };
        self.call(call, "none", |state, _| match state.missing {
            true => Err(QueueError::QueueNotFound { queue: self.url.to_string() }),
            false => Ok(()),
        })
        .await
    }

    async fn receive(&self, max: u32, visibility: Duration) -> Result<Vec<Received>, QueueError> {
        assert!((1..=32).contains(&max), "a receive may ask for 1 to 32 messages, not {max}");
        self.call("receive", &max.to_string(), |state, now| {
            let visible = |(id, slot): (&u64, &Slot)| (slot.visible <= now).then_some((slot.visible, *id));
            let mut ids: Vec<_> = state.slots.iter().filter_map(visible).collect();
            ids.sort_unstable();
            let mut batch = Vec::new();
            for (_, id) in ids.into_iter().take(max as usize + state.surplus) {
                state.receipts += 1;
                let receipt = state.receipts;
                let slot = state.slots.get_mut(&id).unwrap();
                slot.receipt = receipt;
                // A service that counts wrongly begins anew.
                slot.dequeue_count = slot.dequeue_count.wrapping_add(1);
                slot.visible = now + visibility;
                batch.push(Received {
                    message: show(id, slot, now),
                    receipt: Receipt(receipt.to_string()),
                    damaged: None,
                });
            }
            Ok(batch)
        })
        .await
    }

    async fn stop_receiving(&self) {
        let _ = self.call("stop_receiving", "", |_, _| Ok(())).await;
    }

    async fn send(&self, message: Outgoing) -> Result<String, QueueError> {
        let original = message.id.clone().unwrap_or_default();
        self.call("send", &original, |state, now| {
            if state.missing {
                return Err(QueueError::QueueNotFound { queue: self.url.to_string() });
            }
            if message.body.len() > state.limit {
                let (queue, size) = (self.url.to_string(), Some(message.body.len()));
                return Err(QueueError::TooLarge { queue, size, limit: state.limit });
            }
            let id = state.ids;
            state.ids += 1;
            let expires = message.time_to_live.map(|life| now + life);
            state.expiring |= expires.is_some();
            let visible = now + message.delay;
            state.slots.insert(id, Slot::new(message.body, visible, expires, message.properties));
            Ok(id.to_string())
        })
        .await
    }

    async fn update(&self, id: &str, receipt: &Receipt, visibility: Duration) -> Result<Receipt, QueueError> {
        self.call("update", id, |state, now| {
            let newest = state.receipts + 1;
            let slot = owned(state, id, receipt)?;
            slot.visible = now + visibility;
            slot.receipt = newest;
            state.receipts = newest;
            Ok(Receipt(newest.to_string()))
        })
        .await
    }

    async fn delete(&self, id: &str, receipt: &Receipt) -> Result<(), QueueError> {
        self.call("delete", id, |state, _| {
            owned(state, id, receipt)?;
            state.slots.remove(&id.parse().unwrap());
            Ok(())
        })
        .await
    }

    async fn peek(&self, max: u32) -> Result<Vec<Message>, QueueError> {
        self.call("peek", "", |state, now| {
            let visible = state.slots.iter().filter(|(_, slot)| slot.visible <= now);
            Ok(visible.take(max as usize).map(|(id, slot)| show(*id, slot, now)).collect())
        })
        .await
    }

    async fn approximate_count(&self) -> Result<u64, QueueError> {
        self.call("count", "", |state, _| Ok(state.slots.len() as u64)).await
    }
}

/// What a queue answers that has too much to do.
pub fn busy(retry_after: Option<Duration>) -> QueueError {
    QueueError::Busy { queue: "orders".into(), cause: "503".into(), retry_after }
}
