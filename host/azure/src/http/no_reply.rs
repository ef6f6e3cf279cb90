//! Why a call brought no answer.

use std::error::Error as StdError;

use azure_core::error::{Error, ErrorKind};
use http::header::RETRY_AFTER;
use http::response::Parts;

use crate::cause::innermost;

/// Why a call brought no answer. The words repeat no URL.
#[derive(Debug, thiserror::Error)]
pub enum NoReply {
    /// There was no connection: the call was not sent.
    #[error("{0}")]
    Unreached(String),
    /// The connection ended before the answer did: the call may have been carried out.
    #[error("{0}")]
    Broken(String),
    /// The answer was longer than what is read of one.
    #[error(transparent)]
    TooLong(TooLongAnswer),
}

impl NoReply {
    /// No connection was made, for this reason.
    pub(super) fn unreached(error: &(dyn StdError + 'static)) -> Self {
        Self::Unreached(innermost(error))
    }

    /// No connection was made through the proxy, for this reason.
    pub(super) fn unreached_by_proxy(error: &(dyn StdError + 'static)) -> Self {
        Self::Unreached(format!("through the proxy that HTTPS_PROXY names: {}", innermost(error)))
    }

    /// A connection ended early, for this reason.
    pub(super) fn broken(error: &(dyn StdError + 'static)) -> Self {
        Self::Broken(innermost(error))
    }

    /// The answer was longer than this, and began so.
    pub(super) fn too_long(TooLongBody { max }: TooLongBody, head: &Parts) -> Self {
        let retry_after = head.headers.get(RETRY_AFTER).and_then(|it| it.to_str().ok()).map(str::to_owned);
        Self::TooLong(TooLongAnswer { max, status: head.status.as_u16(), retry_after })
    }
}

impl From<NoReply> for Error {
    fn from(why: NoReply) -> Self {
        match why {
            NoReply::Unreached(_) => Self::with_error(ErrorKind::Connection, why, "no connection"),
            NoReply::Broken(_) => Self::with_error(ErrorKind::Io, why, "no answer"),
            NoReply::TooLong(too_long) => Self::new(ErrorKind::Io, too_long),
        }
    }
}

/// An answer that is longer than what is read of one. The next one will be as well.
#[derive(Debug, thiserror::Error)]
#[error("the answer is longer than {max} bytes, and was not read any further")]
pub struct TooLongAnswer {
    /// How many bytes are read.
    pub(super) max: usize,
    /// The status of HTTP.
    pub(super) status: u16,
    /// Its header `Retry-After`.
    pub(super) retry_after: Option<String>,
}

/// A body that is longer than this.
#[derive(Debug)]
pub(super) struct TooLongBody {
    /// How many bytes are read.
    pub(super) max: usize,
}

impl TooLongAnswer {
    /// Whether it is why a call failed.
    pub(crate) fn is_behind(error: &Error) -> bool {
        let mut next: Option<&(dyn StdError + 'static)> = Some(error);
        while let Some(error) = next {
            if error.is::<Self>() {
                return true;
            }
            next = error.source();
        }
        false
    }
}
