//! What the answer of a handler means: for its message, and for messages that failed before.

use std::time::Duration;

use tokio::time::Instant;

use crate::breaker::{AfterFailure, Hiding};
use crate::context::RunContext;
use crate::fate::{Earlier, Fate, Judgement, explain, last_attempt};
use crate::lease::Lease;
use crate::outputs::PreparedOutput;
use crate::platform::POLLING_INTERVAL;
use crate::poison::PoisonReason;
use longshore_handler::{Answer, Verdict};
use longshore_queue::Message;

/// What an attempt came to.
enum Attempted {
    /// The handler succeeded. These are to be sent.
    Succeeded(Vec<PreparedOutput>),
    /// The handler says that the message is at fault.
    Rejected { detail: String },
    /// Another attempt may succeed.
    Failed(Failed),
}

/// A failed attempt: why, the cause for people, and the delay that the handler asked for.
struct Failed {
    reason: &'static str,
    detail: String,
    asked: Option<Duration>,
}

/// Judges an answer.
pub(crate) fn judge(context: &RunContext, message: &Message, lease: &Lease, answer: Answer) -> Judgement {
    context.parts.totals.used(&message.id, answer.usage, answer.outbox.len());
    match attempted(context, message, answer) {
        Attempted::Succeeded(outputs) => {
            let earlier = Earlier::Show(context.breaker().success());
            Judgement { fate: Fate::Complete(outputs), earlier }
        }
        Attempted::Rejected { detail } => Fate::Poison(PoisonReason::Rejected, detail).into(),
        Attempted::Failed(failed) => judge_failure(context, message, lease, failed),
    }
}

/// What an attempt came to. A handler that sends what cannot be sent has failed.
fn attempted(context: &RunContext, message: &Message, answer: Answer) -> Attempted {
    match answer.verdict {
        Verdict::Completed => {
            let source = context.parts.queue.url();
            match context.parts.outputs.prepare(source, &message.id, answer.outbox) {
                Ok(outputs) => Attempted::Succeeded(outputs),
                Err((reason, detail)) => {
                    Attempted::Failed(Failed { reason: reason.as_str(), detail, asked: None })
                }
            }
        }
        Verdict::Reject { detail } => Attempted::Rejected { detail },
        Verdict::Retry { reason, detail, after } => {
            Attempted::Failed(Failed { reason: reason.as_str(), detail, asked: after })
        }
    }
}

/// Tells the breaker of a failure, and decides whether the message gets another attempt.
fn judge_failure(context: &RunContext, message: &Message, lease: &Lease, failed: Failed) -> Judgement {
    let Failed { reason, detail, asked } = failed;
    let consequence = context.breaker().failure(&message.id, Instant::now());
    if consequence.opened.is_some() {
        tracing::error!(
            reason,
            detail,
            "too many different messages failed in a row: receiving is on hold, and one message is tried now and then"
        );
    }
    let fate = match last_attempt(message, lease, context.parts.config.max_dequeue) {
        Some(last) => Fate::Poison(last, explain(reason, &detail)),
        None => Fate::Retry { reason, detail, hiding: hiding(context, message, consequence.rule, asked) },
    };
    Judgement { fate, earlier: consequence.opened.map_or(Earlier::Leave, Earlier::HideLonger) }
}

/// For how long a message that failed is hidden.
fn hiding(context: &RunContext, message: &Message, rule: AfterFailure, asked: Option<Duration>) -> Hiding {
    let retry = &context.parts.config.retry;
    let hiding = match rule {
        AfterFailure::Hide => Hiding::WHILE_OPEN,
        AfterFailure::Careful => {
            Hiding { delay: retry.cap.max(asked.unwrap_or_default().min(retry.max_delay)), rule }
        }
        AfterFailure::Usual => {
            Hiding { delay: retry.delay(message.dequeue_count, asked, &mut *context.rng()), rule }
        }
    };
    if asked.is_some() && hiding.delay > POLLING_INTERVAL && context.first_warning_of_long_delays() {
        tracing::warn!(
            delay_s = hiding.delay.as_secs(),
            "the handler asks for long retry delays: KEDA counts hidden messages, so each of its polls meanwhile starts an execution that finds nothing"
        );
    }
    hiding
}
