//! `wasi:sockets`: linked, and refused with a warning that says what to use instead.

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource, WasmStr};
use wasmtime_wasi::p2::bindings::sockets::ip_name_lookup::ResolveAddressStream;
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddressFamily, Network};
use wasmtime_wasi::p2::bindings::sockets::tcp::TcpSocket;
use wasmtime_wasi::p2::bindings::sockets::udp::UdpSocket;

use crate::names::LINKED_WASI;
use crate::state::GuestState;

/// What a guest is told.
type Refusal<T> = Result<(Result<Resource<T>, ErrorCode>,), wasmtime::Error>;

/// Puts a refusal in the place of each function that every use of a socket or a name begins with.
pub(super) fn refuse(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    linker.instance(&format!("wasi:sockets/tcp-create-socket@{LINKED_WASI}"))?.func_wrap(
        "create-tcp-socket",
        |store: StoreContextMut<'_, GuestState>, _: (IpAddressFamily,)| -> Refusal<TcpSocket> {
            store.data().log.socket_refused("a TCP socket");
            Ok((Err(ErrorCode::AccessDenied),))
        },
    )?;
    linker.instance(&format!("wasi:sockets/udp-create-socket@{LINKED_WASI}"))?.func_wrap(
        "create-udp-socket",
        |store: StoreContextMut<'_, GuestState>, _: (IpAddressFamily,)| -> Refusal<UdpSocket> {
            store.data().log.socket_refused("a UDP socket");
            Ok((Err(ErrorCode::AccessDenied),))
        },
    )?;
    linker.instance(&format!("wasi:sockets/ip-name-lookup@{LINKED_WASI}"))?.func_wrap(
        "resolve-addresses",
        |store: StoreContextMut<'_, GuestState>,
         _: (Resource<Network>, WasmStr)|
         -> Refusal<ResolveAddressStream> {
            store.data().log.socket_refused("looking up a name");
            Ok((Err(ErrorCode::PermanentResolverFailure),))
        },
    )?;
    linker.allow_shadowing(false);
    Ok(())
}
