//! Azure Service Bus queues and subscriptions, in peek-lock, over AMQP 1.0 ([protocol
//! guide](https://learn.microsoft.com/azure/service-bus-messaging/service-bus-amqp-protocol-guide)).
//!
//! A lease is a lock. Its length is the queue's (`LockDuration`), so that a visibility timeout is
//! kept by renewing the lock here, and given up early by abandoning the message. A retry delay is
//! held the same way: the message stays locked until it is due, and is then abandoned. The other
//! way, a scheduled copy in one transaction with the completion, would need the right to send to
//! the queue that is unloaded, would lose the copy without a trace on a queue that detects
//! duplicates, and would have to carry the count of attempts itself. Held, the count is the
//! service's own, also in `MaxDeliveryCount`; and if this process ends, the message comes back
//! early, when its lock ends, and is never lost.
//!
//! Messages are settled on the link that brought them, and a settlement counts when the service has
//! answered it. It goes over `$management` where that link is gone.

mod arrived;
mod binary_xml;
mod by_session;
mod clock;
mod connection;
mod count;
mod disposition;
mod entity;
mod error;
mod frame;
mod held;
mod inbox;
mod learnt;
mod link;
mod lock;
mod management;
mod message;
mod pages;
mod proxy;
mod receive;
mod renewals;
mod request;
mod said;
mod sections;
mod sessions;
mod settler;
mod silent_ports;
mod tap;
mod token;
mod transport;
mod turns;
mod watched;
mod wire;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use fe2o3_amqp::types::messaging::MESSAGE_FORMAT;
use tokio::time::Instant;

use self::arrived::Arrived;
use self::clock::ServiceClock;
use self::connection::Connected;
use self::disposition::Disposition;
use self::entity::{CHANNEL_MAX, Entity};
use self::error::made_elsewhere;
use self::held::Held;
use self::lock::LockToken;
use self::management::PAGE;
use self::sessions::OwnSessions;
use self::token::TokenSource;
use self::wire::Wire;
use longshore_azure::{Azure, SharedHttp};
use longshore_queue::kind::SERVICE_BUS;
use longshore_queue::limits::{check_max, check_visibility, out_of_range};
use longshore_queue::place::Place;
use longshore_queue::{
    DeadLetter, Horizon, MAX_VISIBILITY, Message, Outgoing, Queue, QueueError, QueueUrl, Receipt, Received,
    Right, SessionLook, SessionOptions, SessionStanding, Specimen, Whole,
};

/// How long any call may take.
const LIMIT: Duration = Duration::from_secs(20);

/// One queue of a namespace, a subscription of a topic, or the dead-letter sub-queue of either; a
/// topic, as far as it is sent to.
#[derive(Debug)]
pub struct ServiceBusQueue {
    url: QueueUrl,
    wire: Arc<Wire>,
    held: Arc<Held>,
    http: Arc<SharedHttp>,
    longest_lease_ms: AtomicU64,
    /// The largest message that the link takes, with all that it carries; 0 until the service has
    /// told.
    max_message: AtomicUsize,
    clock_asked: AtomicBool,
    session_options: SessionOptions,
    /// Where messages are received by session.
    sessions: OnceLock<OwnSessions>,
}

/// What is left for all that a message carries beside its body.
const BESIDE_BODY: usize = 6 * 1024;

impl ServiceBusQueue {
    /// A handle to the queue of this URL. Nothing is asked of the service yet.
    ///
    /// # Errors
    /// [`QueueError::Fault`] if the URL is not that of a Service Bus queue.
    pub fn open(url: QueueUrl, azure: &Azure) -> Result<Self, QueueError> {
        let Place::ServiceBus { namespace, access, transport } = url.place() else {
            return Err(QueueError::Fault {
                cause: format!("{url} is no Service Bus queue"),
                mend: format!("write `{}`", SERVICE_BUS.forms[0].example),
            });
        };
        let scope = SERVICE_BUS.tokens.as_ref().map(|accepted| accepted.scope).unwrap_or_default();
        let tokens = match access {
            Some(access) => TokenSource::Key(access.clone()),
            None => TokenSource::Identity(azure.tokens(scope), std::sync::Mutex::default()),
        };
        let entity = Arc::new(Entity {
            url: url.clone(),
            namespace: namespace.clone(),
            transport: *transport,
            tokens,
            link: format!("longshore-{}", uuid::Uuid::now_v7()),
            clock: ServiceClock::default(),
            requires_sessions: AtomicBool::new(false),
            channel_max: AtomicU16::new(CHANNEL_MAX),
        });
        let wire = Arc::new(Wire::new(entity, LIMIT));
        let longest_lease_ms = AtomicU64::new(u64::try_from(MAX_VISIBILITY.as_millis()).unwrap_or(u64::MAX));
        Ok(Self {
            url,
            held: Arc::new(Held::new(wire.clone())),
            wire,
            http: azure.http().clone(),
            longest_lease_ms,
            max_message: AtomicUsize::new(0),
            clock_asked: AtomicBool::new(false),
            session_options: SessionOptions::default(),
            sessions: OnceLock::new(),
        })
    }

