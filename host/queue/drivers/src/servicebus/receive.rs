//! Receiving with credit for no more than was asked for, and sending.

use std::time::Duration;

use fe2o3_amqp::Sendable;
use fe2o3_amqp::link::SendError;
use fe2o3_amqp::types::messaging::{Data, Message as Amqp, Outcome};

use longshore_queue::{QueueError, QueueUrl};

use crate::servicebus::connection::Connected;
use crate::servicebus::error::{AmqpRefusal, sent, too_large, unclear};
use crate::servicebus::link::Arrived;

/// How long the first message is awaited. A queue that has messages delivers within some
/// milliseconds.
const FIRST: Duration = Duration::from_millis(500);
/// How long the next message is awaited once one has come.
const NEXT: Duration = Duration::from_millis(20);
/// How long messages may still be on their way once the service was told to send no more.
const DRAIN: Duration = Duration::from_millis(50);
/// After how many deliveries a link is replaced. Deliveries are settled elsewhere, so that both
/// sides remember them for as long as it lasts: the service detaches a link that has too many, and
/// here it is memory.
const MAX_DELIVERIES: u32 = 1000;
/// Receives up to `max` messages.
///
/// Credit is given for that many, and taken back when no more come. A message that is on its way
/// just then is kept by the link, and handed out by the next receive.
pub(super) async fn receive(connected: &Connected, max: u32) -> Result<Vec<Arrived>, QueueError> {
    let mut slot = connected.receiving.lock().await;
    // Taken out: a call that is given up leaves no link behind that still has credit.
    let mut link = match slot.take() {
        Some(link) => link,
        None => connected.attach_receiver().await?,
    };
    let url = &connected.entity().url;
    let mut arrived = Vec::new();
    let wanted = max as usize;
    // What came when the receive before had given up waiting. It may have lain here for long.
    link.take(connected.entity(), &mut arrived, wanted, Duration::ZERO, Duration::ZERO).await?;
    link.miscounted |= !arrived.is_empty();
    // Those whose locks are over come again by themselves.
    arrived.retain(|it| it.locked_for.is_some());
    if !arrived.is_empty() {
        *slot = Some(link);
        return Ok(arrived);
    }
    if link.miscounted || link.delivered >= MAX_DELIVERIES {
        link.close().await;
        link = connected.attach_receiver().await?;
    }
    link.receiver.set_credit(max).await.map_err(|error| unclear(url, error))?;
    link.take(connected.entity(), &mut arrived, wanted, FIRST, NEXT).await?;
    if arrived.len() < wanted {
        if let Err(error) = link.receiver.drain().await {
            // What has come is handled all the same, and the next receive has a connection of its
            // own.
            connected.give_up();
            return if arrived.is_empty() { Err(unclear(url, error)) } else { Ok(arrived) };
        }
        let before = arrived.len();
        link.take(connected.entity(), &mut arrived, wanted, DRAIN, DRAIN).await?;
        link.miscounted = arrived.len() > before;
    }
    *slot = Some(link);
    Ok(arrived)
}

/// Sends a message, and waits until the service has it.
pub(super) async fn send(
    connected: &Connected,
    url: &QueueUrl,
    message: Amqp<Data>,
    message_format: u32,
) -> Result<(), QueueError> {
    let failed = |error| match error {
        SendError::MessageSizeExceeded(exceeded) => too_large(url, Some((exceeded.size, exceeded.max_size))),
        error => sent(error, url, "send"),
    };
    let sendable = Sendable { message, message_format, settled: None };
    let sending = connected.sender().await?.send_batchable(sendable).await.map_err(failed)?;
    match sending.await.map_err(failed)? {
        Outcome::Accepted(_) => Ok(()),
        Outcome::Rejected(rejected) => match rejected.error {
            Some(error) => Err(AmqpRefusal::from(&error).explain(url, "send")),
            None => Err(QueueError::busy(url, "the message was rejected")),
        },
        _ => Err(QueueError::busy(url, "the message was released")),
    }
}
