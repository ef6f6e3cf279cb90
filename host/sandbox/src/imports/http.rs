//! Caps on what `wasi:http` keeps for a guest: fields, methods, authorities, paths, bodies.
//!
//! `wasmtime-wasi-http` limits each set of fields, and nothing else, so that a guest with a
//! thousand handles could keep a gigabyte. These functions stand before its own. What they let
//! through counts as the guest's memory, and is given back when the request is sent.

use longshore_handler::RetryReason;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource, WasmList, WasmStr};
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::p2::bindings::http::types::{
    Fields, HeaderError, Host, HostFields, HostOutgoingRequest, HostOutgoingResponse, Method, OutgoingBody,
    OutgoingRequest, OutgoingResponse,
};

use crate::failure;
use crate::host_trap::HostTrap;
use crate::http::cost;
use crate::names::LINKED_WASI;
use crate::state::GuestState;

/// The longest method, in bytes. The registry's longest has 17 (IANA, HTTP Method Registry).
const LONGEST_METHOD: usize = 64;

/// The longest authority, in bytes: a name of 253, a port, and some room.
const LONGEST_AUTHORITY: usize = 320;

/// The longest path and query, in bytes. RFC 9110, section 4.1, asks servers for 8000.
const LONGEST_PATH: usize = 8 << 10;

type Store<'a> = StoreContextMut<'a, GuestState>;

/// Puts the caps before the functions that keep something.
pub(super) fn cap(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let mut types = linker.instance(&format!("wasi:http/types@{LINKED_WASI}"))?;

    types.func_wrap(
        "[static]fields.from-list",
        |mut store: Store<'_>, (entries,): (WasmList<(WasmStr, WasmList<u8>)>,)| {
            let entries = entries.iter(&mut store)?.collect::<wasmtime::Result<Vec<_>>>()?;
            let mut charged = 0;
            let mut lifted = Vec::with_capacity(entries.len());
            for (name, value) in entries {
                let (name, value) = (name.to_str(&store)?, value.as_le_slice(&store));
                let cost = cost::field(name.len(), value.len());
                charge(&store, cost)?;
                charged += cost;
                lifted.push((name.into_owned(), value.to_vec()));
            }
            let made = store.data_mut().http().from_list(lifted);
            Ok((answer(&mut store, made, charged)?,))
        },
    )?;
    types.func_wrap(
        "[method]fields.set",
        |mut store: Store<'_>, (fields, name, values): (Resource<Fields>, String, Vec<Vec<u8>>)| {
            let cost = values.iter().map(|value| cost::field(name.len(), value.len())).sum();
            charge(&store, cost)?;
            let done = store.data_mut().http().set(fields, name, values);
            Ok((answer(&mut store, done, cost)?,))
        },
    )?;
    types.func_wrap(
        "[method]fields.append",
        |mut store: Store<'_>, (fields, name, value): (Resource<Fields>, String, Vec<u8>)| {
            let cost = cost::field(name.len(), value.len());
            charge(&store, cost)?;
            let done = store.data_mut().http().append(fields, name, value);
            Ok((answer(&mut store, done, cost)?,))
        },
    )?;
    types.func_wrap("[method]fields.clone", |mut store: Store<'_>, (fields,): (Resource<Fields>,)| {
        let size = cost::fields(store.data_mut().http().table.get(&fields)?);
        charge(&store, size)?;
        Ok((HostFields::clone(&mut store.data_mut().http(), fields)?,))
    })?;

    types.func_wrap(
        "[method]outgoing-request.set-method",
        |mut store: Store<'_>, (request, method): (Resource<OutgoingRequest>, Method)| {
            if let Method::Other(name) = &method {
                if name.len() > LONGEST_METHOD {
                    return Ok((Err(()),));
                }
                charge(&store, name.len())?;
            }
            Ok((store.data_mut().http().set_method(request, method)?,))
        },
    )?;
    types.func_wrap(
        "[method]outgoing-request.set-authority",
        |mut store: Store<'_>, (request, authority): (Resource<OutgoingRequest>, Option<WasmStr>)| {
            let Ok(authority) = lift(&store, authority, LONGEST_AUTHORITY)? else { return Ok((Err(()),)) };
            Ok((store.data_mut().http().set_authority(request, authority)?,))
        },
    )?;
    types.func_wrap(
        "[method]outgoing-request.set-path-with-query",
        |mut store: Store<'_>, (request, path): (Resource<OutgoingRequest>, Option<WasmStr>)| {
            let Ok(path) = lift(&store, path, LONGEST_PATH)? else { return Ok((Err(()),)) };
            Ok((store.data_mut().http().set_path_with_query(request, path)?,))
        },
    )?;

    types.func_wrap(
        "[method]outgoing-request.body",
        |mut store: Store<'_>, (request,): (Resource<OutgoingRequest>,)| {
            charge(&store, cost::BODY)?;
            let body: Result<Resource<OutgoingBody>, ()> =
                HostOutgoingRequest::body(&mut store.data_mut().http(), request)?;
            if body.is_err() {
                store.data().account.give_back(cost::BODY);
            }
            Ok((body,))
        },
    )?;
    types.func_wrap(
        "[method]outgoing-response.body",
        |mut store: Store<'_>, (response,): (Resource<OutgoingResponse>,)| {
            charge(&store, cost::BODY)?;
            Ok((HostOutgoingResponse::body(&mut store.data_mut().http(), response)?,))
        },
    )?;
    linker.allow_shadowing(false);
    Ok(())
}

/// Counts bytes as the guest's memory. A guest that may not have them ends here.
fn charge(store: &Store<'_>, bytes: usize) -> wasmtime::Result<()> {
    let GuestState { account, policy, .. } = store.data();
    if account.take(bytes) {
        return Ok(());
    }
    let detail = failure::too_much_memory(&policy.limits);
    Err(HostTrap { reason: RetryReason::MemoryLimit, detail }.into())
}

/// Copies a text out of the guest, and charges it. The inner error says that it is too long.
fn lift(
    store: &Store<'_>,
    text: Option<WasmStr>,
    longest: usize,
) -> wasmtime::Result<Result<Option<String>, ()>> {
    let Some(text) = text else { return Ok(Ok(None)) };
    let text = text.to_str(store)?;
    if text.len() > longest {
        return Ok(Err(()));
    }
    charge(store, text.len())?;
    Ok(Ok(Some(text.into_owned())))
}

/// What the guest is answered by a function on fields, for which it was charged. What was refused
/// is not kept.
fn answer<T>(
    store: &mut Store<'_>,
    done: Result<T, wasmtime_wasi_http::p2::HeaderError>,
    charged: usize,
) -> wasmtime::Result<Result<T, HeaderError>> {
    match done {
        Ok(done) => Ok(Ok(done)),
        Err(error) => {
            store.data().account.give_back(charged);
            store.data_mut().http().convert_header_error(error).map(Err)
        }
    }
}
