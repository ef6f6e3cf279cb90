//! Settling a delivery on the link that brought it. The service answers with the outcome.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fe2o3_amqp::link::delivery::DeliveryInfo;
use fe2o3_amqp::link::receiver::TerminalDeliveryState;
use fe2o3_amqp::types::definitions::{Error, ErrorCondition};
use fe2o3_amqp::types::messaging::{Accepted, DeliveryState, Modified, Rejected};
use fe2o3_amqp::types::primitives::{OrderedMap, Symbol, Value};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;

use longshore_queue::{DETAIL_PROPERTY, REASON_PROPERTY};

use crate::servicebus::disposition::Disposition;
use crate::servicebus::error::AmqpRefusal;
use crate::servicebus::watched::Watched;

/// The condition that moves a rejected message to the dead-letter sub-queue, as the official
/// clients write it.
const DEAD_LETTER: &str = "com.microsoft:dead-letter";
/// What the service says of a lock that is gone.
const LOCK_LOST: [&str; 2] = ["com.microsoft:message-lock-lost", "com.microsoft:session-lock-lost"];

/// What a link is told to do.
#[derive(Debug)]
pub(super) enum Order {
    /// Send this outcome of a delivery.
    Settle(DeliveryInfo, TerminalDeliveryState),
    /// Use up all credit, and say when that is done.
    Drain(oneshot::Sender<()>),
    /// The same, and release what came and was not received.
    Rest(oneshot::Sender<()>),
}

/// The way to the link that brought a delivery. The link lasts as long as there are such ways.
#[derive(Clone, Debug)]
pub(super) struct Settler {
    pub(super) orders: UnboundedSender<Order>,
    pub(super) watched: Arc<Watched>,
}

/// A delivery, and the way to its link.
#[derive(Clone, Debug)]
pub(super) struct Delivered {
    pub(super) info: DeliveryInfo,
    settler: Settler,
    /// It was settled once, with whatever answer. The link has no second one.
    was_tried: Arc<AtomicBool>,
}

/// What became of a settlement.
#[derive(Debug)]
pub(super) enum Settled {
    /// The service has done it.
    Done,
    /// The lock was gone.
    Lost,
    /// The service refused for another reason.
    Refused(AmqpRefusal),
    /// Nothing was sent: the link had ended before, or the delivery was settled on it before.
    NotSent,
    /// The link ended before an answer came.
    Unknown,
    /// The service answered with an outcome that is not the one that was sent, or with none.
    Otherwise,
}

impl Delivered {
    pub(super) fn new(info: DeliveryInfo, settler: Settler) -> Self {
        Self { info, settler, was_tried: Arc::default() }
    }

    /// Settles the delivery, and waits for the answer. The caller puts a limit on that.
    pub(super) async fn settle(&self, disposition: &Disposition) -> Settled {
        if self.was_tried.swap(true, Ordering::Relaxed) {
            return Settled::NotSent;
        }
        let Some(told) = self.settler.watched.outcome(self.info.delivery_id()) else {
            return Settled::NotSent;
        };
        if self.settler.orders.send(Order::Settle(self.info.clone(), state(disposition))).is_err() {
            return Settled::NotSent;
        }
        match (told.await, disposition) {
            (Err(_), _) => Settled::Unknown,
            (Ok(Some(DeliveryState::Accepted(_))), Disposition::Completed)
            | (Ok(Some(DeliveryState::Modified(_))), Disposition::Abandoned)
            | (
                Ok(Some(DeliveryState::Rejected(Rejected { error: None }))),
                Disposition::DeadLettered { .. },
            ) => Settled::Done,
            (Ok(Some(DeliveryState::Rejected(Rejected { error: Some(error) }))), disposition) => {
                let refusal = AmqpRefusal::from(&error);
                match disposition {
                    _ if LOCK_LOST.contains(&refusal.condition.as_str()) => Settled::Lost,
                    // It is repeated to whoever sent it.
                    Disposition::DeadLettered { .. } if refusal.condition == DEAD_LETTER => Settled::Done,
                    _ if refusal.condition == "amqp:not-found" => Settled::Otherwise,
                    _ => Settled::Refused(refusal),
                }
            }
            (Ok(_), _) => Settled::Otherwise,
        }
    }
}

/// What a disposition is on a link.
fn state(disposition: &Disposition) -> TerminalDeliveryState {
    match disposition {
        Disposition::Completed => Accepted {}.into(),
        Disposition::Abandoned => {
            let failed = Modified {
                delivery_failed: Some(true),
                undeliverable_here: Some(false),
                message_annotations: None,
            };
            failed.into()
        }
        Disposition::DeadLettered { .. } => {
            let (reason, detail) = disposition.texts();
            let info = [(REASON_PROPERTY, reason), (DETAIL_PROPERTY, detail)];
            let info = info.map(|(name, text)| (Symbol::from(name), Value::from(text)));
            let condition = ErrorCondition::Custom(Symbol::from(DEAD_LETTER));
            let error = Error::new(condition, None, Some(OrderedMap::from_iter(info)));
            Rejected { error: Some(error) }.into()
        }
    }
}
