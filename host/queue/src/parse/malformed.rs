//! What reading a URL comes to.

use crate::place::Place;

/// Where a queue is, and its name there.
pub(crate) type Parsed = Result<(Place, String), Malformed>;

/// Why a text is not the address of a queue.
#[derive(Debug)]
pub(crate) struct Malformed {
    /// What is wrong with it, without anything that may be a secret.
    pub(crate) cause: String,
    /// What to write instead, where the forms of the kind do not say it.
    pub(crate) mend: Option<&'static str>,
}

impl Malformed {
    /// An address of this kind that is not written in one of its forms.
    pub(crate) fn new(cause: impl Into<String>) -> Self {
        Self { cause: cause.into(), mend: None }
    }
}
