//! Messages for other queues: sent if and only if the handler succeeds, before its own message is deleted.
//!
//! The operator names the queues (`--outbox NAME=QUEUE-URL`). A name that was not granted, and more than may be sent
//! for one message, end the attempt: there is no error to handle. Natively (in tests) messages are written to standard
//! error.

use serde::Serialize;

use crate::Failure;

/// Puts a message into the outbox.
pub fn send(output: &str, body: &[u8]) {
    send_with(output, body, &[]);
}

/// Puts a value into the outbox as JSON.
///
/// # Errors
/// When the value cannot be written as JSON: a retry, with the field in question, since no message can be at fault.
pub fn send_json(output: &str, body: &impl Serialize) -> Result<(), Failure> {
    let body = serde_json::to_vec(body)
        .map_err(|error| Failure::retry(format!("a message for {output} cannot be written: {error}")))?;
    send(output, &body);
    Ok(())
}

/// Puts a message with properties into the outbox; queues that have none drop them.
pub fn send_with(output: &str, body: &[u8], properties: &[(&str, &str)]) {
    #[cfg(target_family = "wasm")]
    {
        let properties: Vec<_> =
            properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        crate::bindings::longshore::handler::outbox::send(output, body, &properties);
    }
    #[cfg(not(target_family = "wasm"))]
    eprintln!("to {output}: {} {properties:?}", String::from_utf8_lossy(body));
}
