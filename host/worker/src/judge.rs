//! What the answer of a handler means: for its message, and for messages that failed before.

use std::time::Duration;

use tokio::time::Instant;

use crate::breaker::{AfterFailure, FailedAttempt, Hiding};
use crate::context::RunContext;
use crate::fate::{Earlier, Fate, Judgement, explain, last_attempt};
use crate::lease::{Lease, LeaseError};
use crate::outbox::PreparedMessage;
use crate::platform::POLLING_INTERVAL;
use crate::poison::PoisonReason;
use crate::trace::Traced;
use longshore_handler::{Answer, RetryReason, SessionChange, Verdict};
use longshore_queue::{Message, QueueError};

/// What an attempt came to.
enum Attempted {
    /// The handler succeeded. These are to be sent, and then the state of its session is to be
    /// this.
    Succeeded(Vec<PreparedMessage>, SessionChange),
    /// The handler says that the message is at fault.
    Rejected { detail: String },
    /// There was no handler, or the host had no identity for it.
    Unavailable(RetryReason),
    /// Another attempt may succeed.
    Failed(Failed),
}

/// A failed attempt: why, the cause for people, and the delay that the handler asked for.
struct Failed {
    reason: RetryReason,
    detail: String,
    asked: Option<Duration>,
}

/// Judges an answer. What the handler wants sent is sent first, and then the state of its session
/// is set, since only then it has succeeded. In this order: a handler that finds its own state must
/// not take what it has not sent for sent.
///
/// A failure is evidence for the breaker, once for each `evidence`: that is the message, or what it
/// comes in order with. Those that follow it there have not been tried.
pub(crate) async fn judge(
    context: &RunContext,
    message: &Message,
    evidence: &str,
    lease: &mut Lease,
    traced: &mut Traced,
    answer: Answer,
) -> Judgement {
    context.parts.totals.used(&message.id, answer.usage, answer.outbox.len());
    match attempted(context, message, traced, answer) {
        Attempted::Succeeded(outputs, change) => match carry_out(context, lease, outputs, change).await {
            Ok(()) => {
                let earlier = Earlier::Show(context.breaker().success());
                Judgement { fate: Fate::Complete, earlier, attempt: None }
            }
            Err(NotDone::Refused(failed)) => judge_failure(context, message, evidence, lease, failed),
            Err(NotDone::Fault(error)) => Fate::Fault(error).into(),
            Err(NotDone::LeaseLost) => Fate::Lost.into(),
        },
        Attempted::Rejected { detail } => Fate::Poison(PoisonReason::Rejected, detail).into(),
        Attempted::Unavailable(reason) => Fate::Release(reason.as_str()).into(),
        Attempted::Failed(failed) => judge_failure(context, message, evidence, lease, failed),
    }
}

/// What an attempt came to. A handler that sends what cannot be sent has failed.
fn attempted(context: &RunContext, message: &Message, traced: &mut Traced, answer: Answer) -> Attempted {
    match answer.verdict {
        Verdict::Completed => {
            let source = context.parts.queue.url();
            match context.parts.outboxes.prepare(source, &message.id, traced, answer.outbox) {
                Ok(outputs) => Attempted::Succeeded(outputs, answer.session),
                Err((reason, detail)) => Attempted::Failed(Failed { reason, detail, asked: None }),
            }
        }
        Verdict::Reject { detail } => Attempted::Rejected { detail },
        Verdict::Retry { reason, .. }
            if reason.is_the_hosts_own() && context.parts.handler.unavailable().is_some() =>
        {
            Attempted::Unavailable(reason)
        }
        Verdict::Retry { reason, detail, after } => {
            Attempted::Failed(Failed { reason, detail, asked: after })
        }
    }
}

/// Why what a handler wants was not done.
enum NotDone {
    /// A queue refused one of its messages, or its state. That is a failed attempt like any other.
    Refused(Failed),
    /// The queue refuses everything.
    Fault(QueueError),
    /// The lease ended before.
    LeaseLost,
}

impl NotDone {
    /// What an error means for the message, where it may be about it: that gives the failure.
    fn of(error: LeaseError, failure: impl FnOnce(QueueError) -> Failed) -> Self {
        match error {
            LeaseError::Lost => Self::LeaseLost,
            LeaseError::Refused(error) if error.may_be_about_the_message() => Self::Refused(failure(error)),
            LeaseError::Refused(error) => Self::Fault(error),
        }
    }
}

/// Does what the handler wants, while the lease on its message lasts.
async fn carry_out(
    context: &RunContext,
    lease: &mut Lease,
    outputs: Vec<PreparedMessage>,
    change: SessionChange,
) -> Result<(), NotDone> {
    send(context, lease, outputs).await?;
    let state = match &change {
        SessionChange::Unchanged => return Ok(()),
        SessionChange::Cleared => None,
        SessionChange::Set(state) => Some(state),
    };
    longshore_failpoint::kill_at("between-output-and-state");
    let set = lease.set_session_state(&*context.parts.queue, state).await;
    set.map_err(|error| {
        NotDone::of(error, |error| {
            let reason = RetryReason::SessionStateRefused;
            Failed { reason, detail: error.to_string(), asked: None }
        })
    })
}

/// Sends what the handler wants sent.
async fn send(context: &RunContext, lease: &mut Lease, outputs: Vec<PreparedMessage>) -> Result<(), NotDone> {
    for PreparedMessage { name, queue, message: output, span } in outputs {
        let sent = lease.send(&*context.parts.queue, &*queue, &output).await;
        sent.map_err(|error| {
            NotDone::of(error, |error| {
                let reason = match error {
                    QueueError::TooLarge { .. } => RetryReason::OutputTooLarge,
                    _ => RetryReason::OutputRefused,
                };
                Failed { reason, detail: format!("{name}: {error}"), asked: None }
            })
        })?;
        if let Some(span) = span {
            span.sent();
        }
        // Some queues keep no id that the sender chose. There only this line leads from an
        // output to the message that it came from.
        tracing::info!(message_id = lease.id(), output = name, output_id = output.id, "sent");
    }
    Ok(())
}

/// Tells the breaker of a failure, and decides whether the message gets another attempt.
fn judge_failure(
    context: &RunContext,
    message: &Message,
    evidence: &str,
    lease: &Lease,
    failed: Failed,
) -> Judgement {
    let Failed { reason, detail, asked } = failed;
    let reason = reason.as_str();
    let failed = FailedAttempt { id: evidence, dequeue_count: message.dequeue_count, reason };
    let consequence = context.breaker().failure(failed, Instant::now());
    let fate = match last_attempt(message, lease, context.parts.config.max_dequeue) {
        Some(last) => Fate::Poison(last, explain(reason, &detail)),
        None => Fate::Retry { reason, detail, hiding: hiding(context, message, consequence.rule, asked) },
    };
    let earlier = consequence.opened.map_or(Earlier::Leave, Earlier::HideLonger);
    Judgement { fate, earlier, attempt: None }
}

/// For how long a message that failed is hidden.
fn hiding(context: &RunContext, message: &Message, rule: AfterFailure, asked: Option<Duration>) -> Hiding {
    let retry = &context.parts.config.retry;
    let hiding = match rule {
        AfterFailure::Hide => Hiding::WHILE_OPEN,
        AfterFailure::Careful if asked.is_none() => Hiding { delay: retry.cap, rule },
        AfterFailure::Careful | AfterFailure::Usual => {
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
