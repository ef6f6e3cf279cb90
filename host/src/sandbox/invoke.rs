//! One invocation: a fresh store, a fresh instance, one call, and an end to it.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::Store;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use super::bindings::exports::longshore::handler::handler::{Failure, Message};
use super::failure::{self, Phase};
use super::limits::{self, Limits};
use super::output::{Output, Printer, Stream};
use super::{Component, Invocation, RetryReason, Verdict};

/// What the host keeps for one running guest.
pub(super) struct State {
    wasi: WasiCtx,
    resources: ResourceTable,
    pub(super) limits: Limits,
    pub(super) output: Arc<Output>,
}

impl State {
    /// Nothing but WASI's clocks and random numbers: no arguments, environment, files, sockets or name lookup.
    fn new(output: Arc<Output>, memory: usize) -> Self {
        let mut wasi = WasiCtx::builder();
        wasi.allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false)
            .stdout(Printer::new(&output, Stream::Stdout))
            .stderr(Printer::new(&output, Stream::Stderr));
        let mut resources = ResourceTable::new();
        resources.set_max_capacity(limits::RESOURCES);
        Self { wasi: wasi.build(), resources, limits: Limits::new(memory), output }
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.resources }
    }
}

impl Component {
    /// Hands a message to a fresh instance and says what became of it. Never fails: whatever goes wrong is a verdict.
    ///
    /// Must run on a tokio runtime with its timer. Dropping the future interrupts the guest, at its next 10 ms tick at
    /// the latest, and throws the instance away.
    pub async fn invoke(&self, invocation: Invocation) -> Verdict {
        let deadline = invocation.deadline;
        // The guest gives way at each tick, also in an endless loop: that is when this timer gets its turn.
        tokio::time::timeout(deadline, self.call(invocation)).await.unwrap_or_else(|_| {
            let deadline = humantime::format_duration(deadline);
            Verdict::retry(RetryReason::Deadline, format!("no answer within {deadline}"))
        })
    }

    async fn call(&self, invocation: Invocation) -> Verdict {
        let Invocation { id, queue, body, dequeue_count, inserted, deadline, properties } = invocation;
        let output = Arc::new(Output::new(id, self.shared.log));
        let mut store = Store::new(&self.shared.engine, State::new(Arc::clone(&output), self.shared.memory));
        store.limiter(|state| &mut state.limits);
        store.set_hostcall_fuel(limits::PER_CALL);
        store.set_epoch_deadline(1);
        store.epoch_deadline_async_yield_and_update(1);

        let guest = match self.guest.instantiate_async(&mut store).await {
            Ok(guest) => guest,
            Err(error) => return failure::verdict(&error, Phase::Start, store.data(), self.shared.memory),
        };
        let properties: Vec<_> =
            properties.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let message = Message {
            id: output.message_id(),
            queue: &queue,
            body: &body,
            dequeue_count,
            inserted: u64::try_from(inserted.as_millisecond()).unwrap_or_default(),
            deadline: u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX),
            properties: &properties,
        };
        match guest.longshore_handler_handler().call_handle(&mut store, message).await {
            Ok(Ok(())) => Verdict::Completed,
            Ok(Err(Failure::Retry(retry))) => Verdict::Retry {
                reason: RetryReason::Requested,
                detail: failure::detail(retry.reason),
                after: retry.after_ms.map(Duration::from_millis),
            },
            Ok(Err(Failure::Reject(reason))) => Verdict::Reject { detail: failure::detail(reason) },
            Err(error) => failure::verdict(&error, Phase::Call, store.data(), self.shared.memory),
        }
    }
}

impl Verdict {
    /// A failed attempt for which the handler named no delay.
    pub(crate) fn retry(reason: RetryReason, detail: impl Into<String>) -> Self {
        Self::Retry { reason, detail: detail.into(), after: None }
    }
}
