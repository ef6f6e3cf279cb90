//! A message handler for wasmCloud, built without anything of longshore: it shows what it was given, and fails if asked.

#[allow(missing_docs, unreachable_pub, clippy::all)]
mod bindings {
    wit_bindgen::generate!({ path: "../../wit/wasmcloud", world: "message-handler", generate_all });
}

use bindings::exports::wasmcloud::messaging::handler::{BrokerMessage, Guest};

struct Component;

impl Guest for Component {
    fn handle_message(message: BrokerMessage) -> Result<(), String> {
        let BrokerMessage { subject, body, reply_to } = message;
        let body = String::from_utf8_lossy(&body);
        println!("{subject}: {} bytes, reply to {reply_to:?}", body.len());
        match &*body {
            "fail" => Err(format!("{subject} is told to fail")),
            "trap" => panic!("told to trap"),
            _ => Ok(()),
        }
    }
}

bindings::export!(Component with_types_in bindings);
