//! Requests and their answers over a pair of links, to `$cbs` or `<queue>/$management`
//! ([Request/response
//! operations](https://learn.microsoft.com/azure/service-bus-messaging/service-bus-amqp-request-response)).

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use fe2o3_amqp::session::SessionHandle;
use fe2o3_amqp::types::definitions::{Role, SenderSettleMode};
use fe2o3_amqp::types::messaging::{
    AmqpValue, ApplicationProperties, Body, Message, MessageId, Outcome, Properties, Target,
};
use fe2o3_amqp::types::performatives::Attach;
use fe2o3_amqp::types::primitives::{SimpleValue, Value};
use fe2o3_amqp::{Receiver, Sender};
use futures_util::future::{Either, select};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use longshore_queue::{QueueError, QueueUrl};

use crate::servicebus::error::{AmqpRefusal, received, receiving, sending, sent, unclear};
use crate::servicebus::frame::plain_attach;
use crate::servicebus::sections::decode_value;
use crate::servicebus::watched::{Ahead, Watched, Watches};

/// An answer: its status, and its body.
#[derive(Debug)]
pub(super) struct AmqpReply {
    pub(super) status: i32,
    pub(super) refusal: AmqpRefusal,
    pub(super) body: Value,
}

/// Who waits for which answer; an error once no more will come.
type Pending = Arc<Mutex<Result<HashMap<u64, oneshot::Sender<AmqpReply>>, QueueError>>>;

/// A pair of links. Any number of requests may be under way at once.
#[derive(Debug)]
pub(super) struct Requests {
    sender: tokio::sync::Mutex<Sender>,
    url: QueueUrl,
    reply_to: String,
    next: AtomicU64,
    pending: Pending,
    reading: JoinHandle<()>,
}

impl Drop for Requests {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

impl Requests {
    /// Attaches both links to a node, of which one is watched. `operation` is what is being tried,
    /// for errors.
    pub(super) async fn attach(
        (session, watches): (&mut SessionHandle<()>, &Watches),
        node: &str,
        url: &QueueUrl,
        operation: &'static str,
    ) -> Result<Self, QueueError> {
        Self::attach_as(reply_to(), (session, watches), node, url, operation).await
    }

    /// The same in a session that has no other links, and that is of no use without these: both are
    /// attached at once.
    pub(super) async fn attach_first(
        (session, watches): (&mut SessionHandle<()>, &Watches),
        node: &str,
        url: &QueueUrl,
        operation: &'static str,
    ) -> Result<Self, QueueError> {
        let reply_to = reply_to();
        let answers = Attach {
            snd_settle_mode: SenderSettleMode::Settled,
            source: Some(Box::new(node.into())),
            target: Some(Box::new(Target::from(reply_to.clone()).into())),
            // The number is given where it goes out.
            ..plain_attach(&answers(&reply_to), 0, Role::Receiver)
        };
        watches.say_with(&requests(&reply_to), Ahead::Link(Box::new(answers)));
        Self::attach_as(reply_to, (session, watches), node, url, operation).await
    }

    async fn attach_as(
        reply_to: String,
        (session, watches): (&mut SessionHandle<()>, &Watches),
        node: &str,
        url: &QueueUrl,
        operation: &'static str,
    ) -> Result<Self, QueueError> {
        let name = answers(&reply_to);
        let watched = watches.expect(&name);
        // Settled as they are sent, which .NET's client asks for as well: the answer is all that is
        // waited for, and what becomes of an answer is not.
        let settled = SenderSettleMode::Settled;
        let sender = Sender::builder().name(requests(&reply_to)).target(node);
        let sender = sender.sender_settle_mode(settled.clone()).attach(session).await;
        let sender = sender.map_err(|error| sending(error, url, operation))?;
        let receiver = Receiver::builder().name(name).source(node);
        let receiver = receiver.target(reply_to.clone()).sender_settle_mode(settled).attach(session).await;
        let receiver = receiver.map_err(|error| receiving(error, url))?;
        let pending = Pending::new(Mutex::new(Ok(HashMap::new())));
        let reading = tokio::spawn(read((receiver, watched), pending.clone(), url.clone(), operation));
        Ok(Self {
            sender: tokio::sync::Mutex::new(sender),
            url: url.clone(),
            reply_to,
            next: AtomicU64::new(1),
            pending,
            reading,
        })
    }

