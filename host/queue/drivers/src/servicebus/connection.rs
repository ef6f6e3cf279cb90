//! One connection: its token, which is renewed ahead of its end, and its links, which are attached
//! when they are first needed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fe2o3_amqp::connection::ConnectionHandle;
use fe2o3_amqp::link::ReceiverAttachError;
use fe2o3_amqp::link::receiver::CreditMode;
use fe2o3_amqp::sasl_profile::SaslProfile;
use fe2o3_amqp::session::{BeginError, SessionHandle};
use fe2o3_amqp::types::definitions::{Fields, ReceiverSettleMode};
use fe2o3_amqp::types::messaging::Source;
use fe2o3_amqp::types::primitives::{SimpleValue, Timestamp as AmqpTime, Value};
use fe2o3_amqp::{Connection, Receiver, Sender, Session};
use jiff::Timestamp;
use tokio::sync::{Mutex, OnceCell};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use longshore_queue::QueueError;

use crate::servicebus::entity::{CHANNEL_MAX, Entity};
use crate::servicebus::error::{AmqpRefusal, receiving, sending, sessions_are_required, unclear};
use crate::servicebus::link::Link;
use crate::servicebus::request::Requests;
use crate::servicebus::tap::{MAX_FRAME, Tap};
use crate::servicebus::transport;
use crate::servicebus::watched::{Ahead, Watched, Watches};

/// How long the service may be silent before the connection counts as dead. It says something at
/// half of that.
const IDLE: Duration = Duration::from_secs(60);
/// How long one renewal of the token may take.
const PUT_TOKEN: Duration = Duration::from_secs(10);
/// The shortest and the longest pause between two renewals of the token. The service ends links
/// that are idle for 10 minutes, and connections that are for 4.
const PUT_AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(2 * 60));

/// A connection that was opened and authorised.
#[derive(Debug)]
pub(super) struct Connected {
    entity: Arc<Entity>,
    connection: Mutex<ConnectionHandle<()>>,
    /// Of all links but the one that receives.
    session: Mutex<SessionHandle<()>>,
    management: OnceCell<Requests>,
    watches: Arc<Watches>,
    /// One that was begun ahead, for the first link that receives.
    begun: Mutex<Option<SessionHandle<()>>>,
    receiving: Mutex<Option<Arc<Link>>>,
    sender: Mutex<Option<Sender>>,
    renewing: JoinHandle<()>,
    broken: Arc<AtomicBool>,
    has_received: AtomicBool,
}

/// A link that receives, and was attached in a session of its own.
pub(super) struct Attached {
    pub(super) receiver: Receiver,
    pub(super) session: SessionHandle<()>,
    pub(super) watched: Arc<Watched>,
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.renewing.abort();
    }
}

impl Connected {
    /// Connects, and brings the token. What cannot be reached is [`QueueError::Busy`]: nothing was
    /// done.
    pub(super) async fn open(entity: Arc<Entity>) -> Result<Self, QueueError> {
        let unreached = |cause: String| QueueError::busy(&entity.url, cause);
        let stream = transport::open(&entity.url, &entity.namespace, entity.transport).await?;
        let watches = Arc::<Watches>::default();
        let mut connection = Connection::builder()
            .container_id(format!("longshore-{}", uuid::Uuid::now_v7()))
            .scheme("amqp")
            .hostname(entity.host())
            .sasl_profile(SaslProfile::Anonymous)
            .max_frame_size(MAX_FRAME)
            .channel_max(CHANNEL_MAX)
            .idle_time_out(u32::try_from(IDLE.as_millis()).unwrap_or(u32::MAX))
            .open_with_stream(Tap::new(stream, watches.clone()))
            .await
            .map_err(|error| {
                let cause = watches.refusal().unwrap_or_else(|| error.to_string());
                unreached(format!("{} does not open a connection: {cause}", entity.namespace))
            })?;
        entity.channel_max.store(watches.channel_max().min(CHANNEL_MAX), Ordering::Relaxed);
        let mut session =
            Session::begin(&mut connection).await.map_err(|error| unreached(error.to_string()))?;
        // What has one session to itself does not wait for the token.
        let begun = async { Session::begin(&mut connection).await.ok() };
        let authorised = async {
            let cbs =
                Requests::attach_first((&mut session, &watches), "$cbs", &entity.url, "receive").await?;
            let left = put_token(&cbs, &entity).await?;
            Ok((cbs, left))
        };
        let (begun, authorised) = tokio::join!(begun, authorised);
        let (cbs, left) = authorised?;
        let broken = Arc::<AtomicBool>::default();
        let renewing = tokio::spawn(renew(cbs, entity.clone(), left, broken.clone()));
        Ok(Self {
            entity,
            connection: Mutex::new(connection),
            session: Mutex::new(session),
            management: OnceCell::new(),
            watches,
            begun: Mutex::new(begun),
            receiving: Mutex::default(),
            sender: Mutex::default(),
            renewing,
            broken,
            has_received: AtomicBool::new(false),
        })
    }

