//! One message: lease, admit, invoke, judge, settle.

use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::{Either, select};
use jiff::Timestamp;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep_until};

use crate::admit::admit;
use crate::circumstances::AttemptRecord;
use crate::context::{Handling, Parts, RunContext};
use crate::fate::{Fate, Judgement};
use crate::hide::hide_earlier;
use crate::judge::judge;
use crate::lease::{Lease, Terms};
use crate::rate::SlotTime;
use crate::settle::Settlement;
use crate::settled::Settled;
use crate::trace::Traced;
use longshore_handler::{Answer, Invocation, SessionState};
use longshore_queue::{Message, Receipt, Received};

/// Why a handler was not started, or did not get to its end.
#[derive(Clone, Copy)]
enum Interrupted {
    LeaseLost,
    Stopped,
}

impl From<Interrupted> for Judgement {
    fn from(interrupted: Interrupted) -> Self {
        match interrupted {
            Interrupted::LeaseLost => Fate::Lost,
            Interrupted::Stopped => Fate::Release("stopped"),
        }
        .into()
    }
}

/// Handles and settles a message that was received with a call sent at `sent`, and leased on these
/// terms. It counts as one in `handling` until its handler has ended.
pub(crate) async fn attempt(
    context: Arc<RunContext>,
    received: Received,
    sent: Instant,
    terms: Terms,
    handling: Handling,
) -> Settled {
    let started = Instant::now();
    let _in_hand = context.in_hand(received.message.dequeue_count);
    let terms = terms.within(context.parts.queue.longest_lease());
    let group = context.parts.queue.group(&received);
    let mut lease = Lease::of_receive(&*context.parts.queue, &received, sent, terms);
    let Received { message, damaged, .. } = received;
    let mut traced = Traced::of(&message);
    // The slot is taken until the message is settled.
    let slot = slot(&context, &mut lease).await;
    let (slot_since, taken_slots) = (Instant::now(), context.taken_slots());
    let Judgement { fate, earlier, attempt } = match &slot {
        Ok(_) => match not_to_handle(&context, &lease, sent) {
            Some(fate) => {
                drop(handling);
                fate.into()
            }
            None => {
                let evidence = group.as_deref().unwrap_or(&message.id);
                decide(&context, &mut lease, &mut traced, &message, evidence, damaged, handling).await
            }
        },
        Err(interrupted) => {
            drop(handling);
            (*interrupted).into()
        }
    };
    traced.settling();
    let mut ended = Settlement::new(&context, &message, lease, attempt).carry_out(fate).await;
    ended.outcome.log(&message, started.elapsed());
    traced.ended(&ended.outcome);
    ended.due.extend(hide_earlier(&context, earlier).await);
    // A batch takes its slots one by one, and gives them back so.
    let taken_slots = taken_slots.max(context.taken_slots());
    ended.slot = slot.is_ok().then(|| SlotTime { took: slot_since.elapsed(), taken_slots });
    ended.taken = slot.ok();
    ended
}

/// Waits for a slot, in the order of receiving, and keeps the lease meanwhile.
async fn slot(context: &RunContext, lease: &mut Lease) -> Result<OwnedSemaphorePermit, Interrupted> {
    if let Ok(slot) = Arc::clone(&context.slots).try_acquire_owned() {
        return Ok(slot);
    }
    let mut stopped = pin!(context.starts_none());
    let mut free = pin!(Arc::clone(&context.slots).acquire_owned());
    loop {
        tokio::select! {
            biased;
            () = &mut stopped => return Err(Interrupted::Stopped),
            // The slots are never closed.
            slot = &mut free => return slot.map_err(|_| Interrupted::Stopped),
            () = sleep_until(lease.renewal_due()) => {}
        }
        lease.renew(&*context.parts.queue).await.map_err(|_| Interrupted::LeaseLost)?;
    }
}