    /// The same queue with another time limit for each call.
    #[must_use]
    pub fn with_limit(self, limit: Duration) -> Self {
        let wire = Arc::new(Wire::new(self.wire.entity.clone(), limit));
        Self { held: Arc::new(Held::new(wire.clone())), wire, ..self }
    }
}

#[async_trait]
impl Queue for ServiceBusQueue {
    fn url(&self) -> &QueueUrl {
        &self.url
    }

    async fn prepare(&self) -> Result<(), QueueError> {
        self.wire.call(async |_| Ok(())).await
    }

    /// Queues are made by those who manage the namespace: this says whether it is there.
    async fn create(&self) -> Result<bool, QueueError> {
        match self.wire.call(async |it| management::peek(it, &self.url, 0, 1).await).await {
            Ok(_) => Ok(false),
            Err(QueueError::QueueNotFound { .. }) => Err(made_elsewhere(&self.url)),
            Err(error) => Err(error),
        }
    }

    /// Both rights are one, that to listen. The service looks at it when a link is attached that
    /// receives, and a run needs that link anyway. Where no such link may be, it is asked to renew
    /// a lock that does not exist: it looks at the caller's rights first.
    async fn may(&self, _: Right) -> Result<(), QueueError> {
        let ask = async |it: &Connected| match it.receiver(0).await {
            Err(QueueError::Fault { .. }) => {
                management::renew(it, &self.wire.entity, &[LockToken::NONE]).await
            }
            attached => attached.map(drop),
        };
        match self.wire.call(ask).await {
            Err(error) if error.is_stale() => Ok(()),
            answer => answer,
        }
    }

    /// The service looks at the right to send when a link is attached for that, before any message.
    async fn may_send(&self) -> Option<Result<(), QueueError>> {
        Some(self.wire.call(async |it| it.sender().await.map(drop)).await)
    }

    async fn receive(&self, max: u32, visibility: Duration) -> Result<Vec<Received>, QueueError> {
        check_max(max)?;
        check_visibility(visibility)?;
        self.ask_for_the_time();
        if let Some(sessions) = self.sessions() {
            return self.receive_by_session(sessions, max, visibility).await;
        }
        let asked = Instant::now();
        let arrived = match (self.receive_plainly(max).await?, self.sessions()) {
            (_, Some(sessions)) => return self.receive_by_session(sessions, max, visibility).await,
            (arrived, None) => arrived,
        };
        if let Some(lease) = arrived.iter().map(Arrived::locked_for).min() {
            self.note_lease(lease);
        }
        let receive = |it: Arrived| Received {
            receipt: self.held.take(it.token, asked + visibility, it.locked_for(), it.sequence, it.delivered),
            message: it.message,
            damaged: it.damaged,
        };
        Ok(arrived.into_iter().map(receive).collect())
    }

    async fn stop_receiving(&self) {
        self.rest().await;
    }

    async fn send(&self, message: Outgoing) -> Result<String, QueueError> {
        if let Some((topic, _)) = self.url.subscription() {
            return Err(QueueError::Fault {
                cause: format!("{} is a subscription, which gets what its topic is sent", self.url),
                mend: format!("send to the topic, `{}`", self.wire.entity.sibling(topic)),
            });
        }
        check_visibility(message.delay)?;
        if message.time_to_live.is_some_and(|left| left.is_zero()) {
            return Err(out_of_range("a message that has expired", "give it a time to live"));
        }
        let id = message.id.clone().unwrap_or_else(|| uuid::Uuid::now_v7().to_string());
        let carried = message.whole.as_ref().and_then(|whole| sections::original(&whole.0, false));
        let (amqp, format) = match carried {
            Some(original) => (message::carry(original), message::BATCH_FORMAT),
            None => (message::write(&id, &message), MESSAGE_FORMAT),
        };
        let send = async |it: &Connected| {
            self.note_limit(it).await?;
            receive::send(it, &self.url, amqp, format).await
        };
        self.wire.call(send).await?;
        Ok(id)
    }

    async fn learn_limits(&self) {
        if self.max_message.load(Ordering::Relaxed) == 0 {
            let _ = self.wire.call(async |it| self.note_limit(it).await).await;
        }
    }

    fn max_body(&self) -> usize {
        match self.max_message.load(Ordering::Relaxed) {
            0 => self.url.kind().max_body,
            limit => limit.saturating_sub(BESIDE_BODY),
        }
    }

    async fn update(&self, _: &str, receipt: &Receipt, visibility: Duration) -> Result<Receipt, QueueError> {
        check_visibility(visibility)?;
        match self.sessions.get() {
            Some(sessions) => sessions.0.update(receipt, visibility, false).await,
            None => self.held.update(receipt, visibility).await,
        }
    }

