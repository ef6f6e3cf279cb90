//! The state of a session: some bytes that stay from one of its messages to the next.
//!
//! Queues and subscriptions of Service Bus may require sessions. The messages of one come one after
//! the other and in order, and its id is `message.property("session-id")`.
//!
//! ```no_run
//! use longshore_guest::{Failure, Message, session};
//!
//! fn handle(_: &[u8], _: &Message) -> Result<(), Failure> {
//!     let seen: u64 = session::state_json()?.unwrap_or_default();
//!     session::set_state_json(&(seen + 1))
//! }
//! ```
//!
//! A state is set if and only if the handler succeeds: after its messages were sent, and before its
//! own message is deleted. More than 250 KiB end the attempt. Natively a test gives a state and looks
//! at it: [`testing::Attempt::session`](crate::testing::Attempt::session).

use std::error::Error;
use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Failure;

/// The message belongs to no session, since its queue has none. `?` makes a retry of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoSession {
    cause: String,
}

impl NoSession {
    pub(crate) fn new(cause: impl Into<String>) -> Self {
        Self { cause: cause.into() }
    }
}

impl fmt::Display for NoSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cause)
    }
}

impl Error for NoSession {}

/// The state of the message's session; `None` if nobody has set one.
///
/// # Errors
/// When the message belongs to no session.
pub fn state() -> Result<Option<Vec<u8>>, NoSession> {
    #[cfg(target_family = "wasm")]
    return crate::bindings::longshore::handler::session::get_state().map_err(of_the_host);
    #[cfg(not(target_family = "wasm"))]
    crate::testing::session_state()
}

/// Sets the state of the message's session.
///
/// # Errors
/// When the message belongs to no session.
pub fn set_state(state: &[u8]) -> Result<(), NoSession> {
    set(Some(state))
}

/// From now on there is no state any more.
///
/// # Errors
/// When the message belongs to no session.
pub fn clear_state() -> Result<(), NoSession> {
    set(None)
}

/// The state of the message's session, from JSON.
///
/// # Errors
/// When the message belongs to no session, and when the state is no such JSON: a retry, since no
/// message is at fault.
pub fn state_json<T: DeserializeOwned>() -> Result<Option<T>, Failure> {
    let Some(state) = state()? else { return Ok(None) };
    let read = serde_json::from_slice(&state);
    // Its error may quote the state.
    read.map(Some).map_err(|_| Failure::retry("the state of the session is not what was expected"))
}

/// Sets the state of the message's session, as JSON.
///
/// # Errors
/// When the message belongs to no session, and when the value cannot be written as JSON: a retry.
pub fn set_state_json(state: &impl Serialize) -> Result<(), Failure> {
    let written = serde_json::to_vec(state);
    let written = written
        .map_err(|error| Failure::retry(format!("the state of the session cannot be written: {error}")))?;
    Ok(set_state(&written)?)
}

fn set(state: Option<&[u8]>) -> Result<(), NoSession> {
    #[cfg(target_family = "wasm")]
    return crate::bindings::longshore::handler::session::set_state(state).map_err(of_the_host);
    #[cfg(not(target_family = "wasm"))]
    crate::testing::set_session_state(state)
}

#[cfg(target_family = "wasm")]
fn of_the_host(error: crate::bindings::longshore::handler::session::Error) -> NoSession {
    let crate::bindings::longshore::handler::session::Error::NoSession(cause) = error;
    NoSession::new(cause)
}
