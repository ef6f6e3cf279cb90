//! What is asked of a queue's management node: renewing locks, settling messages, peeking.

use fe2o3_amqp::types::messaging::{Body, Message as Amqp, message::__private::Deserializable};
use fe2o3_amqp::types::primitives::{Array, OrderedMap, SimpleValue, Uuid, Value};

use super::connection::{Connected, Target};
use super::error::unclear;
use super::message::{Read, read};
use super::request::Answer;
use longshore_queue::{QueueError, QueueUrl, Result};

/// How long the service may work on a request, in milliseconds.
const SERVER_TIMEOUT: u32 = 15_000;
/// The longest reason or description that the service keeps, in bytes
/// ([Dead-letter queues](https://learn.microsoft.com/azure/service-bus-messaging/service-bus-dead-letter-queues)).
const MAX_TEXT: usize = 4096;

/// A lock's token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Token(pub(super) [u8; 16]);

impl Token {
    /// The token in a delivery tag, where its first three fields stand with their lowest byte first, as .NET writes a GUID.
    pub(super) fn from_tag(tag: &[u8]) -> Option<Self> {
        let bytes: [u8; 16] = tag.try_into().ok()?;
        Some(Self(*uuid::Uuid::from_bytes_le(bytes).as_bytes()))
    }
}

/// What becomes of a locked message.
#[derive(Clone, Debug)]
pub(super) enum Disposition {
    Completed,
    Abandoned,
    DeadLettered { reason: String, detail: String },
}

async fn ask(
    connected: &Connected,
    target: &Target,
    operation: (&'static str, &'static str),
    body: OrderedMap<Value, Value>,
) -> Result<Answer> {
    let (name, verb) = operation;
    let mut properties = vec![
        ("operation", SimpleValue::from(name)),
        ("com.microsoft:server-timeout", SimpleValue::Uint(SERVER_TIMEOUT)),
    ];
    if connected.has_received() {
        properties.push(("associated-link-name", SimpleValue::from(target.link.as_str())));
    }
    connected.management(verb).await?.ask(verb, properties, Value::Map(body)).await
}

fn tokens(token: Token) -> (Value, Value) {
    let tokens = Array(vec![Value::Uuid(Uuid::from(token.0))]);
    (Value::from("lock-tokens"), Value::Array(tokens))
}

/// What an answer that is no success means.
fn refused(answer: Answer, url: &QueueUrl, verb: &'static str) -> QueueError {
    match answer.status {
        0 => unclear("an answer without a status"),
        _ => answer.refusal.explain(url, verb),
    }
}

/// The same where a lock was asked about: what is not found is the message.
fn lock_refused(answer: Answer, url: &QueueUrl, verb: &'static str) -> QueueError {
    match answer.status {
        404 | 410 => QueueError::MessageNotFound,
        _ => refused(answer, url, verb),
    }
}

/// Makes a lock last as long again as locks do.
pub(super) async fn renew(connected: &Connected, target: &Target, token: Token) -> Result<()> {
    let body = OrderedMap::from_iter([tokens(token)]);
    let answer = ask(connected, target, ("com.microsoft:renew-lock", "update"), body).await?;
    if answer.status == 200 { Ok(()) } else { Err(lock_refused(answer, &target.url, "update")) }
}

/// Ends a lock.
pub(super) async fn settle(
    connected: &Connected,
    target: &Target,
    token: Token,
    disposition: Disposition,
) -> Result<()> {
    let field = |name: &str, value: &str| (Value::from(name), Value::from(value));
    let mut body = OrderedMap::from_iter([tokens(token)]);
    let status = match disposition {
        Disposition::Completed => "completed",
        Disposition::Abandoned => "abandoned",
        Disposition::DeadLettered { reason, detail } => {
            let cut = &detail[..detail.floor_char_boundary(MAX_TEXT)];
            for (name, value) in [field("deadletter-reason", &reason), field("deadletter-description", cut)] {
                body.insert(name, value);
            }
            "suspended"
        }
    };
    let (name, value) = field("disposition-status", status);
    body.insert(name, value);
    let answer = ask(connected, target, ("com.microsoft:update-disposition", "settle"), body).await?;
    if answer.status == 200 { Ok(()) } else { Err(lock_refused(answer, &target.url, "settle")) }
}

/// Up to `count` messages from a sequence number on, in whatever state they are.
pub(super) async fn peek(connected: &Connected, url: &QueueUrl, from: i64, count: u32) -> Result<Vec<Read>> {
    let body = OrderedMap::from_iter([
        (Value::from("from-sequence-number"), Value::Long(from)),
        (Value::from("message-count"), Value::Int(i32::try_from(count).unwrap_or(i32::MAX))),
    ]);
    let answer = ask(connected, connected.target(), ("com.microsoft:peek-message", "peek"), body).await?;
    match answer.status {
        200 => {}
        202 | 204 => return Ok(Vec::new()),
        _ => return Err(refused(answer, url, "peek")),
    }
    let Value::Map(mut body) = answer.body else { return Err(unclear("an answer without messages")) };
    let Some(Value::List(messages)) = body.swap_remove(&Value::from("messages")) else {
        return Err(unclear("an answer without messages"));
    };
    Ok(messages.into_iter().filter_map(|entry| peeked(entry, url)).collect())
}

/// A message that cannot be read is left out, and not in the way of those behind it.
fn peeked(entry: Value, url: &QueueUrl) -> Option<Read> {
    let Value::Map(mut entry) = entry else { return None };
    let Some(Value::Binary(bytes)) = entry.swap_remove(&Value::from("message")) else { return None };
    match serde_amqp::from_slice::<Deserializable<Amqp<Body<Value>>>>(&bytes) {
        Ok(message) => Some(read(message.0, false, url)),
        Err(error) => {
            tracing::warn!(%error, "a message that is no AMQP is not shown");
            None
        }
    }
}
