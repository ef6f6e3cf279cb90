//! Rules 4 and 6: the state of a session is set after outputs and before the delete, and only for a
//! handler that succeeded and whose lease is not lost.

#![allow(clippy::unwrap_used, reason = "tests fail by it")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use longshore_handler::{
    Answer, Handler, Invocation, OutboxMessage, SessionChange, SessionState, Unavailable, Verdict,
};
use longshore_queue::{Message, Outgoing, Queue, QueueError, QueueUrl, Receipt, Received, Right};
use longshore_worker::outbox::{OutboxEncoding, OutboxFormat, Outboxes};
use longshore_worker::stop::Stopper;
use longshore_worker::{Config, Finished, Worker};

use super::handler::failed;
use super::model::MemoryQueue;

type Log = Arc<Mutex<Vec<String>>>;

/// A queue whose messages belong to one session. It notes what is sent, set and deleted.
#[derive(Debug)]
struct SessionQueue {
    messages: Arc<MemoryQueue>,
    state: Mutex<Option<Bytes>>,
    /// What sets of the state are answered with, one after the other, instead of being done.
    refusals: Mutex<VecDeque<QueueError>>,
    log: Log,
}

#[async_trait::async_trait]
impl Queue for SessionQueue {
    fn url(&self) -> &QueueUrl {
        self.messages.url()
    }
    async fn create(&self) -> Result<bool, QueueError> {
        self.messages.create().await
    }
    async fn may(&self, right: Right) -> Result<(), QueueError> {
        self.messages.may(right).await
    }
    async fn receive(&self, max: u32, visibility: Duration) -> Result<Vec<Received>, QueueError> {
        self.messages.receive(max, visibility).await
    }
    async fn send(&self, message: Outgoing) -> Result<String, QueueError> {
        self.log.lock().unwrap().push(format!("send {}", message.id.clone().unwrap_or_default()));
        self.messages.send(message).await
    }
    async fn update(&self, id: &str, receipt: &Receipt, visibility: Duration) -> Result<Receipt, QueueError> {
        self.messages.update(id, receipt, visibility).await
    }
    async fn delete(&self, id: &str, receipt: &Receipt) -> Result<(), QueueError> {
        self.log.lock().unwrap().push(format!("delete {id}"));
        self.messages.delete(id, receipt).await
    }
    async fn peek(&self, max: u32) -> Result<Vec<Message>, QueueError> {
        self.messages.peek(max).await
    }
    async fn approximate_count(&self) -> Result<u64, QueueError> {
        self.messages.approximate_count().await
    }
    fn session_state(&self, _: &Receipt) -> Option<Option<Bytes>> {
        Some(self.state.lock().unwrap().clone())
    }
    async fn set_session_state(&self, _: &Receipt, state: Option<Bytes>) -> Result<(), QueueError> {
        self.log.lock().unwrap().push("state".into());
        match self.refusals.lock().unwrap().pop_front() {
            Some(error) => Err(error),
            None => {
                *self.state.lock().unwrap() = state;
                Ok(())
            }
        }
    }
}

/// Puts a letter behind the state, and sends a message.
struct Letters {
    verdict: Verdict,
    seen: Mutex<Vec<SessionState>>,
}

#[async_trait::async_trait]
impl Handler for Letters {
    async fn handle(&self, invocation: Invocation) -> Answer {
        let before = invocation.session.bytes().flatten().cloned().unwrap_or_default();
        self.seen.lock().unwrap().push(invocation.session);
        let outbox =
            vec![OutboxMessage { output: "invoices".into(), body: "[1]".into(), properties: Vec::new() }];
        let session = SessionChange::Set([&before[..], b"a"].concat().into());
        Answer { outbox, session, ..self.verdict.clone().into() }
    }

    async fn reload(&self) -> Result<(), Unavailable> {
        Ok(())
    }

    fn digest(&self) -> Option<String> {
        None
    }
}

struct Ran {
    finished: Finished,
    log: Vec<String>,
    state: Option<Bytes>,
    seen: Vec<SessionState>,
    poison: Arc<MemoryQueue>,
}

