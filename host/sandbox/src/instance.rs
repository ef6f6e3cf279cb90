//! One instance of a component: made for a message, and used again only where reuse is allowed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use longshore_handler::{Invocation, RetryReason, Verdict};
use wasmtime::{Engine, Store};

use crate::contract::{Instantiated, Linked};
use crate::failure::{self, Phase};
use crate::policy::Policy;
use crate::session::GuestSession;
use crate::state::GuestState;
use crate::wit::longshore::exports::longshore::handler::handler::Failure;

/// The parts of one invocation, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvocationStep {
    /// What the host keeps for the guest: its store, and WASI in it.
    Store,
    /// The guest's memory, tables and start.
    Instantiate,
    /// `handle`, the message's way in and the answer's way out.
    Call,
    /// The memory back to what it was, and everything else freed.
    Drop,
}

/// A store, and the guest in it once there is one.
pub(crate) struct Instance {
    pub(crate) store: Store<GuestState>,
    guest: Option<Instantiated>,
    /// How many messages it was given.
    pub(crate) messages: u32,
}

/// Instances that handled a message well and may handle another. Empty where reuse is not allowed.
#[derive(Clone, Default)]
pub(crate) struct Idle(Arc<Mutex<Vec<Instance>>>);

impl Idle {
    /// Takes an instance out, if there is one.
    pub(crate) fn take(&self) -> Option<Instance> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// Keeps an instance for another message.
    pub(crate) fn keep(&self, instance: Instance) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(instance);
    }
}

impl Instance {
    /// A store with its limits. The guest comes with the first call.
    pub(crate) fn new(engine: &Engine, policy: &Arc<Policy>, message_id: String) -> Self {
        let mut store = Store::new(engine, GuestState::new(policy, message_id));
        store.limiter(|state| &mut state.meter);
        store.set_hostcall_fuel(policy.limits.per_call);
        store.set_max_component_handles(policy.limits.handles);
        store.epoch_deadline_async_yield_and_update(1);
        Self { store, guest: None, messages: 0 }
    }

    /// Hands a message to the guest, which is made of `linked` if there is none yet.
    pub(crate) async fn call(
        &mut self,
        linked: &Linked,
        invocation: &Invocation,
        over: &mut (impl FnMut(InvocationStep) + Send),
    ) -> Verdict {
        let Self { store, guest, messages } = self;
        *messages += 1;
        store.set_epoch_deadline(1);
        store.data_mut().session = GuestSession::of(invocation);
        store.data_mut().http.continues(invocation.trace.clone());
        let guest = match guest {
            Some(guest) => guest,
            None => match linked.instantiate(store).await {
                Ok(made) => guest.insert(made),
                Err(error) => return failure::verdict(&error, Phase::Start, store.data()),
            },
        };
        over(InvocationStep::Instantiate);
        match guest.handle(store, invocation).await {
            Ok(Ok(())) => Verdict::Completed,
            Ok(Err(Failure::Retry(retry))) => {
                let (said, after) =
                    (failure::detail(retry.reason), retry.after_ms.map(Duration::from_millis));
                // No HTTP error traps: a guest that met a limit says so in its own words.
                match store.data().http.exceeded() {
                    Some(limit) => {
                        let detail = format!("{limit}; the handler said: {said}");
                        Verdict::Retry { reason: RetryReason::HttpLimit, detail, after }
                    }
                    None => Verdict::Retry { reason: RetryReason::Requested, detail: said, after },
                }
            }
            Ok(Err(Failure::Reject(reason))) => Verdict::Reject { detail: failure::detail(reason) },
            Err(error) => failure::verdict(&error, Phase::Call, store.data()),
        }
    }
}
