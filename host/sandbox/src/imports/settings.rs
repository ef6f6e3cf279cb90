//! `wasi:config/store`: the settings that the operator granted.

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, WasmStr};

use crate::names;
use crate::state::GuestState;
use crate::wit::longshore::wasi::config::store::Error;

pub(super) fn add_to_linker(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    let mut interface = linker.instance(names::SETTINGS)?;
    interface.func_wrap("get", |store: StoreContextMut<'_, GuestState>, (key,): (WasmStr,)| {
        let key = key.to_str(&store)?;
        let granted = store.data().policy.grants.config.iter().find(|(name, _)| *name == key);
        Ok((Ok::<_, Error>(granted.map(|(_, value)| value.clone())),))
    })?;
    interface.func_wrap("get-all", |store: StoreContextMut<'_, GuestState>, (): ()| {
        Ok((Ok::<_, Error>(store.data().policy.grants.config.to_vec()),))
    })
}
