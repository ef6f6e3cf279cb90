//! What is asked of the management node about sessions ([Session
//! operations](https://learn.microsoft.com/azure/service-bus-messaging/service-bus-amqp-request-response#session-operations)).

use bytes::Bytes;
use fe2o3_amqp::types::primitives::{Array, Binary, OrderedMap, Timestamp as AmqpTime, Uuid, Value};

use longshore_queue::QueueError;

use crate::servicebus::connection::Connected;
use crate::servicebus::disposition::Disposition;
use crate::servicebus::error::unclear;
use crate::servicebus::lock::LockToken;
use crate::servicebus::management::{ask_of, refused};
use crate::servicebus::request::AmqpReply;

/// Stands for the time of the newest change where all sessions are meant that have messages or a
/// state: the year 10000, as the official clients write it.
const ANY_TIME: i64 = 253_402_300_800_000;

/// A session that is ours, and the link that holds it.
#[derive(Clone, Debug)]
pub(super) struct HeldSession {
    pub(super) id: String,
    pub(super) link: String,
}

impl HeldSession {
    async fn ask(
        &self,
        connected: &Connected,
        operation: (&'static str, &'static str),
        fields: impl IntoIterator<Item = (Value, Value)>,
    ) -> Result<AmqpReply, QueueError> {
        let id = (Value::from("session-id"), Value::from(self.id.as_str()));
        let body = [id].into_iter().chain(fields).collect();
        let answer = ask_of(connected, Some(&self.link), operation, body).await?;
        match answer.status {
            200 => Ok(answer),
            // The lock is gone, or the service knows of no session that is ours.
            404 | 410 => Err(QueueError::MessageNotFound),
            _ => Err(refused(answer, &connected.entity().url, operation.1)),
        }
    }

    /// Makes its lock last as long again as locks do.
    pub(super) async fn renew(&self, connected: &Connected) -> Result<(), QueueError> {
        self.ask(connected, ("com.microsoft:renew-session-lock", "update"), []).await.map(drop)
    }

    /// Its state.
    pub(super) async fn state(&self, connected: &Connected) -> Result<Option<Bytes>, QueueError> {
        let answer = self.ask(connected, ("com.microsoft:get-session-state", "receive"), []).await?;
        let Value::Map(mut body) = answer.body else { return Ok(None) };
        match body.swap_remove(&Value::from("session-state")) {
            Some(Value::Binary(bytes)) => Ok(Some(bytes.into_vec().into())),
            _ => Ok(None),
        }
    }

    /// Sets its state.
    pub(super) async fn set_state(
        &self,
        connected: &Connected,
        state: Option<&Bytes>,
    ) -> Result<(), QueueError> {
        let state = state.map_or(Value::Null, |it| Value::Binary(Binary::from(it.to_vec())));
        let field = (Value::from("session-state"), state);
        self.ask(connected, ("com.microsoft:set-session-state", "settle"), [field]).await.map(drop)
    }

    /// Settles a message of it whose link can do that no longer.
    pub(super) async fn settle(
        &self,
        connected: &Connected,
        token: LockToken,
        disposition: &Disposition,
    ) -> Result<(), QueueError> {
        let field = |name: &str, value: &str| (Value::from(name), Value::from(value));
        let tokens = Array(vec![Value::Uuid(Uuid::from(token.0))]);
        let mut fields = vec![(Value::from("lock-tokens"), Value::Array(tokens))];
        let status = match disposition {
            Disposition::Completed => "completed",
            Disposition::Abandoned => "abandoned",
            Disposition::DeadLettered { .. } => {
                let (reason, detail) = disposition.texts();
                fields.push(field("deadletter-reason", reason));
                fields.push(field("deadletter-description", detail));
                "suspended"
            }
        };
        fields.push(field("disposition-status", status));
        self.ask(connected, ("com.microsoft:update-disposition", "settle"), fields).await.map(drop)
    }
}

/// The ids of some sessions that have messages or a state, from a place in their list on.
pub(super) async fn list(connected: &Connected, skip: i32, top: i32) -> Result<Vec<String>, QueueError> {
    let body = OrderedMap::from_iter([
        (Value::from("last-updated-time"), Value::Timestamp(AmqpTime::from_milliseconds(ANY_TIME))),
        (Value::from("skip"), Value::Int(skip)),
        (Value::from("top"), Value::Int(top)),
    ]);
    let answer = ask_of(connected, None, ("com.microsoft:get-message-sessions", "peek"), body).await?;
    let url = &connected.entity().url;
    match answer.status {
        200 => {}
        204 => return Ok(Vec::new()),
        _ => return Err(refused(answer, url, "peek")),
    }
    let Value::Map(mut body) = answer.body else { return Err(unclear(url, "an answer without sessions")) };
    let ids = match body.swap_remove(&Value::from("sessions-ids")) {
        Some(Value::Array(ids)) => ids.0,
        Some(Value::List(ids)) => ids,
        _ => return Err(unclear(url, "an answer without sessions")),
    };
    let text = |id| if let Value::String(id) = id { Some(id) } else { None };
    Ok(ids.into_iter().filter_map(text).collect())
}

/// Whether a session has a message that is neither scheduled nor deferred, as far as its first ones
/// tell.
pub(super) async fn has_messages(connected: &Connected, session: &str) -> Result<bool, QueueError> {
    let found =
        crate::servicebus::management::peek_in(connected, &connected.entity().url, Some(session), 0, 10)
            .await?;
    Ok(found.iter().any(|it| it.active))
}