    async fn hide(&self, id: &str, receipt: &Receipt, delay: Duration) -> Result<Receipt, QueueError> {
        check_visibility(delay)?;
        match self.sessions.get() {
            Some(sessions) => sessions.0.update(receipt, delay, true).await,
            None => self.update(id, receipt, delay).await,
        }
    }

    async fn delete(&self, _: &str, receipt: &Receipt) -> Result<(), QueueError> {
        self.settle(receipt, Disposition::Completed).await
    }

    fn leased_ago(&self, receipt: &Receipt) -> Option<Duration> {
        self.sessions.get()?.0.taken_ago(receipt)
    }

    fn group(&self, received: &Received) -> Option<String> {
        self.sessions.get()?.0.session(&received.receipt)
    }

    fn is_in_order(&self) -> bool {
        self.sessions.get().is_some()
    }

    fn session_state(&self, receipt: &Receipt) -> Option<Option<Bytes>> {
        self.state_of_session(receipt)
    }

    async fn set_session_state(&self, receipt: &Receipt, state: Option<Bytes>) -> Result<(), QueueError> {
        self.set_state_of_session(receipt, state).await
    }

    fn poisons_next(&self, receipt: &Receipt) {
        if let Some(sessions) = self.sessions.get() {
            sessions.0.poisons(receipt);
        }
    }

    async fn lost(&self, receipt: &Receipt) {
        let Some(sessions) = self.sessions.get() else { return std::future::pending().await };
        sessions.0.lost(receipt).await;
    }

    /// A queue without sessions says that it has none when it is asked for them.
    async fn groups(&self) -> Result<Option<u64>, QueueError> {
        self.count_sessions().await
    }

    async fn look_at_groups(&self) -> Result<Option<Vec<SessionLook>>, QueueError> {
        self.look_at_sessions().await
    }

    async fn let_go_on(&self, group: &str) -> Result<SessionStanding, QueueError> {
        self.let_session_go_on(group).await
    }

    /// Locked messages are shown as well: the service does not say which are.
    async fn peek(&self, max: u32) -> Result<Vec<Message>, QueueError> {
        Ok(self.examine(max).await?.into_iter().map(|it| it.message).collect())
    }

    async fn horizon(&self) -> Result<Horizon, QueueError> {
        let (mut keys, mut from) = (HashSet::new(), 0);
        while let Some(page) = self.page(&mut from, PAGE).await? {
            keys.extend(page.into_iter().map(|it| it.key));
        }
        Ok(Horizon::Keys(keys))
    }

    fn key(&self, received: &Received) -> String {
        // What cannot be read at all has no place that is known: its lock tells it from others for
        // now.
        self.sequence(&received.receipt).map_or_else(|| received.message.id.clone(), |it| it.to_string())
    }

    /// The service shows a message in the encoding of its sender, and delivers it so: only there
    /// the library keeps it.
    async fn whole(&self, received: &Received) -> Result<Option<Whole>, QueueError> {
        let Some(sequence) = self.sequence(&received.receipt) else { return Ok(None) };
        let peeked = self.wire.call(async |it| management::peek(it, &self.url, sequence, 1).await).await?;
        let found = peeked.into_iter().find(|it| it.sequence == sequence);
        Ok(found.and_then(|it| it.specimen.whole))
    }

    async fn examine(&self, max: u32) -> Result<Vec<Specimen>, QueueError> {
        self.first(max).await
    }

    /// Locked messages included, scheduled ones not, as KEDA counts them. The service's own count
    /// is for those who may read the queue's settings; for others they are counted one by one, by
    /// peeking.
    async fn approximate_count(&self) -> Result<u64, QueueError> {
        if let Some(count) = count::ask(&self.wire.entity, &self.http).await {
            return Ok(count);
        }
        let (mut count, mut from) = (0, 0);
        while let Some(page) = self.page(&mut from, PAGE).await? {
            count += page.len() as u64;
        }
        Ok(count)
    }

    /// What is already in the queue fits into its dead-letter sub-queue: it is moved there, and not
    /// copied.
    fn fits(&self, body: &[u8]) -> bool {
        self.url.is_dead_letter_queue() || body.len() <= self.max_body()
    }

    fn longest_lease(&self) -> Duration {
        Duration::from_millis(self.longest_lease_ms.load(Ordering::Relaxed))
    }

    fn hides_only_while_running(&self) -> bool {
        true
    }

    fn moves_to(&self, poison: &QueueUrl) -> bool {
        self.url.poison().is_ok_and(|own| own.is_same_queue(poison))
    }

    /// The message itself moves, with its id and its properties: the reason and the cause are what
    /// the service keeps for that, and there is no envelope.
    async fn dead_letter(
        &self,
        _: &str,
        receipt: &Receipt,
        letter: DeadLetter<'_>,
    ) -> Result<(), QueueError> {
        let (reason, detail) = (letter.reason.to_owned(), letter.detail.to_owned());
        self.settle(receipt, Disposition::DeadLettered { reason, detail }).await
    }
}
