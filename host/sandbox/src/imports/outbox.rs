//! `longshore:handler/outbox`: how a guest sends messages to other queues.

use std::sync::Arc;

use bytes::Bytes;
use longshore_handler::{OutboxMessage, RetryReason, ungranted_outbox};
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, WasmList, WasmStr};

use crate::host_trap::HostTrap;
use crate::names;
use crate::outbox::OVERHEAD;
use crate::state::GuestState;

/// Output, body and properties.
type Parameters = (WasmStr, WasmList<u8>, WasmList<(WasmStr, WasmStr)>);

/// Linked by hand, so that nothing is copied out of the guest before it is known to fit.
pub(super) fn add_to_linker(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    linker.instance(names::OUTBOX)?.func_wrap(
        "send",
        |mut store: StoreContextMut<'_, GuestState>, parameters: Parameters| {
            let (message, size) = lift(&mut store, parameters)?;
            store.data_mut().outbox.push(message, size);
            Ok(())
        },
    )
}

/// Copies a message out of the guest, and says how many bytes it counts for.
fn lift(
    store: &mut StoreContextMut<'_, GuestState>,
    (output, body, properties): Parameters,
) -> wasmtime::Result<(OutboxMessage, usize)> {
    let policy = Arc::clone(&store.data().policy);
    let output = output.to_str(&*store)?.into_owned();
    if !policy.grants.outbox.contains(&output) {
        let detail = ungranted_outbox(&output, policy.grants.outbox.iter());
        return Err(HostTrap { reason: RetryReason::UnknownOutput, detail }.into());
    }
    store.data().outbox.admits_one_more(&policy.limits)?;
    // Before anything is read: an empty property takes eight bytes of the guest's memory.
    let mut size = OVERHEAD.saturating_mul(1 + properties.len()).saturating_add(body.len());
    store.data().outbox.admits_bytes(size, &policy.limits)?;
    let pairs = properties.iter(&mut *store)?.collect::<wasmtime::Result<Vec<_>>>()?;
    let mut properties = Vec::with_capacity(pairs.len());
    for (name, value) in pairs {
        let (name, value) = (name.to_str(&*store)?, value.to_str(&*store)?);
        size = size.saturating_add(name.len() + value.len());
        store.data().outbox.admits_bytes(size, &policy.limits)?;
        properties.push((name.into_owned(), value.into_owned()));
    }
    let body = Bytes::copy_from_slice(body.as_le_slice(&*store));
    Ok((OutboxMessage { output, body, properties }, size))
}
