//! What the host links for guests: WASI 0.2, always there and always empty, the log, the state of
//! sessions, and what can be granted. Sockets are linked and refused: runtimes of other languages
//! import them unused.

mod http;
mod logging;
mod outbox;
mod session;
mod settings;
mod sockets;

use wasmtime::Engine;
use wasmtime::component::Linker;
use wasmtime_wasi::p2;

use crate::state::GuestState;

/// A linker that knows all that the host offers.
pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker<GuestState>> {
    let mut linker = Linker::new(engine);
    p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    http::cap(&mut linker)?;
    sockets::refuse(&mut linker)?;
    logging::add_to_linker(&mut linker)?;
    outbox::add_to_linker(&mut linker)?;
    session::add_to_linker(&mut linker)?;
    settings::add_to_linker(&mut linker)?;
    Ok(linker)
}
