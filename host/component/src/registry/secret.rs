//! What is shown to a registry, and never to anybody else.

use std::fmt;

/// What proves who asks.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Secret {
    /// Nothing does.
    None,
    /// A user's name and password.
    Password(String, String),
    /// A refresh token, for which the registry gives tokens: Docker's `identitytoken`.
    Refresh(String),
    /// The same, which the registry has just given for the identity's token.
    Exchanged(String),
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
