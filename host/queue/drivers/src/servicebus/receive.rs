//! Receiving with credit for no more than was asked for, and sending.

use std::ops::RangeInclusive;
use std::sync::Once;
use std::time::Duration;

use bytes::Bytes;
use fe2o3_amqp::Receiver;
use fe2o3_amqp::link::{RecvError, SendError};
use fe2o3_amqp::session::SessionHandle;
use fe2o3_amqp::types::messaging::{Body, Data, Message as Amqp, Outcome};
use fe2o3_amqp::types::primitives::Value;
use jiff::Timestamp;
use tokio::time::timeout;

use super::connection::Connected;
use super::error::{Refusal, received, sent, too_large, unclear};
use super::management::Token;
use super::message::read;
use longshore_queue::{Message, QueueError, QueueUrl, Result};

/// How long the first message is awaited. A queue that has messages delivers within some milliseconds.
const FIRST: Duration = Duration::from_millis(500);
/// How long the next message is awaited once one has come.
const NEXT: Duration = Duration::from_millis(20);
/// How long messages may still be on their way once the service was told to send no more.
const DRAIN: Duration = Duration::from_millis(50);
/// After so many deliveries a link is replaced. Deliveries are settled elsewhere, so that both sides remember them for as long
/// as it lasts: the service detaches a link that has too many, and here it is memory.
const DELIVERIES: u32 = 1000;
/// How long a link may take to end.
const CLOSE: Duration = Duration::from_secs(1);
/// How long locks last: what the service allows is 5 s to 5 minutes, of which some is over when a message has come. The rest is
/// told as a time, so that anything else is said by a clock that is wrong.
const LOCKS: RangeInclusive<Duration> = Duration::from_millis(500)..=Duration::from_secs(5 * 60 + 5);
/// What is assumed then.
const LOCK: Duration = Duration::from_secs(30);

/// The link that receives, in a session of its own.
#[derive(Debug)]
pub(super) struct Link {
    // Dropped in this order: the link ends before its session.
    receiver: Receiver,
    session: SessionHandle<()>,
    /// How many messages it has brought.
    delivered: u32,
    /// A message came after the service was told to send no more. The library then counts it twice, since the service's answer
    /// had it counted already, and would grant more than is asked for: what comes beyond is lost until its lock ends.
    miscounted: bool,
}

/// A message that was delivered, and is locked.
pub(super) struct Arrived {
    pub(super) message: Message,
    pub(super) damaged: Option<String>,
    pub(super) token: Token,
    /// How long its lock lasts from now on, by our clock, which is as right as the host's; `None` if it lasts longer than locks
    /// do, or has ended.
    locked_for: Option<Duration>,
}

/// Receives up to `max` messages.
///
/// Credit is given for that many, and taken back when no more come. A message that is on its way just then is kept by the link,
/// and handed out by the next receive.
pub(super) async fn receive(connected: &Connected, max: u32) -> Result<Vec<Arrived>> {
    let mut slot = connected.receiving.lock().await;
    // Taken out: a call that is given up leaves no link behind that still has credit.
    let mut link = match slot.take() {
        Some(link) => link,
        None => connected.attach_receiver().await?,
    };
    let url = &connected.target().url;
    let mut arrived = Vec::new();
    let wanted = max as usize;
    // What came when the receive before had given up waiting. It may have lain here for long.
    link.take(url, &mut arrived, wanted, Duration::ZERO, Duration::ZERO).await?;
    link.miscounted |= !arrived.is_empty();
    // Those whose locks are over come again by themselves.
    arrived.retain(|it| it.locked_for.is_some());
    if !arrived.is_empty() {
        *slot = Some(link);
        return Ok(arrived);
    }
    if link.miscounted || link.delivered >= DELIVERIES {
        link.close().await;
        link = connected.attach_receiver().await?;
    }
    link.receiver.set_credit(max).await.map_err(unclear)?;
    link.take(url, &mut arrived, wanted, FIRST, NEXT).await?;
    if arrived.len() < wanted {
        if let Err(error) = link.receiver.drain().await {
            // What has come is handled all the same, and the next receive has a connection of its own.
            connected.give_up();
            return if arrived.is_empty() { Err(unclear(error)) } else { Ok(arrived) };
        }
        let before = arrived.len();
        link.take(url, &mut arrived, wanted, DRAIN, DRAIN).await?;
        link.miscounted = arrived.len() > before;
    }
    *slot = Some(link);
    Ok(arrived)
}

