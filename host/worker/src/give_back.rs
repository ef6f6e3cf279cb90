//! What is given back unhandled: what receives in flight lease after a stop, when it is too late to
//! handle it, and what no receive has asked for.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, timeout, timeout_at};

use crate::context::RunContext;
use crate::lease::{Lease, Terms};
use crate::platform::{LAST_RECEIVE, SETTLEMENT};
use crate::receive::Receiver;
use crate::report::Outcome;
use longshore_queue::Received;

/// Waits for the receives in flight, though not for long, and releases what they leased, and what
/// the queue has received ahead of them.
pub(crate) async fn give_back(mut receiver: Receiver, context: &RunContext) {
    let ends = Instant::now() + LAST_RECEIVE;
    if context.parts.queue.is_in_order() {
        // What is released now is followed by the next one, which a receive in flight would take.
        let _ = timeout_at(ends, context.parts.queue.stop_receiving()).await;
    }
    while let Ok(Some(answered)) = timeout_at(ends, receiver.next()).await {
        let (sent, terms) = (answered.sent, answered.terms);
        let messages = answered.into_messages();
        context.parts.totals.received(messages.len());
        let released = join_all(messages.iter().map(|it| release(it, sent, terms, context, "stopped"))).await;
        for outcome in &released {
            context.parts.totals.ended(outcome);
        }
    }
    // Should this fail, the end of their leases gives these back.
    let _ = timeout_at(ends, context.parts.queue.stop_receiving()).await;
}

/// Makes a message visible again that was never started, for this reason.
pub(crate) async fn release(
    received: &Received,
    sent: Instant,
    terms: Terms,
    context: &RunContext,
    reason: &'static str,
) -> Outcome {
    let mut lease = Lease::of_receive(&*context.parts.queue, received, sent, terms);
    if terms.renewable {
        // Should this fail, the end of the lease gives the message back.
        let _ = timeout(SETTLEMENT, lease.hide(&*context.parts.queue, Duration::ZERO)).await;
    }
    let outcome = Outcome::Abandoned(reason);
    outcome.log(&received.message, Duration::ZERO);
    outcome
}
