//! What receives in flight lease after a stop: it is too late to handle it.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, timeout, timeout_at};

use crate::context::RunContext;
use crate::lease::Lease;
use crate::platform::{LAST_RECEIVE, SETTLEMENT};
use crate::receive::Receiver;
use crate::report::Outcome;
use longshore_queue::Received;

/// Waits for the receives in flight, though not for long, and releases what they leased.
pub(crate) async fn give_back(mut receiver: Receiver, context: &RunContext) {
    let ends = Instant::now() + LAST_RECEIVE;
    while let Ok(Some(answered)) = timeout_at(ends, receiver.next()).await {
        let sent = answered.sent;
        let messages = answered.into_messages();
        context.parts.totals.received(messages.len());
        join_all(messages.iter().map(|received| release(received, sent, context))).await;
    }
}

/// Makes a message visible again.
async fn release(received: &Received, sent: Instant, context: &RunContext) {
    let mut lease = Lease::new(received, sent, context.terms);
    if context.terms.renewable {
        // Should this fail, the end of the lease gives the message back.
        let _ = timeout(SETTLEMENT, lease.hide(&*context.parts.queue, Duration::ZERO)).await;
    }
    let outcome = Outcome::Abandoned("stopped");
    outcome.log(&received.message.id, received.message.dequeue_count, Duration::ZERO);
    context.parts.totals.ended(&outcome);
}
