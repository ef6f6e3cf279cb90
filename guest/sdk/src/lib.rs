//! Write message handlers for `longshore` in Rust.
//!
//! ```
//! use longshore_guest::{Failure, Message, info};
//! use serde::Deserialize;
//!
//! #[derive(Deserialize)]
//! struct OrderEvent {
//!     order_id: String,
//! }
//!
//! fn handle(order: OrderEvent, message: &Message) -> Result<(), Failure> {
//!     if message.dequeue_count > 3 {
//!         return Err(Failure::reject("the warehouse never answered"));
//!     }
//!     info!("order {} is packed", order.order_id);
//!     Ok(())
//! }
//!
//! longshore_guest::export!(handle);
//! # fn main() {}
//! ```
//!
//! The crate is a `cdylib`, and `cargo build --release --target wasm32-wasip2` makes the component.
//! A body that is not JSON, or does not fit the type, is rejected before `handle` is called, with a
//! reason that names the field and the cause and holds nothing of the body: `items[2].qty: expected
//! u32, got string`. A handler that wants the bytes takes them: `longshore_guest::export!(bytes:
//! handle)` with `fn handle(body: &[u8], message: &Message)`.
//!
//! Handlers are called at least once per message, each time in a fresh instance: what they do has
//! to be idempotent, and nothing stays in memory. What an outcome means is said in
//! `wit/handler.wit`, the contract itself.
//!
//! Errors become retries by `?`, with the whole chain of causes: see [`Failure`].
//!
//! What the operator grants is at hand in [`config`] and [`outbox`]; environment variables are
//! where they always are. On a queue that has sessions, [`session`] has the state of the message's
//! own. A component imports none of what it does not use. With the feature `http`,
//! `longshore_guest::http` sends requests. With the feature `azure`, Microsoft's SDKs work in a
//! handler, and the host signs their requests.
//!
//! A handler is an ordinary function: test it natively with `cargo test`, and with [`testing`].
//!
//! Add to `Cargo.toml`, so that the component is small and starts soon:
//!
//! ```toml
//! [lib]
//! crate-type = ["cdylib"]
//!
//! [profile.release]
//! lto = "fat"
//! codegen-units = 1
//! panic = "abort"
//! strip = "debuginfo"
//! ```

#[cfg(feature = "azure")]
pub mod azure;
pub mod config;
mod failure;
#[cfg(feature = "http")]
pub mod http;
mod json;
pub mod log;
mod message;
pub mod outbox;
pub mod session;
#[cfg(not(target_family = "wasm"))]
pub mod testing;

#[doc(hidden)]
#[allow(missing_docs, unreachable_pub, clippy::all)]
pub mod bindings {
    wit_bindgen::generate!({
        path: "wit",
        world: "longshore:handler/guest",
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_component",
        default_bindings_module: "longshore_guest::bindings",
    });
}

#[doc(hidden)]
pub use failure::for_the_host;
pub use failure::{Failure, OrFail, Retry};
#[doc(hidden)]
pub use json::handle_json;
pub use message::Message;

/// The example of the README is compiled as well.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;

/// Hands the host what `print!` still holds, as a program does when it ends: a line without a
/// newline.
#[doc(hidden)]
pub fn print_what_is_left() {
    use std::io::Write;
    // The host's stream never fails.
    let _ = std::io::stdout().flush();
}

/// Makes a function the component's handler. Once per crate.
///
/// `export!(handle)` takes `fn handle(body: T, message: &Message) -> Result<(), Failure>` for any
/// `T` that `serde::Deserialize` reads from JSON; a `T` with a lifetime may borrow from the
/// message's body. `export!(bytes: handle)` takes `fn handle(body: &[u8], message: &Message) -> Result<(),
/// Failure>`.
#[macro_export]
macro_rules! export {
    (bytes: $handle:path) => {
        $crate::export!(@component message => $handle(&message.body, &message));
    };
    ($handle:path) => {
        $crate::export!(@component message => $crate::handle_json(&message, $handle));
    };
    (@component $message:ident => $call:expr) => {
        const _: () = {
            struct Component;

            impl $crate::bindings::exports::longshore::handler::handler::Guest for Component {
                fn handle(
                    message: $crate::bindings::exports::longshore::handler::handler::Message,
                ) -> ::core::result::Result<
                    (),
                    $crate::bindings::exports::longshore::handler::handler::Failure,
                > {
                    let $message = $crate::Message::from_the_host(message);
                    let handled = $call;
                    $crate::print_what_is_left();
                    $crate::for_the_host(handled)
                }
            }

            $crate::bindings::export_component!(Component with_types_in $crate::bindings);
        };
    };
}
