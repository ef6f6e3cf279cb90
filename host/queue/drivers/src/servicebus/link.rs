//! The link that receives. A task of its own takes what comes, grants the credit that receives ask
//! for, and sends what is settled.
//!
//! Credit stands: what a receive has asked for and did not get is still granted when the next one
//! asks. So messages come while others are handled, and no receive waits for a round trip when
//! there are messages. At most as many come as were asked for. When nothing comes for a while, and
//! when nobody receives any more, the credit is taken back, and what came too late is released.

use std::sync::Arc;
use std::time::Duration;

use fe2o3_amqp::Receiver;
use fe2o3_amqp::link::RecvError;
use fe2o3_amqp::link::delivery::{Delivery, DeliveryInfo};
use fe2o3_amqp::link::receiver::TerminalDeliveryState;
use fe2o3_amqp::session::SessionHandle;
use fe2o3_amqp::types::messaging::{Accepted, Body, DeliveryState};
use fe2o3_amqp::types::primitives::Value;
use futures_util::future::join_all;
use tokio::sync::mpsc::{UnboundedReceiver, WeakUnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use longshore_queue::QueueError;

use crate::servicebus::arrived::Arrived;
use crate::servicebus::entity::Entity;
use crate::servicebus::error::received;
use crate::servicebus::inbox::{Inbox, Taken};
use crate::servicebus::lock::LockToken;
use crate::servicebus::settler::{Delivered, Order, Settler};
use crate::servicebus::turns::after_others;
use crate::servicebus::watched::Watched;

/// How long the first message is awaited. A queue that has messages delivers within some
/// milliseconds.
const FIRST: Duration = Duration::from_millis(500);
/// How long the service may take to say that no credit is left. A link that does not say it in time
/// is given up: the service then keeps what it had not sent.
const DRAIN: Duration = Duration::from_secs(1);
/// How long the next part of a message is waited for. A part of 64 KiB takes a second of a network
/// that passes half a million bits in it.
pub(in crate::servicebus) const PART: Duration = Duration::from_secs(5);
/// How long the service may take to say that messages are released.
const RELEASE: Duration = Duration::from_secs(1);
/// How long a message may wait for a receive, and credit for the next one.
const LATE: Duration = Duration::from_millis(500);
/// How long a link may take to end.
const CLOSE: Duration = Duration::from_secs(1);
/// The most settlements that are sent together.
const MAX_SETTLED_AT_ONCE: usize = 256;

/// A link that receives.
#[derive(Debug)]
pub(super) struct Link {
    settler: Settler,
    inbox: Arc<Inbox>,
}

/// What a receive on a link came to.
pub(super) enum Brought {
    /// These messages; none if none came.
    Messages(Vec<Arrived>),
    /// The link can bring no more. Another one may.
    Stale,
}

impl Link {
    /// Starts to work on a link that was attached in a session of its own, and has so much credit
    /// for the receive that comes next.
    pub(super) fn start(
        (receiver, session): (Receiver, SessionHandle<()>),
        watched: Arc<Watched>,
        credit: u32,
        entity: Arc<Entity>,
    ) -> Self {
        let (orders, ordered) = unbounded_channel();
        let inbox = Arc::<Inbox>::default();
        let pump = Pump {
            receiver,
            entity,
            inbox: inbox.clone(),
            orders: orders.downgrade(),
            watched: watched.clone(),
            credit,
            draining: None,
        };
        tokio::spawn(pump.run(ordered, session));
        Self { settler: Settler { orders, watched }, inbox }
    }

    /// Whether it can bring no more messages.
    pub(super) fn is_over(&self) -> bool {
        self.inbox.is_over()
    }

    /// Waits until it can bring no more messages.
    pub(super) async fn ended(&self) {
        while !self.inbox.is_over() {
            self.inbox.changes().await;
        }
    }

    /// Waits for up to `max` messages. What is there is brought at once.
    pub(super) async fn receive(&self, max: u32) -> Result<Brought, QueueError> {
        let waiting = self.inbox.ask(max);
        let ends = Instant::now() + FIRST;
        loop {
            match self.inbox.take(max) {
                Taken::Messages(messages) => return Ok(Brought::Messages(messages)),
                Taken::Stale => return Ok(Brought::Stale),
                Taken::Ended(error) => return Err(error),
                Taken::Nothing => {}
            }
            if timeout_at(ends, self.inbox.changes()).await.is_err() {
                break;
            }
        }
        if self.inbox.has_one_receive() {
            // Nothing may come that nobody waits for.
            let (done, drained) = oneshot::channel();
            if self.settler.orders.send(Order::Drain(done)).is_ok() {
                // An error: the pump has ended, and the inbox says why.
                let _ = drained.await;
            }
        }
        drop(waiting);
        match self.inbox.take(max) {
            Taken::Messages(messages) => Ok(Brought::Messages(messages)),
            Taken::Ended(error) => Err(error),
            // That was an answer: there was nothing.
            Taken::Stale | Taken::Nothing => Ok(Brought::Messages(Vec::new())),
        }
    }

    /// When the newest part came of a message that has not come as a whole.
    pub(super) fn coming_since(&self) -> Option<Instant> {
        self.settler.watched.coming_since()
    }

    /// Takes all credit back, and releases what came and was not received.
    pub(super) async fn rest(&self) {
        let (done, rested) = oneshot::channel();
        if self.settler.orders.send(Order::Rest(done)).is_ok() {
            let _ = rested.await;
        }
    }
}

/// What works on a link.
struct Pump {
    receiver: Receiver,
    entity: Arc<Entity>,
    inbox: Arc<Inbox>,
    /// For what comes: the link lasts as long as somebody else has this.
    orders: WeakUnboundedSender<Order>,
    watched: Arc<Watched>,
    /// What was granted, and has not come yet.
    credit: u32,
    draining: Option<Draining>,
}

/// All credit is being taken back.
struct Draining {
    gives_up: Instant,
    /// Who waits for it.
    told: Vec<oneshot::Sender<()>>,
    /// What is there then is released.
    releases: bool,
}

/// Why a pump ends.
enum PumpEnd {
    /// Nobody needs the link any more.
    Unused,
    Failed(QueueError),
}

impl Pump {
    async fn run(mut self, mut ordered: UnboundedReceiver<Order>, session: SessionHandle<()>) {
        let end = self.work(&mut ordered).await;
        // Who waits learns the cause first.
        if let PumpEnd::Failed(error) = end {
            self.inbox.end(error);
        }
        self.watched.end();
        self.draining = None;
        ordered.close();
        self.close(session).await;
    }

    async fn work(&mut self, ordered: &mut UnboundedReceiver<Order>) -> PumpEnd {
        let mut settled = Vec::new();
        loop {
            if let Err(end) = self.grant().await {
                return end;
            }
            let wakes = self.wakes_at();
            tokio::select! {
                biased;
                count = ordered.recv_many(&mut settled, MAX_SETTLED_AT_ONCE) => {
                    if count == 0 {
                        return PumpEnd::Unused;
                    }
                    // Those that end at the same time share frames and packets.
                    after_others().await;
                    while settled.len() < MAX_SETTLED_AT_ONCE
                        && let Ok(order) = ordered.try_recv()
                    {
                        settled.push(order);
                    }
                    if let Err(end) = self.carry_out(settled.drain(..)).await {
                        return end;
                    }
                }
                came = self.receiver.recv::<Body<Value>>() => {
                    if let Err(end) = self.came(came).await {
                        return end;
                    }
                }
                () = self.inbox.wants_change() => {}
                () = self.watched.runs_dry() => {}
                () = sleep_until(wakes.unwrap_or_else(Instant::now)), if wakes.is_some() => {}
            }
        }
    }

    /// When something is due that nobody asks for.
    fn wakes_at(&self) -> Option<Instant> {
        match &self.draining {
            Some(draining) => Some(draining.gives_up),
            None if self.credit > 0 || self.inbox.holds_messages() => {
                self.inbox.idle_since().map(|since| since + LATE)
            }
            None => None,
        }
    }

    /// Grants credit for what is wanted, or takes it back where nobody wants any.
    async fn grant(&mut self) -> Result<(), PumpEnd> {
        let now = Instant::now();
        if let Some(draining) = &mut self.draining {
            if self.watched.is_drained() {
                self.drained().await?;
            } else if let Some(newest) = self.watched.coming_since().filter(|it| now < *it + PART) {
                // A large message takes its time.
                draining.gives_up = draining.gives_up.max(newest + PART);
            } else if now >= draining.gives_up {
                // What it still sends is nobody's: it ends, and keeps that.
                return Err(self.failed("it does not take its credit back"));
            }
            return Ok(());
        }
        if self.inbox.idle_since().is_some_and(|since| now >= since + LATE) {
            if self.credit > 0 {
                return self.drain(None, true).await;
            }
            return self.release().await.map(drop);
        }
        let wanted = self.inbox.wants();
        if wanted > self.credit && !self.inbox.is_over() {
            if self.watched.is_miscounted() {
                self.inbox.grow_stale();
                return Ok(());
            }
            let granted = self.receiver.set_credit(wanted).await;
            granted.map_err(|error| self.failed(error))?;
            self.credit = wanted;
        }
        Ok(())
    }

    async fn carry_out(&mut self, orders: impl Iterator<Item = Order>) -> Result<(), PumpEnd> {
        let mut completed = Vec::<DeliveryInfo>::new();
        for order in orders {
            match order {
                Order::Settle(info, TerminalDeliveryState::Accepted(_)) => completed.push(info),
                Order::Settle(info, state) => {
                    let sent = self.receiver.dispose(info, state).await;
                    sent.map_err(|error| self.failed(error))?;
                }
                Order::Drain(told) => self.drain(Some(told), false).await?,
                Order::Rest(told) => self.drain(Some(told), true).await?,
            }
        }
        if completed.is_empty() {
            return Ok(());
        }
        // Those that follow each other share a frame.
        let sent = self.receiver.dispose_all(completed, Accepted {}).await;
        sent.map_err(|error| self.failed(error))
    }

    /// A message has come: and what came with it.
    async fn came(&mut self, first: Result<Delivery<Body<Value>>, RecvError>) -> Result<(), PumpEnd> {
        let mut next = Some(first);
        while let Some(came) = next {
            let arrived = self.read(came)?;
            self.credit = self.credit.saturating_sub(1);
            match arrived {
                Some(arrived) => self.inbox.put(arrived),
                // Nothing can be asked about it.
                None => tracing::warn!("a delivery without a lock token was left alone"),
            }
            // What was read at once is handed over at once.
            next = futures_util::FutureExt::now_or_never(self.receiver.recv::<Body<Value>>());
        }
        self.inbox.tell();
        Ok(())
    }

    /// What a delivery is; `None` if it has no lock.
    fn read(&self, came: Result<Delivery<Body<Value>>, RecvError>) -> Result<Option<Arrived>, PumpEnd> {
        // Without anybody else who has it, nobody waits either.
        let Some(orders) = self.orders.upgrade() else { return Err(PumpEnd::Unused) };
        let settler = Settler { orders, watched: self.watched.clone() };
        match came {
            Ok(delivery) => {
                let (info, _) = delivery.into_parts();
                let Some(bytes) = self.watched.take(info.delivery_id()) else {
                    return Err(self.failed("a message came without what it carries"));
                };
                self.watched.keep(info.delivery_id());
                let token = LockToken::from_tag(info.delivery_tag());
                let delivered = Delivered::new(info, settler);
                Ok(token.map(|token| Arrived::read(token, &bytes, delivered, &self.entity)))
            }
            Err(error) => Err(PumpEnd::Failed(received(error, &self.entity.url, "receive"))),
        }
    }

    /// Begins to take all credit back.
    async fn drain(&mut self, told: Option<oneshot::Sender<()>>, releases: bool) -> Result<(), PumpEnd> {
        if let Some(draining) = &mut self.draining {
            draining.told.extend(told);
            draining.releases |= releases;
            return Ok(());
        }
        let gives_up = Instant::now() + DRAIN;
        self.draining = Some(Draining { gives_up, told: told.into_iter().collect(), releases });
        if self.credit == 0 {
            return self.drained().await;
        }
        self.watched.begin_to_drain();
        let asked = self.receiver.drain().await;
        asked.map_err(|error| self.failed(error))
    }

    /// No credit is left, and all that was sent is there.
    async fn drained(&mut self) -> Result<(), PumpEnd> {
        self.credit = 0;
        let Some(Draining { told, releases, .. }) = self.draining.take() else { return Ok(()) };
        let answers = if releases { self.release().await? } else { Vec::new() };
        let tell = async move {
            // The process may end as soon as that is told, and with it what was not sent.
            let _ = timeout(RELEASE, join_all(answers)).await;
            for told in told {
                // Who gave up waiting does not need it.
                let _ = told.send(());
            }
        };
        // Beside what else there is to be sent.
        tokio::spawn(tell);
        Ok(())
    }

    /// Releases what came and nobody receives. That counts no delivery. Returns the service's
    /// answers.
    async fn release(&mut self) -> Result<Vec<oneshot::Receiver<Option<DeliveryState>>>, PumpEnd> {
        let late = self.inbox.empty();
        if late.is_empty() {
            return Ok(Vec::new());
        }
        tracing::debug!(messages = late.len(), "messages came that nobody received: they are released");
        let late: Vec<_> = late.into_iter().map(|it| it.delivered.info).collect();
        let answers = late.iter().filter_map(|it| self.watched.outcome(it.delivery_id())).collect();
        let sent = self.receiver.release_all(late).await;
        sent.map(|()| answers).map_err(|error| self.failed(error))
    }

    fn failed(&self, error: impl std::fmt::Display) -> PumpEnd {
        PumpEnd::Failed(crate::servicebus::error::unclear(&self.entity.url, error))
    }

    /// Ends the link and its session, and with them what both sides remember of its deliveries.
    /// Locks are not touched.
    async fn close(self, mut session: SessionHandle<()>) {
        let receiver = self.receiver;
        let closing = async {
            let _ = receiver.close().await;
            let _ = session.end().await;
        };
        // The next one does not depend on it: what is left of this one ends with the connection.
        let _ = timeout(CLOSE, closing).await;
    }
}
