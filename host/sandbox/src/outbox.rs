//! `longshore:handler/outbox`: messages for other queues, kept until it is known whether the handler succeeded.

use bytes::Bytes;
use wasmtime::component::{Linker, WasmList, WasmStr};
use wasmtime::{AsContext, StoreContext, StoreContextMut};

use super::failure::{self, Stop};
use super::invoke::State;
use longshore_handler::{OutboxMessage, RetryReason};

/// The interface's full name, as components import it.
pub(super) const INTERFACE: &str = "longshore:handler/outbox@0.1.0";

/// What one handler has sent so far.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    messages: Vec<OutboxMessage>,
    bytes: usize,
}

impl Outbox {
    /// Empties it.
    pub(super) fn take(&mut self) -> Vec<OutboxMessage> {
        std::mem::take(self).messages
    }
}

type Parameters = (WasmStr, WasmList<u8>, Vec<(WasmStr, WasmStr)>);

/// Linked by hand, so that nothing is copied out of the guest before it is known to fit.
pub(super) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.instance(INTERFACE)?.func_wrap(
        "send",
        |mut store: StoreContextMut<'_, State>, parameters: Parameters| {
            let (message, bytes) = lift(store.as_context(), &parameters)?;
            let outbox = &mut store.data_mut().outbox;
            outbox.messages.push(message);
            outbox.bytes += bytes;
            Ok(())
        },
    )
}

/// Copies a message out of the guest, and says how many bytes it counts for.
fn lift(
    store: StoreContext<'_, State>,
    (output, body, properties): &Parameters,
) -> wasmtime::Result<(OutboxMessage, usize)> {
    let (Outbox { messages, bytes }, shared) = (&store.data().outbox, &store.data().shared);
    let output = output.to_str(&store)?;
    if !shared.grants.outputs.iter().any(|granted| *granted == output) {
        let known = shared.grants.outputs.join(", ");
        let detail = failure::detail(format!("{output:?} is none of the outputs that are granted: {known}"));
        return Err(Stop { reason: RetryReason::UnknownOutput, detail }.into());
    }
    let full = |detail| Stop { reason: RetryReason::OutboxLimit, detail };
    let limit = shared.limits.outbox_messages;
    if messages.len() >= limit {
        return Err(full(format!("more than {limit} messages for other queues")).into());
    }
    let mut size = body.len();
    let mut pairs = Vec::with_capacity(properties.len());
    for (name, value) in properties {
        let (name, value) = (name.to_str(&store)?, value.to_str(&store)?);
        size += name.len() + value.len();
        pairs.push((name, value));
    }
    let limit = shared.limits.outbox_bytes;
    if size > limit.saturating_sub(*bytes) {
        return Err(full(format!("more than {limit} bytes for other queues")).into());
    }
    let message = OutboxMessage {
        output: output.into_owned(),
        body: Bytes::copy_from_slice(body.as_le_slice(&store)),
        properties: pairs.into_iter().map(|(n, v)| (n.into_owned(), v.into_owned())).collect(),
    };
    Ok((message, size))
}
