//! Why a credential gave no token, as far as it knows what is to blame.

use azure_core::error::{Error, ErrorKind};

/// What to look at where the endpoint itself does not do what it should.
const ENDPOINT_MEND: &str = "is IDENTITY_ENDPOINT the platform's own, as it sets it, and is the platform well? On a virtual machine it is not set";

/// Why a credential gave no token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{cause}")]
pub(crate) struct NoAnswer {
    /// What went wrong.
    pub(crate) cause: String,
    /// What to do about it, where that is not a question of which identity is meant.
    pub(crate) mend: Option<&'static str>,
}

impl NoAnswer {
    /// The endpoint knows no such identity, or gives it no token.
    pub(crate) fn of_identity(cause: String) -> Self {
        Self { cause, mend: None }
    }

    /// The endpoint is not there, or is not what it should be.
    pub(crate) fn of_endpoint(cause: String) -> Self {
        Self { cause, mend: Some(ENDPOINT_MEND) }
    }

    /// As the SDK's trait of credentials wants it.
    pub(crate) fn into_error(self, kind: ErrorKind) -> Error {
        let words = self.cause.clone();
        Error::with_error(kind, self, words)
    }
}