async fn run(verdict: Verdict, messages: usize, refusals: Vec<QueueError>) -> Ran {
    let log = Log::default();
    let queue = |messages: Arc<MemoryQueue>, refusals: Vec<QueueError>| {
        let (state, refusals) = (Mutex::default(), Mutex::new(refusals.into()));
        Arc::new(SessionQueue { messages, state, refusals, log: log.clone() })
    };
    let orders = queue(MemoryQueue::filled("orders", messages), refusals);
    let invoices = queue(MemoryQueue::new("invoices"), Vec::new());
    let handler = Arc::new(Letters { verdict, seen: Mutex::default() });
    let mut outboxes = Outboxes::new(OutboxFormat::Raw);
    outboxes.add("invoices", invoices, OutboxEncoding::Text);
    let config = Config { seed: Some(1), concurrency: 1, max_dequeue: 2, ..Config::default() };
    let poison = MemoryQueue::new("orders-poison");
    let worker = Worker::new(config, orders.clone(), poison.clone(), handler.clone());
    let finished = Arc::new(worker.sending_to(outboxes)).run(Stopper::default().signal()).await;
    let (log, state) = (log.lock().unwrap().clone(), orders.state.lock().unwrap().clone());
    let seen = handler.seen.lock().unwrap().clone();
    Ran { finished, log, state, seen, poison }
}

fn set(state: &'static str) -> SessionState {
    SessionState::Set(state.into())
}

#[tokio::test(start_paused = true)]
async fn outputs_are_sent_then_the_state_is_set_and_then_the_message_is_deleted() {
    let ran = run(Verdict::Completed, 2, Vec::new()).await;
    assert_eq!(ran.log, ["send 0/0", "state", "delete 0", "send 1/0", "state", "delete 1"]);
    assert_eq!(ran.seen, [SessionState::Empty, set("a")]);
    assert_eq!(ran.state, Some("aa".into()));
}

#[tokio::test(start_paused = true)]
async fn a_failed_attempt_leaves_the_state_as_it_was() {
    for verdict in [failed(), Verdict::Reject { detail: "no".into() }] {
        let ran = run(verdict, 1, Vec::new()).await;
        assert_eq!((ran.state, ran.finished.summary.poisoned), (None, 1));
        assert!(!ran.log.contains(&"state".to_owned()), "{:?}", ran.log);
        assert!(ran.seen.iter().all(|it| *it == SessionState::Empty), "{:?}", ran.seen);
    }
}

#[tokio::test(start_paused = true)]
async fn a_state_whose_answer_is_lost_is_set_once_more_before_the_delete() {
    let lost = QueueError::unclear("file:./memory/orders", "cut");
    let ran = run(Verdict::Completed, 1, vec![lost]).await;
    assert_eq!(ran.log, ["send 0/0", "state", "state", "delete 0"]);
    assert_eq!((ran.state, ran.finished.summary.completed), (Some("a".into()), 1));
}

#[tokio::test(start_paused = true)]
async fn a_state_that_the_queue_refuses_is_a_failed_attempt_like_any_other() {
    let refused = || QueueError::TooLarge { queue: "orders".into(), size: None, limit: 10 };
    let ran = run(Verdict::Completed, 1, vec![refused(), refused()]).await;
    let (_, reason, detail) = ran.poison.envelopes().remove(0);
    assert_eq!(reason, "attempts-exhausted");
    assert!(detail.starts_with("session-state-refused: the body is too large for orders"), "{detail}");
    assert_eq!((ran.state, ran.finished.summary.retried), (None, 1));
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_lost_keeps_its_state_and_its_message() {
    let ran = run(Verdict::Completed, 1, vec![QueueError::MessageNotFound]).await;
    assert_eq!(ran.log, ["send 0/0", "state"], "nothing is deleted");
    assert_eq!((ran.state, ran.finished.summary.lease_lost), (None, 1));
}

#[tokio::test(start_paused = true)]
async fn a_message_of_no_session_has_no_state() {
    let handler = Arc::new(Letters { verdict: failed(), seen: Mutex::default() });
    let config = Config { seed: Some(1), max_messages: Some(1), ..Config::default() };
    let (orders, poison) = (MemoryQueue::filled("orders", 1), MemoryQueue::new("orders-poison"));
    let worker = Worker::new(config, orders, poison, handler.clone());
    Arc::new(worker).run(Stopper::default().signal()).await;
    assert_eq!(*handler.seen.lock().unwrap(), [SessionState::NoSession]);
}
