//! `wasi:config/store`: the settings that the operator granted.

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, WasmStr};

use super::bindings::wasi::config::store::Error;
use super::invoke::State;

/// The interface's full name, as components import it.
pub(super) const INTERFACE: &str = "wasi:config/store@0.2.0-rc.1";

pub(super) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut interface = linker.instance(INTERFACE)?;
    interface.func_wrap("get", |store: StoreContextMut<'_, State>, (key,): (WasmStr,)| {
        let key = key.to_str(&store)?;
        let granted = store.data().shared.grants.config.iter().find(|(name, _)| *name == key);
        Ok((Ok::<_, Error>(granted.map(|(_, value)| value.clone())),))
    })?;
    interface.func_wrap("get-all", |store: StoreContextMut<'_, State>, (): ()| {
        Ok((Ok::<_, Error>(store.data().shared.grants.config.to_vec()),))
    })
}
