//! Receiving, and sending.

use fe2o3_amqp::Sendable;
use fe2o3_amqp::link::SendError;
use fe2o3_amqp::types::messaging::{Data, Message as Amqp, Outcome};

use longshore_queue::{QueueError, QueueUrl};

use crate::servicebus::arrived::Arrived;
use crate::servicebus::connection::Connected;
use crate::servicebus::error::{AmqpRefusal, sent, too_large};
use crate::servicebus::link::Brought;

/// Receives up to `max` messages.
pub(super) async fn receive(connected: &Connected, max: u32) -> Result<Vec<Arrived>, QueueError> {
    loop {
        match connected.receiver(max).await?.receive(max).await? {
            Brought::Messages(messages) => return Ok(messages),
            // Another one takes its place.
            Brought::Stale => {}
        }
    }
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
