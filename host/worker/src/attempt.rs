//! One message: lease, admit, invoke, judge, settle.

use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::{Either, select};
use tokio::time::{Instant, sleep_until};

use crate::admit::admit;
use crate::context::RunContext;
use crate::fate::{Fate, Judgement};
use crate::hide::hide_earlier;
use crate::judge::judge;
use crate::lease::Lease;
use crate::settle::Settlement;
use crate::settled::Settled;
use longshore_handler::{Answer, Invocation};
use longshore_queue::{Message, Received};

/// Why a handler did not get to its end.
enum Interrupted {
    LeaseLost,
    Stopped,
}

/// Handles and settles a message that was received with a call sent at `sent`.
pub(crate) async fn attempt(context: Arc<RunContext>, received: Received, sent: Instant) -> Settled {
    let started = Instant::now();
    let terms = context.terms.within(context.parts.queue.longest_lease());
    let mut lease = Lease::new(&received, sent, terms);
    let Received { message, damaged, .. } = received;
    let Judgement { fate, earlier } = if started < lease.ends() {
        decide(&context, &mut lease, &message, damaged).await
    } else {
        Fate::Lost.into()
    };
    let mut ended = Settlement::new(&context, &message, lease).carry_out(fate).await;
    ended.outcome.log(&message.id, message.dequeue_count, started.elapsed());
    ended.due.extend(hide_earlier(&context, earlier).await);
    ended
}

/// Decides what is to become of a message: its handler is asked, if the message may be handled.
async fn decide(
    context: &RunContext,
    lease: &mut Lease,
    message: &Message,
    damaged: Option<String>,
) -> Judgement {
    let config = &context.parts.config;
    match admit(message, damaged, config.max_dequeue, config.encoding) {
        Err((reason, detail)) => Fate::Poison(reason, detail).into(),
        Ok(body) => match invoke(context, lease, invocation(context, message, body)).await {
            Ok(answer) => judge(context, message, lease, answer),
            Err(Interrupted::LeaseLost) => Fate::Lost.into(),
            Err(Interrupted::Stopped) => Fate::Release.into(),
        },
    }
}

fn invocation(context: &RunContext, message: &Message, body: Bytes) -> Invocation {
    Invocation {
        id: message.id.clone(),
        queue: context.parts.queue.url().name().to_owned(),
        body,
        dequeue_count: message.dequeue_count,
        inserted: message.inserted,
        deadline: context.parts.config.deadline,
        properties: message.properties.clone(),
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
    loop {
        tokio::select! {
            biased;
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