    /// Sends a request, and waits for its answer. The caller puts a limit on that.
    pub(super) async fn ask(
        &self,
        operation: &'static str,
        properties: Vec<(&'static str, SimpleValue)>,
        body: Value,
    ) -> Result<AmqpReply, QueueError> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        match &mut *self.pending.lock().unwrap_or_else(PoisonError::into_inner) {
            Ok(pending) => drop(pending.insert(id, answer)),
            Err(ended) => return Err(asked(operation, ended)),
        }
        let request = Message::builder()
            .properties(Properties::builder().message_id(id).reply_to(self.reply_to.clone()).build())
            .application_properties(ApplicationProperties(
                properties.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            ))
            .value(body)
            .build();
        let failed = |error| sent(error, &self.url, operation);
        let sending = self.sender.lock().await.send_batchable(request).await.map_err(failed)?;
        let answer = match select(sending, answered).await {
            Either::Left((Ok(Outcome::Accepted(_)), answered)) => answered.await,
            Either::Left((Ok(outcome), _)) => {
                return Err(unclear(&self.url, format!("the request was {outcome:?}")));
            }
            Either::Left((Err(error), _)) => return Err(failed(error)),
            Either::Right((answer, _)) => answer,
        };
        answer.map_err(|_| match &*self.pending.lock().unwrap_or_else(PoisonError::into_inner) {
            Err(ended) => asked(operation, ended),
            Ok(_) => unclear(&self.url, "the connection ended before the answer"),
        })
    }
}

/// A name that answers are sent to, which nobody else has.
fn reply_to() -> String {
    format!("reply-{}", uuid::Uuid::now_v7())
}

/// The name of the link with the requests.
fn requests(reply_to: &str) -> String {
    format!("{reply_to}-requests")
}

/// The name of the link with the answers.
fn answers(reply_to: &str) -> String {
    format!("{reply_to}-answers")
}

/// Why the links have ended, in the words of this operation.
fn asked(operation: &'static str, ended: &QueueError) -> QueueError {
    match ended.clone() {
        QueueError::Denied { queue, cause, mend, .. } => QueueError::Denied { queue, operation, cause, mend },
        ended => ended,
    }
}

/// Hands out answers until the link ends.
async fn read(
    (mut receiver, watched): (Receiver, Arc<Watched>),
    pending: Pending,
    url: QueueUrl,
    operation: &'static str,
) {
    let ended = loop {
        let delivery = match receiver.recv::<Body<Value>>().await {
            Ok(delivery) => delivery,
            Err(error) => break received(error, &url, operation),
        };
        if let Err(error) = receiver.accept(&delivery).await {
            break unclear(&url, error);
        }
        let answer_bytes = watched.take(*delivery.delivery_id());
        let Message { properties, application_properties, body, .. } = match answer_bytes
            .ok_or_else(|| "nothing is there of it".to_owned())
            .and_then(|bytes| decode_value(&bytes))
        {
            Ok(message) => message,
            Err(error) => break unclear(&url, format!("an answer cannot be read: {error}")),
        };
        let Some(MessageId::Ulong(id)) = properties.and_then(|it| it.correlation_id) else { continue };
        let waiting = pending
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_mut()
            .ok()
            .and_then(|pending| pending.remove(&id));
        if let Some(waiting) = waiting {
            // The caller may be gone: then its limit was over before.
            let _ = waiting.send(answer(application_properties, body));
        }
    };
    *pending.lock().unwrap_or_else(PoisonError::into_inner) = Err(ended);
}

/// `$cbs` writes the names with dashes, `$management` without.
fn answer(properties: Option<ApplicationProperties>, body: Body<Value>) -> AmqpReply {
    let properties = properties.map(|it| it.0).unwrap_or_default();
    let find = |names: [&str; 2]| names.iter().find_map(|name| properties.get(*name));
    let status = match find(["statusCode", "status-code"]) {
        Some(SimpleValue::Int(status)) => *status,
        _ => 0,
    };
    let text = |value: Option<&SimpleValue>| match value {
        Some(SimpleValue::String(text)) => text.clone(),
        Some(SimpleValue::Symbol(symbol)) => symbol.as_str().to_owned(),
        _ => String::new(),
    };
    let condition = text(find(["errorCondition", "error-condition"]));
    let refusal =
        AmqpRefusal::answered(status, condition, text(find(["statusDescription", "status-description"])));
    let body = match body {
        Body::Value(AmqpValue(value)) => value,
        _ => Value::Null,
    };
    AmqpReply { status, refusal, body }
}