/// What is to become of a message whose receive was sent at `sent`, if it is not to be handled.
fn not_to_handle(context: &RunContext, lease: &Lease, sent: Instant) -> Option<Fate> {
    if Instant::now() >= lease.ends() {
        return Some(Fate::Lost);
    }
    let opened = context.breaker().open_since();
    if opened.is_some_and(|opened| opened > sent) {
        return Some(Fate::Release("breaker-open"));
    }
    context.parts.handler.unavailable().map(|_| Fate::Release("component-unavailable"))
}

/// Decides what is to become of a message: its handler is asked, if it can be read. `evidence` is
/// what its failure counts for: see [`judge`].
async fn decide(
    context: &RunContext,
    lease: &mut Lease,
    traced: &mut Traced,
    message: &Message,
    evidence: &str,
    damaged: Option<String>,
    handling: Handling,
) -> Judgement {
    let Parts { config, telemetry, .. } = &context.parts;
    let admitted = admit(message, damaged, config.max_dequeue, config.encoding);
    let started = Timestamp::now();
    traced.begin(telemetry.as_deref(), message, admitted.as_deref().ok(), started);
    let body = match admitted {
        Ok(body) => body,
        Err((reason, detail)) => return Fate::Poison(reason, detail).into(),
    };
    let invocation = invocation(context, lease, traced, message, body);
    let answer = invoke(context, lease, invocation).await;
    drop(handling);
    match answer {
        Ok(mut answer) => {
            let ended = Timestamp::now();
            traced.answered(answer.usage, ended);
            let log = std::mem::take(&mut answer.log);
            let attempt = Some(AttemptRecord { started, ended, log });
            Judgement { attempt, ..judge(context, message, evidence, lease, traced, answer).await }
        }
        Err(interrupted) => interrupted.into(),
    }
}

fn invocation(
    context: &RunContext,
    lease: &Lease,
    traced: &Traced,
    message: &Message,
    body: Bytes,
) -> Invocation {
    Invocation {
        id: message.id.clone(),
        queue: context.parts.queue.url().name().to_owned(),
        body,
        dequeue_count: message.dequeue_count,
        inserted: message.inserted,
        deadline: context.parts.config.deadline,
        properties: traced.given(&message.properties),
        trace: traced.context().cloned(),
        session: session(context.parts.queue.session_state(lease.receipt())),
    }
}

/// The state of a message's session, as a handler finds it.
fn session(state: Option<Option<Bytes>>) -> SessionState {
    match state {
        None => SessionState::NoSession,
        Some(None) => SessionState::Empty,
        Some(Some(bytes)) => SessionState::Set(bytes),
    }
}

/// Waits until the queue says by itself that a lease is lost. Where messages come in order,
/// somebody else may have got the message by then, and even the next one.
async fn lost(context: &RunContext, receipt: &Receipt) {
    if context.parts.queue.is_in_order() {
        context.parts.queue.lost(receipt).await;
    } else {
        std::future::pending().await
    }
}

/// Runs the handler until it answers, the lease is lost, or the run is stopped.
async fn invoke(
    context: &RunContext,
    lease: &mut Lease,
    invocation: Invocation,
) -> Result<Answer, Interrupted> {
    longshore_failpoint::kill_at("before-handler");
    let mut stopped = pin!(context.interrupted());
    let mut handling = pin!(context.parts.handler.handle(invocation));
    let receipt = lease.receipt().clone();
    let mut lost = pin!(lost(context, &receipt));
    loop {
        tokio::select! {
            biased;
            () = &mut lost => return Err(Interrupted::LeaseLost),
            answer = &mut handling => return Ok(answer),
            () = &mut stopped => return Err(Interrupted::Stopped),
            () = sleep_until(lease.renewal_due()) => {}
        }
        // A renewal that was sent is awaited even if the handler ends first: its answer is the
        // receipt that settles.
        match select(&mut handling, pin!(lease.renew(&*context.parts.queue))).await {
            Either::Left((answer, renewal)) => {
                return renewal.await.map(|()| answer).map_err(|_| Interrupted::LeaseLost);
            }
            Either::Right((renewed, _)) => renewed.map_err(|_| Interrupted::LeaseLost)?,
        }
    }
}