impl Link {
    pub(super) fn new(receiver: Receiver, session: SessionHandle<()>) -> Self {
        Self { receiver, session, delivered: 0, miscounted: false }
    }

    /// Ends the link and its session, and with them what both sides remember of its deliveries. Locks are not touched.
    async fn close(self) {
        let Self { receiver, mut session, .. } = self;
        let closing = async {
            let _ = receiver.close().await;
            let _ = session.end().await;
        };
        // The next one does not depend on it: what is left of this one ends with the connection.
        let _ = timeout(CLOSE, closing).await;
    }

    /// Takes what comes, until there is enough, or nothing has come for so long.
    async fn take(
        &mut self,
        url: &QueueUrl,
        arrived: &mut Vec<Arrived>,
        max: usize,
        first: Duration,
        next: Duration,
    ) -> Result<()> {
        let mut wait = first;
        while arrived.len() < max {
            let Ok(taken) = timeout(wait, self.receiver.recv::<Body<Value>>()).await else { return Ok(()) };
            let arrival = match taken {
                Ok(delivery) => {
                    let token = Token::from_tag(delivery.delivery_tag());
                    token.map(|token| arrival(token, delivery.into_message(), url))
                }
                // It is counted and poisoned as any other that nobody can handle.
                Err(RecvError::MessageDecode(error)) => Token::from_tag(error.info.delivery_tag())
                    .map(|token| damaged(token, format!("it is no AMQP message: {}", error.source))),
                // Some are in hand: these are handled, and the next receive finds out.
                Err(_) if !arrived.is_empty() => return Ok(()),
                Err(error) => return Err(received(error, url, "receive")),
            };
            wait = next;
            self.delivered += 1;
            match arrival {
                Some(arrival) => arrived.push(arrival),
                // Nothing can be asked about it.
                None => tracing::warn!("a delivery without a lock token was left alone"),
            }
        }
        Ok(())
    }
}

impl Arrived {
    /// How long its lock lasts, or probably does.
    pub(super) fn locked_for(&self) -> Duration {
        static ONCE: Once = Once::new();
        self.locked_for.unwrap_or_else(|| {
            ONCE.call_once(|| {
                tracing::warn!(
                    "a lock that has just been taken does not last as long as locks do: the clock of this host is wrong, and leases may be lost; set it"
                );
            });
            LOCK
        })
    }
}

fn arrival(token: Token, message: Amqp<Body<Value>>, url: &QueueUrl) -> Arrived {
    let read = read(message, true, url);
    let locked_for = match read.locked_until {
        None => Some(LOCK),
        Some(until) => {
            let left = Duration::try_from(until.duration_since(Timestamp::now())).ok();
            left.filter(|left| LOCKS.contains(left))
        }
    };
    Arrived { message: read.message, damaged: read.damaged, token, locked_for }
}

/// Stands for what cannot be read at all, not even how often it was delivered.
fn damaged(token: Token, why: String) -> Arrived {
    let message = Message {
        id: uuid::Uuid::from_bytes(token.0).to_string(),
        body: Bytes::new(),
        dequeue_count: 1,
        inserted: Timestamp::now(),
        time_to_live: None,
        properties: Vec::new(),
    };
    Arrived { message, damaged: Some(why), token, locked_for: Some(LOCK) }
}

/// Sends a message, and waits until the service has it.
pub(super) async fn send(connected: &Connected, url: &QueueUrl, message: Amqp<Data>) -> Result<()> {
    let failed = |error| match error {
        SendError::MessageSizeExceeded(_) => too_large(),
        error => sent(error, url, "send"),
    };
    let sending = connected.sender().await?.send_batchable(message).await.map_err(failed)?;
    match sending.await.map_err(failed)? {
        Outcome::Accepted(_) => Ok(()),
        Outcome::Rejected(rejected) => match rejected.error {
            Some(error) => Err(Refusal::from(&error).explain(url, "send")),
            None => Err(QueueError::Busy { cause: "the message was rejected".into(), retry_after: None }),
        },
        _ => Err(QueueError::Busy { cause: "the message was released".into(), retry_after: None }),
    }
}