    /// Where it leads.
    pub(super) fn entity(&self) -> &Entity {
        &self.entity
    }

    /// The same, to be kept.
    pub(super) fn shared_entity(&self) -> Arc<Entity> {
        self.entity.clone()
    }

    /// Whether it can still be used, as far as is known.
    pub(super) fn is_whole(&self) -> bool {
        // The one that has it locked just then finds out.
        let closed = self.connection.try_lock().is_ok_and(|it| it.is_closed());
        !self.broken.load(Ordering::Relaxed) && !closed
    }

    /// From now on no call uses it; what is under way may end.
    pub(super) fn give_up(&self) {
        self.broken.store(true, Ordering::Relaxed);
    }

    /// The links to the queue's management node.
    pub(super) async fn management(&self, operation: &'static str) -> Result<&Requests, QueueError> {
        let attach = async || {
            let node = self.entity.management_node();
            let mut session = self.session.lock().await;
            Requests::attach((&mut session, &self.watches), &node, &self.entity.url, operation).await
        };
        self.management.get_or_try_init(attach).await
    }

    /// The link that receives. One that can bring no more messages is replaced; it lasts until all
    /// that it brought is settled. A new one gets so much credit at once, for a receive that comes
    /// right after it.
    pub(super) async fn receiver(&self, credit: u32) -> Result<Arc<Link>, QueueError> {
        let mut receiving = self.receiving.lock().await;
        if let Some(link) = receiving.as_ref().filter(|it| !it.is_over()) {
            return Ok(link.clone());
        }
        *receiving = None;
        // Boxed: every receive would be as large as this.
        let link = Arc::new(Box::pin(self.attach_receiver(credit)).await?);
        Ok(receiving.insert(link).clone())
    }

    /// Takes the credit of the link that receives back, if there is one, and releases what came and
    /// was not received.
    pub(super) async fn rest(&self) {
        let link = self.receiving.lock().await.clone();
        if let Some(link) = link {
            link.rest().await;
        }
    }

    /// A session for a link that receives.
    async fn begin_session(&self) -> Result<SessionHandle<()>, QueueError> {
        if let Some(begun) = self.begun.lock().await.take() {
            return Ok(begun);
        }
        let begun = Session::begin(&mut *self.connection.lock().await).await;
        begun.map_err(|error| match error {
            // Those that are about to end make room. The connection is as good as before.
            BeginError::LocalChannelMaxReached => QueueError::busy(
                &self.entity.url,
                "its connection has no room for another link: the service allows few of them",
            ),
            error => unclear(&self.entity.url, error),
        })
    }

    async fn attach_receiver(&self, credit: u32) -> Result<Link, QueueError> {
        let source = Source::from(self.entity.source());
        match self.attach(&self.entity.link, source, Fields::default(), credit).await? {
            Ok(Attached { receiver, session, watched }) => {
                self.has_received.store(true, Ordering::Relaxed);
                Ok(Link::start((receiver, session), watched, credit, self.entity.clone()))
            }
            Err(refused) => {
                if sessions_are_required(&refused) {
                    self.entity.requires_sessions.store(true, Ordering::Relaxed);
                }
                Err(receiving(refused, &self.entity.url))
            }
        }
    }

