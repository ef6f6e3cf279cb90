//! The Rust side of the contracts in `wit/`, generated. The body and all texts are borrowed: they
//! go from the host's memory into the guest's in one copy.

#![allow(missing_docs, unreachable_pub, clippy::all)]

/// Longshore's own contract, `wit/handler.wit`.
pub(crate) mod longshore {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "longshore:handler/guest",
        exports: { default: async },
        ownership: Borrowing { duplicate_if_necessary: true },
    });
}

/// What wasmCloud asks of message handlers.
pub(crate) mod wasmcloud {
    wasmtime::component::bindgen!({
        path: "../../wit/wasmcloud",
        world: "wasmcloud:messaging/message-handler",
        exports: { default: async },
        ownership: Borrowing { duplicate_if_necessary: true },
    });
}
