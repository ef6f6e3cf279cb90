//! `longshore:handler/outbox`: how a guest sends messages to other queues.

use bytes::Bytes;
use longshore_handler::{OutboxMessage, RetryReason};
use wasmtime::component::{Linker, WasmList, WasmStr};
use wasmtime::{AsContext, StoreContext, StoreContextMut};

use crate::failure;
use crate::host_trap::HostTrap;
use crate::names;
use crate::state::GuestState;

/// Output, body and properties.
type Parameters = (WasmStr, WasmList<u8>, Vec<(WasmStr, WasmStr)>);

/// Linked by hand, so that nothing is copied out of the guest before it is known to fit.
pub(super) fn add_to_linker(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    linker.instance(names::OUTBOX)?.func_wrap(
        "send",
        |mut store: StoreContextMut<'_, GuestState>, parameters: Parameters| {
            let (message, size) = lift(store.as_context(), &parameters)?;
            store.data_mut().outbox.push(message, size);
            Ok(())
        },
    )
}

/// Copies a message out of the guest, and says how many bytes it counts for.
fn lift(
    store: StoreContext<'_, GuestState>,
    (output, body, properties): &Parameters,
) -> wasmtime::Result<(OutboxMessage, usize)> {
    let GuestState { outbox, policy, .. } = store.data();
    let output = output.to_str(&store)?;
    if !policy.grants.outputs.iter().any(|granted| *granted == output) {
        let known = policy.grants.outputs.join(", ");
        let detail = failure::detail(format!("{output:?} is none of the outputs that are granted: {known}"));
        return Err(HostTrap { reason: RetryReason::UnknownOutput, detail }.into());
    }
    outbox.admits_one_more(&policy.limits)?;
    let mut size = body.len();
    let mut pairs = Vec::with_capacity(properties.len());
    for (name, value) in properties {
        let (name, value) = (name.to_str(&store)?, value.to_str(&store)?);
        size += name.len() + value.len();
        pairs.push((name, value));
    }
    outbox.admits_bytes(size, &policy.limits)?;
    let message = OutboxMessage {
        output: output.into_owned(),
        body: Bytes::copy_from_slice(body.as_le_slice(&store)),
        properties: pairs.into_iter().map(|(n, v)| (n.into_owned(), v.into_owned())).collect(),
    };
    Ok((message, size))
}
