//! What a handler exports, and how it is called: longshore's own contract, or wasmCloud's.

use wasmtime::component::InstancePre;
use wasmtime::{Result, Store};

use super::bindings::exports::longshore::handler::handler::{Failure, Message, Retry};
use super::bindings::{Guest, GuestPre};
use super::describe::HANDLER;
use super::invoke::State;
use super::wasmcloud::exports::wasmcloud::messaging::handler::BrokerMessage;
use super::wasmcloud::{MessageHandler, MessageHandlerPre};
use longshore_handler::Invocation;

/// The export of those that were written for wasmCloud
/// ([wasmcloud:messaging](https://github.com/wasmCloud/messaging)).
pub(super) const WASMCLOUD: &str = "wasmcloud:messaging/handler@0.2.0";

/// Whether components with these exports can be handlers.
pub(super) fn is_handler(exports: &[String]) -> bool {
    exports.iter().any(|name| name == HANDLER || name == WASMCLOUD)
}

/// A linked component, by what it exports.
#[derive(Clone)]
pub(super) enum Linked {
    Longshore(GuestPre<State>),
    WasmCloud(MessageHandlerPre<State>),
}

impl Linked {
    /// One that exports both is called as longshore's own.
    pub(super) fn new(linked: InstancePre<State>, exports: &[String]) -> Result<Self> {
        match exports.iter().any(|name| name == HANDLER) {
            true => GuestPre::new(linked).map(Self::Longshore),
            false => MessageHandlerPre::new(linked).map(Self::WasmCloud),
        }
    }

    pub(super) async fn instantiate(&self, store: &mut Store<State>) -> Result<Instantiated> {
        match self {
            Self::Longshore(guest) => guest.instantiate_async(store).await.map(Instantiated::Longshore),
            Self::WasmCloud(guest) => guest.instantiate_async(store).await.map(Instantiated::WasmCloud),
        }
    }
}

/// An instance, by what it exports.
pub(super) enum Instantiated {
    Longshore(Guest),
    WasmCloud(MessageHandler),
}

impl Instantiated {
    /// Calls the handler. The outer error is the engine's, the inner one the guest's.
    pub(super) async fn handle(
        &self,
        store: &mut Store<State>,
        invocation: &Invocation,
    ) -> Result<std::result::Result<(), Failure>> {
        let Invocation { id, queue, body, dequeue_count, inserted, deadline, properties } = invocation;
        let guest = match self {
            Self::Longshore(guest) => guest,
            Self::WasmCloud(guest) => {
                // The rest of the message has no place in that contract.
                let message = BrokerMessage { subject: queue, body, reply_to: None };
                let handled = guest.wasmcloud_messaging_handler().call_handle_message(store, message).await?;
                let retry = |reason| Failure::Retry(Retry { reason, after_ms: None });
                return Ok(handled.map_err(retry));
            }
        };
        let properties: Vec<_> =
            properties.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let message = Message {
            id,
            queue,
            body,
            dequeue_count: *dequeue_count,
            inserted: u64::try_from(inserted.as_millisecond()).unwrap_or_default(),
            deadline: u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX),
            properties: &properties,
        };
        guest.longshore_handler_handler().call_handle(store, message).await
    }
}
