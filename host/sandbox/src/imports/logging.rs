//! `wasi:logging`: a guest's own log lines.

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, WasmStr};

use crate::names;
use crate::state::GuestState;
use crate::wit::longshore::wasi::logging::logging::Level;

/// Linked by hand rather than through the bindings. Those would copy both texts out of the guest
/// before it is known whether any of it may still be logged.
pub(super) fn add_to_linker(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    linker.instance(names::LOGGING)?.func_wrap(
        "log",
        |store: StoreContextMut<'_, GuestState>, (level, context, line): (Level, WasmStr, WasmStr)| {
            let (context, line) = (context.to_str(&store)?, line.to_str(&store)?);
            store.data().log.log(level, &context, &line);
            Ok(())
        },
    )
}
