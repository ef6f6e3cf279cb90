//! Messages for other queues: sent if and only if the handler succeeds, before its own message is
//! deleted.
//!
//! The operator names the queues (`--outbox NAME=QUEUE-URL`). A name that was not granted, and more
//! than may be sent for one message, end the attempt: there is no error to handle. Natively a test
//! sees them in [`testing::Outcome::sent`](crate::testing::Outcome::sent).

use serde::Serialize;

use crate::Failure;

/// Puts a message into the outbox.
pub fn send(outbox: &str, body: &[u8]) {
    send_with(outbox, body, &[]);
}

/// Puts a value into the outbox as JSON.
///
/// # Errors
/// When the value cannot be written as JSON: a retry, with the field in question, since no message
/// can be at fault.
pub fn send_json(outbox: &str, body: &impl Serialize) -> Result<(), Failure> {
    send_json_with(outbox, body, &[])
}

/// Puts a value with properties into the outbox as JSON; queues that have none drop them.
///
/// # Errors
/// Those of [`send_json`].
pub fn send_json_with(
    outbox: &str,
    body: &impl Serialize,
    properties: &[(&str, &str)],
) -> Result<(), Failure> {
    let body = serde_json::to_vec(body)
        .map_err(|error| Failure::retry(format!("a message for {outbox} cannot be written: {error}")))?;
    send_with(outbox, &body, properties);
    Ok(())
}

/// Puts a message with properties into the outbox; queues that have none drop them.
pub fn send_with(outbox: &str, body: &[u8], properties: &[(&str, &str)]) {
    let properties: Vec<_> =
        properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    #[cfg(target_family = "wasm")]
    crate::bindings::longshore::handler::outbox::send(outbox, body, &properties);
    #[cfg(not(target_family = "wasm"))]
    crate::testing::keep(outbox, body, properties);
}
