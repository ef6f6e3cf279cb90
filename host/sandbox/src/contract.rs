//! What a handler exports, and how it is called: longshore's own contract, or wasmCloud's.

use longshore_handler::Invocation;
use wasmtime::Store;
use wasmtime::component::InstancePre;

use crate::names::HANDLER;
use crate::state::GuestState;
use crate::wit::longshore::exports::longshore::handler::handler::{Failure, Message, Retry};
use crate::wit::longshore::{Guest, GuestPre};
use crate::wit::wasmcloud::exports::wasmcloud::messaging::handler::BrokerMessage;
use crate::wit::wasmcloud::{MessageHandler, MessageHandlerPre};

/// A linked component, by what it exports.
#[derive(Clone)]
pub(crate) enum Linked {
    Longshore(GuestPre<GuestState>),
    WasmCloud(MessageHandlerPre<GuestState>),
}

impl Linked {
    /// A component that exports both is called as longshore's own.
    pub(crate) fn new(linked: InstancePre<GuestState>, exports: &[String]) -> wasmtime::Result<Self> {
        if exports.iter().any(|name| name == HANDLER) {
            GuestPre::new(linked).map(Self::Longshore)
        } else {
            MessageHandlerPre::new(linked).map(Self::WasmCloud)
        }
    }

    pub(crate) async fn instantiate(&self, store: &mut Store<GuestState>) -> wasmtime::Result<Instantiated> {
        match self {
            Self::Longshore(guest) => guest.instantiate_async(store).await.map(Instantiated::Longshore),
            Self::WasmCloud(guest) => guest.instantiate_async(store).await.map(Instantiated::WasmCloud),
        }
    }
}

/// An instance, by what it exports.
pub(crate) enum Instantiated {
    Longshore(Guest),
    WasmCloud(MessageHandler),
}

impl Instantiated {
    /// Calls the handler. The outer error is the engine's, the inner one the guest's.
    pub(crate) async fn handle(
        &self,
        store: &mut Store<GuestState>,
        invocation: &Invocation,
    ) -> wasmtime::Result<Result<(), Failure>> {
        let Invocation {
            id,
            queue,
            body,
            dequeue_count,
            inserted,
            deadline,
            properties,
            trace: _,
            session: _,
        } = invocation;
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
