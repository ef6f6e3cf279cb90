//! One invocation: an instance of its own, one call, and an end to it.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use longshore_handler::{Answer, Invocation, RetryReason, SessionChange, Usage, Verdict};

use crate::contract::Linked;
use crate::engine::Shared;
use crate::instance::{Idle, Instance, InvocationStep};
use crate::policy::Policy;
use crate::usage::metered;

/// A handler, compiled and linked: [`invoke`](Component::invoke) hands it a message.
///
/// Cheap to clone, and independent of the [`Sandbox`](crate::Sandbox) that it was loaded by.
#[derive(Clone)]
pub struct Component {
    linked: Linked,
    shared: Arc<Shared>,
    idle: Idle,
}

impl std::fmt::Debug for Component {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Component(…)")
    }
}

impl Component {
    pub(crate) fn new(linked: Linked, shared: &Arc<Shared>) -> Self {
        Self { linked, shared: Arc::clone(shared), idle: Idle::default() }
    }

    /// Hands a message to an instance, a fresh one unless reuse is allowed, and says what became of
    /// it. It never fails: each thing that can go wrong is a verdict.
    ///
    /// Must run on a tokio runtime with its timer. Dropping the future interrupts the guest, at its
    /// next 10 ms tick at the latest, and throws the instance away.
    pub async fn invoke(&self, invocation: Invocation) -> Answer {
        self.invoke_observed(invocation, |_| {}).await
    }

    /// Why the host had no token the last time that a handler's request needed one. While it has
    /// none, messages are best not handed to the component.
    pub fn without_token(&self) -> Option<String> {
        self.shared.policy.signers.missing()
    }

    /// Asks again for that token.
    pub async fn ask_for_token(&self) {
        self.shared.policy.signers.ask_again().await;
    }

    /// As [`invoke`](Component::invoke), and says when each [`InvocationStep`] is over, for
    /// measurements of where the time goes.
    pub async fn invoke_observed(
        &self,
        invocation: Invocation,
        mut over: impl FnMut(InvocationStep) + Send,
    ) -> Answer {
        let (started, mut cpu, mut peak_memory) = (Instant::now(), Duration::ZERO, 0);
        let deadline = invocation.deadline;
        let mut instance = self.instance(invocation.id.clone());
        over(InvocationStep::Store);
        let verdict = loop {
            // The guest gives way at each tick, also in an endless loop. This timer gets its turn
            // then.
            let in_time = {
                // In its place from the start: it is large, and would be copied with each wrapper.
                let call = pin!(instance.call(&self.linked, &invocation, &mut over));
                let left = deadline.saturating_sub(started.elapsed());
                tokio::time::timeout(left, metered(call, &mut cpu)).await
            };
            let verdict = in_time.unwrap_or_else(|_| {
                let deadline = humantime::format_duration(deadline);
                Verdict::retry(RetryReason::Deadline, format!("no answer within {deadline}"))
            });
            peak_memory = instance.store.data().meter.peak().max(peak_memory);
            if instance.messages == 1 || !is_for_want_of_room(&verdict) {
                break verdict;
            }
            // What earlier messages left behind is no fault of this one: it gets an instance of its
            // own.
            let Shared { engine, policy, .. } = &*self.shared;
            instance = Instance::new(engine, policy, invocation.id.clone());
        };
        over(InvocationStep::Call);
        let state = instance.store.data_mut();
        // Whatever the guest made of it, the host is at fault.
        let verdict = match state.http.without_token() {
            Some(cause) if verdict != Verdict::Completed => {
                Verdict::retry(RetryReason::IdentityUnavailable, cause)
            }
            _ => verdict,
        };
        let usage = Usage { time: started.elapsed(), cpu, peak_memory };
        let log = state.log.take_tail();
        let (mut outbox, mut session) = (Vec::new(), SessionChange::Unchanged);
        let completed = verdict == Verdict::Completed;
        if completed {
            (outbox, session) = (state.outbox.take(), state.session.take());
        }
        if completed && self.may_be_used_again(&instance) {
            self.idle.keep(instance);
        } else {
            drop(instance);
        }
        over(InvocationStep::Drop);
        Answer { verdict, outbox, session, usage, log }
    }

    /// Whether another message may be handed to the instance.
    fn may_be_used_again(&self, instance: &Instance) -> bool {
        let Policy { limits, reuse, .. } = &*self.shared.policy;
        instance.messages < *reuse && !instance.store.data().meter.is_nearly_full(limits)
    }

    fn instance(&self, message_id: String) -> Instance {
        let Shared { engine, policy, .. } = &*self.shared;
        if policy.reuse > 1
            && let Some(mut instance) = self.idle.take()
        {
            instance.store.data_mut().begin(message_id);
            return instance;
        }
        Instance::new(engine, policy, message_id)
    }
}

/// Whether an attempt ran into a limit of the instance, which earlier messages use up as well.
fn is_for_want_of_room(verdict: &Verdict) -> bool {
    let limits = [RetryReason::MemoryLimit, RetryReason::TableLimit, RetryReason::HandleLimit];
    matches!(verdict, Verdict::Retry { reason, .. } if limits.contains(reason))
}
