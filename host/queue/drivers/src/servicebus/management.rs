//! What is asked of a queue's management node: renewing locks, peeking, and settling messages whose
//! link has ended.

use fe2o3_amqp::types::primitives::{Array, OrderedMap, SimpleValue, Uuid, Value};

use longshore_queue::{QueueError, QueueUrl, Specimen, Whole};

use crate::servicebus::connection::Connected;
use crate::servicebus::disposition::Disposition;
use crate::servicebus::entity::Entity;
use crate::servicebus::error::unclear;
use crate::servicebus::lock::LockToken;
use crate::servicebus::message::{ReadMessage, read};
use crate::servicebus::request::AmqpReply;
use crate::servicebus::sections;

/// How many messages are peeked at with one request.
pub(super) const PAGE: u32 = 100;
/// How long the service may work on a request, in milliseconds.
const SERVER_TIMEOUT: u32 = 15_000;
async fn ask(
    connected: &Connected,
    entity: &Entity,
    operation: (&'static str, &'static str),
    body: OrderedMap<Value, Value>,
) -> Result<AmqpReply, QueueError> {
    let link = connected.has_received().then_some(entity.link.as_str());
    ask_of(connected, link, operation, body).await
}

/// Asks on behalf of a link that receives, if there is one: the service's name of the operation,
/// and ours.
pub(super) async fn ask_of(
    connected: &Connected,
    link: Option<&str>,
    operation: (&'static str, &'static str),
    body: OrderedMap<Value, Value>,
) -> Result<AmqpReply, QueueError> {
    let (name, verb) = operation;
    let mut properties = vec![
        ("operation", SimpleValue::from(name)),
        ("com.microsoft:server-timeout", SimpleValue::Uint(SERVER_TIMEOUT)),
    ];
    if let Some(link) = link {
        properties.push(("associated-link-name", SimpleValue::from(link)));
    }
    connected.management(verb).await?.ask(verb, properties, Value::Map(body)).await
}

fn tokens(tokens: &[LockToken]) -> (Value, Value) {
    let tokens = Array(tokens.iter().map(|token| Value::Uuid(Uuid::from(token.0))).collect());
    (Value::from("lock-tokens"), Value::Array(tokens))
}

/// What an answer that is no success means.
pub(super) fn refused(answer: AmqpReply, url: &QueueUrl, verb: &'static str) -> QueueError {
    match answer.status {
        0 => unclear(url, "an answer without a status"),
        _ => answer.refusal.explain(url, verb),
    }
}

/// The same where a lock was asked about: what is not found is the message.
fn lock_refused(answer: AmqpReply, url: &QueueUrl, verb: &'static str) -> QueueError {
    match answer.status {
        404 | 410 => QueueError::MessageNotFound,
        _ => refused(answer, url, verb),
    }
}

/// Makes locks last as long again as locks do: all of them, or none if one is gone.
pub(super) async fn renew(
    connected: &Connected,
    entity: &Entity,
    locks: &[LockToken],
) -> Result<(), QueueError> {
    let body = OrderedMap::from_iter([tokens(locks)]);
    let answer = ask(connected, entity, ("com.microsoft:renew-lock", "update"), body).await?;
    if answer.status == 200 { Ok(()) } else { Err(lock_refused(answer, &entity.url, "update")) }
}

/// Ends a lock.
pub(super) async fn settle(
    connected: &Connected,
    entity: &Entity,
    token: LockToken,
    disposition: &Disposition,
) -> Result<(), QueueError> {
    let field = |name: &str, value: &str| (Value::from(name), Value::from(value));
    let mut body = OrderedMap::from_iter([tokens(&[token])]);
    let status = match disposition {
        Disposition::Completed => "completed",
        Disposition::Abandoned => "abandoned",
        Disposition::DeadLettered { .. } => {
            let (reason, detail) = disposition.texts();
            for (name, value) in [field("deadletter-reason", reason), field("deadletter-description", detail)]
            {
                body.insert(name, value);
            }
            "suspended"
        }
    };
    let (name, value) = field("disposition-status", status);
    body.insert(name, value);
    let answer = ask(connected, entity, ("com.microsoft:update-disposition", "settle"), body).await?;
    if answer.status == 200 { Ok(()) } else { Err(lock_refused(answer, &entity.url, "settle")) }
}

/// A message that was peeked at.
pub(super) struct Peeked {
    pub(super) sequence: i64,
    /// It is neither scheduled nor deferred.
    pub(super) active: bool,
    pub(super) specimen: Specimen,
}

/// Up to `count` messages from a sequence number on, in whatever state they are.
pub(super) async fn peek(
    connected: &Connected,
    url: &QueueUrl,
    from: i64,
    count: u32,
) -> Result<Vec<Peeked>, QueueError> {
    peek_in(connected, url, None, from, count).await
}

/// The same for the messages of one session only, if one is named.
pub(super) async fn peek_in(
    connected: &Connected,
    url: &QueueUrl,
    session: Option<&str>,
    from: i64,
    count: u32,
) -> Result<Vec<Peeked>, QueueError> {
    let mut body = OrderedMap::from_iter([
        (Value::from("from-sequence-number"), Value::Long(from)),
        (Value::from("message-count"), Value::Int(i32::try_from(count).unwrap_or(i32::MAX))),
    ]);
    if let Some(session) = session {
        body.insert(Value::from("session-id"), Value::from(session));
    }
    let answer = ask(connected, connected.entity(), ("com.microsoft:peek-message", "peek"), body).await?;
    match answer.status {
        200 => {}
        202 | 204 => return Ok(Vec::new()),
        _ => return Err(refused(answer, url, "peek")),
    }
    let Value::Map(mut body) = answer.body else { return Err(unclear(url, "an answer without messages")) };
    let Some(Value::List(messages)) = body.swap_remove(&Value::from("messages")) else {
        return Err(unclear(url, "an answer without messages"));
    };
    Ok(messages.into_iter().filter_map(|entry| peeked(entry, url)).collect())
}

/// A message that cannot be read is shown as that, with what can be read of it.
fn peeked(entry: Value, url: &QueueUrl) -> Option<Peeked> {
    let Value::Map(mut entry) = entry else { return None };
    let Some(Value::Binary(bytes)) = entry.swap_remove(&Value::from("message")) else { return None };
    let dead = url.is_dead_letter_queue();
    let mut read = read(sections::decode(&bytes), false, url);
    if read.is_whole && sections::is_sound(&bytes) {
        // It is sent back only from what a receiver can read, too.
        read.whole = sections::original(&bytes, dead).map(|it| Whole(it.bytes));
    }
    let ReadMessage { message, damaged, sequence, active, whole, .. } = read;
    Some(Peeked {
        sequence,
        active,
        specimen: Specimen { message, key: sequence.to_string(), damaged, whole },
    })
}

#[cfg(test)]
mod fuzz;
