//! `wasi:logging`: a guest's own log lines.

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, WasmStr};

use super::bindings::wasi::logging::logging::Level;
use super::invoke::State;

/// The interface's full name, as components import it.
pub(super) const INTERFACE: &str = "wasi:logging/logging@0.1.0-draft";

/// Linked by hand rather than through the bindings: those would copy both texts out of the guest before it is known
/// whether any of it may still be logged.
pub(super) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.instance(INTERFACE)?.func_wrap(
        "log",
        |store: StoreContextMut<'_, State>, (level, context, line): (Level, WasmStr, WasmStr)| {
            let (context, line) = (context.to_str(&store)?, line.to_str(&store)?);
            store.data().output.log(level, &context, &line);
            Ok(())
        },
    )
}
