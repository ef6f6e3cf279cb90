//! `longshore:handler/session`: the state of the message's session.

use bytes::Bytes;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, WasmList};

use crate::names;
use crate::session::admits;
use crate::state::GuestState;
use crate::wit::longshore::longshore::handler::session::Error;

/// Linked by hand, so that nothing is copied out of the guest before it is known to fit.
pub(super) fn add_to_linker(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    let mut interface = linker.instance(names::SESSION)?;
    interface.func_wrap("get-state", |store: StoreContextMut<'_, GuestState>, (): ()| {
        let state = store.data().session.state().map_err(Error::NoSession);
        Ok((state.map(|bytes| bytes.map(|bytes| bytes.to_vec())),))
    })?;
    interface.func_wrap(
        "set-state",
        |mut store: StoreContextMut<'_, GuestState>, (state,): (Option<WasmList<u8>>,)| {
            if let Some(bytes) = &state {
                admits(bytes.len())?;
            }
            let state = state.map(|bytes| Bytes::copy_from_slice(bytes.as_le_slice(&store)));
            Ok((store.data_mut().session.set(state).map_err(Error::NoSession),))
        },
    )
}