    /// Attaches a link of this name that receives, in a session of its own, and gives it so much
    /// credit; or says why it was not attached.
    pub(super) async fn attach(
        &self,
        name: &str,
        source: Source,
        properties: Fields,
        credit: u32,
    ) -> Result<Result<Attached, ReceiverAttachError>, QueueError> {
        let watched = self.watches.expect(name);
        let mut session = self.begin_session().await?;
        match credit {
            // What a call has asked for that was given up before it was said is not said now.
            0 => drop(self.watches.take_ahead(name)),
            credit => self.watches.say_with(name, Ahead::Credit(credit)),
        }
        let receiver = Receiver::builder()
            .name(name)
            .source(source)
            .properties(properties)
            // What is answered to the filter of a session is the session that was found.
            .verify_incoming_source(false)
            .receiver_settle_mode(ReceiverSettleMode::Second)
            .credit_mode(CreditMode::Manual)
            .auto_accept(false)
            .attach(&mut session)
            .await;
        let mut receiver = match receiver {
            Ok(receiver) => receiver,
            Err(refused) => return Ok(Err(refused)),
        };
        if credit > 0 {
            // The service has it already. The library knows it before it hands over a message.
            receiver.set_credit(credit).await.map_err(|error| unclear(&self.entity.url, error))?;
        }
        Ok(Ok(Attached { receiver, session, watched }))
    }

    /// Whether there is a link that receives, or was.
    pub(super) fn has_received(&self) -> bool {
        self.has_received.load(Ordering::Relaxed)
    }

    /// The link that sends.
    pub(super) async fn sender(&self) -> Result<tokio::sync::MappedMutexGuard<'_, Sender>, QueueError> {
        let mut sender = self.sender.lock().await;
        if sender.is_none() {
            let name = format!("{}-sender", self.entity.link);
            let attached = Sender::attach(&mut *self.session.lock().await, name, self.entity.target()).await;
            *sender = Some(attached.map_err(|error| sending(error, &self.entity.url, "send"))?);
        }
        tokio::sync::MutexGuard::try_map(sender, Option::as_mut)
            .map_err(|_| unclear(&self.entity.url, "there is no link"))
    }
}

/// Brings the newest token, and if that is refused a newer one; returns how long it is valid.
async fn put_token(cbs: &Requests, entity: &Entity) -> Result<Duration, QueueError> {
    match put_newest(cbs, entity).await {
        Err(QueueError::Denied { .. }) if entity.tokens.refused() => put_newest(cbs, entity).await,
        done => done,
    }
}

async fn put_newest(cbs: &Requests, entity: &Entity) -> Result<Duration, QueueError> {
    let audience = entity.audience();
    let token = entity.token().await?;
    let left = i64::try_from(token.left.as_millis()).unwrap_or(i64::MAX);
    let expiration = AmqpTime::from_milliseconds(Timestamp::now().as_millisecond().saturating_add(left));
    let properties = vec![
        ("operation", SimpleValue::from("put-token")),
        ("type", SimpleValue::from(token.kind)),
        ("name", SimpleValue::from(audience.as_str())),
        ("expiration", SimpleValue::Timestamp(expiration)),
    ];
    let answer = cbs.ask("connect", properties, Value::String(token.secret)).await?;
    match answer.status {
        200..300 => Ok(token.left),
        // What is refused to a token is the right, or the address that it comes from.
        403 => {
            let refusal = AmqpRefusal { condition: "amqp:unauthorized-access".into(), ..answer.refusal };
            Err(refusal.explain(&entity.url, "connect"))
        }
        _ => Err(answer.refusal.explain(&entity.url, "connect")),
    }
}

/// Brings the newest token again and again, at half of its life at the latest, for as long as the
/// connection lasts.
async fn renew(cbs: Requests, entity: Arc<Entity>, mut left: Duration, broken: Arc<AtomicBool>) {
    let (shortest, longest) = PUT_AGAIN;
    loop {
        sleep((left / 2).clamp(shortest, longest)).await;
        match timeout(PUT_TOKEN, put_token(&cbs, &entity)).await {
            Ok(Ok(renewed)) => {
                left = renewed;
                continue;
            }
            // The links have ended, or the service says that it has no such queue: the next
            // connection finds out.
            Ok(Err(error @ (QueueError::Unclear { .. } | QueueError::QueueNotFound { .. }))) => {
                tracing::debug!(%error, "the token could not be brought, connecting again");
                return broken.store(true, Ordering::Relaxed);
            }
            // The one that is there stays in use.
            Ok(Err(error)) => tracing::debug!(%error, "the token was not renewed, trying again"),
            Err(_) => tracing::debug!("the token was not renewed in time, trying again"),
        }
        left = left.saturating_sub(left / 2);
    }
}
