//! Receiving with credit for no more than was asked for, and sending.

use std::time::Duration;

use fe2o3_amqp::Receiver;
use fe2o3_amqp::link::{RecvError, SendError};
use fe2o3_amqp::types::messaging::{Body, Data, Message as Amqp, Outcome};
use fe2o3_amqp::types::primitives::Value;
use jiff::Timestamp;
use tokio::time::timeout;

use super::super::{Message, QueueError, QueueUrl, Result};
use super::connection::Connected;
use super::error::{Refusal, received, sent, unclear};
use super::management::Token;
use super::message::read;

/// How long the first message is awaited. A queue that has messages delivers within some milliseconds.
const FIRST: Duration = Duration::from_millis(500);
/// How long the next message is awaited once one has come.
const NEXT: Duration = Duration::from_millis(20);
/// How long messages may still be on their way once the service was told to send no more.
const DRAIN: Duration = Duration::from_millis(50);

/// A message that was delivered, and is locked.
pub(super) struct Arrived {
    pub(super) message: Message,
    pub(super) damaged: Option<String>,
    pub(super) token: Token,
    /// How long its lock lasts from now on, if the service says so: by our clock, which is as right as the host's.
    pub(super) locked_for: Option<Duration>,
}

/// Receives up to `max` messages.
///
/// Credit is given for that many, and taken back when no more come. A message that is on its way just then is kept by the link,
/// and handed out by the next receive.
pub(super) async fn receive(connected: &Connected, max: u32) -> Result<Vec<Arrived>> {
    let mut slot = connected.receiver.lock().await;
    // Taken out: a call that is given up leaves no link behind that still has credit.
    let mut receiver = match slot.take() {
        Some(receiver) => receiver,
        None => connected.attach_receiver().await?,
    };
    let url = &connected.target().url;
    let mut arrived = Vec::new();
    let max = max as usize;
    take(&mut receiver, url, &mut arrived, max, Duration::ZERO, Duration::ZERO).await?;
    if let Ok(wanted @ 1..) = u32::try_from(max - arrived.len()) {
        receiver.set_credit(wanted).await.map_err(unclear)?;
        take(&mut receiver, url, &mut arrived, max, FIRST, NEXT).await?;
        if arrived.len() < max {
            if let Err(error) = receiver.drain().await {
                // What has come is handled all the same, and the next receive has a connection of its own.
                connected.give_up();
                return if arrived.is_empty() { Err(unclear(error)) } else { Ok(arrived) };
            }
            take(&mut receiver, url, &mut arrived, max, DRAIN, DRAIN).await?;
        }
    }
    *slot = Some(receiver);
    Ok(arrived)
}

/// Takes what comes, until there is enough, or nothing has come for so long.
async fn take(
    receiver: &mut Receiver,
    url: &QueueUrl,
    arrived: &mut Vec<Arrived>,
    max: usize,
    first: Duration,
    next: Duration,
) -> Result<()> {
    let mut wait = first;
    while arrived.len() < max {
        let Ok(taken) = timeout(wait, receiver.recv::<Body<Value>>()).await else { return Ok(()) };
        match taken {
            Ok(delivery) => {
                wait = next;
                let Some(token) = Token::from_tag(delivery.delivery_tag()) else {
                    tracing::warn!("a delivery without a lock token was left alone");
                    continue;
                };
                let read = read(delivery.into_message(), true);
                let locked_for = read
                    .locked_until
                    .map(|until| until.duration_since(Timestamp::now()).try_into().unwrap_or_default());
                arrived.push(Arrived { message: read.message, damaged: read.damaged, token, locked_for });
            }
            Err(RecvError::MessageDecode(error)) => {
                // Its lock ends by itself. The service dead-letters it when that has happened too often.
                tracing::warn!(?error, "a message that is no AMQP was left alone");
            }
            // Some are in hand: these are handled, and the next receive finds out.
            Err(_) if !arrived.is_empty() => return Ok(()),
            Err(error) => return Err(received(error, url, "receive")),
        }
    }
    Ok(())
}

/// Sends a message, and waits until the service has it.
pub(super) async fn send(connected: &Connected, url: &QueueUrl, message: Amqp<Data>) -> Result<()> {
    let failed = |error| sent(error, url, "send");
    let sending = connected.sender().await?.send_batchable(message).await.map_err(failed)?;
    match sending.await {
        Ok(Outcome::Accepted(_)) => Ok(()),
        Ok(Outcome::Rejected(rejected)) => match rejected.error {
            Some(error) => Err(Refusal::from(&error).explain(url, "send")),
            None => Err(QueueError::Busy { cause: "the message was rejected".into(), retry_after: None }),
        },
        Ok(_) => Err(QueueError::Busy { cause: "the message was released".into(), retry_after: None }),
        Err(SendError::MessageSizeExceeded(error)) => {
            tracing::debug!(?error, "larger than the link takes");
            Err(QueueError::TooLarge { size: super::MAX_BODY + 1, limit: super::MAX_BODY })
        }
        Err(error) => Err(failed(error)),
    }
}
